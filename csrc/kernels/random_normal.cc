#include "kernels/random_normal.h"

#include "core/normal.h"
#include "core/tile.h"

namespace fastgen {
namespace FASTGEN_TARGET {

template <class T>
FG_INLINE void fill_normal(const fg_threads* threads, int64_t size, const int64_t seed[2], T* out) {
  const VectorPhilox philox(seed);
  for_tiles(threads, size, kNoiseCycles, [&](int64_t first, int64_t count) {
    for_noise<T>(philox, first, count,
                 [&](int64_t i, auto eps, auto lanes) { store(out + first, i, eps, lanes); });
  });
}

int random_normal(const fg_threads* threads, fg_dtype dtype, int64_t size, const int64_t seed[2],
                  void* out) {
  if (int code = check_shape("random_normal", 1, size)) return code;
  switch (dtype) {
    case FG_FLOAT32:
      fill_normal(threads, size, seed, (float*)out);
      return FG_OK;
    case FG_FLOAT64:
      fill_normal(threads, size, seed, (double*)out);
      return FG_OK;
    default:
      return fail(FG_INVALID_ARGUMENT,
                  "random_normal: dtype must be float32 or float64. Received: code %d", (int)dtype);
  }
}

void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  const PhiloxBlock block = {{counter[0], counter[1], counter[2], counter[3]}};
  const PhiloxBlock words = fastgen::philox(block, key[0], key[1]);
  __builtin_memcpy(out, words.word, sizeof words.word);
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, random_normal,
               (const fg_threads* threads, fg_dtype dtype, int64_t size, const int64_t seed[2],
                void* out),
               (threads, dtype, size, seed, out))
FASTGEN_EXPORT(void, philox, (const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]),
               (counter, key, out))
