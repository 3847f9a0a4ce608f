#include "on_cpu/block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "on_cpu/access.h"

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace on_cpu {
namespace {

constexpr size_t kStack = 96 << 10;
constexpr uint64_t kMostPolls = 20'000'000;  // in a launch

struct Copy {
  void* to;
  const void* from;
  int bytes, size;
};

struct Block;

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStack]};
  dim3 index;
  int thread;  // of its block
  Block* block;
  bool done, waiting;
  std::deque<std::vector<Copy>> copies;  // by group, the last one open
};

// Threads that wait for each other: all of a block, or some lanes of a warp.
struct Barrier {
  int expected = 0;
  std::vector<Fiber*> waiting;
};

struct Block {
  dim3 index;
  Barrier of_block;
  std::map<std::pair<int, unsigned>, Barrier> of_lanes;  // by warp and mask
  std::vector<uint64_t> slots;
  std::unique_ptr<char[]> shared;
  size_t shared_bytes;

  bool shares(const void* address) const {
    return (uintptr_t)address - (uintptr_t)shared.get() < shared_bytes;
  }
};

std::vector<std::unique_ptr<Fiber>> fibers;  // kept from block to block
std::vector<Block> blocks;                   // those that run
int threads;                                 // of a block
Fiber* current;
ucontext_t scheduler;
const std::function<void()>* body;
uint64_t launches, polls;

void enter() {
  (*body)();
  current->done = true;
  swapcontext(&current->context, &scheduler);
}

void prepare(Fiber* fiber, Block* block, unsigned i) {
  fiber->index = dim3(i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y);
  fiber->thread = (int)i, fiber->block = block;
  fiber->done = fiber->waiting = false;
  fiber->copies.assign(1, {});
  getcontext(&fiber->context);
  fiber->context.uc_stack.ss_sp = fiber->stack.get();
  fiber->context.uc_stack.ss_size = kStack;
  fiber->context.uc_link = nullptr;
  makecontext(&fiber->context, enter, 0);
}

void wait(Barrier* barrier) {
  barrier->waiting.push_back(current);
  if ((int)barrier->waiting.size() == barrier->expected) {
    for (Fiber* fiber : barrier->waiting) fiber->waiting = false;
    barrier->waiting.clear();
    return;
  }
  current->waiting = true;
  swapcontext(&current->context, &scheduler);
}

[[noreturn]] void give_up(const char* why) {
  fprintf(stderr, "CUDA on the CPU: %s, block (%u, %u, %u), thread %d of %d\n", why, blockIdx.x,
          blockIdx.y, blockIdx.z, current->thread, threads);
  abort();
}

// Until all blocks are done.
void run_blocks(size_t shared_bytes) {
  const int count = threads * (int)blocks.size();
  while ((int)fibers.size() < count) fibers.push_back(std::make_unique<Fiber>());
  for (int i = 0; i < count; ++i) prepare(fibers[i].get(), &blocks[i / threads], i % threads);
  for (Block& block : blocks) {
    block.of_block.expected = threads;
    block.slots.assign((threads + 31) / 32 * 32, 0);
    block.shared.reset(new char[shared_bytes]);
    block.shared_bytes = shared_bytes;
    memset(block.shared.get(), 0xff, shared_bytes);  // NaN until it is written
  }
  // Forwards, backwards, and from the middle.
  const int way = (int)(launches++ % 3), first = way == 2 ? count / 2 : 0;
  for (int left = count; left > 0;) {
    bool ran = false;
    for (int i = 0; i < count; ++i) {
      current = fibers[way == 1 ? count - 1 - i : (first + i) % count].get();
      if (current->done || current->waiting) continue;
      ran = true;
      threadIdx = current->index, blockIdx = current->block->index;
      swapcontext(&scheduler, &current->context);
      left -= current->done;
    }
    if (!ran) give_up("threads wait for others that have left or wait elsewhere");
  }
  blocks.clear();
}

}  // namespace

// Of a device that does not guard its memory.
__attribute__((weak)) void begin_access() {}
__attribute__((weak)) void end_access() {}

void run_grid(dim3 grid, dim3 block, size_t shared_bytes, bool together,
              const std::function<void()>& thread) {
  const Access access;
  gridDim = grid, blockDim = block;
  threads = (int)(block.x * block.y * block.z);
  body = &thread, polls = 0;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blocks.emplace_back().index = dim3(x, y, z);
        if (!together) run_blocks(shared_bytes);
      }
    }
  }
  if (!blocks.empty()) run_blocks(shared_bytes);
}

void wait_for_block() { wait(&current->block->of_block); }

void wait_for_lanes(unsigned mask) {
  const int warp = current->thread / 32;
  if (!(mask >> (current->thread % 32) & 1)) give_up("a thread is not in the mask it waits with");
  Barrier& barrier = current->block->of_lanes[{warp, mask}];
  const int lanes = threads - warp * 32 < 32 ? threads - warp * 32 : 32;
  barrier.expected = __builtin_popcount(lanes == 32 ? mask : mask & ((1u << lanes) - 1));
  wait(&barrier);
}

void let_others_run() {
  if (++polls > kMostPolls) give_up("threads look at memory that none changes");
  swapcontext(&current->context, &scheduler);
}

void check_global(const void* address) {
  if (current->block->shares(address))
    give_up("global memory is meant, and shared memory is given");
}

void copy_later(void* to, const void* from, int bytes, int size) {
  if (bytes < 0 || bytes > size) give_up("a copy is of more than it may be, or of less than none");
  if (!current->block->shares(to)) give_up("a copy is not to shared memory");
  check_global(from);
  if ((uintptr_t)to % size || (uintptr_t)from % size) give_up("a copy is not aligned");
  current->copies.back().push_back({to, from, bytes, size});
}
void commit_copies() { current->copies.emplace_back(); }
void wait_for_copies(int groups) {
  auto& copies = current->copies;
  for (; (int)copies.size() > groups + 1; copies.pop_front()) {
    for (const Copy& copy : copies.front()) {
      memcpy(copy.to, copy.from, copy.bytes);
      memset((char*)copy.to + copy.bytes, 0, copy.size - copy.bytes);
    }
  }
}

uint64_t& slot(int lane) { return current->block->slots[current->thread / 32 * 32 + lane]; }
int lane() { return current->thread % 32; }
void* dynamic_shared() { return current->block->shared.get(); }

}  // namespace on_cpu
