// log1p, sigmoid and cross-entropy on a number, without overflow: all of e = exp(-|x|), which they
// share. core/logistic.h has the vector form.
#pragma once
#include "core/integers.h"
#include "kernels/sigmoid_cross_entropy.h"

namespace fastgen {
namespace cuda {

__device__ __forceinline__ float exp_of_minus_abs(float x) { return expf(-fabsf(x)); }
__device__ __forceinline__ double exp_of_minus_abs(double x) { return exp(-fabs(x)); }

// max(l, 0) - l y + ln(1 + exp(-|l|)).
template <class Real>
__device__ __forceinline__ Real cross_entropy_of(Real logit, Real y, Real e) {
  return (logit > 0 ? logit : 0) - logit * y + log1p(e);
}
// sigmoid(l) - y.
template <class Real>
__device__ __forceinline__ Real cross_entropy_slope(Real logit, Real y, Real e) {
  return sigmoid_minus(logit, y, e / (e + 1));
}

}  // namespace cuda
}  // namespace fastgen
