// The panels of one loop, as the threads that work on it take them.
#pragma once
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "core/abi.h"

namespace fastgen {

// Every thread has a share and takes a few panels of it at a time, then helps with the others'. Its
// share is that of the core it runs on: what this core wrote in the loop before is in its cache.
class Panels {
 public:
  Panels(fg_task task, void* arg, int64_t panels, int64_t threads)
      : task_(task),
        arg_(arg),
        panels_(panels),
        shares_(std::min({threads, panels, kMostShares})),
        // Eight turns a thread even out shared cores at little cost in counter traffic.
        turn_(panels / (8 * shares_) + 1) {
    for (int64_t i = 0; i < shares_; ++i) share_[i].next.store(begin(i), std::memory_order_relaxed);
  }

  // Until none is left.
  void work() {
    const int64_t core = std::max(0, sched_getcpu());
    for (int64_t i = 0; i < shares_; ++i) work_on((core + i) % shares_);
  }

 private:
  static constexpr int64_t kMostShares = 16;
  struct alignas(64) Share {
    std::atomic<int64_t> next;
  };

  int64_t begin(int64_t share) const { return panels_ * share / shares_; }

  void work_on(int64_t share) {
    const int64_t end = begin(share + 1);
    for (;;) {
      const int64_t first = share_[share].next.fetch_add(turn_, std::memory_order_relaxed);
      if (first >= end) return;
      task_(arg_, first, std::min(first + turn_, end));
    }
  }

  const fg_task task_;
  void* const arg_;
  const int64_t panels_, shares_, turn_;
  Share share_[kMostShares];
};

}  // namespace fastgen
