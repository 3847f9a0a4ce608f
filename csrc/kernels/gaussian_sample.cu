#include "cuda/flat.h"
#include "kernels/gaussian_sample.cuh"
#include "kernels/gaussian_sample.h"

using namespace fastgen;
using namespace fastgen::cuda;

extern "C" {

int fg_cuda_gaussian_sample(void* stream, fg_dtype dtype, int64_t size, const int64_t seed[2],
                            const void* mean, const void* log_var, void* z) {
  constexpr const char* op = "gaussian_sample";
  if (int code = check_shape(op, size, 1)) return code;
  return for_dtype(op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    return for_alignment<T>({mean, log_var, z}, [&](auto n) {
      return launch_flat(op, stream, size, n, gaussian_sample_kernel<T, n>, philox_stream(seed),
                         (const T*)mean, (const T*)log_var, (T*)z);
    });
  });
}

int fg_cuda_gaussian_sample_grad(void* stream, fg_dtype dtype, int64_t size, const int64_t seed[2],
                                 const void* log_var, const void* d_z, void* d_log_var) {
  constexpr const char* op = "gaussian_sample_grad";
  if (int code = check_shape(op, size, 1)) return code;
  return for_dtype(op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    return for_alignment<T>({log_var, d_z, d_log_var}, [&](auto n) {
      return launch_flat(op, stream, size, n, gaussian_sample_grad_kernel<T, n>,
                         philox_stream(seed), (const T*)log_var, (const T*)d_z, (T*)d_log_var);
    });
  });
}
}
