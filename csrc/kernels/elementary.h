// The vector math of core/vector_math.h over arrays: for its tests and for benchmarks.
// Formula: y = e^x; y = ln x; (s, c) = (sin, cos)(2 pi x).
// Shapes: x[size] -> y[size].
// Dtypes: float32, float64.
// Error: in ULP, float32: exp 1.2, log 2, sin 4; float64: exp 1.2, log 1.2, sin 4. cos: 2 ULP of 1.
// Edges: exp takes every x: overflow is inf, subnormal results lose bits (and are 0 where the
//   calling thread flushes them), NaN stays NaN. log takes normal, finite x > 0; sincos2pi,
//   |x| <= 1/4.
// Bytes: 8 an element (exp, log), 12 (sincos2pi) in float32; twice that in float64.
// Determinism: single-threaded; bit-equal within an ISA; y may be x.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

FG_API int fg_exp(fg_dtype dtype, int64_t size, const void* x, void* y);
FG_API int fg_log(fg_dtype dtype, int64_t size, const void* x, void* y);
FG_API int fg_sincos2pi(fg_dtype dtype, int64_t size, const void* x, void* sin, void* cos);

#ifdef __cplusplus
}
#endif
