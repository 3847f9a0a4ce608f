// Formula: q[j] = mean over rows of a[i, j], for l1 of |a[i, j]|; penalty = sum over cols of
//   kl: p ln(p/q) + (1-p) ln((1-p)/(1-q)), l1: q, mse: (q - p)^2; d_a = d_passed +
//   (d_penalty slope(q) + d_activity) / rows, for l1 the bracket times sign(a).
// Shapes: a, d_passed, d_a [rows, cols] row-major; activity (q), d_activity [cols]; penalty,
//   d_penalty: one number.
// Dtypes: float32, float64; bfloat16, float16 compute in float32. penalty: float64 for float64,
//   else float32. activity always float64: 1 - q must survive for the gradient.
// Error: activity 6 u mean(|a|), in float64 (400 + rows / 1024) u mean(|a|); d_a 4 u of the sum of
//   the magnitudes of its terms; u = 2^-24 or 2^-53; plus half an ulp of the storage dtype. penalty:
//   what activity's error makes of it, plus 1e-14 cols and half an ulp.
// Edges: for kl q is clipped to [1e-7, 1 - 1e-7], where it has no gradient; NaN propagates; any
//   alignment; 0 rows: activity and penalty 0.
// Bytes: forward 4, backward 4 an element in float32; backward 4 more for l1, and for d_passed.
// Determinism: bit-equal for any thread count within an ISA. d_a may be a or d_passed; no other
//   overlap.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FG_NO_SPARSITY = 0, FG_SPARSITY_KL, FG_SPARSITY_L1, FG_SPARSITY_MSE };
// In this order.
#define FG_SPARSITY_NAMES {"none", "kl", "l1", "mse"}

FG_API int fg_sparsity(const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols,
                       int kind, double target, const void* activations, void* penalty,
                       double* activity);
// d_activity and d_passed may be NULL, for zeros.
FG_API int fg_sparsity_grad(const fg_threads* threads, fg_dtype dtype, int64_t rows, int64_t cols,
                            int kind, double target, const void* activations,
                            const double* activity, const void* d_penalty, const double* d_activity,
                            const void* d_passed, void* d_activations);

// The same on a CUDA stream, in builds with CUDA: arrays on its device, of their elements' alignment.
FG_API int fg_cuda_sparsity(void* stream, fg_dtype dtype, int64_t rows, int64_t cols, int kind,
                            double target, const void* activations, void* penalty,
                            double* activity);
FG_API int fg_cuda_sparsity_grad(void* stream, fg_dtype dtype, int64_t rows, int64_t cols, int kind,
                                 double target, const void* activations, const double* activity,
                                 const void* d_penalty, const double* d_activity,
                                 const void* d_passed, void* d_activations);

#ifdef __cplusplus
}

#include "core/host_device.h"

namespace fastgen {

constexpr double kSparsityEpsilon = 1e-7;  // Keras' epsilon

// V: double or a vector of it. q, log_q and log_1_q, the logarithms of q and 1 - q, clipped.
template <class V>
FG_MATH V sparsity_kl_term(V log_q, V log_1_q, double target, double negative_entropy) {
  return negative_entropy - target * log_q - (1 - target) * log_1_q;
}
// V: a float, a double or a vector of either: value with the sign of x; 0 at x = 0, and NaN stays.
template <class V>
FG_MATH V with_sign(V value, V x) {
  return x > 0.0f ? value : (x < 0.0f ? -value : x * value);
}

FG_MATH double sparsity_slope(int kind, double q, double target) {
  if (kind == FG_SPARSITY_L1) return 1;
  if (kind == FG_SPARSITY_MSE) return 2 * (q - target);
  if (q < kSparsityEpsilon || q > 1 - kSparsityEpsilon) return 0;
  return (q - target) / (q * (1 - q));
}

}  // namespace fastgen

#ifdef FASTGEN_TARGET
#include <math.h>

#include "core/tile.h"
#include "core/vector_math.h"

namespace fastgen {
namespace FASTGEN_TARGET {

template <class V>
FG_INLINE V magnitude(V x) {
  typedef typename Lanes<V>::Uint Uint;
  return (V)((Uint)x & ((typename Lanes<V>::Bits) - 1 >> 1));
}

FG_INLINE F64 sparsity_kl_terms(F64 q, double target, double negative_entropy) {
  const F64 clipped = clamp(q, kSparsityEpsilon, 1 - kSparsityEpsilon);
  const F64 term = sparsity_kl_term(log(clipped), log(1.0 - clipped), target, negative_entropy);
  return q != q ? q : term;
}

// The sum over units of the penalty at mean activities q.
FG_INLINE double sparsity_penalty(int kind, double target, const double* q, int64_t cols) {
  const auto entropy = [](double p) { return p > 0 ? p * ::log(p) : 0; };
  const double negative_entropy = entropy(target) + entropy(1 - target);
  F64 total = {};
  double rest = 0;
  for_vectors<double>(cols, [&](int64_t i, auto lanes) {
    const F64 q_i = load(q, i, lanes);
    const F64 term = kind == FG_SPARSITY_KL   ? sparsity_kl_terms(q_i, target, negative_entropy)
                     : kind == FG_SPARSITY_L1 ? q_i
                                              : (q_i - target) * (q_i - target);
    if (cols - i >= Lanes<F64>::count) {
      total += term;
    } else {
      for (int64_t j = 0; j < cols - i; ++j) rest += term[j];
    }
  });
  return sum(total) + rest;
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
#endif
#endif
