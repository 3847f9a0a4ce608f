// core/activation_functions.h on a GPU: the words it is written in, on one number in place of a
// vector. Errors of expf and expm1f 2 and 1 ULP, of log1pf 1 (CUDA's tables), of reciprocal 1.
#pragma once
#include "core/activation.h"
#include "cuda/intrinsics.cuh"

#define FG_INLINE __device__ __forceinline__

namespace fastgen {
namespace gpu {  // not cuda: log1p and expm1 would hide CUDA's own there

template <class V>
struct Lanes {
  typedef V type;
};
template <class V>
FG_INLINE V splat(V x) {
  return x;
}
// b where either is NaN.
template <class V>
FG_INLINE V larger(V a, V b) {
  return a > b ? a : b;
}
FG_INLINE float expm1(float x) { return ::expm1f(x); }
FG_INLINE double expm1(double x) { return ::expm1(x); }
FG_INLINE float exp_of_minus_abs(float x) { return ::expf(-::fabsf(x)); }
FG_INLINE double exp_of_minus_abs(double x) { return ::exp(-::fabs(x)); }
FG_INLINE float log1p(float x) { return ::log1pf(x); }
FG_INLINE double log1p(double x) { return ::log1p(x); }

// e: exp(-|x|).
template <class V>
FG_INLINE V sigmoid(V x, V e) {
  return (x < 0 ? e : V(1)) * cuda::reciprocal(e + 1);
}
template <class V>
FG_INLINE V sigmoid(V x) {
  return sigmoid(x, exp_of_minus_abs(x));
}
template <class V>
FG_INLINE V softplus(V x) {
  return larger(V(0), x) + log1p(exp_of_minus_abs(x));
}

}  // namespace gpu
}  // namespace fastgen

#define FASTGEN_TARGET gpu
#include "core/activation_functions.h"
#undef FASTGEN_TARGET
#undef FG_INLINE

namespace fastgen {
namespace cuda {
using gpu::exp_of_minus_abs;
using gpu::for_activation;
using gpu::kLeakySlope;
using gpu::larger;
}  // namespace cuda
}  // namespace fastgen
