// A barrier of all blocks of a cooperative launch: each is on a multiprocessor, so that none waits for
// one that has not begun.
#pragma once
#include "cuda/intrinsics.cuh"

namespace fastgen {
namespace cuda {

// arrived: 0 at first; target: blocks times the barriers so far, this one included. What any thread
// has written before is there for all after it. The counter may wrap around.
__device__ __forceinline__ void wait_for_grid(unsigned* arrived, unsigned target) {
  __syncthreads();
  if (threadIdx.x == 0) {
    add_release(arrived, 1);
    while ((int)(load_acquire(arrived) - target) < 0) {
    }
  }
  __syncthreads();
}

}  // namespace cuda
}  // namespace fastgen
