// Products by fused multiply-adds, with the epilogue of cuda/tensor_product.cuh's.
//
// 16 x 16 threads make a tile of the result from two buffers of steps of depth; the next step waits
// in registers meanwhile. A running sum is cut at each kCut of depth. A thread has `fours` fours of rows
// and as many of columns.
#pragma once
#include "cuda/operand.cuh"
#include "cuda/tiling.cuh"

namespace fastgen {
namespace cuda {

constexpr int kFmaThreads = 256;
constexpr int kFmaDepth = 16;  // of a step
template <class Real>
constexpr int kMostFours = sizeof(Real) == 4 ? 2 : 1;
template <int fours>
constexpr int kFmaTile = 64 * fours;
template <class Real>
constexpr int kCut = sizeof(Real) == 4 ? 256 : 128;

// A step of depth: of each depth, the tile's lines side by side.
template <class Real, int fours>
struct alignas(16) FmaStep {
  Real at[kFmaDepth][kFmaTile<fours> + 4];
};

// Four numbers into shared memory, which store() of cuda/storage.cuh does not reach.
template <class Real>
__device__ __forceinline__ void store_shared(const Real (&four)[4], Real* shared) {
  uint4 words[sizeof(Real) / 4];
  memcpy(words, four, sizeof words);
#pragma unroll
  for (int i = 0; i < (int)sizeof(Real) / 4; ++i) reinterpret_cast<uint4*>(shared)[i] = words[i];
}

// What a thread brings of a step: `fours` fours, each of one line where lines are whole in memory, of
// four lines at one depth where they are not.
template <class Real, int fours>
struct FmaReader {
  const Operand<Real>& x;
  int64_t first;  // of the lines
  Real four[fours][4];

  __device__ __forceinline__ bool by_line() const { return x.step == 1; }
  __device__ __forceinline__ int line_of(int i) const {
    const int at = i * kFmaThreads + (int)threadIdx.x;
    return by_line() ? at / (kFmaDepth / 4) : at % (kFmaTile<fours> / 4) * 4;
  }
  __device__ __forceinline__ int depth_of(int i) const {
    const int at = i * kFmaThreads + (int)threadIdx.x;
    return by_line() ? at % (kFmaDepth / 4) * 4 : at / (kFmaTile<fours> / 4);
  }

