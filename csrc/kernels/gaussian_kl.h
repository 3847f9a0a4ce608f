// Formula: kl = -1/2 sum_cols(1 + log_var - exp(log_var) - mean^2), the divergence of
//   N(mean, exp(log_var)) from N(0, 1) (Kingma & Welling 2014, appendix B);
//   d_mean = d_kl mean, d_log_var = d_kl (exp(log_var) - 1) / 2.
// Shapes: mean, log_var, d_mean, d_log_var [rows, cols] row-major; kl, d_kl [rows].
// Dtypes: float32, float64; bfloat16, float16 compute in float32. kl and d_kl: float64 for
//   float64, else float32. float32 rows are summed in float32 lanes, longer than 1,024 columns
//   tile by tile in double.
// Error: kl 8 u sum_cols(1 + |log_var| + exp(log_var) + mean^2), d_mean 2 u |mean d_kl|,
//   d_log_var 8 u (1 + exp(log_var)) |d_kl|; u = 2^-24 or 2^-53; plus half an ulp of the
//   storage dtype.
// Edges: kl >= 0, and 0 at mean = log_var = 0; NaN and inf propagate; any alignment; 0 cols: kl 0.
// Bytes: forward 8, backward 16 an element in float32.
// Determinism: bit-equal for any thread count within an ISA. d_mean and d_log_var may be mean and
//   log_var in either order; no other overlap.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

FG_API int fg_gaussian_kl(const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols,
                          const void* mean, const void* log_var, void* kl);
FG_API int fg_gaussian_kl_grad(const fg_threads* threads, fg_dtype dtype, int64_t rows,
                               int64_t cols, const void* mean, const void* log_var,
                               const void* d_kl, void* d_mean, void* d_log_var);

// The same on a CUDA stream, in builds with CUDA: arrays on its device, of their elements' alignment.
FG_API int fg_cuda_gaussian_kl(void* stream, fg_dtype dtype, int64_t rows, int64_t cols,
                               const void* mean, const void* log_var, void* kl);
FG_API int fg_cuda_gaussian_kl_grad(void* stream, fg_dtype dtype, int64_t rows, int64_t cols,
                                    const void* mean, const void* log_var, const void* d_kl,
                                    void* d_mean, void* d_log_var);

#ifdef __cplusplus
}

#include "core/host_device.h"

namespace fastgen {

// V: float, double or a vector of either. variance = exp(log_var).
template <class V>
FG_MATH V gaussian_kl_term(V mean, V log_var, V variance) {
  const V rest = variance - (log_var + 1.0f);
  // Never negative but for rounding; a NaN stays.
  return ((rest < 0.0f ? V{} : rest) + mean * mean) * 0.5f;
}
template <class V>
FG_MATH V gaussian_kl_d_mean(V mean, V d_kl) {
  return d_kl * mean;
}
template <class V>
FG_MATH V gaussian_kl_d_log_var(V variance, V d_kl) {
  return d_kl * (variance - 1.0f) * 0.5f;
}

}  // namespace fastgen
#endif
