// Where kernels get the memory that a launch needs beside its arrays.
#pragma once
#include <stddef.h>

#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

// Memory of the current device, of 16-byte alignment, which stays the launch's own until what is in
// its stream by the time of the function's return has run. NULL where there is none.
typedef struct fg_cuda_memory {
  void* owner;
  void* (*allocate)(void* owner, size_t bytes);
} fg_cuda_memory;

// For what this thread launches from now on. NULL, as it is at first: the stream's pool of CUDA.
FG_API void fg_cuda_lend_memory(const fg_cuda_memory* memory);

#ifdef __cplusplus
}
#endif
