// The two ceilings that benchmarks divide by, measured on the same threads as the kernels.
// Formula: triad a = b + scale * c; fma_peak: independent chains x = x * a + b in registers.
// Shapes: a[size], b[size], c[size].
// Dtypes: float32.
// Error: triad is exact to one rounding (fused where the ISA has FMA).
// Edges: any alignment, any size.
// Bytes: triad 12 an element; fma_peak none.
// Determinism: bit-equal for any thread count within an ISA. a must not overlap b or c.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

FG_API int fg_triad(const fg_threads* threads, int64_t size, float scale, const float* b,
                    const float* c, float* a);

// Every panel runs `iterations` rounds of the chains; *flops is the work done in all (an FMA counts
// two), sink[panels] keeps it from being optimised away.
FG_API int fg_fma_peak(const fg_threads* threads, int64_t panels, int64_t iterations, double* flops,
                       float* sink);

#ifdef __cplusplus
}
#endif
