#include "kernels/gaussian_sample_kl.h"

#include "core/normal.h"
#include "core/tile.h"
#include "kernels/gaussian_kl.h"
#include "kernels/gaussian_sample.h"

namespace fastgen {
namespace FASTGEN_TARGET {

int gaussian_sample_kl(const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols,
                       const int64_t seed[2], const void* mean, const void* log_var, void* z,
                       void* kl) {
  if (int code = check_shape("gaussian_sample_kl", rows, cols)) return code;
  const VectorPhilox philox(seed);
  return for_dtype("gaussian_sample_kl", dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type V;
    typedef typename Lanes<V>::type K;
    return row_sums<V>(
        "gaussian_sample_kl", threads, rows, cols, kNoiseCycles, (K*)kl,
        [&](const Tile& tile, K* terms) {
          const T *mean_tile = (const T*)mean + tile.first,
                  *log_var_tile = (const T*)log_var + tile.first;
          T* z_tile = (T*)z + tile.first;
          for_noise<T>(philox, tile.first, tile.size(), [&](int64_t i, V eps, auto lanes) {
            const V mean_i = load(mean_tile, i, lanes), log_var_i = load(log_var_tile, i, lanes);
            const V std_dev = exp(log_var_i * 0.5f);
            store(z_tile, i, gaussian_sample_value(mean_i, std_dev, eps), lanes);
            store(terms, i, gaussian_kl_term(mean_i, log_var_i, std_dev * std_dev), lanes);
          });
        });
  });
}

int gaussian_sample_kl_grad(const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols,
                            const int64_t seed[2], const void* mean, const void* log_var,
                            const void* d_z, const void* d_kl, void* d_mean, void* d_log_var) {
  if (int code = check_shape("gaussian_sample_kl_grad", rows, cols)) return code;
  const VectorPhilox philox(seed);
  return for_dtype("gaussian_sample_kl_grad", dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type V;
    typedef typename Lanes<V>::type K;
    const Output<T> d_mean_out = output<T>(d_mean, rows * cols);
    const Output<T> d_log_var_out = output<T>(d_log_var, rows * cols);
    for_matrix_tiles(threads, rows, cols, kNoiseCycles, [&](const Tile& tile) {
      alignas(64) K d_kl_tile[kTile];
      repeat_rows((const K*)d_kl, tile, d_kl_tile);
      const T *mean_tile = (const T*)mean + tile.first,
              *log_var_tile = (const T*)log_var + tile.first,
              *d_z_tile = (const T*)d_z + tile.first;
      const Output<T> d_mean_tile = d_mean_out.from(tile.first);
      const Output<T> d_log_var_tile = d_log_var_out.from(tile.first);
      for_noise<T>(philox, tile.first, tile.size(), [&](int64_t i, V eps, auto lanes) {
        const V mean_i = load(mean_tile, i, lanes), d_z_i = load(d_z_tile, i, lanes);
        const V std_dev = exp(load(log_var_tile, i, lanes) * 0.5f);
        const V d_kl_i = load(d_kl_tile, i, lanes);
        store(d_mean_tile, i, d_z_i + gaussian_kl_d_mean(mean_i, d_kl_i), lanes);
        store(d_log_var_tile, i,
              gaussian_sample_d_log_var(std_dev, eps, d_z_i) +
                  gaussian_kl_d_log_var(std_dev * std_dev, d_kl_i),
              lanes);
      });
    });
    return FG_OK;
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, gaussian_sample_kl,
               (const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols,
                const int64_t seed[2], const void* mean, const void* log_var, void* z, void* kl),
               (threads, dtype, rows, cols, seed, mean, log_var, z, kl))
FASTGEN_EXPORT(int, gaussian_sample_kl_grad,
               (const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols,
                const int64_t seed[2], const void* mean, const void* log_var, const void* d_z,
                const void* d_kl, void* d_mean, void* d_log_var),
               (threads, dtype, rows, cols, seed, mean, log_var, d_z, d_kl, d_mean, d_log_var))
