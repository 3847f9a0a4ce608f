// A small pool of our own, for callers that bring none (NumPy, C++ tests, benchmarks).
// Inside TensorFlow ops the op's intra-op pool is used instead.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

// The process-wide pool; its threads start with the first kernel that has work for them.
FG_API const fg_threads* fg_pool(void);

// Threads that work on a kernel, the caller included. At start: the cores this process may use.
FG_API int fg_pool_size(void);

// Waits for kernels under way. FG_INVALID_ARGUMENT unless 1 <= threads <= 1024.
FG_API int fg_set_pool_size(int threads);

#ifdef __cplusplus
}
#endif
