// The C ABI of libfastgen_core: what every kernel header stands on. No TensorFlow, no Python, no
// C++ types.
#pragma once
#include "core/integers.h"

#ifdef __CUDACC_RTC__
#define FG_API __device__  // NVRTC reads declarations, and takes no function of the host
#else
#define FG_API __attribute__((visibility("default")))
#endif
// Rises when a function, a type or a number here or in kernels/*.h changes its meaning.
#define FG_ABI_VERSION 2

#ifdef __cplusplus
extern "C" {
#endif

// Half and bfloat16 compute in float32. uint8: images, for the kernels that say so.
enum { FG_FLOAT32 = 0, FG_FLOAT64 = 1, FG_BFLOAT16 = 2, FG_FLOAT16 = 3, FG_UINT8 = 4 };
typedef int fg_dtype;  // an int: any value may arrive, and is refused

// Numbered as absl's status codes.
typedef enum {
  FG_OK = 0,
  FG_INVALID_ARGUMENT = 3,
  FG_RESOURCE_EXHAUSTED = 8,
  FG_OUT_OF_RANGE = 11,
  FG_INTERNAL = 13
} fg_code;

// Runs panels [begin, end) of a kernel; arg is the kernel's own.
typedef void (*fg_task)(void* arg, int64_t begin, int64_t end);

// How a kernel gets threads. NULL in place of an fg_threads*: it runs on the calling thread.
typedef struct fg_threads {
  void* pool;
  // Runs task over all of [0, panels), in any split and order, and returns when all are done.
  void (*parallel_for)(void* pool, int64_t panels, int64_t cycles_per_panel, fg_task task,
                       void* arg);
} fg_threads;

FG_API int fg_abi_version(void);

// The message of this thread's last failing call; valid until its next one.
FG_API const char* fg_last_error(void);

#ifdef __cplusplus
}
#endif
