// Formula: y = u >= rate ? x / (1 - rate) : 0, u = the uniforms of the seed, as
//   tf.random.stateless_uniform lays them out; d_x is the same of d_y, by the same seed.
// Shapes: x, y [size]; seed[2].
// Dtypes: float32, float64; bfloat16, float16 compute in float32, u included, and round once.
// Error: y 2 u |x| / (1 - rate); u = 2^-24 or 2^-53; plus half an ulp of the storage dtype. What is
//   dropped is exact: a comparison of u's bits.
// Edges: a dropped element is 0, NaN and inf too; rate 0 keeps all, rate 1 none; any alignment; size
//   0 writes nothing.
// Bytes: forward 8, backward 8 an element in float32; the mask is never stored.
// Determinism: bit-equal for any thread count within an ISA. y may be x; no other overlap.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

FG_API int fg_dropout(const fg_threads* threads, fg_dtype dtype, int64_t size,
                      const int64_t seed[2], double rate, const void* x, void* y);

#ifdef __cplusplus
}
#endif
