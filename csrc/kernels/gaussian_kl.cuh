// The kernels of gaussian_kl.cu, for nvcc and for NVRTC.
#pragma once
#include "cuda/rows.cuh"
#include "cuda/storage.cuh"
#include "kernels/gaussian_kl.h"

namespace fastgen {
namespace cuda {

template <class T, int n, bool wide, class K>
__global__ void __launch_bounds__(kBlockLanes, kBlocksHeld)
    gaussian_kl_kernel(Lines lines, const T* mean, const T* log_var, RowSums<K> kl) {
  typedef typename Compute<T>::type Real;
  sum_lines<wide, n>(lines, kl, [&](int64_t, int64_t index) {
    Real mean_i[n], log_var_i[n], sum = 0;
    load(mean + index, mean_i);
    load(log_var + index, log_var_i);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const Real std_dev = exp(log_var_i[i] * (Real)0.5);
      sum += gaussian_kl_term(mean_i[i], log_var_i[i], std_dev * std_dev);
    }
    return sum;
  });
}

template <class T, int n, bool wide, class K>
__global__ void __launch_bounds__(kBlockLanes, kBlocksHeld)
    gaussian_kl_grad_kernel(Lines lines, const T* mean, const T* log_var, const K* d_kl, T* d_mean,
                            T* d_log_var) {
  typedef typename Compute<T>::type Real;
  for_packs_of_rows<wide, n>(lines, [&](int64_t row, int64_t index) {
    Real mean_i[n], log_var_i[n], to_mean[n], to_log_var[n];
    load(mean + index, mean_i);
    load(log_var + index, log_var_i);
    const Real d_kl_i = d_kl[row];
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const Real std_dev = exp(log_var_i[i] * (Real)0.5);
      to_mean[i] = gaussian_kl_d_mean(mean_i[i], d_kl_i);
      to_log_var[i] = gaussian_kl_d_log_var(std_dev * std_dev, d_kl_i);
    }
    store(to_mean, d_mean + index);
    store(to_log_var, d_log_var + index);
  });
}

}  // namespace cuda
}  // namespace fastgen
