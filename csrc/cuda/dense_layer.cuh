// The kernels of dense layers beside their products.
#pragma once
#include "cuda/activation.cuh"
#include "cuda/rows.cuh"
#include "cuda/tiling.cuh"

namespace fastgen {
namespace cuda {

template <int n, class Real>
__device__ __forceinline__ void activate(fg_activation activation, Real (&values)[n]) {
  for_activation(activation, kLeakySlope, [&](auto act) {
#pragma unroll
    for (int i = 0; i < n; ++i) values[i] = act.value(values[i]);
    return 0;
  });
}

// An epilogue: y = act(z), z = sums + bias; bias and z may be null.
template <class T>
struct ActivatedLayer {
  typedef typename Compute<T>::type Real;
  const T* bias;
  T *y, *z;
  int64_t cols;
  fg_activation activation;
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
  template <int n>
  __device__ __forceinline__ Real finish(const Columns<n>& c, int64_t, int64_t row, int64_t col,
                                         Real (&values)[n]) const {
    const int64_t at = row * cols + col;
#pragma unroll
    for (int i = 0; i < n; ++i) values[i] += c.bias[i];
    if (z) store_some(values, cols - col, wide, z + at);
    activate(activation, values);
    store_some(values, cols - col, wide, y + at);
    return 0;
  }
  template <int lanes>
  __device__ __forceinline__ void finish_row(int64_t, int64_t, Real) const {}
};

// y = act(z), of a z in memory; y may be z.
template <class T, int n>
__global__ void __launch_bounds__(256)
    activate_kernel(int64_t size, fg_activation activation, const T* z, T* y) {
  const int64_t step = (int64_t)gridDim.x * blockDim.x * n;
  for (int64_t i = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * n; i < size; i += step) {
    typename Compute<T>::type values[n];
    load(z + i, values);
    activate(activation, values);
    store(values, y + i);
  }
}

constexpr int kPanelLanes = 32, kPanelRows = 8;  // threads along and across rows

// d_z = act'(saved) d_y; d_z and sums may be null. A block has packs of columns of a panel of rows,
// and sums[panel, cols] gets the sums of those.
template <class T, int n>
__global__ void __launch_bounds__(kPanelLanes* kPanelRows)
    d_z_kernel(int64_t rows, int64_t cols, int64_t panels, int64_t panel_rows,
               fg_activation activation, const T* saved, const T* d_y, T* d_z,
               typename Compute<T>::type* sums) {
  typedef typename Compute<T>::type Real;
  __shared__ Real of_lines[kPanelRows][kPanelLanes * n];
  const int lane = threadIdx.x % kPanelLanes, line = threadIdx.x / kPanelLanes;
  const int64_t across = (cols - 1) / (kPanelLanes * n) + 1;
  for (int64_t tile = blockIdx.x; tile < across * panels; tile += gridDim.x) {
    const int64_t col = (tile % across * kPanelLanes + lane) * n, panel = tile / across;
    const int64_t begin = panel * panel_rows;
    const int64_t end = begin + panel_rows < rows ? begin + panel_rows : rows;
    Real sum[n] = {};
    for (int64_t row = begin + line; row < end && col < cols; row += kPanelRows) {
      Real from[n], d[n];
      load(saved + row * cols + col, from);
      load(d_y + row * cols + col, d);
      for_activation(activation, kLeakySlope, [&](auto act) {
#pragma unroll
        for (int i = 0; i < n; ++i) d[i] = act.gradient(from[i], d[i]);
        return 0;
      });
      if (d_z) store(d, d_z + row * cols + col);
#pragma unroll
      for (int i = 0; i < n; ++i) sum[i] += d[i];
    }
    if (!sums) continue;
    __syncthreads();  // whoever reads the sums of the tile before is done
#pragma unroll
    for (int i = 0; i < n; ++i) of_lines[line][lane * n + i] = sum[i];
    __syncthreads();
    for (int i = threadIdx.x; i < kPanelLanes * n; i += blockDim.x) {
      const int64_t at = tile % across * kPanelLanes * n + i;
      Real total = 0;
#pragma unroll
      for (int j = 0; j < kPanelRows; ++j) total += of_lines[j][i];
      if (at < cols) sums[panel * cols + at] = total;
    }
  }
}

}  // namespace cuda
}  // namespace fastgen
