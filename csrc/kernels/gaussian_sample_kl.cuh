// The kernels of gaussian_sample_kl.cu, for nvcc and for NVRTC.
#pragma once
#include "cuda/normal.cuh"
#include "cuda/rows.cuh"
#include "cuda/storage.cuh"
#include "kernels/gaussian_kl.h"
#include "kernels/gaussian_sample.h"

namespace fastgen {
namespace cuda {

template <class T, int n, bool wide, class K>
__global__ void __launch_bounds__(kBlockLanes, sizeof(T) == 8 ? kBlocksHeld : 0)
    gaussian_sample_kl_kernel(Lines lines, NoiseSeed seed, const T* mean, const T* log_var, T* z,
                              RowSums<K> kl) {
  typedef typename Compute<T>::type Real;
  const PhiloxStream stream = seed.stream();
  sum_lines<wide, n>(lines, kl, [&](int64_t, int64_t index) {
    Real mean_i[n], log_var_i[n], eps[n], z_i[n], sum = 0;
    load(mean + index, mean_i);
    load(log_var + index, log_var_i);
    normal(stream, index, eps);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const Real std_dev = exp(log_var_i[i] * (Real)0.5);
      z_i[i] = gaussian_sample_value(mean_i[i], std_dev, eps[i]);
      sum += gaussian_kl_term(mean_i[i], log_var_i[i], std_dev * std_dev);
    }
    store(z_i, z + index);
    return sum;
  });
}

template <class T, int n, bool wide, class K>
__global__ void __launch_bounds__(kBlockLanes)
    gaussian_sample_kl_grad_kernel(Lines lines, NoiseSeed seed, const T* mean, const T* log_var,
                                   const T* d_z, const K* d_kl, T* d_mean, T* d_log_var) {
  typedef typename Compute<T>::type Real;
  const PhiloxStream stream = seed.stream();
  for_packs_of_rows<wide, n>(lines, [&](int64_t row, int64_t index) {
    Real mean_i[n], log_var_i[n], d_z_i[n], eps[n], to_mean[n], to_log_var[n];
    load(mean + index, mean_i);
    load(log_var + index, log_var_i);
    load(d_z + index, d_z_i);
    const Real d_kl_i = d_kl[row];
    normal(stream, index, eps);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const Real std_dev = exp(log_var_i[i] * (Real)0.5);
      to_mean[i] = d_z_i[i] + gaussian_kl_d_mean(mean_i[i], d_kl_i);
      to_log_var[i] = gaussian_sample_d_log_var(std_dev, eps[i], d_z_i[i]) +
                      gaussian_kl_d_log_var(std_dev * std_dev, d_kl_i);
    }
    store(to_mean, d_mean + index);
    store(to_log_var, d_log_var + index);
  });
}

}  // namespace cuda
}  // namespace fastgen
