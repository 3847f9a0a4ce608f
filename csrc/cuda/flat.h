// How launchers cut elements into the packs of cuda/flat.cuh.
#pragma once
#include "cuda/flat.cuh"
#include "cuda/launch.h"

namespace fastgen {
namespace cuda {

// body(n) with n = kPack<T> if 16 divides these pointers, else 1; n is a constant.
template <class T, class Body>
int for_alignment(std::initializer_list<const void*> pointers, const Body& body) {
  return for_width<T>(0, pointers, body);
}

// Starts kernel(size, args...) with a thread for each pack of n elements, or for several.
template <class... Params, class... Args>
int launch_flat(const char* op, void* stream, int64_t size, int n, void (*kernel)(Params...),
                Args... args) {
  const int64_t packs = (size + n - 1) / n;
  return launch(op, stream, grid_of((packs + kFlatThreads - 1) / kFlatThreads), kFlatThreads, 0,
                kernel, size, args...);
}

}  // namespace cuda
}  // namespace fastgen
