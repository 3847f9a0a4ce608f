#include "cuda/noise_seed.h"
#include "cuda/rows.h"
#include "kernels/gaussian_sample_kl.cuh"
#include "kernels/gaussian_sample_kl.h"

using namespace fastgen;
using namespace fastgen::cuda;

namespace {

int sample_kl(void* stream, fg_dtype dtype, int64_t rows, int64_t cols, const NoiseSeed& seed,
              const void* mean, const void* log_var, void* z, void* kl) {
  constexpr const char* op = "gaussian_sample_kl";
  if (int code = check_shape(op, rows, cols)) return code;
  return for_dtype(op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type K;
    return for_width_of_rows<T>(cols, {mean, log_var, z}, [&](auto n, auto wide) {
      const Lines lines = lines_of(rows, cols, n);
      return sum_rows(op, stream, lines, (K*)kl, 1, [&](const RowSums<K>& sums) {
        return launch(op, stream, grid_of(lines), kBlockLanes, 0,
                      gaussian_sample_kl_kernel<T, n, wide, K>, lines, seed, (const T*)mean,
                      (const T*)log_var, (T*)z, sums);
      });
    });
  });
}

int sample_kl_grad(void* stream, fg_dtype dtype, int64_t rows, int64_t cols, const NoiseSeed& seed,
                   const void* mean, const void* log_var, const void* d_z, const void* d_kl,
                   void* d_mean, void* d_log_var) {
  constexpr const char* op = "gaussian_sample_kl_grad";
  if (int code = check_shape(op, rows, cols)) return code;
  return for_dtype(op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type K;
    const auto pointers = {mean, log_var, d_z, (const void*)d_mean, (const void*)d_log_var};
    return for_width_of_rows<T>(cols, pointers, [&](auto n, auto wide) {
      const Lines lines = lines_of(rows, cols, n);
      return launch(op, stream, grid_of(lines), kBlockLanes, 0,
                    gaussian_sample_kl_grad_kernel<T, n, wide, K>, lines, seed, (const T*)mean,
                    (const T*)log_var, (const T*)d_z, (const K*)d_kl, (T*)d_mean, (T*)d_log_var);
    });
  });
}

}  // namespace

extern "C" {

int fg_cuda_gaussian_sample_kl(void* stream, fg_dtype dtype, int64_t rows, int64_t cols,
                               const int64_t seed[2], const void* mean, const void* log_var,
                               void* z, void* kl) {
  return sample_kl(stream, dtype, rows, cols, seed_on_host(seed), mean, log_var, z, kl);
}
int fg_cuda_gaussian_sample_kl_device_seed(void* stream, fg_dtype dtype, int64_t rows, int64_t cols,
                                           const int64_t seed[2], const void* mean,
                                           const void* log_var, void* z, void* kl) {
  return for_seed_on_device("gaussian_sample_kl", seed, [&](const NoiseSeed& words) {
    return sample_kl(stream, dtype, rows, cols, words, mean, log_var, z, kl);
  });
}

int fg_cuda_gaussian_sample_kl_grad(void* stream, fg_dtype dtype, int64_t rows, int64_t cols,
                                    const int64_t seed[2], const void* mean, const void* log_var,
                                    const void* d_z, const void* d_kl, void* d_mean,
                                    void* d_log_var) {
  return sample_kl_grad(stream, dtype, rows, cols, seed_on_host(seed), mean, log_var, d_z, d_kl,
                        d_mean, d_log_var);
}
int fg_cuda_gaussian_sample_kl_grad_device_seed(void* stream, fg_dtype dtype, int64_t rows,
                                                int64_t cols, const int64_t seed[2],
                                                const void* mean, const void* log_var,
                                                const void* d_z, const void* d_kl, void* d_mean,
                                                void* d_log_var) {
  return for_seed_on_device("gaussian_sample_kl_grad", seed, [&](const NoiseSeed& words) {
    return sample_kl_grad(stream, dtype, rows, cols, words, mean, log_var, d_z, d_kl, d_mean,
                          d_log_var);
  });
}
}
