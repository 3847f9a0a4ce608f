// Formula: gaussian_sample and gaussian_kl of the same mean and log_var, in one pass:
//   d_mean = d_z + d_kl mean, d_log_var = (d_z exp(log_var/2) eps + d_kl (exp(log_var) - 1)) / 2.
// Shapes: mean, log_var, z, d_z, d_mean, d_log_var [rows, cols] row-major; kl, d_kl [rows];
//   seed[2]. (r, c) takes noise element r * cols + c.
// Dtypes: as gaussian_sample; kl and d_kl as gaussian_kl.
// Error: z and kl are gaussian_sample's and gaussian_kl's to the bit; gradients the sum of both's.
// Edges: as both.
// Bytes: forward 12, backward 20 an element in float32; the noise is never stored.
// Determinism: bit-equal for any thread count within an ISA. z may be mean or log_var; d_mean and
//   d_log_var may be any two of mean, log_var and d_z; no other overlap.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

FG_API int fg_gaussian_sample_kl(const fg_threads* threads, fg_dtype dtype, int64_t rows,
                                 int64_t cols, const int64_t seed[2], const void* mean,
                                 const void* log_var, void* z, void* kl);
FG_API int fg_gaussian_sample_kl_grad(const fg_threads* threads, fg_dtype dtype, int64_t rows,
                                      int64_t cols, const int64_t seed[2], const void* mean,
                                      const void* log_var, const void* d_z, const void* d_kl,
                                      void* d_mean, void* d_log_var);

// The same on a CUDA stream, in builds with CUDA: arrays on its device, of their elements' alignment;
// seed on the host, read before the call returns. Inputs are read when the stream gets there.
FG_API int fg_cuda_gaussian_sample_kl(void* stream, fg_dtype dtype, int64_t rows, int64_t cols,
                                      const int64_t seed[2], const void* mean, const void* log_var,
                                      void* z, void* kl);
FG_API int fg_cuda_gaussian_sample_kl_grad(void* stream, fg_dtype dtype, int64_t rows, int64_t cols,
                                           const int64_t seed[2], const void* mean,
                                           const void* log_var, const void* d_z, const void* d_kl,
                                           void* d_mean, void* d_log_var);

// The same bits of a seed on the device, which is read when the stream gets there.
FG_API int fg_cuda_gaussian_sample_kl_device_seed(void* stream, fg_dtype dtype, int64_t rows,
                                                  int64_t cols, const int64_t seed[2],
                                                  const void* mean, const void* log_var, void* z,
                                                  void* kl);
FG_API int fg_cuda_gaussian_sample_kl_grad_device_seed(void* stream, fg_dtype dtype, int64_t rows,
                                                       int64_t cols, const int64_t seed[2],
                                                       const void* mean, const void* log_var,
                                                       const void* d_z, const void* d_kl,
                                                       void* d_mean, void* d_log_var);

#ifdef __cplusplus
}
#endif
