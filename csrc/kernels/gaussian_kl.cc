#include "kernels/gaussian_kl.h"

#include "core/tile.h"
#include "core/vector_math.h"

namespace fastgen {
namespace FASTGEN_TARGET {

int gaussian_kl(const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols,
                const void* mean, const void* log_var, void* kl) {
  if (int code = check_shape("gaussian_kl", rows, cols)) return code;
  return for_dtype("gaussian_kl", dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type V;
    typedef typename Lanes<V>::type K;
    return row_sums<V>(
        "gaussian_kl", threads, rows, cols, kElementCycles, (K*)kl,
        [&](const Tile& tile, K* terms) {
          const T *mean_tile = (const T*)mean + tile.first,
                  *log_var_tile = (const T*)log_var + tile.first;
          for_vectors<T>(tile.size(), [&](int64_t i, auto lanes) {
            const V log_var_i = load(log_var_tile, i, lanes), std_dev = exp(log_var_i * 0.5f);
            store(terms, i,
                  gaussian_kl_term(load(mean_tile, i, lanes), log_var_i, std_dev * std_dev), lanes);
          });
        });
  });
}

int gaussian_kl_grad(const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols,
                     const void* mean, const void* log_var, const void* d_kl, void* d_mean,
                     void* d_log_var) {
  if (int code = check_shape("gaussian_kl_grad", rows, cols)) return code;
  return for_dtype("gaussian_kl_grad", dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type V;
    typedef typename Lanes<V>::type K;
    const Output<T> d_mean_out = output<T>(d_mean, rows * cols);
    const Output<T> d_log_var_out = output<T>(d_log_var, rows * cols);
    for_matrix_tiles(threads, rows, cols, kElementCycles, [&](const Tile& tile) {
      alignas(64) K d_kl_tile[kTile];
      repeat_rows((const K*)d_kl, tile, d_kl_tile);
      const T *mean_tile = (const T*)mean + tile.first,
              *log_var_tile = (const T*)log_var + tile.first;
      const Output<T> d_mean_tile = d_mean_out.from(tile.first);
      const Output<T> d_log_var_tile = d_log_var_out.from(tile.first);
      for_vectors<T>(tile.size(), [&](int64_t i, auto lanes) {
        const V d_kl_i = load(d_kl_tile, i, lanes), mean_i = load(mean_tile, i, lanes);
        const V std_dev = exp(load(log_var_tile, i, lanes) * 0.5f);
        store(d_mean_tile, i, gaussian_kl_d_mean(mean_i, d_kl_i), lanes);
        store(d_log_var_tile, i, gaussian_kl_d_log_var(std_dev * std_dev, d_kl_i), lanes);
      });
    });
    return FG_OK;
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, gaussian_kl,
               (const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols,
                const void* mean, const void* log_var, void* kl),
               (threads, dtype, rows, cols, mean, log_var, kl))
FASTGEN_EXPORT(int, gaussian_kl_grad,
               (const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols,
                const void* mean, const void* log_var, const void* d_kl, void* d_mean,
                void* d_log_var),
               (threads, dtype, rows, cols, mean, log_var, d_kl, d_mean, d_log_var))
