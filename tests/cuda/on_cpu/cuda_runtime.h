// What the kernels use of CUDA, on the CPU, so that they run and are checked where there is no GPU:
// streams are queues of one place, memory is the heap's, so that a sanitizer watches it.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <functional>
#include <map>
#include <tuple>
#include <utility>

#include "on_cpu/access.h"
#include "on_cpu/block.h"
#include "on_cpu/graph.h"

#define __host__
#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __shared__ static  // blocks run one after the other

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

struct alignas(8) uint2 {
  unsigned x, y;
};

inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaErrorMemoryAllocation            ? "cudaErrorMemoryAllocation"
         : error == cudaErrorInvalidConfiguration      ? "cudaErrorInvalidConfiguration"
         : error == cudaErrorCooperativeLaunchTooLarge ? "cudaErrorCooperativeLaunchTooLarge"
                                                       : "cudaErrorInvalidValue";
}
inline const char* cudaGetErrorString(cudaError_t) { return "as CUDA on the CPU sees it"; }

// New memory is NaN until it is written; 2 TiB are more than there is.
inline cudaError_t cudaMalloc(void** memory, size_t bytes) {
  *memory = bytes >> 41 ? nullptr : malloc(bytes);
  if (!*memory) return cudaErrorMemoryAllocation;
  memset(*memory, 0xff, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* memory) {
  free(memory);
  return cudaSuccess;
}
inline cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t) {
  return cudaMalloc(memory, bytes);
}
inline cudaError_t cudaFreeAsync(void* memory, cudaStream_t) { return cudaFree(memory); }

typedef uint64_t* cudaMemPool_t;  // what it keeps, which means nothing here
enum cudaMemPoolAttr { cudaMemPoolAttrReleaseThreshold };
inline cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) {
  static uint64_t kept = 0;
  return *pool = &kept, cudaSuccess;
}
inline cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr, void* value) {
  memcpy(value, pool, sizeof *pool);
  return cudaSuccess;
}
inline cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr, void* value) {
  memcpy(pool, value, sizeof *pool);
  return cudaSuccess;
}

enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                                   cudaStream_t) {
  const on_cpu::Access access;
  memcpy(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t) {
  const on_cpu::Access access;
  memset(to, value, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }

struct cudaDeviceProp {
  char name[256] = "CUDA on the CPU";
  int major = 9, minor = 0, multiProcessorCount = 2;
  size_t totalGlobalMem = size_t{1} << 30;
};
inline cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : cudaErrorInvalidValue;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  *properties = {};
  return cudaSetDevice(device);
}
struct cudaFuncAttributes {};
template <class Kernel>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes*, Kernel) {
  return cudaSuccess;
}

constexpr int kSharedMemory = 227 << 10, kMultiprocessors = 2;  // of a block at most; of the device

// The dynamic shared memory that a kernel may be launched with.
inline int& shared_limit(const void* kernel) {
  static std::map<const void*, int> limits;
  return limits.emplace(kernel, 48 << 10).first->second;
}
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
// Refuses to lower it: another thread may be about to launch with more.
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel kernel, cudaFuncAttribute, int bytes) {
  const on_cpu::Access access;
  int& limit = shared_limit((const void*)kernel);
  if (bytes < limit || bytes > kSharedMemory) return cudaErrorInvalidValue;
  limit = bytes;
  return cudaSuccess;
}

// One or two blocks on each multiprocessor, by turns: results must not depend on it. A cooperative
// launch has no more of them.
inline int& blocks_of_multiprocessor() {
  static int blocks = 2;
  return blocks;
}
template <class Kernel>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Kernel, int, size_t) {
  *blocks = blocks_of_multiprocessor() = 3 - blocks_of_multiprocessor();
  return cudaSuccess;
}
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount,
  cudaDevAttrCooperativeLaunch,
  cudaDevAttrMaxSharedMemoryPerBlockOptin
};
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrMultiProcessorCount            ? kMultiprocessors
           : attribute == cudaDevAttrMaxSharedMemoryPerBlockOptin ? kSharedMemory
                                                                  : 1;
  return cudaSuccess;
}

enum cudaLaunchAttributeID { cudaLaunchAttributeCooperative };
struct cudaLaunchAttribute {
  cudaLaunchAttributeID id;
  struct {
    int cooperative;
  } val;
};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
  cudaLaunchAttribute* attrs;
  unsigned numAttrs;
};
inline cudaError_t check_launch(const cudaLaunchConfig_t& at, const void* kernel, bool together) {
  const on_cpu::Access access;
  if (at.gridDim.x == 0 || at.blockDim.x == 0 || at.blockDim.x > 1024) {
    return cudaErrorInvalidConfiguration;
  }
  if ((int64_t)at.dynamicSmemBytes > shared_limit(kernel)) return cudaErrorInvalidValue;
  const unsigned most = blocks_of_multiprocessor() * kMultiprocessors;
  return together && at.gridDim.x > most ? cudaErrorCooperativeLaunchTooLarge : cudaSuccess;
}
template <class... Params, class... Args>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Params...),
                               Args&&... args) {
  const std::tuple<std::remove_const_t<Params>...> given(std::forward<Args>(args)...);
  const bool together = config->numAttrs > 0 && config->attrs[0].val.cooperative;
  const cudaLaunchConfig_t at = *config;
  if (cudaError_t error = check_launch(at, (const void*)kernel, together)) return error;
  on_cpu::submit(at.stream, [=] {
    on_cpu::run_grid(at.gridDim, at.blockDim, at.dynamicSmemBytes, together,
                     [&] { std::apply(kernel, given); });
  });
  return cudaSuccess;
}

inline void __syncthreads() { on_cpu::wait_for_block(); }
inline void __syncwarp(unsigned mask = ~0u) { on_cpu::wait_for_lanes(mask); }

template <class T>
T __shfl_sync(unsigned mask, T value, int from) {
  static_assert(sizeof(T) <= sizeof(uint64_t), "one slot");
  memcpy(&on_cpu::slot(on_cpu::lane()), &value, sizeof value);
  on_cpu::wait_for_lanes(mask);
  T result;
  memcpy(&result, &on_cpu::slot(from & 31), sizeof result);
  on_cpu::wait_for_lanes(mask);
  return result;
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int other) {
  return __shfl_sync(mask, value, on_cpu::lane() ^ other);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, int by) {
  return __shfl_sync(mask, value, on_cpu::lane() + by < 32 ? on_cpu::lane() + by : on_cpu::lane());
}

template <class T>
void __stwb(T* to, T value) {  // st.global
  on_cpu::check_global(to);
  *to = value;
}

template <class To, class From>
To on_cpu_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "as many bits");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
inline float __uint_as_float(unsigned x) { return on_cpu_bits<float>(x); }
inline unsigned __float_as_uint(float x) { return on_cpu_bits<unsigned>(x); }
inline double __longlong_as_double(long long x) { return on_cpu_bits<double>(x); }
inline long long __double_as_longlong(double x) { return on_cpu_bits<long long>(x); }

inline void sincospi(double x, double* sine, double* cosine) {
  const long double angle = 3.14159265358979323846264338327950288L * x;
  *sine = (double)sinl(angle), *cosine = (double)cosl(angle);
}
inline void sincospif(float x, float* sine, float* cosine) {
  double s, c;
  sincospi(x, &s, &c);
  *sine = (float)s, *cosine = (float)c;
}
