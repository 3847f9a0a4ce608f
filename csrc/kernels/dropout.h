// Formula: y = u >= rate ? x / (1 - rate) : 0, u = the uniforms of the seed, as
//   tf.random.stateless_uniform lays them out; d_x is the same of d_y, by the same seed.
// Shapes: x, y [size]; seed[2].
// Dtypes: float32, float64; bfloat16, float16 compute in float32, u included, and round once.
// Error: y 2 u |x| / (1 - rate); u = 2^-24 or 2^-53; plus half an ulp of the storage dtype. What is
//   dropped is exact: a comparison of u's bits.
// Edges: a dropped element is 0, NaN and inf too; rate 0 keeps all, rate 1 none; any alignment; size
//   0 writes nothing.
// Bytes: forward 8, backward 8 an element in float32; the mask is never stored.
// Determinism: bit-equal for any thread count within an ISA. y may be x; no other overlap.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

FG_API int fg_dropout(const fg_threads* threads, fg_dtype dtype, int64_t size,
                      const int64_t seed[2], double rate, const void* x, void* y);

#ifdef __cplusplus
}
#endif

#ifdef FASTGEN_TARGET
#include <math.h>

#include "core/simd.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// y of x and of random bits.
template <class V>
class Dropout {
  typedef typename Lanes<V>::type Real;
  typedef typename Lanes<V>::Uint Uint;
  typedef typename Lanes<V>::Bits Bits;

 public:
  // u is a mantissa: u >= rate compares its bits with those of rate, rounded up.
  explicit FG_INLINE Dropout(double rate)
      : bits_of_u_(Uint{} + (((Bits)1 << kMantissa) - 1)),
        least_kept_(Uint{} + (Bits)ceil(ldexp((double)(Real)rate, kMantissa))),
        scale_(splat<V>((Real)(rate < 1 ? 1 / (1 - rate) : 0))) {}

  FG_INLINE V operator()(V x, Uint bits) const {
    const V scaled = x * scale_;
    return (bits & bits_of_u_) >= least_kept_ ? scaled : V{};
  }

 private:
  static constexpr int kMantissa = sizeof(Real) == 4 ? 23 : 52;
  const Uint bits_of_u_, least_kept_;
  const V scale_;
};

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
#endif
