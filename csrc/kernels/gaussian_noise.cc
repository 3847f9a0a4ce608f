#include "kernels/gaussian_noise.h"

#include "core/normal.h"
#include "core/tile.h"

namespace fastgen {
namespace FASTGEN_TARGET {

int gaussian_noise(const fg_threads* threads, fg_dtype dtype, int64_t size, const int64_t seed[2],
                   double stddev, const void* x, void* y) {
  if (int code = check_shape("gaussian_noise", 1, size)) return code;
  const VectorPhilox philox(seed);
  return for_dtype("gaussian_noise", dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type V;
    const V scale = splat<V>((typename Lanes<V>::type)stddev);
    for_tiles(threads, size, kNoiseCycles, [&](int64_t first, int64_t count) {
      const T* x_tile = (const T*)x + first;
      T* y_tile = (T*)y + first;
      for_noise<T>(philox, first, count, [&](int64_t i, V eps, auto lanes) {
        store(y_tile, i, fma(scale, eps, load(x_tile, i, lanes)), lanes);
      });
    });
    return FG_OK;
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, gaussian_noise,
               (const fg_threads* threads, fg_dtype dtype, int64_t size, const int64_t seed[2],
                double stddev, const void* x, void* y),
               (threads, dtype, size, seed, stddev, x, y))
