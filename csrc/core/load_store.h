// Vectors from and to memory, for the four dtypes: any alignment, whole or the first few lanes.
// 16-bit floats are widened to float32 and rounded back to nearest even.
#pragma once
#include "core/simd.h"

namespace fastgen {

// Storage of 16-bit floats. Arithmetic is in float32.
struct bfloat16 {
  uint16_t bits;
};
struct float16 {
  uint16_t bits;
};

namespace FASTGEN_TARGET {

// Which lanes a load or store touches: all, or the first count.
struct Whole {};
struct Part {
  int64_t count;
};

// The vector that T is computed in.
template <class T>
struct Compute {
  typedef F32 type;
};
template <>
struct Compute<double> {
  typedef F64 type;
};

template <class Raw, class T>
FG_INLINE Raw load_raw(const T* base, int64_t index, Whole) {
  Raw raw;
  __builtin_memcpy(&raw, (const char*)base + index * sizeof(T), sizeof raw);
  return raw;
}
template <class Raw, class T>
FG_INLINE Raw load_raw(const T* base, int64_t index, Part part) {
  Raw raw = {};
  __builtin_memcpy(&raw, (const char*)base + index * sizeof(T), part.count * sizeof(T));
  return raw;
}
template <class Raw, class T>
FG_INLINE void store_raw(T* base, int64_t index, Raw raw, Whole) {
  __builtin_memcpy((char*)base + index * sizeof(T), &raw, sizeof raw);
}
template <class Raw, class T>
FG_INLINE void store_raw(T* base, int64_t index, Raw raw, Part part) {
  __builtin_memcpy((char*)base + index * sizeof(T), &raw, part.count * sizeof(T));
}

#if FG_TARGET == FG_TARGET_avx512
// A part by its mask: copies of a length that is not constant take 30 cycles and more, which rows
// that are no whole vectors pay each (column sums of 4096x300: 370 -> 280 us on one thread).
FG_INLINE __mmask16 mask(Part part) { return (__mmask16)((1u << part.count) - 1); }
template <class Raw>
FG_INLINE F32 load_raw(const float* base, int64_t index, Part part) {
  return _mm512_maskz_loadu_ps(mask(part), (const char*)base + index * sizeof(float));
}
template <class Raw>
FG_INLINE F64 load_raw(const double* base, int64_t index, Part part) {
  return _mm512_maskz_loadu_pd((__mmask8)mask(part), (const char*)base + index * sizeof(double));
}
FG_INLINE void store_raw(float* base, int64_t index, F32 x, Part part) {
  _mm512_mask_storeu_ps((char*)base + index * sizeof(float), mask(part), x);
}
FG_INLINE void store_raw(double* base, int64_t index, F64 x, Part part) {
  _mm512_mask_storeu_pd((char*)base + index * sizeof(double), (__mmask8)mask(part), x);
}
#endif

FG_INLINE F32 widen(bfloat16, U16 raw) { return (F32)(__builtin_convertvector(raw, U32) << 16); }
FG_INLINE U16 narrow(bfloat16, F32 x) {
  const U32 bits = (U32)x;
  const U32 rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const U32 quiet_nan = (bits >> 16) | 0x40;
  return __builtin_convertvector(x != x ? quiet_nan : rounded, U16);
}

FG_INLINE F32 widen(float16, U16 raw) {
#if FG_TARGET == FG_TARGET_avx512
  return _mm512_cvtph_ps((__m256i)raw);
#elif FG_TARGET == FG_TARGET_avx2
  return _mm256_cvtph_ps((__m128i)raw);
#else
  const U32 h = __builtin_convertvector(raw, U32);
  const U32 magnitude = (h & 0x7fff) << 13, exponent = magnitude & 0x0f800000;
  const U32 normal = magnitude + (112u << 23);
  const U32 special = magnitude + (224u << 23);  // inf and NaN: all ones again
  // A subnormal half is what is left of it above 2^-14.
  const F32 smallest = (F32)(U32{} + (113u << 23));
  const U32 subnormal = (U32)((F32)(magnitude + (113u << 23)) - smallest);
  const U32 bits = exponent == 0 ? subnormal : (exponent == 0x0f800000 ? special : normal);
  return (F32)(bits | ((h & 0x8000) << 16));
#endif
}
FG_INLINE U16 narrow(float16, F32 x) {
#if FG_TARGET == FG_TARGET_avx512
  return (U16)_mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif FG_TARGET == FG_TARGET_avx2
  return (U16)_mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  const U32 bits = (U32)x, magnitude = bits & 0x7fffffff;
  const U32 normal = (magnitude - (112u << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  // Adding 0.5 leaves a subnormal half's bits, rounded, at the end of the mantissa.
  const U32 half = U32{} + (126u << 23);
  const U32 subnormal = (U32)((F32)magnitude + (F32)half) - half;
  const U32 special = magnitude > 0x7f800000 ? U32{} + 0x7e00 : U32{} + 0x7c00;
  const U32 finite = magnitude < (113u << 23) ? subnormal : normal;
  const U32 result = magnitude >= (143u << 23) ? special : finite;
  return __builtin_convertvector(result | ((bits >> 16) & 0x8000), U16);
#endif
}

template <class Lanes>
FG_INLINE F32 load(const float* base, int64_t index, Lanes lanes) {
  return load_raw<F32>(base, index, lanes);
}
template <class Lanes>
FG_INLINE F64 load(const double* base, int64_t index, Lanes lanes) {
  return load_raw<F64>(base, index, lanes);
}
template <class T, class Lanes>
FG_INLINE F32 load(const T* base, int64_t index, Lanes lanes) {
  return widen(T{}, load_raw<U16>(base, index, lanes));
}

// Whole numbers of 8 bits, as many as V has lanes, in the low bytes of raw. Written out: g++ 12 widens
// bytes a quarter of a vector at a time.
template <class V>
using Bytes = typename VectorOf<uint8_t, Lanes<V>::count>::type;
FG_INLINE F32 widen(Bytes<F32> raw) {
#if FG_TARGET == FG_TARGET_avx512
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32((__m128i)raw));
#elif FG_TARGET == FG_TARGET_avx2
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_set_epi64x(0, (int64_t)raw)));
#else
  return __builtin_convertvector(__builtin_convertvector(raw, I32), F32);
#endif
}
FG_INLINE F64 widen(Bytes<F64> raw) {
#if FG_TARGET == FG_TARGET_avx512
  return _mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(_mm_set_epi64x(0, (int64_t)raw)));
#elif FG_TARGET == FG_TARGET_avx2
  return _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_cvtsi32_si128((int32_t)raw)));
