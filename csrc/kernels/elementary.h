// The vector math of core/vector_math.h, core/logistic.h and core/newton.h over arrays: for its tests and
// for benchmarks.
// Formula: y = e^x; y = ln x; (s, c) = (sin, cos)(2 pi x); log1p y = ln(1 + x); sigmoid
//   y = 1 / (1 + e^-x); softplus y = ln(1 + e^x); reciprocal y = 1 / x; inverse_sqrt
//   y = 1 / sqrt(x); square_root y = sqrt(x); quotient y = a / b.
// Shapes: x[size] -> y[size]; a, b[size] -> y[size].
// Dtypes: float32, float64.
// Error: in ULP, float32: exp 1.2, log 2, sin 4, log1p 2, sigmoid 3, softplus 3;
//   float64: exp 1.2, log 1.2, sin 4, log1p 2, sigmoid 3, softplus 3. cos: 2 ULP of 1.
//   Both: reciprocal 1, inverse_sqrt 2, square_root 2, quotient 1.
// Edges: exp takes every x: overflow is inf, subnormal results lose bits (and are 0 where the
//   calling thread flushes them), NaN stays NaN; sigmoid and softplus likewise. log takes normal,
//   finite x > 0; sincos2pi, |x| <= 1/4; log1p, 0 <= x <= 1; the last four what core/newton.h says.
// Bytes: 8 an element, 12 (sincos2pi, quotient) in float32; twice that in float64.
// Determinism: single-threaded; bit-equal within an ISA; y may be an input.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

FG_API int fg_exp(fg_dtype dtype, int64_t size, const void* x, void* y);
FG_API int fg_log(fg_dtype dtype, int64_t size, const void* x, void* y);
FG_API int fg_sincos2pi(fg_dtype dtype, int64_t size, const void* x, void* sin, void* cos);
FG_API int fg_log1p(fg_dtype dtype, int64_t size, const void* x, void* y);
FG_API int fg_sigmoid(fg_dtype dtype, int64_t size, const void* x, void* y);
FG_API int fg_softplus(fg_dtype dtype, int64_t size, const void* x, void* y);
FG_API int fg_reciprocal(fg_dtype dtype, int64_t size, const void* x, void* y);
FG_API int fg_inverse_sqrt(fg_dtype dtype, int64_t size, const void* x, void* y);
FG_API int fg_square_root(fg_dtype dtype, int64_t size, const void* x, void* y);
FG_API int fg_quotient(fg_dtype dtype, int64_t size, const void* a, const void* b, void* y);

#ifdef __cplusplus
}
#endif
