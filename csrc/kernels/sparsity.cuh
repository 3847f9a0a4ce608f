// The kernels of sparsity.cu, for nvcc and for NVRTC.
#pragma once
#include "cuda/columns.cuh"
#include "cuda/rows.cuh"
#include "cuda/storage.cuh"
#include "kernels/sparsity.h"

namespace fastgen {
namespace cuda {

// Two blocks a multiprocessor: packs of 8 have 32 sums in double.
template <class T, int n>
__global__ void __launch_bounds__(kColumnThreads, 2)
    sum_activities(ColumnCut cut, bool absolute, const T* activations, double* pieces) {
  typedef typename Compute<T>::type Real;
  sum_columns<n>(cut, pieces, [&](int64_t index, double (&out)[n]) {
    Real a[n];
    load(activations + index, a);
#pragma unroll
    for (int i = 0; i < n; ++i) out[i] = absolute ? fabs((double)a[i]) : (double)a[i];
  });
}

// Sums of pieces become means over `rows`; `cut` cuts [pieces, cols] into tiles of all pieces.
__global__ void __launch_bounds__(kColumnThreads)
    mean_activities(ColumnCut cut, int64_t rows, const double* pieces, double* activity) {
  sum_columns<1>(cut, activity,
                 [&](int64_t index, double (&out)[1]) { out[0] = pieces[index] / (double)rows; });
}

// x ln x, 0 at 0.
__device__ __forceinline__ double entropy_term(double x) { return x > 0 ? x * log(x) : 0; }

__device__ __forceinline__ double sparsity_term(int kind, double q, double target,
                                                double negative_entropy) {
  if (kind == FG_SPARSITY_L1) return q;
  if (kind == FG_SPARSITY_MSE) return (q - target) * (q - target);
  if (q != q) return q;
  const double most = 1 - kSparsityEpsilon;
  const double clipped = q < kSparsityEpsilon ? kSparsityEpsilon : q > most ? most : q;
  return sparsity_kl_term(log(clipped), log(1 - clipped), target, negative_entropy);
}

// One block.
template <class K>
__global__ void __launch_bounds__(kBlockLanes)
    sparsity_penalty_kernel(int64_t cols, int kind, double target, const double* activity,
                            K* penalty) {
  const double negative_entropy = entropy_term(target) + entropy_term(1 - target);
  double sum = 0;
  for (int64_t col = threadIdx.x; col < cols; col += kBlockLanes) {
    sum += sparsity_term(kind, activity[col], target, negative_entropy);
  }
  sum = sum_of_block(sum);
  if (threadIdx.x == 0) *penalty = (K)sum;
}

template <class T, int n, class K>
__global__ void __launch_bounds__(kColumnThreads, kBlocksHeld)
    sparsity_grad_kernel(ColumnCut cut, int kind, double target, const T* activations,
                         const double* activity, const K* d_penalty, const double* d_activity,
                         const T* d_passed, T* d_activations) {
  const double upstream = *d_penalty;
  for_columns<n>(cut, [&](int64_t col, int64_t begin, int64_t end) {
    K slope[n];
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const double more = d_activity ? d_activity[col + i] : 0;
      const double of_column = sparsity_slope(kind, activity[col + i], target);
      slope[i] = (K)((upstream * of_column + more) / (double)cut.rows);
    }
    for (int64_t row = begin; row < end; row += cut.abreast) {
      const int64_t index = row * cut.cols + col;
      K a[n] = {}, passed[n] = {};
      if (kind == FG_SPARSITY_L1) load(activations + index, a);
      if (d_passed) load(d_passed + index, passed);
#pragma unroll
      for (int i = 0; i < n; ++i) {
        const K value = kind == FG_SPARSITY_L1 ? with_sign(slope[i], a[i]) : slope[i];
        a[i] = d_passed ? passed[i] + value : value;
      }
      store(a, d_activations + index);
    }
  });
}

}  // namespace cuda
}  // namespace fastgen
