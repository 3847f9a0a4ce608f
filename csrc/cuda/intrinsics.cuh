// The instructions that CUDA C++ has no name for without its headers of types, which NVRTC lacks.
// The tests' CUDA on the CPU has its own (tests/cuda/on_cpu/intrinsics.h).
#pragma once
#include "core/integers.h"

#ifdef FASTGEN_CUDA_ON_CPU
#include "on_cpu/intrinsics.h"
#else

namespace fastgen {
namespace cuda {

__device__ __forceinline__ float float_of_half(uint16_t bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}
__device__ __forceinline__ uint16_t half_of_float(float x) {
  uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}

// To 1 ULP, where it is not subnormal.
__device__ __forceinline__ float reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ double reciprocal(double x) { return 1 / x; }

// To a counter of all blocks: after what this thread, and those it has met at a barrier, wrote; and
// before what they read next.
__device__ __forceinline__ void add_release(unsigned* counter, unsigned by) {
  asm volatile("red.release.gpu.global.add.u32 [%0], %1;" ::"l"(counter), "r"(by) : "memory");
}
__device__ __forceinline__ unsigned load_acquire(const unsigned* counter) {
  unsigned count;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(count) : "l"(counter) : "memory");
  return count;
}

// The block's memory that the launch asked for, of 16 bytes' alignment.
__device__ __forceinline__ char* dynamic_shared() {
  extern __shared__ uint4 dynamic_shared_memory[];
  return reinterpret_cast<char*>(dynamic_shared_memory);
}

}  // namespace cuda
}  // namespace fastgen
#endif
