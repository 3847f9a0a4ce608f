#include "kernels/gaussian_sample.h"

#include "core/normal.h"
#include "core/tile.h"

namespace fastgen {
namespace FASTGEN_TARGET {

int gaussian_sample(const fg_threads* threads, fg_dtype dtype, int64_t size, const int64_t seed[2],
                    const void* mean, const void* log_var, void* z) {
  if (int code = check_shape("gaussian_sample", 1, size)) return code;
  const VectorPhilox philox(seed);
  return for_dtype("gaussian_sample", dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type V;
    for_tiles(threads, size, kNoiseCycles, [&](int64_t first, int64_t count) {
      const T *mean_tile = (const T*)mean + first, *log_var_tile = (const T*)log_var + first;
      T* z_tile = (T*)z + first;
      for_noise<T>(philox, first, count, [&](int64_t i, V eps, auto lanes) {
        const V std_dev = exp(load(log_var_tile, i, lanes) * 0.5f);
        store(z_tile, i, gaussian_sample_value(load(mean_tile, i, lanes), std_dev, eps), lanes);
      });
    });
    return FG_OK;
  });
}

int gaussian_sample_grad(const fg_threads* threads, fg_dtype dtype, int64_t size,
                         const int64_t seed[2], const void* log_var, const void* d_z,
                         void* d_log_var) {
  if (int code = check_shape("gaussian_sample_grad", 1, size)) return code;
  const VectorPhilox philox(seed);
  return for_dtype("gaussian_sample_grad", dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type V;
    const Output<T> d_log_var_out = output<T>(d_log_var, size);
    for_tiles(threads, size, kNoiseCycles, [&](int64_t first, int64_t count) {
      const T *log_var_tile = (const T*)log_var + first, *d_z_tile = (const T*)d_z + first;
      const Output<T> d_log_var_tile = d_log_var_out.from(first);
      for_noise<T>(philox, first, count, [&](int64_t i, V eps, auto lanes) {
        const V std_dev = exp(load(log_var_tile, i, lanes) * 0.5f);
        const V d_z_i = load(d_z_tile, i, lanes);
        store(d_log_var_tile, i, gaussian_sample_d_log_var(std_dev, eps, d_z_i), lanes);
      });
    });
    return FG_OK;
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, gaussian_sample,
               (const fg_threads* threads, fg_dtype dtype, int64_t size, const int64_t seed[2],
                const void* mean, const void* log_var, void* z),
               (threads, dtype, size, seed, mean, log_var, z))
FASTGEN_EXPORT(int, gaussian_sample_grad,
               (const fg_threads* threads, fg_dtype dtype, int64_t size, const int64_t seed[2],
                const void* log_var, const void* d_z, void* d_log_var),
               (threads, dtype, size, seed, log_var, d_z, d_log_var))
