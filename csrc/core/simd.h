// Vectors of the target's width on GCC/Clang vector extensions: arithmetic, comparisons, shifts and
// c ? a : b are the compiler's own operators; what they do not cover is here.
#pragma once
#include <stdint.h>

#include "core/dispatch.h"
#ifdef __x86_64__
// g++ 12 warns of the deliberately undefined operands in its own header.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace fastgen {

namespace FASTGEN_TARGET {

#if FG_TARGET == FG_TARGET_avx512
constexpr int kBytes = 64;
#elif FG_TARGET == FG_TARGET_avx2
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif

template <class T, int bytes = kBytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(bytes)));
};
typedef VectorOf<float>::type F32;
typedef VectorOf<double>::type F64;
typedef VectorOf<int32_t>::type I32;
typedef VectorOf<uint32_t>::type U32;
typedef VectorOf<int64_t>::type I64;
typedef VectorOf<uint64_t>::type U64;
typedef VectorOf<uint16_t, kBytes / 2>::type U16;  // the lanes of F32

// The types that go with a float vector: its element, that one's bits, and integer vectors of the
// same lanes.
template <class V>
struct Lanes;
template <>
struct Lanes<F32> {
  typedef float type;
  typedef uint32_t Bits;
  typedef I32 Int;
  typedef U32 Uint;
  static constexpr int count = kBytes / 4;
};
template <>
struct Lanes<F64> {
  typedef double type;
  typedef uint64_t Bits;
  typedef I64 Int;
  typedef U64 Uint;
  static constexpr int count = kBytes / 8;
};

template <class V>
FG_INLINE V splat(typename Lanes<V>::type x) {
  return x - V{};  // x - 0 keeps every x, -0 included
}

// While it lives, subnormal numbers are kept (on x86). TensorFlow's pool flushes them, the thread
// that calls an op may not: results would depend on who ran a panel.
class GradualUnderflow {
#ifdef __x86_64__
 public:
  FG_INLINE GradualUnderflow() : saved_(_mm_getcsr()) {
    if (saved_ & kFlush) _mm_setcsr(saved_ & ~kFlush);
  }
  FG_INLINE ~GradualUnderflow() {
    if (saved_ & kFlush) _mm_setcsr(saved_);
  }

 private:
  static constexpr unsigned kFlush = 0x8040;  // FTZ and DAZ
  unsigned saved_;
#endif
};

// While it lives, subnormal numbers count as 0, as in TensorFlow's own ops: in what decays for good,
// an average of gradients that have become 0, each would cost a hundred cycles.
class FlushedUnderflow {
#ifdef __x86_64__
 public:
  FG_INLINE FlushedUnderflow() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040); }
  FG_INLINE ~FlushedUnderflow() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#endif
};

// --- arithmetic that maps to one instruction where the target has it ---

// a * b + c, rounded once where the target has FMA.
FG_INLINE F32 fma(F32 a, F32 b, F32 c) {
#if FG_TARGET == FG_TARGET_avx512
  return _mm512_fmadd_ps(a, b, c);
#elif FG_TARGET == FG_TARGET_avx2
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}
FG_INLINE F64 fma(F64 a, F64 b, F64 c) {
#if FG_TARGET == FG_TARGET_avx512
  return _mm512_fmadd_pd(a, b, c);
#elif FG_TARGET == FG_TARGET_avx2
  return _mm256_fmadd_pd(a, b, c);
#else
  return a * b + c;
#endif
}

