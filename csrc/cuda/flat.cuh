// Elements that lie one after the other, in packs of 16 bytes where the address allows it.
#pragma once
#include "core/integers.h"

namespace fastgen {
namespace cuda {

constexpr int kFlatThreads = 256;  // of a block

template <int n>
struct Width {
  static constexpr int value = n;
};

// body(index, Width<n>{}) for packs of n elements of [begin, end), whose first address 16 divides if
// n is above 1, and body(index, Width<1>{}) for those behind the last pack: this thread's, by its
// number among `threads`.
template <int n, class Body>
__device__ __forceinline__ void for_packs(int64_t begin, int64_t end, int64_t thread,
                                          int64_t threads, const Body& body) {
  const int64_t packs = (end - begin) / n;
  for (int64_t i = thread; i < packs; i += threads) body(begin + n * i, Width<n>{});
  if constexpr (n > 1) {
    const int64_t i = begin + n * packs + thread;  // no more of them than threads
    if (i < end) body(i, Width<1>{});
  }
}

// Likewise for [0, size) among all threads of a grid.
template <int n, class Body>
__device__ __forceinline__ void for_packs(int64_t size, const Body& body) {
  for_packs<n>(0, size, (int64_t)blockIdx.x * blockDim.x + threadIdx.x,
               (int64_t)gridDim.x * blockDim.x, body);
}

}  // namespace cuda
}  // namespace fastgen
