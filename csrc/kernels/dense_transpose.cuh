// The epilogue of dense_transpose_cross_entropy, for nvcc and for NVRTC.
#pragma once
#include "cuda/activation.cuh"
#include "cuda/rows.cuh"
#include "cuda/tiling.cuh"
#include "kernels/sigmoid_cross_entropy.h"

namespace fastgen {
namespace cuda {

// Images as they are compared with logits: targets scale + shift, of 255ths or of T.
template <class T>
struct Targets {
  typedef typename Compute<T>::type Real;
  const void* base;
  Real scale, shift;
  bool bytes, wide;

  template <int n>
  __device__ __forceinline__ void load(int64_t index, int64_t left, Real (&y)[n]) const {
    if (!bytes) {
      load_some((const T*)base + index, left, wide, y);
    } else if (n >= 4 && wide && left >= n) {
#pragma unroll
      for (int i = 0; i < n; i += 4) {
        const uint32_t four = *reinterpret_cast<const uint32_t*>((const uint8_t*)base + index + i);
#pragma unroll
        for (int j = 0; j < 4; ++j) y[i + j] = four >> 8 * j & 0xff;
      }
    } else {
#pragma unroll
      for (int i = 0; i < n; ++i) y[i] = i < left ? ((const uint8_t*)base)[index + i] : 0;
    }
#pragma unroll
    for (int i = 0; i < n; ++i) y[i] = fma(y[i], scale, shift);
  }
};

// An epilogue of products that are logits but for the bias: they do not leave the registers. The sums
// of a slice's columns go to of_slices[slice, rows].
template <class T>
struct CrossEntropy {
  typedef typename Compute<T>::type Real;
  const T* bias;
  Targets<T> targets;
  T* slope;
  Real* of_slices;
  int64_t rows, cols;
  Real share;  // 1 / cols
  bool wide;

  template <int n>
  struct Columns {
    Real bias[n];
  };
  template <int n>
  __device__ __forceinline__ Columns<n> columns(int64_t col) const {
    Columns<n> c = {};
    if (bias) load_some(bias + col, cols - col, wide, c.bias);
    return c;
  }
  // One logarithm, of the product of all 1 + exp(-|logit|), which are between 1 and 2.
  template <int n>
  __device__ __forceinline__ Real finish(const Columns<n>& c, int64_t, int64_t row, int64_t col,
                                         Real (&values)[n]) const {
    const int64_t at = row * cols + col, left = cols - col;
    Real y[n], sum = 0, product = 1;
    targets.load(at, left, y);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const Real logit = values[i] + c.bias[i], e = exp_of_minus_abs(logit);
      if (i < left) {
        sum += fma(-logit, y[i], larger(Real(0), logit));
        product *= 1 + e;
      }
      values[i] = sigmoid_minus(logit, y[i], e * reciprocal(1 + e)) * share;
    }
    if (slope) store_some(values, left, wide, slope + at);
    return sum + log(product);
  }
  template <int lanes>
  __device__ __forceinline__ void finish_row(int64_t slice, int64_t row, Real sum) const {
    sum = sum_of_lanes(sum, lanes);
    if (threadIdx.x % lanes == 0 && row < rows) of_slices[slice * rows + row] = sum;
  }
};

}  // namespace cuda
}  // namespace fastgen
