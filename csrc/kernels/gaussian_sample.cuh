// The kernels of gaussian_sample.cu, for nvcc and for NVRTC.
#pragma once
#include "cuda/flat.cuh"
#include "cuda/normal.cuh"
#include "cuda/storage.cuh"
#include "kernels/gaussian_sample.h"

namespace fastgen {
namespace cuda {

template <class T, int n>
__global__ void __launch_bounds__(kFlatThreads)
    gaussian_sample_kernel(int64_t size, NoiseSeed seed, const T* mean, const T* log_var, T* z) {
  typedef typename Compute<T>::type Real;
  const PhiloxStream stream = seed.stream();
  for_packs<n>(size, [&](int64_t index, auto width) {
    constexpr int w = decltype(width)::value;
    Real mean_i[w], log_var_i[w], eps[w], z_i[w];
    load(mean + index, mean_i);
    load(log_var + index, log_var_i);
    normal(stream, index, eps);
#pragma unroll
    for (int i = 0; i < w; ++i) {
      z_i[i] = gaussian_sample_value(mean_i[i], exp(log_var_i[i] * (Real)0.5), eps[i]);
    }
    store(z_i, z + index);
  });
}

template <class T, int n>
__global__ void __launch_bounds__(kFlatThreads)
    gaussian_sample_grad_kernel(int64_t size, NoiseSeed seed, const T* log_var, const T* d_z,
                                T* d_log_var) {
  typedef typename Compute<T>::type Real;
  const PhiloxStream stream = seed.stream();
  for_packs<n>(size, [&](int64_t index, auto width) {
    constexpr int w = decltype(width)::value;
    Real log_var_i[w], d_z_i[w], eps[w], to_log_var[w];
    load(log_var + index, log_var_i);
    load(d_z + index, d_z_i);
    normal(stream, index, eps);
#pragma unroll
    for (int i = 0; i < w; ++i) {
      const Real std_dev = exp(log_var_i[i] * (Real)0.5);
      to_log_var[i] = gaussian_sample_d_log_var(std_dev, eps[i], d_z_i[i]);
    }
    store(to_log_var, d_log_var + index);
  });
}

}  // namespace cuda
}  // namespace fastgen
