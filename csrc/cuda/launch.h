// What the launchers of CUDA kernels share, on the host: grids, errors by name, dtypes and widths.
#pragma once
#include <cuda_runtime.h>

#include <initializer_list>
#include <type_traits>

#include "core/abi.h"
#include "core/status.h"
#include "cuda/memory.h"
#include "cuda/storage.cuh"

namespace fastgen {
namespace cuda {

constexpr int kThreads = 256;  // of a block
constexpr int kWarp = 32;

// FG_OK, or what CUDA calls the error.
int check(const char* op, cudaError_t error);

// Blocks for `work` of them: at most so many that a GPU is filled some times over.
inline unsigned grid_of(int64_t work) {
  constexpr int64_t kMost = 16384;  // blocks of 256 threads: 15 times what an H200 holds
  return (unsigned)(work < kMost ? work : kMost);
}

// Starts `kernel` on a stream; nothing if it has no blocks.
template <class... Params, class... Args>
int launch(const char* op, void* stream, unsigned blocks, unsigned threads, size_t shared_bytes,
           void (*kernel)(Params...), Args... args) {
  if (blocks == 0) return FG_OK;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = shared_bytes;
  config.stream = (cudaStream_t)stream;
  return check(op, cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...));
}

// Lets launches of a kernel, of no static shared memory, have all that a block on this GPU can: *bytes.
// It is a kernel's one limit for all threads, so that none may lower it to what its own launch needs.
template <class... Params>
int allow_shared(const char* op, void (*kernel)(Params...), int64_t* bytes) {
  int device, most;
  if (int code = check(op, cudaGetDevice(&device))) return code;
  if (int code = check(
          op, cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device))) {
    return code;
  }
  *bytes = most;
  return check(op, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most));
}

// Lets the current device's pool keep some memory when somebody waits for the device.
void keep_scratch();

// What the caller lends this thread, or NULL.
const fg_cuda_memory* lent_memory();

// Memory of a launch: lent, or from the stream's pool, given back in the stream's order.
class Scratch {
 public:
  Scratch(const char* op, void* stream) : op_(op), stream_((cudaStream_t)stream) {}
  Scratch(const Scratch&) = delete;
  ~Scratch() {
    if (memory_ && !lent_) cudaFreeAsync(memory_, stream_);
  }
  int allocate(size_t bytes) {
    if (bytes == 0) return FG_OK;
    lent_ = lent_memory();
    if (!lent_) {
      keep_scratch();
      return check(op_, cudaMallocAsync(&memory_, bytes, stream_));
    }
    memory_ = lent_->allocate(lent_->owner, bytes);
    return check(op_, memory_ ? cudaSuccess : cudaErrorMemoryAllocation);
  }
  template <class T>
  T* as() const {
    return static_cast<T*>(memory_);
  }

 private:
  const char* op_;
  cudaStream_t stream_;
  const fg_cuda_memory* lent_ = nullptr;
  void* memory_ = nullptr;
};

// body(T{}) for the dtype's storage.
template <class Body>
int for_dtype(const char* op, fg_dtype dtype, const Body& body) {
  switch (dtype) {
    case FG_FLOAT32:
      return body(float{});
    case FG_FLOAT64:
      return body(double{});
    case FG_BFLOAT16:
      return body(bfloat16{});
    case FG_FLOAT16:
      return body(float16{});
  }
  return fail(FG_INVALID_ARGUMENT,
              "%s: dtype must be float32, float64, bfloat16 or float16. Received: code %d", op,
              (int)dtype);
}

// body(n) with n = kPack<T> if every stretch of `size` elements at these pointers can be read 16
// bytes at a time, else 1; n is a constant.
template <class T, class Body>
int for_width(int64_t size, std::initializer_list<const void*> pointers, const Body& body) {
  bool whole = size % kPack<T> == 0;
  for (const void* pointer : pointers) whole = whole && (uintptr_t)pointer % 16 == 0;
  if (whole) return body(std::integral_constant<int, kPack<T>>{});
  return body(std::integral_constant<int, 1>{});
}

}  // namespace cuda
}  // namespace fastgen
