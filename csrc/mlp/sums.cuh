// Sums over a block in one order. Shared memory is dynamic alone: blocks of a cooperative launch run
// together in the tests' CUDA on the CPU, where static memory is one for all.
#pragma once
#include "cuda/intrinsics.cuh"
#include "cuda/rows.cuh"
#include "mlp/network.cuh"

namespace fastgen {
namespace mlp {

// The sum over a block, given to all.
__device__ __forceinline__ double sum_of_engine_block(double sum) {
  double* const of_warps = reinterpret_cast<double*>(dynamic_shared());
  __syncthreads();
  sum = sum_of_lanes(sum, 32);
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = sum;
  __syncthreads();
  sum = 0;
  for (int i = 0; i < kEngineLanes / 32; ++i) sum += of_warps[i];
  __syncthreads();
  return sum;
}

// The sum of numbers that lie `step` apart, by a warp, given to all of it.
__device__ __forceinline__ double sum_of_warp(const double* numbers, int64_t count, int64_t step) {
  double sum = 0;
  for (int64_t i = threadIdx.x % 32; i < count; i += 32) sum += numbers[i * step];
  return sum_of_lanes(sum, 32);
}

}  // namespace mlp
}  // namespace fastgen
