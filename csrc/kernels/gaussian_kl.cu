#include "cuda/rows.h"
#include "kernels/gaussian_kl.cuh"
#include "kernels/gaussian_kl.h"

using namespace fastgen;
using namespace fastgen::cuda;

extern "C" {

int fg_cuda_gaussian_kl(void* stream, fg_dtype dtype, int64_t rows, int64_t cols, const void* mean,
                        const void* log_var, void* kl) {
  constexpr const char* op = "gaussian_kl";
  if (int code = check_shape(op, rows, cols)) return code;
  return for_dtype(op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type K;
    return for_width_of_rows<T>(cols, {mean, log_var}, [&](auto n, auto wide) {
      const Lines lines = lines_of(rows, cols, n);
      return sum_rows(op, stream, lines, (K*)kl, 1, [&](const RowSums<K>& sums) {
        return launch(op, stream, grid_of(lines), kBlockLanes, 0, gaussian_kl_kernel<T, n, wide, K>,
                      lines, (const T*)mean, (const T*)log_var, sums);
      });
    });
  });
}

int fg_cuda_gaussian_kl_grad(void* stream, fg_dtype dtype, int64_t rows, int64_t cols,
                             const void* mean, const void* log_var, const void* d_kl, void* d_mean,
                             void* d_log_var) {
  constexpr const char* op = "gaussian_kl_grad";
  if (int code = check_shape(op, rows, cols)) return code;
  return for_dtype(op, dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type K;
    const auto pointers = {mean, log_var, (const void*)d_mean, (const void*)d_log_var};
    return for_width_of_rows<T>(cols, pointers, [&](auto n, auto wide) {
      const Lines lines = lines_of(rows, cols, n);
      return launch(op, stream, grid_of(lines), kBlockLanes, 0,
                    gaussian_kl_grad_kernel<T, n, wide, K>, lines, (const T*)mean,
                    (const T*)log_var, (const K*)d_kl, (T*)d_mean, (T*)d_log_var);
    });
  });
}
}
