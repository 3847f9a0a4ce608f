// Normal noise and uniform bits of a seed, in the layout of tf.random.stateless_* (core/philox.h):
// those of n elements from `first` on, where n divides a group or is divided by it, as first by n.
#pragma once
#include "core/philox.h"

namespace fastgen {
namespace cuda {

// A seed as kernels take it: its stream, or where its two words lie in the device's memory.
struct NoiseSeed {
  PhiloxStream given;
  const int64_t* words;  // or NULL

  __device__ __forceinline__ PhiloxStream stream() const {
    return words ? philox_stream(words) : given;
  }
};

__device__ __forceinline__ PhiloxBlock group_of(const PhiloxStream& stream, uint64_t group) {
  const PhiloxBlock counter = {
      {(uint32_t)group, (uint32_t)(group >> 32), stream.counter2, stream.counter3}};
  return philox(counter, stream.key0, stream.key1);
}

// Mantissas u and v of pair `pair` of a group, in [0, 1).
__device__ __forceinline__ void uniforms(const PhiloxBlock& block, int pair, float* u, float* v) {
  *u = __uint_as_float((block.word[2 * pair] & 0x7fffff) | 0x3f800000) - 1;
  *v = __uint_as_float((block.word[2 * pair + 1] & 0x7fffff) | 0x3f800000) - 1;
}
__device__ __forceinline__ double mantissa(uint32_t high, uint32_t low) {
  const uint64_t bits = (uint64_t)(high & 0xfffff) << 32 | low;
  return __longlong_as_double((long long)(bits | 0x3ff0000000000000)) - 1;
}
__device__ __forceinline__ void uniforms(const PhiloxBlock& block, int, double* u, double* v) {
  *u = mantissa(block.word[0], block.word[1]);
  *v = mantissa(block.word[2], block.word[3]);
}

// Box-Muller, sine first.
__device__ __forceinline__ void box_muller(float u, float v, float* first, float* second) {
  const float radius = sqrtf(-2 * logf(fmaxf(u, 1e-7f)));
  float s, c;
  sincospif(2 * v, &s, &c);
  *first = s * radius, *second = c * radius;
}
__device__ __forceinline__ void box_muller(double u, double v, double* first, double* second) {
  const double radius = sqrt(-2 * log(fmax(u, 1e-7)));
  double s, c;
  sincospi(2 * v, &s, &c);
  *first = s * radius, *second = c * radius;
}

// Values that a group gives.
template <class Real>
constexpr int kGroup = 16 / sizeof(Real);

template <int n, class Real>
__device__ __forceinline__ void normal(const PhiloxStream& stream, int64_t first, Real (&out)[n]) {
  if constexpr (n == 1) {
    const int in_group = (int)(first % kGroup<Real>);
    const PhiloxBlock block = group_of(stream, (uint64_t)(first / kGroup<Real>));
    Real u, v, sine, cosine;
    // Not by a pair that is known at run time: the block would be put into memory.
    if constexpr (kGroup<Real> == 4) {
      const PhiloxBlock pair = {{in_group < 2 ? block.word[0] : block.word[2],
                                 in_group < 2 ? block.word[1] : block.word[3]}};
      uniforms(pair, 0, &u, &v);
    } else {
      uniforms(block, 0, &u, &v);
    }
    box_muller(u, v, &sine, &cosine);
    out[0] = in_group % 2 ? cosine : sine;
  } else {
    static_assert(n % kGroup<Real> == 0, "whole groups");
#pragma unroll
    for (int i = 0; i < n; i += kGroup<Real>) {
      const PhiloxBlock block = group_of(stream, (uint64_t)((first + i) / kGroup<Real>));
#pragma unroll
      for (int pair = 0; pair < kGroup<Real> / 2; ++pair) {
        Real u, v;
        uniforms(block, pair, &u, &v);
        box_muller(u, v, &out[i + 2 * pair], &out[i + 2 * pair + 1]);
      }
    }
  }
}

}  // namespace cuda
}  // namespace fastgen
