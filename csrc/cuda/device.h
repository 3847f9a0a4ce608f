// The GPUs of a machine, for whoever asks before it launches.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fg_cuda_device_info {
  char name[256];
  int major, minor;  // compute capability
  int multiprocessors;
  int64_t bytes;  // of memory
  int runs;       // whether this library has machine code, or PTX, for it
} fg_cuda_device_info;

// How many there are; 0 without a driver.
FG_API int fg_cuda_device_count(void);
FG_API int fg_cuda_device(int index, fg_cuda_device_info* info);

#ifdef __cplusplus
}
#endif
