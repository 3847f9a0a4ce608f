// Formula: z = mean + exp(log_var/2) eps, eps = N(0, 1) of the seed (kernels/random_normal.h);
//   d_log_var = d_z exp(log_var/2) eps / 2; d_mean = d_z (the caller's, no kernel).
// Shapes: mean, log_var, z, d_z, d_log_var [size]; seed[2].
// Dtypes: float32, float64; bfloat16, float16 compute in float32, noise included, and round once.
// Error: with s = exp(log_var/2) (1 + |eps|): z 8 u (|mean| + s), d_log_var 8 u |d_z| s;
//   u = 2^-24 or 2^-53; plus half an ulp of the storage dtype.
// Edges: NaN and inf propagate as in the formula; any alignment; size 0 writes nothing.
// Bytes: forward 12, backward 12 an element in float32; the noise is never stored.
// Determinism: bit-equal for any thread count within an ISA. z may be mean or log_var, d_log_var
//   may be log_var or d_z; no other overlap.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

FG_API int fg_gaussian_sample(const fg_threads* threads, fg_dtype dtype, int64_t size,
                              const int64_t seed[2], const void* mean, const void* log_var,
                              void* z);
FG_API int fg_gaussian_sample_grad(const fg_threads* threads, fg_dtype dtype, int64_t size,
                                   const int64_t seed[2], const void* log_var, const void* d_z,
                                   void* d_log_var);

// The same on a CUDA stream, in builds with CUDA: arrays on its device, of their elements' alignment;
// seed on the host, read before the call returns.
FG_API int fg_cuda_gaussian_sample(void* stream, fg_dtype dtype, int64_t size,
                                   const int64_t seed[2], const void* mean, const void* log_var,
                                   void* z);
FG_API int fg_cuda_gaussian_sample_grad(void* stream, fg_dtype dtype, int64_t size,
                                        const int64_t seed[2], const void* log_var, const void* d_z,
                                        void* d_log_var);

// The same bits of a seed on the device, which is read when the stream gets there.
FG_API int fg_cuda_gaussian_sample_device_seed(void* stream, fg_dtype dtype, int64_t size,
                                               const int64_t seed[2], const void* mean,
                                               const void* log_var, void* z);
FG_API int fg_cuda_gaussian_sample_grad_device_seed(void* stream, fg_dtype dtype, int64_t size,
                                                    const int64_t seed[2], const void* log_var,
                                                    const void* d_z, void* d_log_var);

#ifdef __cplusplus
}

#include "core/host_device.h"

namespace fastgen {

// V: float, double or a vector of either. std_dev = exp(log_var/2).
template <class V>
FG_MATH V gaussian_sample_value(V mean, V std_dev, V eps) {
  return mean + std_dev * eps;
}
template <class V>
FG_MATH V gaussian_sample_d_log_var(V std_dev, V eps, V d_z) {
  return d_z * (std_dev * eps) * 0.5f;
}

}  // namespace fastgen
#endif
