// Epilogues and sums of plain products.
#pragma once
#include "cuda/rows.cuh"
#include "cuda/tiling.cuh"

namespace fastgen {
namespace cuda {

// Parts of a product one after the other, or the product.
template <class Out>
struct IntoMemory {
  typedef typename Compute<Out>::type Real;
  struct Nothing {};
  Out* out;
  int64_t rows, cols;
  bool wide;

  template <int n>
  __device__ __forceinline__ Nothing columns(int64_t) const {
    return {};
  }
  template <int n>
  __device__ __forceinline__ Real finish(Nothing, int64_t part, int64_t row, int64_t col,
                                         const Real (&sums)[n]) const {
    store_some(sums, cols - col, wide, out + (part * rows + row) * cols + col);
    return 0;
  }
  template <int lanes>
  __device__ __forceinline__ void finish_row(int64_t, int64_t, Real) const {}
};

template <class T, int n>
__global__ void __launch_bounds__(256)
    sum_parts_kernel(int64_t parts, int64_t size, const typename Compute<T>::type* from,
                     double scale, T* out) {
  typedef typename Compute<T>::type Real;
  const int64_t step = (int64_t)gridDim.x * blockDim.x * n;
  for (int64_t i = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * n; i < size; i += step) {
    double sums[n] = {};
    for (int64_t part = 0; part < parts; ++part) {
      Real some[n];
      load_some(from + part * size + i, n, true, some);
#pragma unroll
      for (int j = 0; j < n; ++j) sums[j] += some[j];
    }
    Real total[n];
#pragma unroll
    for (int j = 0; j < n; ++j) total[j] = (Real)(sums[j] * scale);
    store(total, out + i);
  }
}

}  // namespace cuda
}  // namespace fastgen
