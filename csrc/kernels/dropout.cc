#include "kernels/dropout.h"

#include "core/normal.h"
#include "core/tile.h"

namespace fastgen {
namespace FASTGEN_TARGET {

int dropout(const fg_threads* threads, fg_dtype dtype, int64_t size, const int64_t seed[2],
            double rate, const void* x, void* y) {
  if (int code = check_shape("dropout", 1, size)) return code;
  if (!(rate >= 0 && rate <= 1)) {
    return fail(FG_INVALID_ARGUMENT, "dropout: rate must be in [0, 1]. Received: %g", rate);
  }
  const VectorPhilox philox(seed);
  return for_dtype("dropout", dtype, [&](auto storage) {
    typedef decltype(storage) T;
    typedef typename Compute<T>::type V;
    const Dropout<V> dropped(rate);
    const Output<T> out = output<T>(y, size);
    for_tiles(threads, size, kBitsCycles, [&](int64_t first, int64_t count) {
      const T* x_tile = (const T*)x + first;
      const Output<T> y_tile = out.from(first);
      for_random_bits<T>(philox, first, count, [&](int64_t i, auto bits, auto lanes) {
        store(y_tile, i, dropped(load(x_tile, i, lanes), bits), lanes);
      });
    });
    return (int)FG_OK;
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, dropout,
               (const fg_threads* threads, fg_dtype dtype, int64_t size, const int64_t seed[2],
                double rate, const void* x, void* y),
               (threads, dtype, size, seed, rate, x, y))
