// log1p, sigmoid and softplus on vectors, without overflow: all of e = exp(-|x|), which they share.
// ULP are against exact results that are normal; asserted by tests/core/test_vector_math.py.
#pragma once
#include "core/newton.h"
#include "core/vector_math.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// e^-|x|, between 0 and 1.
template <class V>
FG_INLINE V exp_of_minus_abs(V x) {
  return exp((V)((typename Lanes<V>::Uint)x | (typename Lanes<V>::Uint)splat<V>(-0.0f)));
}

// 2 ULP for 0 <= u <= 1. Other u are outside its range.
FG_INLINE F32 log1p(F32 u) {
  const F32 q = polynomial(u, -0.49999648f, 0.33321324f, -0.24857163f, 0.19153655f, -0.13753802f,
                           0.07920452f, -0.030065786f, 0.0053648227f);
  return fma(u * u, q, u);
}

// 2 ULP for 0 <= u <= 1. Other u are outside its range.
FG_INLINE F64 log1p(F64 u) {
  // 1 + u = m 2^n with m in [2/3, 4/3].
  const I64 upper = u > splat<F64>(0x1.5555555555555p-2);
  const F64 f = upper ? (u - 1.0) * 0.5 : u;
  return log_of_parts(f, upper ? splat<F64>(1.0) : F64{});
}

// 1 / (1 + e^-x) to 3 ULP: e as above, so that the side on which it is small keeps its bits.
template <class V>
FG_INLINE V sigmoid(V x, V e) {
  return (x < 0.0f ? e : splat<V>(1.0f)) * reciprocal(e + 1.0f);
}
template <class V>
FG_INLINE V sigmoid(V x) {
  return sigmoid(x, exp_of_minus_abs(x));
}

// ln(1 + e^x) to 3 ULP.
template <class V>
FG_INLINE V softplus(V x, V e) {
  return larger(V{}, x) + log1p(e);
}
template <class V>
FG_INLINE V softplus(V x) {
  return softplus(x, exp_of_minus_abs(x));
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
