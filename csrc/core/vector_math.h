// exp, expm1, log and sincos on vectors. ULP are against exact results, on the ranges stated; asserted by
// tests/core/test_vector_math.py. Polynomials are weighted near-minimax fits on the reduced ranges.
#pragma once
#include "core/simd.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// c0 + c1 x + ... , the last coefficient innermost.
template <class V>
FG_INLINE V polynomial(V, typename Lanes<V>::type c) {
  return splat<V>(c);
}
template <class V, class... Rest>
FG_INLINE V polynomial(V x, typename Lanes<V>::type c, Rest... rest) {
  return fma(polynomial(x, rest...), x, splat<V>(c));
}

// The nearest whole number, ties to even: |x| < 2^22 (float32), 2^51 (float64). The low bits of
// the sum hold it as an integer.
FG_INLINE F32 rounding(F32) { return splat<F32>(0x1.8p23f); }
FG_INLINE F64 rounding(F64) { return splat<F64>(0x1.8p52); }

// e^x = 2^n (1 + p): returns p.
FG_INLINE F32 exp_of_parts(F32 x, F32* n_out) {
  x = clamp(x, -104.0f, 89.0f);
  const F32 n = fma(x, splat<F32>(0x1.715476p+0f), rounding(x)) - rounding(x);
  F32 r = fma(n, splat<F32>(-0x1.62e4p-1f), x);  // ln 2 in two parts, the first of 15 bits
  r = fma(n, splat<F32>(-0x1.7f7d1cp-20f), r);
  const F32 q = polynomial(r, 0.49999994f, 0.16666521f, 0.04166839f, 0.008368711f, 0.0013814601f);
  *n_out = n;
  return fma(r * r, q, r);
}

FG_INLINE F64 exp_of_parts(F64 x, F64* n_out) {
  x = clamp(x, -746.0, 710.0);
  const F64 n = fma(x, splat<F64>(0x1.71547652b82fep+0), rounding(x)) - rounding(x);
  F64 r = fma(n, splat<F64>(-0x1.62e42fefa0000p-1), x);  // ln 2 in two parts, the first of 40 bits
  r = fma(n, splat<F64>(-0x1.cf79abc9e3b3ap-40), r);
  const F64 q = polynomial(r, 0.5, 0.16666666666666666, 0.041666666666666706, 0.008333333333333269,
                           0.001388888888886578, 0.00019841269841473685, 2.480158736051957e-05,
                           2.755731893405324e-06, 2.7557243901402446e-07, 2.505228876072233e-08,
                           2.092386067233854e-09, 1.6029277329681253e-10);
  *n_out = n;
  return fma(r * r, q, r);
}

// 1.2 ULP where the result is normal. Overflow is inf, underflow gradual.
template <class V>
FG_INLINE V exp(V x) {
  V n;
  const V p = exp_of_parts(x, &n);
  return scale(p + 1.0f, n);
}

// e^x - 1, x <= 0, to 3 ULP.
template <class V>
FG_INLINE V expm1(V x) {
  V n;
  const V p = exp_of_parts(x, &n);
  return scale(p, n) + (scale(splat<V>(1.0f), n) - 1.0f);
}

// 2 ULP for normal, finite x > 0. Other x are outside its range.
FG_INLINE F32 log(F32 x) {
  // x = m 2^e with m in [2/3, 4/3).
  const I32 e = (I32)((U32)x - 0x3f2aaaab) >> 23;
  const F32 n = __builtin_convertvector(e, F32), f = (F32)((U32)x - ((U32)e << 23)) - 1.0f;
  const F32 q = polynomial(f, -0.5f, 0.33333215f, -0.24999799f, 0.20010412f, -0.16680463f,
                           0.14005783f, -0.12184605f, 0.13984814f, -0.12890185f);
  return fma(n, splat<F32>(0x1.62e43p-1f), fma(f * f, q, f));
}

// ln((1 + f) 2^n) with 1 + f in [2/3, 4/3], 1.2 ULP.
FG_INLINE F64 log_of_parts(F64 f, F64 n) {
  // 2 atanh(s), s = f / (2 + f).
  const F64 s = f / (f + 2.0), z = s * s, half_f2 = 0.5 * f * f;
  const F64 q = z * polynomial(z, 0.666666666666666, 0.40000000000056396, 0.285714285559301,
                               0.22222224282723338, 0.18181666783619285, 0.15391080447129324,
                               0.13174150636345022, 0.13839200094021348);
  // ln(1 + f) = f - (f^2/2 - s (f^2/2 + q)), exact to a rounding in its largest term.
  const F64 tail = fma(s, half_f2 + q, n * 0x1.cf79abc9e3b3ap-40);
  return fma(n, splat<F64>(0x1.62e42fefa0000p-1), f - (half_f2 - tail));
}

// 1.2 ULP for normal, finite x > 0. Other x are outside its range.
FG_INLINE F64 log(F64 x) {
  // As above; e + 1023 as the low mantissa bits of 2^52 +.
  const U64 offset = (U64)x - 0x3fe5555555555555u + (1023ull << 52);
  const U64 biased = offset >> 52;
  const F64 n = (F64)(biased | 0x4330000000000000u) - (0x1p52 + 1023);
  return log_of_parts((F64)((U64)x - ((biased - 1023) << 52)) - 1.0, n);
}

// sin and cos of 2 pi t, |t| <= 1/4. sin to 4 ULP, cos to 2^-23 (float32), 2^-52 (float64).
FG_INLINE void sincos2pi(F32 t, F32* sin_t, F32* cos_t) {
  const F32 z = t * t;
  *sin_t = t * polynomial(z, 6.2831855f, -41.341766f, 81.608635f, -76.72798f, 40.875916f);
  *cos_t = polynomial(z, 1.0f, -19.739208f, 64.939285f, -85.45034f, 60.079037f, -24.538853f);
}
FG_INLINE void sincos2pi(F64 t, F64* sin_t, F64* cos_t) {
  const F64 z = t * t;
  *sin_t = t * polynomial(z, 6.283185307179586, -41.341702240399755, 81.60524927607362,
                          -76.70585975282492, 42.058693925428685, -15.0946416761179,
                          3.8199280942271643, -0.7177337921413454, 0.10089695501646812);
  *cos_t = polynomial(z, 1.0, -19.739208802178716, 64.93939402266828, -85.45681720669151,
                      60.24464137164672, -26.426256769631195, 7.903535871103938,
                      -1.7143794371382703, 0.28185225938435093, -0.03521960463814676);
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
