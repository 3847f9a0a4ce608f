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

struct Copy {
  void* to;
  const void* from;
  int bytes;
};

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStack]};
  dim3 index;
  bool done, waiting;
  std::deque<std::vector<Copy>> copies;  // by group, the last one open
};

// Threads that wait for each other: all of a block, or some lanes of a warp.
struct Barrier {
  int expected = 0;
  std::vector<int> waiting;
};

std::vector<std::unique_ptr<Fiber>> fibers;  // kept from block to block
int threads, current;
ucontext_t scheduler;
const std::function<void()>* body;
Barrier of_block;
std::map<std::pair<int, unsigned>, Barrier> of_lanes;  // by warp and mask
std::vector<uint64_t> slots;
std::unique_ptr<char[]> shared;
uint64_t launches;

void enter() {
  (*body)();
  fibers[current]->done = true;
  swapcontext(&fibers[current]->context, &scheduler);
}

void prepare(Fiber* fiber, unsigned i) {
  fiber->index = dim3(i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y);
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
    for (int thread : barrier->waiting) fibers[thread]->waiting = false;
    barrier->waiting.clear();
    return;
  }
  fibers[current]->waiting = true;
  swapcontext(&fibers[current]->context, &scheduler);
}

[[noreturn]] void give_up(const char* why) {
  fprintf(stderr, "CUDA on the CPU: %s, block (%u, %u, %u), thread %d of %d\n", why, blockIdx.x,
          blockIdx.y, blockIdx.z, current, threads);
  abort();
}

void run_block() {
  while ((int)fibers.size() < threads) fibers.push_back(std::make_unique<Fiber>());
  for (int i = 0; i < threads; ++i) prepare(fibers[i].get(), i);
  of_block = {};
  of_block.expected = threads;
  of_lanes.clear();
  // Forwards, backwards, and from the middle.
  const int way = (int)(launches++ % 3), first = way == 2 ? threads / 2 : 0;
  for (int left = threads; left > 0;) {
    bool ran = false;
    for (int i = 0; i < threads; ++i) {
      current = way == 1 ? threads - 1 - i : (first + i) % threads;
      Fiber& fiber = *fibers[current];
      if (fiber.done || fiber.waiting) continue;
      ran = true;
      threadIdx = fiber.index;
      swapcontext(&scheduler, &fiber.context);
      left -= fiber.done;
    }
    if (!ran) give_up("threads wait for others that have left or wait elsewhere");
  }
}

}  // namespace

// Of a device that does not guard its memory.
__attribute__((weak)) void begin_access() {}
__attribute__((weak)) void end_access() {}

void run_grid(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& thread) {
  const Access access;
  gridDim = grid, blockDim = block;
  threads = (int)(block.x * block.y * block.z);
  body = &thread;
  slots.assign((threads + 31) / 32 * 32, 0);
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = dim3(x, y, z);
        shared.reset(new char[shared_bytes]);
        memset(shared.get(), 0xff, shared_bytes);  // NaN until it is written
        run_block();
      }
    }
  }
  shared.reset();
}

void wait_for_block() { wait(&of_block); }

void wait_for_lanes(unsigned mask) {
  const int warp = current / 32;
  if (!(mask >> (current % 32) & 1)) give_up("a thread is not in the mask it waits with");
  Barrier& barrier = of_lanes[{warp, mask}];
  const int lanes = threads - warp * 32 < 32 ? threads - warp * 32 : 32;
  barrier.expected = __builtin_popcount(lanes == 32 ? mask : mask & ((1u << lanes) - 1));
  wait(&barrier);
}

void copy_later(void* to, const void* from, int bytes) {
  if (bytes < 0 || bytes > 16) give_up("a copy is not of 0 to 16 bytes");
  if ((uintptr_t)to % 16 || (uintptr_t)from % 16) give_up("a copy is not aligned");
  fibers[current]->copies.back().push_back({to, from, bytes});
}
void commit_copies() { fibers[current]->copies.emplace_back(); }
void wait_for_copies(int groups) {
  auto& copies = fibers[current]->copies;
  for (; (int)copies.size() > groups + 1; copies.pop_front()) {
    for (const Copy& copy : copies.front()) {
      memcpy(copy.to, copy.from, copy.bytes);
      memset((char*)copy.to + copy.bytes, 0, 16 - copy.bytes);
    }
  }
}

uint64_t& slot(int lane) { return slots[current / 32 * 32 + lane]; }
int lane() { return current % 32; }
void* dynamic_shared() { return shared.get(); }

}  // namespace on_cpu