  __device__ __forceinline__ void read(int64_t k0, int64_t end) {
#pragma unroll
    for (int i = 0; i < fours; ++i) {
      const int64_t line = first + line_of(i), k = k0 + depth_of(i);
      const bool any = line < x.lines && k < end;
      const Real* const from = any ? x.data + line * x.line_step + k * x.step : x.data;
      const int64_t left = !any ? 0 : by_line() ? end - k : x.lines - line;
      if (x.reading != Reading::singly) {
        load_some(from, left, true, four[i]);
      } else {
        const int64_t step = by_line() ? x.step : x.line_step;
#pragma unroll
        for (int j = 0; j < 4; ++j) four[i][j] = j < left ? from[j * step] : Real(0);
      }
    }
  }
  __device__ __forceinline__ void write(FmaStep<Real, fours>* step) const {
#pragma unroll
    for (int i = 0; i < fours; ++i) {
      const int line = line_of(i), k = depth_of(i);
      if (by_line()) {
#pragma unroll
        for (int j = 0; j < 4; ++j) step->at[k + j][line] = four[i][j];
      } else {
        store_shared(four[i], &step->at[k][line]);
      }
    }
  }
};

// A thread's sums: rows and columns by fours, the second 64 after the first.
template <class Real, int fours>
struct ThreadSums {
  static constexpr int n = 4 * fours;
  Real of[n][n];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < n; ++i) {
#pragma unroll
      for (int j = 0; j < n; ++j) of[i][j] = 0;
    }
  }
  __device__ __forceinline__ void add(const ThreadSums& more) {
#pragma unroll
    for (int i = 0; i < n; ++i) {
#pragma unroll
      for (int j = 0; j < n; ++j) of[i][j] += more.of[i][j];
    }
  }
  __device__ __forceinline__ void add(const FmaStep<Real, fours>& a, const FmaStep<Real, fours>& b,
                                      int row, int col) {
#pragma unroll
    for (int k = 0; k < kFmaDepth; ++k) {
      Real x[n], y[n];
#pragma unroll
      for (int half = 0; half < fours; ++half) {
        Real four[4];
        load_some(&a.at[k][64 * half + row], 4, true, four);
#pragma unroll
        for (int i = 0; i < 4; ++i) x[4 * half + i] = four[i];
        load_some(&b.at[k][64 * half + col], 4, true, four);
#pragma unroll
        for (int i = 0; i < 4; ++i) y[4 * half + i] = four[i];
      }
#pragma unroll
      for (int i = 0; i < n; ++i) {
#pragma unroll
        for (int j = 0; j < n; ++j) of[i][j] = fma(x[i], y[j], of[i][j]);
      }
    }
  }
  template <class Epilogue>
  __device__ __forceinline__ void finish(const Tiling& tiling, int64_t row, int64_t slice,
                                         int64_t part, int64_t col,
                                         const Epilogue& epilogue) const {
    Real of_row[n] = {};
#pragma unroll
    for (int half = 0; half < fours; ++half) {
      if (col + 64 * half >= tiling.cols) continue;
      const auto columns = epilogue.template columns<4>(col + 64 * half);
#pragma unroll
      for (int i = 0; i < n; i += 4) {
#pragma unroll 1
        for (int r = 0; r < 4; ++r) {
          const int64_t at = row + i * 16 + r;
          Real values[4], sum = 0;
#pragma unroll
          for (int j = 0; j < 4; ++j) {
            const int k = 4 * half + j;
            values[j] = pick(r, of[i][k], of[i + 1][k], of[i + 2][k], of[i + 3][k]);
          }
          if (at < tiling.rows) {
            sum = epilogue.finish(columns, part, at, col + 64 * half, values);
          }
#pragma unroll
          for (int j = 0; j < 4; ++j) of_row[i + j] += r == j ? sum : 0;
        }
      }
    }
#pragma unroll
    for (int i = 0; i < n; ++i) {
      epilogue.template finish_row<16>(slice, row + i / 4 * 64 + i % 4, of_row[i]);
    }
  }
};

template <int fours, class Real, class Epilogue>
__global__ void __launch_bounds__(kFmaThreads, 1)
    fma_product_kernel(Operand<Real> a, Operand<Real> b, Tiling tiling, Epilogue epilogue) {
  FmaStep<Real, fours>* const steps_a = reinterpret_cast<FmaStep<Real, fours>*>(dynamic_shared());
  FmaStep<Real, fours>* const steps_b = steps_a + 2;
  const int row = threadIdx.x / 16 * 4, col = threadIdx.x % 16 * 4;
  const int64_t tiles = tiling.slices * tiling.row_tiles * tiling.parts;
  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const int64_t slice = tile % tiling.slices, rest = tile / tiling.slices;
    const int64_t part = rest % tiling.parts, begin = part * tiling.part_depth;
    const int64_t most = begin + tiling.part_depth, end = most < a.depth ? most : a.depth;
    FmaReader<Real, fours> reader_a = {a, rest / tiling.parts * kFmaTile<fours>, {}};
    FmaReader<Real, fours> reader_b = {b, slice * kFmaTile<fours>, {}};
    ThreadSums<Real, fours> sums, totals;
    sums.clear(), totals.clear();
    const auto read = [&](int64_t k) { reader_a.read(k, end), reader_b.read(k, end); };
    const auto write = [&](int buffer) {
      reader_a.write(steps_a + buffer), reader_b.write(steps_b + buffer);
    };
    read(begin);
    __syncthreads();  // whoever read the tile before is done
    write(0);
    __syncthreads();
    int buffer = 0;
    for (int64_t k = begin; k < end; k += kFmaDepth) {
      if (k + kFmaDepth < end) read(k + kFmaDepth);
      sums.add(steps_a[buffer], steps_b[buffer], row, col);
      if ((k - begin) % kCut<Real> == kCut<Real> - kFmaDepth) totals.add(sums), sums.clear();
      buffer ^= 1;
      if (k + kFmaDepth < end) write(buffer);
      __syncthreads();
    }
    totals.add(sums);
    totals.finish(tiling, reader_a.first + row, slice, part, reader_b.first + col, epilogue);
  }
}

}  // namespace cuda
}  // namespace fastgen
