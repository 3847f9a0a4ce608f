// Columns of a matrix among threads: each keeps to the columns of one pack, for values by column and
// for sums over rows that depend on the shape and the width of a pack alone.
#pragma once
#include "core/integers.h"

namespace fastgen {
namespace cuda {

constexpr int kColumnThreads = 256;  // of a block

// A block takes `rows_of_piece` rows of `packs` packs side by side, `abreast` rows at a time.
struct ColumnCut {
  int64_t rows, cols;
  int64_t rows_of_piece;
  int packs, abreast;  // abreast: a power of two; packs * abreast threads at most are busy
  int tiles;           // blocks side by side

  __device__ int64_t piece() const { return blockIdx.x / tiles; }
};

// body(col, begin, end) for this thread's pack: the rows begin, begin + abreast, ... below end.
template <int n, class Body>
__device__ __forceinline__ void for_columns(const ColumnCut& cut, const Body& body) {
  const int lane = threadIdx.x % cut.packs, row = threadIdx.x / cut.packs;
  const int64_t col = ((int64_t)(blockIdx.x % cut.tiles) * cut.packs + lane) * n;
  const int64_t first = cut.piece() * cut.rows_of_piece;
  const int64_t end = first + cut.rows_of_piece < cut.rows ? first + cut.rows_of_piece : cut.rows;
  if (row < cut.abreast && col < cut.cols) body(col, first + row, end);
}

// to[piece, col] = the sum of value(index, out) over this block's rows, where out has the n values
// from `index` on, in double.
template <int n, class Value>
__device__ __forceinline__ void sum_columns(const ColumnCut& cut, double* to, const Value& value) {
  __shared__ double sums[kColumnThreads * n];
  constexpr int kChains = 4;  // sums side by side: a short chain errs less, and waits less
  double total[n] = {};
  for_columns<n>(cut, [&](int64_t col, int64_t begin, int64_t end) {
    double chain[kChains][n] = {};
    int64_t row = begin;
    for (; row + (kChains - 1) * cut.abreast < end; row += kChains * cut.abreast) {
#pragma unroll
      for (int k = 0; k < kChains; ++k) {
        double x[n];
        value((row + k * cut.abreast) * cut.cols + col, x);
#pragma unroll
        for (int i = 0; i < n; ++i) chain[k][i] += x[i];
      }
    }
    for (; row < end; row += cut.abreast) {
      double x[n];
      value(row * cut.cols + col, x);
#pragma unroll
      for (int i = 0; i < n; ++i) chain[0][i] += x[i];
    }
#pragma unroll
    for (int i = 0; i < n; ++i) {
      total[i] = (chain[0][i] + chain[1][i]) + (chain[2][i] + chain[3][i]);
    }
  });
#pragma unroll
  for (int i = 0; i < n; ++i) sums[i * kColumnThreads + threadIdx.x] = total[i];
  for (int half = cut.abreast / 2; half > 0; half /= 2) {
    __syncthreads();
    if ((int)threadIdx.x >= half * cut.packs) continue;
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const int at = i * kColumnThreads + threadIdx.x;
      sums[at] += sums[at + half * cut.packs];
    }
  }
  // The first row of threads reads what it wrote itself.
  for_columns<n>(cut, [&](int64_t col, int64_t, int64_t) {
    if ((int)threadIdx.x >= cut.packs) return;
#pragma unroll
    for (int i = 0; i < n; ++i) {
      to[cut.piece() * cut.cols + col + i] = sums[i * kColumnThreads + threadIdx.x];
    }
  });
}

}  // namespace cuda
}  // namespace fastgen