FG_INLINE F32 sqrt(F32 x) {
#if FG_TARGET == FG_TARGET_avx512
  return _mm512_sqrt_ps(x);
#elif FG_TARGET == FG_TARGET_avx2
  return _mm256_sqrt_ps(x);
#elif defined(__x86_64__)
  return _mm_sqrt_ps(x);
#else
  for (int i = 0; i < Lanes<F32>::count; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}
FG_INLINE F64 sqrt(F64 x) {
#if FG_TARGET == FG_TARGET_avx512
  return _mm512_sqrt_pd(x);
#elif FG_TARGET == FG_TARGET_avx2
  return _mm256_sqrt_pd(x);
#elif defined(__x86_64__)
  return _mm_sqrt_pd(x);
#else
  for (int i = 0; i < Lanes<F64>::count; ++i) x[i] = __builtin_sqrt(x[i]);
  return x;
#endif
}

// a > b ? a : b and a < b ? a : b: b where either is NaN.
FG_INLINE F32 larger(F32 a, F32 b) {
#if FG_TARGET == FG_TARGET_avx512
  return _mm512_max_ps(a, b);
#elif FG_TARGET == FG_TARGET_avx2
  return _mm256_max_ps(a, b);
#else
  return a > b ? a : b;
#endif
}
FG_INLINE F32 smaller(F32 a, F32 b) {
#if FG_TARGET == FG_TARGET_avx512
  return _mm512_min_ps(a, b);
#elif FG_TARGET == FG_TARGET_avx2
  return _mm256_min_ps(a, b);
#else
  return a < b ? a : b;
#endif
}
FG_INLINE F64 larger(F64 a, F64 b) { return a > b ? a : b; }
FG_INLINE F64 smaller(F64 a, F64 b) { return a < b ? a : b; }

// A NaN in x stays NaN.
template <class V>
FG_INLINE V clamp(V x, typename Lanes<V>::type low, typename Lanes<V>::type high) {
  return smaller(splat<V>(high), larger(splat<V>(low), x));
}

// The products of the low 32 bits of each 64-bit lane, 64 bits wide.
FG_INLINE U64 mul_wide(U64 a, U64 b) {
#if FG_TARGET == FG_TARGET_avx512
  return (U64)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif FG_TARGET == FG_TARGET_avx2
  return (U64)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
  return (U64)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}

// x * 2^n; n holds whole numbers between -1100 and 1100. Overflow is inf, underflow gradual.
FG_INLINE F32 scale(F32 x, F32 n) {
#if FG_TARGET == FG_TARGET_avx512
  return _mm512_scalef_ps(x, n);
#else
  // Two factors, since 2^128 is no float but a mantissa below 1 may still need it.
  // Shifted and added unsigned, for a NaN may become any number.
  const I32 whole = __builtin_convertvector(n, I32);
  const U32 e = (U32)whole, half = (U32)(whole >> 1);
  return x * (F32)((half + 127) << 23) * (F32)((e - half + 127) << 23);
#endif
}
FG_INLINE F64 scale(F64 x, F64 n) {
#if FG_TARGET == FG_TARGET_avx512
  return _mm512_scalef_pd(x, n);
#else
  // The mantissa of 1.5 * 2^52 + n ends in n: conversions to int64 would need AVX-512.
  const F64 magic = splat<F64>(0x1.8p52);
  // Unsigned, for a NaN's bits may be any number.
  const U64 e = (U64)(n + magic) - (U64)magic;
  const U64 half = ((e + 2048) >> 1) - 1024;  // e >> 1 of a signed e
  return x * (F64)((half + 1023) << 52) * (F64)((e - half + 1023) << 52);
#endif
}

// --- memory ---

// To aligned memory past the caches. Other threads may see it only after fence_streams().
FG_INLINE void stream(float* at, F32 x) {
#if FG_TARGET == FG_TARGET_avx512
  _mm512_stream_ps(at, x);
#elif FG_TARGET == FG_TARGET_avx2
  _mm256_stream_ps(at, x);
#else
  *(F32*)at = x;
#endif
}
FG_INLINE void stream(double* at, F64 x) {
#if FG_TARGET == FG_TARGET_avx512
  _mm512_stream_pd(at, x);
#elif FG_TARGET == FG_TARGET_avx2
  _mm256_stream_pd(at, x);
#else
  *(F64*)at = x;
#endif
}
FG_INLINE void fence_streams() {
#ifdef __x86_64__
  _mm_sfence();
#endif
}

// --- lanes ---

// Of each 64-bit lane the low halves of a and b, a's below b's.
FG_INLINE U32 low_halves(U64 a, U64 b) {
#if FG_TARGET == FG_TARGET_avx512
  return (U32)_mm512_mask_shuffle_epi32((__m512i)a, 0xaaaa, (__m512i)b, _MM_PERM_CCAA);
#elif FG_TARGET == FG_TARGET_avx2
  return (U32)_mm256_blend_epi32((__m256i)a, _mm256_shuffle_epi32((__m256i)b, 0xa0), 0xaa);
#else
  return (U32)((a & 0xffffffffu) | (b << 32));
#endif
}

// Within each 128 bits, interleaves the low (high) halves of a and b: a0 b0 a1 b1 (a2 b2 a3 b3).
FG_INLINE void interleave(F32 a, F32 b, F32* low, F32* high) {
#if FG_TARGET == FG_TARGET_avx512
  *low = _mm512_unpacklo_ps(a, b), *high = _mm512_unpackhi_ps(a, b);
#elif FG_TARGET == FG_TARGET_avx2
  *low = _mm256_unpacklo_ps(a, b), *high = _mm256_unpackhi_ps(a, b);
#else
  *low = F32{a[0], b[0], a[1], b[1]}, *high = F32{a[2], b[2], a[3], b[3]};
#endif
}
FG_INLINE void interleave(F64 a, F64 b, F64* low, F64* high) {
#if FG_TARGET == FG_TARGET_avx512
  *low = _mm512_unpacklo_pd(a, b), *high = _mm512_unpackhi_pd(a, b);
#elif FG_TARGET == FG_TARGET_avx2
  *low = _mm256_unpacklo_pd(a, b), *high = _mm256_unpackhi_pd(a, b);
#else
  *low = F64{a[0], b[0]}, *high = F64{a[1], b[1]};
#endif
}

// x in double, the first half of its lanes and the second.
FG_INLINE void to_double(F32 x, F64* low, F64* high) {
#if FG_TARGET == FG_TARGET_avx512
  *low = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
  *high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
#elif FG_TARGET == FG_TARGET_avx2
  *low = _mm256_cvtps_pd(_mm256_castps256_ps128(x));
  *high = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
#else
  *low = F64{x[0], x[1]}, *high = F64{x[2], x[3]};
#endif
}

// The sum of all lanes, halves upon halves.
FG_INLINE float sum(F32 x) {
#if FG_TARGET == FG_TARGET_avx512
  const __m256 y = _mm512_castps512_ps256(x) + _mm512_extractf32x8_ps(x, 1);
  const __m128 q = _mm256_castps256_ps128(y) + _mm256_extractf128_ps(y, 1);
#elif FG_TARGET == FG_TARGET_avx2
  const __m128 q = _mm256_castps256_ps128(x) + _mm256_extractf128_ps(x, 1);
#else
  const F32 q = x;
#endif
  return (q[0] + q[2]) + (q[1] + q[3]);
}
FG_INLINE double sum(F64 x) {
#if FG_TARGET == FG_TARGET_avx512
  const __m256d y = _mm512_castpd512_pd256(x) + _mm512_extractf64x4_pd(x, 1);
  const __m128d q = _mm256_castpd256_pd128(y) + _mm256_extractf128_pd(y, 1);
#elif FG_TARGET == FG_TARGET_avx2
  const __m128d q = _mm256_castpd256_pd128(x) + _mm256_extractf128_pd(x, 1);
#else
  const F64 q = x;
#endif
  return q[0] + q[1];
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
