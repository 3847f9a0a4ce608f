// Tensor cores and copies to shared memory that a thread does not wait for; of sm_80 and later. The
// tests' CUDA on the CPU has its own (tests/cuda/on_cpu/mma.h).
//
// mma(T, sum, a, b) adds a product of tiles, a warp's work: sum [16, 8] += a [16, words] b [words, 8]
// with 8 words of depth, of 32 bits: one tf32, or two neighbours of 16 bits. Lane 4 g + t holds
//   a[0..3]: words t of rows g and g + 8, then words t + 4 of the same;
//   b[0..1]: words t and t + 4 of column g;
//   sum[0..3]: columns 2 t and 2 t + 1 of row g, then of row g + 8.
// A product does not change when both factors permute their words: so kernels give lane t four
// neighbouring ones of a row, which it reads as 16 bytes, for two calls; ldmatrix would save nothing.
#pragma once
#include "cuda/storage.cuh"

#ifdef FASTGEN_CUDA_ON_CPU
#include "on_cpu/mma.h"
#else

namespace fastgen {
namespace cuda {

#define FG_MMA(INSTRUCTION)                                                                    \
  asm("mma.sync.aligned." INSTRUCTION " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])                                 \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))

__device__ __forceinline__ void mma(float, float (&sum)[4], const uint32_t (&a)[4],
                                    const uint32_t (&b)[2]) {
  FG_MMA("m16n8k8.row.col.f32.tf32.tf32.f32");
}
__device__ __forceinline__ void mma(bfloat16, float (&sum)[4], const uint32_t (&a)[4],
                                    const uint32_t (&b)[2]) {
  FG_MMA("m16n8k16.row.col.f32.bf16.bf16.f32");
}
__device__ __forceinline__ void mma(float16, float (&sum)[4], const uint32_t (&a)[4],
                                    const uint32_t (&b)[2]) {
  FG_MMA("m16n8k16.row.col.f32.f16.f16.f32");
}
#undef FG_MMA

// The bits of a float, to the nearest of 11 significant ones, ties away from 0.
__device__ __forceinline__ uint32_t tf32(uint32_t bits) {
  uint32_t rounded;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(__uint_as_float(bits)));
  return rounded;
}

// Copies `bytes` to shared memory, followed by zeros up to 16. It is there after wait_for_copies, for
// the thread itself, and after a barrier for others.
__device__ __forceinline__ void copy_async(void* shared, const void* global, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"((uint32_t)__cvta_generic_to_shared(shared)), "l"(global), "r"(bytes)
               : "memory");
}
// Likewise a word, or zeros in its place if `bytes` is 0.
__device__ __forceinline__ void copy_word_async(void* shared, const void* global, int bytes) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
               :
               : "r"((uint32_t)__cvta_generic_to_shared(shared)), "l"(global), "r"(bytes)
               : "memory");
}
// Closes a group of copies; it may be empty.
__device__ __forceinline__ void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Until at most `groups` of the last closed ones are under way.
template <int groups>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}

}  // namespace cuda
}  // namespace fastgen
#endif
