// Compiled once per ISA like a kernel: noise from any place in a seed's stream.
#include "native/far_noise.h"

#include "core/normal.h"

namespace fastgen {
namespace FASTGEN_TARGET {

template <class T>
FG_INLINE void copy(const int64_t seed[2], int64_t first, int64_t size, T* out) {
  for_noise<T>(VectorPhilox(seed), first, size,
               [&](int64_t i, auto eps, auto lanes) { store(out, i, eps, lanes); });
}

void far_float32(const int64_t seed[2], int64_t first, int64_t size, float* out) {
  copy(seed, first, size, out);
}
void far_float64(const int64_t seed[2], int64_t first, int64_t size, double* out) {
  copy(seed, first, size, out);
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(void, far_float32, (const int64_t seed[2], int64_t first, int64_t size, float* out),
               (seed, first, size, out))
FASTGEN_EXPORT(void, far_float64, (const int64_t seed[2], int64_t first, int64_t size, double* out),
               (seed, first, size, out))
