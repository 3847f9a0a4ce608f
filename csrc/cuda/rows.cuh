// Rows of a matrix among threads, and sums of them that depend on the number of columns alone.
//
// A line is a row, or a piece of one that is too long for a block: `lanes` threads of a warp, or for
// a wide line the whole block, take its packs of n elements in turns.
#pragma once
#include "core/integers.h"

namespace fastgen {
namespace cuda {

struct Lines {
  int64_t count, cols;
  int64_t pieces, piece;  // of a row; the columns of one
  int lanes;              // a power of two up to 32, or kBlockLanes

  // Of lines that are whole rows unless they are wide.
  template <bool wide>
  __device__ int64_t row(int64_t line) const {
    return wide && pieces > 1 ? line / pieces : line;
  }
  template <bool wide>
  __device__ int64_t begin(int64_t line) const {
    return wide && pieces > 1 ? line % pieces * piece : 0;
  }
  template <bool wide>
  __device__ int64_t end(int64_t line) const {
    const int64_t last = begin<wide>(line) + piece;
    return wide && last < cols ? last : cols;
  }
};
constexpr int kBlockLanes = 256;  // as many as a block has threads
// Blocks that a multiprocessor is to hold, for kernels where the compiler would spill to make room for
// one more.
constexpr int kBlocksHeld = 3;

// body(row, begin, end, lane) for each line of this thread.
template <bool wide, class Body>
__device__ __forceinline__ void for_lines(const Lines& lines, const Body& body) {
  const int lanes = wide ? kBlockLanes : lines.lanes;
  const int64_t per_block = blockDim.x / lanes, step = gridDim.x * per_block;
  for (int64_t line = blockIdx.x * per_block + threadIdx.x / lanes; line < lines.count;
       line += step) {
    body(line, threadIdx.x & (lanes - 1));
  }
}

// The sum over the lanes of a line, given to all of them. Always in one order.
template <class Real>
__device__ __forceinline__ Real sum_of_lanes(Real sum, int lanes) {
  const unsigned first = threadIdx.x & 31 & ~(lanes - 1);
  const unsigned mask = (lanes == 32 ? ~0u : (1u << lanes) - 1) << first;
  for (int other = lanes / 2; other > 0; other /= 2) sum += __shfl_xor_sync(mask, sum, other);
  return sum;
}

// The sum over a block of kBlockLanes threads, given to its first warp.
__device__ __forceinline__ double sum_of_block(double sum) {
  __shared__ double of_warp[kBlockLanes / 32];
  sum = sum_of_lanes(sum, 32);
  __syncthreads();  // whoever reads the sums of the line before is done
  if ((threadIdx.x & 31) == 0) of_warp[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x >= 32) return 0;
  return sum_of_lanes(threadIdx.x < kBlockLanes / 32 ? of_warp[threadIdx.x] : 0.0, 32);
}

// Where the sums of rows go, times a scale: those of lines into `of_pieces` if they are pieces.
template <class K>
struct RowSums {
  K* of_rows;
  double* of_pieces;
  double scale;
};

// The sums over each line's packs of term(row, index), index that of the pack's first element.
template <bool wide, int n, class K, class Term>
__device__ __forceinline__ void sum_lines(const Lines& lines, const RowSums<K>& sums,
                                          const Term& term) {
  for_lines<wide>(lines, [&](int64_t line, int lane) {
    const int64_t row = lines.row<wide>(line), last = lines.end<wide>(line);
    const int step = n * (wide ? kBlockLanes : lines.lanes);
    if constexpr (wide) {
      double sum = 0;
      for (int64_t i = lines.begin<wide>(line) + n * lane; i < last; i += step) {
        sum += term(row, row * lines.cols + i);
      }
      sum = sum_of_block(sum);
      if (lane == 0 && lines.pieces > 1) sums.of_pieces[line] = sum;
      if (lane == 0 && lines.pieces == 1) sums.of_rows[line] = (K)(sum * sums.scale);
    } else {
      K sum = 0;
      for (int64_t i = lines.begin<wide>(line) + n * lane; i < last; i += step) {
        sum += term(row, row * lines.cols + i);
      }
      sum = sum_of_lanes(sum, lines.lanes);
      if (lane == 0) sums.of_rows[line] = sum * (K)sums.scale;
    }
  });
}

// Of the sums of pieces those of rows, always in one order.
template <class K>
__global__ void __launch_bounds__(kBlockLanes)
    sum_pieces(int64_t rows, int64_t pieces, RowSums<K> sums) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    double sum = 0;
    for (int64_t i = threadIdx.x; i < pieces; i += kBlockLanes) {
      sum += sums.of_pieces[row * pieces + i];
    }
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) sums.of_rows[row] = (K)(sum * sums.scale);
  }
}

// body(row, index) for every pack of a matrix.
template <bool wide, int n, class Body>
__device__ __forceinline__ void for_packs_of_rows(const Lines& lines, const Body& body) {
  for_lines<wide>(lines, [&](int64_t line, int lane) {
    const int64_t row = lines.row<wide>(line), last = lines.end<wide>(line);
    const int step = n * (wide ? kBlockLanes : lines.lanes);
    for (int64_t i = lines.begin<wide>(line) + n * lane; i < last; i += step) {
      body(row, row * lines.cols + i);
    }
  });
}

}  // namespace cuda
}  // namespace fastgen
