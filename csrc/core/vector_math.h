// exp, log and sincos on vectors. ULP are against exact results, on the ranges stated; asserted by
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

// 1.2 ULP where the result is normal. Overflow is inf, underflow gradual.
FG_INLINE F32 exp(F32 x) {
  x = clamp(x, -104.0f, 89.0f);
  const F32 n = fma(x, splat<F32>(0x1.715476p+0f), rounding(x)) - rounding(x);
  F32 r = fma(n, splat<F32>(-0x1.62e4p-1f), x);  // ln 2 in two parts, the first of 15 bits
  r = fma(n, splat<F32>(-0x1.7f7d1cp-20f), r);
  const F32 q = polynomial(r, 0.49999994f, 0.16666521f, 0.04166839f, 0.008368711f, 0.0013814601f);
  return scale(fma(r * r, q, r) + 1.0f, n);
}

// 1.2 ULP where the result is normal. Overflow is inf, underflow gradual.
FG_INLINE F64 exp(F64 x) {
  x = clamp(x, -746.0, 710.0);
  const F64 n = fma(x, splat<F64>(0x1.71547652b82fep+0), rounding(x)) - rounding(x);
  F64 r = fma(n, splat<F64>(-0x1.62e42fefa0000p-1), x);  // ln 2 in two parts, the first of 40 bits
  r = fma(n, splat<F64>(-0x1.cf79abc9e3b3ap-40), r);
  const F64 q = polynomial(r, 0.5, 0.16666666666666666, 0.041666666666666706, 0.008333333333333269,
                           0.001388888888886578, 0.00019841269841473685, 2.480158736051957e-05,
                           2.755731893405324e-06, 2.7557243901402446e-07, 2.505228876072233e-08,
                           2.092386067233854e-09, 1.6029277329681253e-10);
  return scale(fma(r * r, q, r) + 1.0, n);
}

// 1.2 ULP for normal x > 0; inf for inf. Other x are outside its range.
FG_INLINE F32 log(F32 x) {
  // x = m 2^e with m in [2/3, 4/3).
  const I32 e = (I32)((U32)x - 0x3f2aaaab) >> 23;
  const F32 n = __builtin_convertvector(e, F32), f = (F32)((U32)x - ((U32)e << 23)) - 1.0f;
  const F32 q = polynomial(f, 0.33333215f, -0.24999799f, 0.20010412f, -0.16680463f, 0.14005783f,
                           -0.12184605f, 0.13984814f, -0.12890185f);
  const F32 f2 = f * f;
  F32 y = fma(f2 * f, q, n * 0x1.7f7d1cp-20f);  // ln 2 in the two parts of exp
  y = fma(f2, splat<F32>(-0.5f), y) + f;
  y = fma(n, splat<F32>(0x1.62e4p-1f), y);
  return x == __builtin_inff() ? x : y;
}

// 1.2 ULP for normal x > 0; inf for inf. Other x are outside its range.
FG_INLINE F64 log(F64 x) {
  // As above, with ln m = 2 atanh(s), s = f / (2 + f); e + 1023 as the low mantissa bits of 2^52 +.
  const U64 offset = (U64)x - 0x3fe5555555555555u + (1023ull << 52);
  const U64 biased = offset >> 52;
  const F64 n = (F64)(biased | 0x4330000000000000u) - (0x1p52 + 1023);
  const F64 f = (F64)((U64)x - ((biased - 1023) << 52)) - 1.0;
  const F64 s = f / (f + 2.0), z = s * s, half_f2 = 0.5 * f * f;
  const F64 q = z * polynomial(z, 0.666666666666666, 0.40000000000056396, 0.285714285559301,
                               0.22222224282723338, 0.18181666783619285, 0.15391080447129324,
                               0.13174150636345022, 0.13839200094021348);
  // ln(1 + f) = f - (f^2/2 - s (f^2/2 + q)), exact to a rounding in its largest term.
  const F64 tail = fma(s, half_f2 + q, n * 0x1.cf79abc9e3b3ap-40);
  const F64 y = fma(n, splat<F64>(0x1.62e42fefa0000p-1), f - (half_f2 - tail));
  return x == __builtin_inf() ? x : y;
}

// sin and cos of pi r / 2, |r| <= 1/2, z = r^2. pi/2 in two parts.
FG_INLINE void sincos_eighth(F32 r, F32 z, F32* s, F32* c) {
  const F32 q = polynomial(z, -4.879797e-08f, -0.6459635f, 0.07968003f, -0.004601658f);
  *s = fma(r, splat<F32>(1.5707964f), r * q);
  *c = polynomial(z, 1.0f, -1.2337005f, 0.25366855f, -0.020855548f, 0.0008942427f);
}
FG_INLINE void sincos_eighth(F64 r, F64 z, F64* s, F64* c) {
  const F64 q = polynomial(z, 6.122938749129154e-17, -0.6459640975062463, 0.07969262624616692,
                           -0.004681754135314739, 0.00016044118472567195, -3.5988427112884577e-06,
                           5.691926149797779e-08, -6.62743086269184e-10);
  *s = fma(r, splat<F64>(1.5707963267948966), r * q);
  *c = polynomial(z, 1.0, -1.2337005501361697, 0.25366950790104026, -0.020863480763091753,
                  0.0009192602706500891, -2.5202006319862355e-05, 4.709165218795045e-07,
                  -5.965590685671348e-09, -3.551675051034318e-10);
}

// sin and cos of t quarter turns, |t| <= 4. 2 ULP.
template <class V>
FG_INLINE void sincos_quarters(V t, V* sin_t, V* cos_t) {
  typedef typename Lanes<V>::Uint Uint;
  constexpr int top = sizeof(typename Lanes<V>::type) * 8 - 1;
  const V k = t + rounding(t), r = t - (k - rounding(t)), z = r * r;
  V s, c;
  sincos_eighth(r, z, &s, &c);
  // Odd quarters swap the two; sin is negative in quarters 2 and 3, cos in 1 and 2.
  const Uint quarter = (Uint)k;
  const auto odd = (quarter & 1) != 0;
  const Uint sign = Uint{} + ((typename Lanes<V>::Bits)1 << top);
  *sin_t = (V)((Uint)(odd ? c : s) ^ ((quarter << (top - 1)) & sign));
  *cos_t = (V)((Uint)(odd ? s : c) ^ (((quarter + 1) << (top - 1)) & sign));
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