#else
  return F64{(double)raw[0], (double)raw[1]};
#endif
}
template <class V, class Part>
FG_INLINE V load_bytes(const uint8_t* base, int64_t index, Part part) {
  return widen(load_raw<Bytes<V>>(base, index, part));
}

template <class Lanes>
FG_INLINE void store(float* base, int64_t index, F32 x, Lanes lanes) {
  store_raw(base, index, x, lanes);
}
template <class Lanes>
FG_INLINE void store(double* base, int64_t index, F64 x, Lanes lanes) {
  store_raw(base, index, x, lanes);
}
template <class T, class Lanes>
FG_INLINE void store(T* base, int64_t index, F32 x, Lanes lanes) {
  store_raw(base, index, narrow(T{}, x), lanes);
}

// An array that a kernel fills and nobody reads at once. What is larger than the caches is written
// past them, where vectors are aligned: its lines need not be read first. Gradients of sample + KL,
// 65536x64 from DRAM: 2.36 -> 2.12 ns an element on one thread, 1.28 -> 1.14 on two. (Forward gains
// nothing: it waits for arithmetic.)
template <class T>
struct Output {
  T* base;
  bool streamed;
  Output from(int64_t index) const { return {base + index, streamed}; }
};
template <class T>
FG_INLINE Output<T> output(void* base, int64_t size) {
  return {(T*)base, size >= (16 << 20) / (int64_t)sizeof(T)};
}

template <class T, class V, class Lanes>
FG_INLINE void store(const Output<T>& out, int64_t index, V x, Lanes lanes) {
  store(out.base, index, x, lanes);
}
template <class T, class V>
FG_INLINE void store(const Output<T>& out, int64_t index, V x, Whole whole) {
  if constexpr (sizeof(T) >= sizeof(float)) {
    if (out.streamed && (uintptr_t)(out.base + index) % kBytes == 0) {
      return stream(out.base + index, x);
    }
  }
  store(out.base, index, x, whole);
}

FG_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Calls body(index, lanes) over [0, size): whole vectors of T's compute type, then the part left.
template <class T, class Body>
FG_INLINE void for_vectors(int64_t size, const Body& body) {
  constexpr int64_t step = Lanes<typename Compute<T>::type>::count;
  int64_t i = 0;
  for (; i + step <= size; i += step) body(i, Whole{});
  if (i < size) body(i, Part{size - i});
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
