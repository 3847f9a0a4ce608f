// Blocks of CUDA threads on one thread of the CPU: each is a fiber that runs until it waits. Who is
// resumed first changes from launch to launch, so that a missing barrier shows. Blocks run one after
// the other, but those of a cooperative launch together: their kernels must have no __shared__ memory
// but the dynamic one, for all else is one for all blocks here.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <functional>

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// Those of the thread that runs.
extern dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace on_cpu {

// Runs `thread` as every thread of every block, block after block or all together.
void run_grid(dim3 grid, dim3 block, size_t shared_bytes, bool together,
              const std::function<void()>& thread);

// Waits for all threads of the block, or for those lanes of the warp.
void wait_for_block();
void wait_for_lanes(unsigned mask);

// For a thread that looks at memory until another changes it.
void let_others_run();

// Eight bytes that lane `lane` of this warp shows the others.
uint64_t& slot(int lane);
int lane();

// The running thread's copies of `bytes`, followed by zeros up to 16: made when it waits until at most
// `groups` of the groups it has closed are left.
void copy_later(void* to, const void* from, int bytes, int size);  // zeros up to `size`
void commit_copies();
void wait_for_copies(int groups);

// Ends the process if the address is in the block's dynamic shared memory: instructions for global
// memory alone do not get there.
void check_global(const void* address);

// The block's dynamic shared memory, of exactly the bytes asked for.
void* dynamic_shared();

}  // namespace on_cpu
