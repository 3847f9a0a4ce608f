#include "cuda/flat.h"
#include "cuda/noise_seed.h"
#include "kernels/gaussian_sample.cuh"
#include "kernels/gaussian_sample.h"

using namespace fastgen;
using namespace fastgen::cuda;

namespace {

int sample(void* stream, fg_dtype dtype, int64_t size, const NoiseSeed& seed, const void* mean,
           const void* log_var, void* z) {
  constexpr const char* op = "gaussian_sample";
  if (int code = check_shape(op, size, 1)) return code;
  return for_dtype(op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    return for_alignment<T>({mean, log_var, z}, [&](auto n) {
      return launch_flat(op, stream, size, n, gaussian_sample_kernel<T, n>, seed, (const T*)mean,
                         (const T*)log_var, (T*)z);
    });
  });
}

int sample_grad(void* stream, fg_dtype dtype, int64_t size, const NoiseSeed& seed,
                const void* log_var, const void* d_z, void* d_log_var) {
  constexpr const char* op = "gaussian_sample_grad";
  if (int code = check_shape(op, size, 1)) return code;
  return for_dtype(op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    return for_alignment<T>({log_var, d_z, d_log_var}, [&](auto n) {
      return launch_flat(op, stream, size, n, gaussian_sample_grad_kernel<T, n>, seed,
                         (const T*)log_var, (const T*)d_z, (T*)d_log_var);
    });
  });
}

}  // namespace

extern "C" {

int fg_cuda_gaussian_sample(void* stream, fg_dtype dtype, int64_t size, const int64_t seed[2],
                            const void* mean, const void* log_var, void* z) {
  return sample(stream, dtype, size, seed_on_host(seed), mean, log_var, z);
}
int fg_cuda_gaussian_sample_device_seed(void* stream, fg_dtype dtype, int64_t size,
                                        const int64_t* seed, const void* mean, const void* log_var,
                                        void* z) {
  return for_seed_on_device("gaussian_sample", seed, [&](const NoiseSeed& words) {
    return sample(stream, dtype, size, words, mean, log_var, z);
  });
}

int fg_cuda_gaussian_sample_grad(void* stream, fg_dtype dtype, int64_t size, const int64_t seed[2],
                                 const void* log_var, const void* d_z, void* d_log_var) {
  return sample_grad(stream, dtype, size, seed_on_host(seed), log_var, d_z, d_log_var);
}
int fg_cuda_gaussian_sample_grad_device_seed(void* stream, fg_dtype dtype, int64_t size,
                                             const int64_t* seed, const void* log_var,
                                             const void* d_z, void* d_log_var) {
  return for_seed_on_device("gaussian_sample_grad", seed, [&](const NoiseSeed& words) {
    return sample_grad(stream, dtype, size, words, log_var, d_z, d_log_var);
  });
}
}
