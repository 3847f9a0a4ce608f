// Formula: groups of four words by Philox4x32-10, key and counter mixed from the seed as
//   tf.random.stateless_normal does; Box-Muller, sine first:
//   sqrt(-2 ln max(u, 1e-7)) (sin, cos)(2 pi v). Element i is of group i/4, in float64 i/2.
// Shapes: out[size]; seed[2], any 64-bit words (int32 seeds sign-extended).
// Dtypes: float32, float64; each computed in its own precision.
// Error: against exact Box-Muller: float32 4e-7 (1 + |eps|), float64 2e-15 (1 + |eps|).
// Edges: any alignment; size 0 writes nothing.
// Bytes: 4 (float32) or 8 (float64) written an element.
// Determinism: an element depends on seed and index alone; bit-equal for any thread count.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

FG_API int fg_random_normal(const fg_threads* threads, fg_dtype dtype, int64_t size,
                            const int64_t seed[2], void* out);

// One block of Philox4x32-10 (Salmon et al., SC 2011), for its known-answer tests.
FG_API void fg_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#ifdef __cplusplus
}
#endif
