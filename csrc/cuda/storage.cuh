// How kernels read and write the four dtypes: 16 bytes at once where pointers and sizes allow, else
// element by element. 16-bit floats are computed in float32 and rounded once, to nearest even.
#pragma once
#include "core/integers.h"
#include "cuda/intrinsics.cuh"

namespace fastgen {
namespace cuda {

// Storage of 16-bit floats.
struct bfloat16 {
  uint16_t bits;
};
struct float16 {
  uint16_t bits;
};

// What T is computed in.
template <class T>
struct Compute {
  typedef float type;
};
template <>
struct Compute<double> {
  typedef double type;
};

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ double widen(double x) { return x; }
__device__ __forceinline__ float widen(bfloat16 x) {
  return __uint_as_float((uint32_t)x.bits << 16);
}
__device__ __forceinline__ float widen(float16 x) { return float_of_half(x.bits); }
__device__ __forceinline__ float widen(uint8_t x) { return x; }

__device__ __forceinline__ void narrow(float x, float* out) { *out = x; }
__device__ __forceinline__ void narrow(double x, double* out) { *out = x; }
__device__ __forceinline__ void narrow(float x, bfloat16* out) {
  const uint32_t bits = __float_as_uint(x), rounded = bits + 0x7fff + ((bits >> 16) & 1);
  out->bits = (uint16_t)((x != x ? bits | 0x400000 : rounded) >> 16);
}
__device__ __forceinline__ void narrow(float x, float16* out) { out->bits = half_of_float(x); }

// Elements of T in 16 bytes.
template <class T>
constexpr int kPack = 16 / sizeof(T);

// n elements at once: 16 bytes, at an address divisible by as much, or one element. store() is for
// global memory alone, as __stwb is: the compiler takes a plain store of 16 bytes apart where it has made
// them of pieces.
template <int n, class T>
__device__ __forceinline__ void load(const T* from, typename Compute<T>::type (&to)[n]) {
  if constexpr (n == 1) {
    to[0] = widen(*from);
  } else {
    static_assert(n == kPack<T>, "16 bytes or one element");
    const uint4 words = *reinterpret_cast<const uint4*>(from);
    T at[n];
    memcpy(at, &words, sizeof words);
#pragma unroll
    for (int i = 0; i < n; ++i) to[i] = widen(at[i]);
  }
}

// n bytes as numbers, at an address that n, at most 8, divides.
template <int n, class Real>
__device__ __forceinline__ void load_bytes(const uint8_t* from, Real (&to)[n]) {
  uint64_t bytes = 0;
  if constexpr (n == 1) {
    bytes = *from;
  } else if constexpr (n == 2) {
    bytes = *reinterpret_cast<const uint16_t*>(from);
  } else if constexpr (n == 4) {
    bytes = *reinterpret_cast<const uint32_t*>(from);
  } else {
    static_assert(n == 8, "a word of as many bytes");
    bytes = *reinterpret_cast<const uint64_t*>(from);
  }
#pragma unroll
  for (int i = 0; i < n; ++i) to[i] = (Real)(uint32_t)(bytes >> 8 * i & 0xff);
}

template <int n, class T>
__device__ __forceinline__ void store(const typename Compute<T>::type (&from)[n], T* to) {
  if constexpr (n == 1) {
    narrow(from[0], to);
  } else {
    static_assert(n == kPack<T>, "16 bytes or one element");
    T at[n];
#pragma unroll
    for (int i = 0; i < n; ++i) narrow(from[i], &at[i]);
    uint4 words;
    memcpy(&words, at, sizeof words);
    __stwb(reinterpret_cast<uint4*>(to), words);
  }
}

}  // namespace cuda
}  // namespace fastgen
