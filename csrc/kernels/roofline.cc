#include "kernels/roofline.h"

#include "core/tile.h"

namespace fastgen {
namespace FASTGEN_TARGET {

int triad(const fg_threads* threads, int64_t size, float scale, const float* b, const float* c,
          float* a) {
  if (int code = check_shape("triad", 1, size)) return code;
  for_tiles(threads, size, kElementCycles, [&](int64_t first, int64_t count) {
    for_vectors<float>(count, [&](int64_t i, auto lanes) {
      const F32 y = fma(load(c + first, i, lanes), splat<F32>(scale), load(b + first, i, lanes));
      store(a + first, i, y, lanes);
    });
  });
  return FG_OK;
}

int fma_peak(const fg_threads* threads, int64_t panels, int64_t iterations, double* flops,
             float* sink) {
  if (int code = check_shape("fma_peak", panels, iterations)) return code;
  // 12 chains cover 4 cycles of latency on two FMA units, and fit 16 registers.
  constexpr int kChains = 12;
  parallel_for(threads, panels, iterations * kChains / 2, [&](int64_t panel) {
    const F32 a = splat<F32>(0.999f), b = splat<F32>(0.001f);
    F32 x[kChains];
    for (int j = 0; j < kChains; ++j) x[j] = splat<F32>((float)(panel + j));
    for (int64_t i = 0; i < iterations; ++i) {
      for (int j = 0; j < kChains; ++j) x[j] = fma(x[j], a, b);
    }
    F32 total = x[0];
    for (int j = 1; j < kChains; ++j) total += x[j];
    sink[panel] = sum(total);
  });
  *flops = 2.0 * kChains * Lanes<F32>::count * (double)panels * (double)iterations;
  return FG_OK;
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, triad,
               (const fg_threads* threads, int64_t size, float scale, const float* b,
                const float* c, float* a),
               (threads, size, scale, b, c, a))
FASTGEN_EXPORT(int, fma_peak,
               (const fg_threads* threads, int64_t panels, int64_t iterations, double* flops,
                float* sink),
               (threads, panels, iterations, flops, sink))
