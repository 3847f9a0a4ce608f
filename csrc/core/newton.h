// Quotients and roots of float32 by an estimate and a Newton step, where AVX-512 has one: 5 to 9 cycles,
// where a division holds its port for 16 and a root for 19. Elsewhere, and of float64, by the divider.
// Asserted by tests/core/test_vector_math.py.
#pragma once
#include "core/simd.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// 1 / x to 1 ULP, where x and 1 / x are normal.
FG_INLINE F32 reciprocal(F32 x) {
#if FG_TARGET == FG_TARGET_avx512
  const F32 y = _mm512_rcp14_ps(x);
  return _mm512_fmadd_ps(_mm512_fnmadd_ps(x, y, splat<F32>(1.0f)), y, y);
#else
  return 1.0f / x;
#endif
}
FG_INLINE F64 reciprocal(F64 x) { return 1.0 / x; }

// 1 / sqrt(x) to 2 ULP, where x is normal; 0 of inf, inf of 0.
FG_INLINE F32 inverse_sqrt(F32 x) {
#if FG_TARGET == FG_TARGET_avx512
  // Of 0 and inf the rest is NaN, and the estimate right.
  const F32 y = _mm512_rsqrt14_ps(x);
  const F32 rest = _mm512_fnmadd_ps(x * y, y, splat<F32>(1.0f));
  return _mm512_mask3_fmadd_ps(y * 0.5f, rest, y, _mm512_cmp_ps_mask(rest, rest, _CMP_ORD_Q));
#else
  return 1.0f / sqrt(x);
#endif
}
FG_INLINE F64 inverse_sqrt(F64 x) { return 1.0 / sqrt(x); }

// a / b to 1 ULP, where b, 1 / b and a / b are normal, |a / b| < max / 2, and |a| >= 2^24 tiny: below
// that the rest is flushed with underflow. b may be 0 or inf.
FG_INLINE F32 quotient(F32 a, F32 b) {
#if FG_TARGET == FG_TARGET_avx512
  const F32 y = _mm512_rcp14_ps(b), q = a * y, rest = _mm512_fnmadd_ps(b, q, a);
  // Where the rest is NaN or inf the estimate is right.
  return _mm512_mask_mov_ps(_mm512_fmadd_ps(rest, y, q), _mm512_fpclass_ps_mask(rest, 0x99), q);
#else
  return a / b;
#endif
}
FG_INLINE F64 quotient(F64 a, F64 b) { return a / b; }

// sqrt(x) to 2 ULP, where x is normal, 0 or inf.
FG_INLINE F32 square_root(F32 x) {
#if FG_TARGET == FG_TARGET_avx512
  const F32 y = _mm512_rsqrt14_ps(x), r = x * y, rest = _mm512_fnmadd_ps(r, y, splat<F32>(1.0f));
  // Of 0 and inf r is NaN; each is its own root.
  return _mm512_mask_mov_ps(_mm512_fmadd_ps(r * 0.5f, rest, r), _mm512_fpclass_ps_mask(x, 0x0e), x);
#else
  return sqrt(x);
#endif
}
FG_INLINE F64 square_root(F64 x) { return sqrt(x); }

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
