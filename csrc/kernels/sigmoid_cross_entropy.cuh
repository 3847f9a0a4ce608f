// The kernels of sigmoid_cross_entropy.cu, for nvcc and for NVRTC.
#pragma once
#include "cuda/flat.cuh"
#include "cuda/logistic.cuh"
#include "cuda/rows.cuh"
#include "cuda/storage.cuh"

namespace fastgen {
namespace cuda {

// targets[index] (1 - s) + s / 2, by scale and shift.
template <class U, class Real>
struct SmoothTargets {
  const U* base;
  Real scale, shift;
  const double* label_smoothing;  // in the device's memory, for smoothed(); or NULL

  FG_MATH void smooth(double by) {
    scale = (Real)((1 - by) / (sizeof(U) == 1 ? 255 : 1));
    shift = (Real)(by / 2);
  }
  __device__ __forceinline__ SmoothTargets smoothed() const {
    SmoothTargets result = *this;
    if (label_smoothing) result.smooth(*label_smoothing);
    return result;
  }

  template <int n>
  __device__ __forceinline__ void load_pack(int64_t index, Real (&y)[n]) const {
    if constexpr (sizeof(U) == 1) {
      load_bytes(base + index, y);
    } else {
      load(base + index, y);
    }
#pragma unroll
    for (int i = 0; i < n; ++i) y[i] = y[i] * scale + shift;
  }
};

// slope: or NULL. share: 1 / cols.
template <class T, class U, int n, bool wide, class K>
__global__ void __launch_bounds__(kBlockLanes)
    sigmoid_cross_entropy_kernel(Lines lines, SmoothTargets<U, K> given, const T* logits, K share,
                                 T* slope, RowSums<K> loss) {
  const SmoothTargets<U, K> targets = given.smoothed();
  sum_lines<wide, n>(lines, loss, [&](int64_t, int64_t index) {
    K logit[n], y[n], slope_i[n], sum = 0;
    load(logits + index, logit);
    targets.load_pack(index, y);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const K e = exp_of_minus_abs(logit[i]);
      if (slope) slope_i[i] = cross_entropy_slope(logit[i], y[i], e) * share;
      sum += cross_entropy_of(logit[i], y[i], e);
    }
    if (slope) store(slope_i, slope + index);
    return sum;
  });
}

template <class T, class U, int n, bool wide, class K>
__global__ void __launch_bounds__(kBlockLanes, kBlocksHeld)
    sigmoid_cross_entropy_grad_kernel(Lines lines, SmoothTargets<U, K> given, const T* logits,
                                      K share, const K* d_loss, T* d_logits) {
  const SmoothTargets<U, K> targets = given.smoothed();
  for_packs_of_rows<wide, n>(lines, [&](int64_t row, int64_t index) {
    K logit[n], y[n];
    load(logits + index, logit);
    targets.load_pack(index, y);
    const K upstream = d_loss[row];
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const K e = exp_of_minus_abs(logit[i]);
      logit[i] = cross_entropy_slope(logit[i], y[i], e) * share * upstream;
    }
    store(logit, d_logits + index);
  });
}

template <class T, int n, bool wide, class K>
__global__ void __launch_bounds__(kBlockLanes)
    scale_rows_kernel(Lines lines, const T* slope, const K* d_loss, T* d_logits) {
  for_packs_of_rows<wide, n>(lines, [&](int64_t row, int64_t index) {
    K x[n];
    load(slope + index, x);
    const K upstream = d_loss[row];
#pragma unroll
    for (int i = 0; i < n; ++i) x[i] *= upstream;
    store(x, d_logits + index);
  });
}

// n numbers at once, in as few accesses as there are 16 bytes: of a float for each 16-bit float, two.
template <int n, class K>
__device__ __forceinline__ void load_all(const K* from, K (&to)[n]) {
  constexpr int pack = n < kPack<K> ? n : kPack<K>;
#pragma unroll
  for (int i = 0; i < n; i += pack) load(from + i, reinterpret_cast<K(&)[pack]>(to[i]));
}
template <int n, class K>
__device__ __forceinline__ void store_all(const K (&from)[n], K* to) {
  constexpr int pack = n < kPack<K> ? n : kPack<K>;
#pragma unroll
  for (int i = 0; i < n; i += pack) store(reinterpret_cast<const K(&)[pack]>(from[i]), to + i);
}

// Those above for matrices of one column, where each element is its own mean.
template <class T, int n, class U, class K>
__global__ void __launch_bounds__(kFlatThreads)
    sigmoid_cross_entropy_each_kernel(int64_t size, SmoothTargets<U, K> given, const T* logits,
                                      T* slope, K* loss) {
  const SmoothTargets<U, K> targets = given.smoothed();
  for_packs<n>(size, [&](int64_t index, auto width) {
    constexpr int w = decltype(width)::value;
    K logit[w], y[w], loss_i[w];
    load(logits + index, logit);
    targets.load_pack(index, y);
#pragma unroll
    for (int i = 0; i < w; ++i) {
      const K e = exp_of_minus_abs(logit[i]);
      loss_i[i] = cross_entropy_of(logit[i], y[i], e);
      logit[i] = cross_entropy_slope(logit[i], y[i], e);
    }
    if (slope) store(logit, slope + index);
    store_all(loss_i, loss + index);
  });
}

template <class T, int n, class U, class K>
__global__ void __launch_bounds__(kFlatThreads)
    sigmoid_cross_entropy_each_grad_kernel(int64_t size, SmoothTargets<U, K> given, const T* logits,
                                           const K* d_loss, T* d_logits) {
  const SmoothTargets<U, K> targets = given.smoothed();
  for_packs<n>(size, [&](int64_t index, auto width) {
    constexpr int w = decltype(width)::value;
    K logit[w], y[w], upstream[w];
    load(logits + index, logit);
    targets.load_pack(index, y);
    load_all(d_loss + index, upstream);
#pragma unroll
    for (int i = 0; i < w; ++i) {
      const K e = exp_of_minus_abs(logit[i]);
      logit[i] = cross_entropy_slope(logit[i], y[i], e) * upstream[i];
    }
    store(logit, d_logits + index);
  });
}

template <class T, int n, class K>
__global__ void __launch_bounds__(kFlatThreads)
    scale_each_kernel(int64_t size, const T* slope, const K* d_loss, T* d_logits) {
  for_packs<n>(size, [&](int64_t index, auto width) {
    constexpr int w = decltype(width)::value;
    K x[w], upstream[w];
    load(slope + index, x);
    load_all(d_loss + index, upstream);
#pragma unroll
    for (int i = 0; i < w; ++i) x[i] *= upstream[i];
    store(x, d_logits + index);
  });
}

}  // namespace cuda
}  // namespace fastgen
