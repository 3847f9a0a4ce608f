// Formula: y = x + stddev eps, eps = N(0, 1) of the seed (kernels/random_normal.h); d_x = d_y (the
//   caller's, no kernel).
// Shapes: x, y [size]; seed[2].
// Dtypes: float32, float64; bfloat16, float16 compute in float32, noise included, and round once.
// Error: y 8 u (|x| + stddev (1 + |eps|)); u = 2^-24 or 2^-53; plus half an ulp of the storage dtype.
// Edges: NaN and inf propagate; any alignment; size 0 writes nothing.
// Bytes: forward 8, backward 0 an element in float32; the noise is never stored.
// Determinism: bit-equal for any thread count within an ISA. y may be x; no other overlap.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

FG_API int fg_gaussian_noise(const fg_threads* threads, fg_dtype dtype, int64_t size,
                             const int64_t seed[2], double stddev, const void* x, void* y);

#ifdef __cplusplus
}
#endif
