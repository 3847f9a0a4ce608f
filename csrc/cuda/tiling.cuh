// How the result of a product is cut among blocks, and a stretch of a row, whole or up to its end.
#pragma once
#include "cuda/storage.cuh"

namespace fastgen {
namespace cuda {

struct Tiling {
  int64_t rows, cols;         // of the result
  int64_t row_tiles, slices;  // tiles of rows, slices of columns
  int64_t parts, part_depth;  // of the depth, summed up afterwards
  int slice_cols;
  bool resident;  // on tensor cores: whether a slice's factor stays in shared memory
};

// One of four registers, which a loop cannot number.
template <class Real>
__device__ __forceinline__ Real pick(int i, Real a, Real b, Real c, Real d) {
  return i == 0 ? a : i == 1 ? b : i == 2 ? c : d;
}

// n values at `from`, of which `left` are there, the others 0; wide: whether packs lie as they must.
template <int n, class T>
__device__ __forceinline__ void load_some(const T* from, int64_t left, bool wide,
                                          typename Compute<T>::type (&to)[n]) {
  constexpr int pack = kPack<T> < n ? kPack<T> : n;
  if constexpr (pack == kPack<T>) {
    if (wide && left >= n) {
#pragma unroll
      for (int i = 0; i < n; i += pack) {
        typename Compute<T>::type some[pack];
        load(from + i, some);
#pragma unroll
        for (int j = 0; j < pack; ++j) to[i + j] = some[j];
      }
      return;
    }
  }
#pragma unroll
  for (int i = 0; i < n; ++i) to[i] = i < left ? widen(from[i]) : typename Compute<T>::type(0);
}

template <int n, class T>
__device__ __forceinline__ void store_some(const typename Compute<T>::type (&from)[n], int64_t left,
                                           bool wide, T* to) {
  constexpr int pack = kPack<T>;
  static_assert(n % pack == 0, "whole packs");
  if (wide && left >= n) {
#pragma unroll
    for (int i = 0; i < n; i += pack) {
      typename Compute<T>::type some[pack];
#pragma unroll
      for (int j = 0; j < pack; ++j) some[j] = from[i + j];
      store(some, to + i);
    }
  } else {
#pragma unroll
    for (int i = 0; i < n; ++i) {
      if (i < left) narrow(from[i], to + i);
    }
  }
}

}  // namespace cuda
}  // namespace fastgen
