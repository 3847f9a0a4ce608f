// A square tile of a matrix product by a block of threads: rows and columns of its factors lie in
// shared memory, depth by depth; groups of threads take depths in turns, 4 x 4 elements a thread, and
// their sums are added in the groups' order. So the bits depend on the tile's size and on the depth
// alone. One code serves every size and job: a kernel that holds all phases stays small.
#pragma once
#include "cuda/intrinsics.cuh"
#include "cuda/mma.cuh"
#include "mlp/operand.cuh"

namespace fastgen {
namespace mlp {

// Two blocks of it fit on every multiprocessor from sm_80 on but those of sm_86 and sm_89; the registers
// of program_kernel leave room for one.
constexpr int kEngineShared = 78 << 10;
constexpr int kSide = 4;  // of a thread's elements

constexpr int kLargest = 6;  // logarithm of the largest tile's side

// 8: few rows, so that there are blocks enough; 32; 64. The padding keeps depths that a warp reads or
// writes together in different banks.
struct TileSize {
  int log_side;
  __device__ __forceinline__ int side() const { return 1 << log_side; }
  __device__ __forceinline__ int rows() const { return side(); }
  __device__ __forceinline__ int cols() const { return side(); }
  __device__ __forceinline__ int lead() const { return side() + (log_side < 6 ? 4 : 8); }
  __device__ __forceinline__ int lanes_across() const { return side() / kSide; }
  __device__ __forceinline__ int lanes() const { return lanes_across() * lanes_across(); }
  __device__ __forceinline__ int groups() const { return kEngineLanes / lanes(); }
  // Depths that shared memory holds at once.
  template <class T>
  __device__ __forceinline__ int chunk() const {
    return kEngineShared / (int)sizeof(T) / (2 * lead()) / 32 * 32;
  }
};

__device__ __forceinline__ float fused(float a, float b, float c) { return fmaf(a, b, c); }
__device__ __forceinline__ double fused(double a, double b, double c) { return fma(a, b, c); }

// Numbers side by side, read from shared memory at once.
template <class T>
struct alignas(16) Together {
  T of[kSide];
};

// A factor of a product: element (i, k) is data[k * line + i] or, if along, data[i * line + k]; or,
// without data, the operand's in row k (i) and column i (k).
template <class T>
struct Factor {
  const T* data;
  int line;
  int first, last;  // i of the tile, and where they end
  int first_k;      // what k starts from
  bool along, packs;
};

// to[k * lead + i] = element (first + i, first_k + k), 0 where there is none, for k < depth. get(i, k,
// x) gives n of them, side by side in i or, if along, in k.
template <int n, bool along, int unrolled, class T, class Get>
__device__ __forceinline__ void stage(const TileSize& size, T* to, const Factor<T>& factor,
                                      int first_k, int depth, const Get& get) {
  constexpr int log_n = n == 4 ? 2 : n == 2 ? 1 : 0;
  const int log_across = along ? size.log_side : size.log_side - log_n;
  const int steps = (along ? (depth + n - 1) >> log_n : depth) << log_across;
#pragma unroll unrolled
  for (int step = threadIdx.x; step < steps; step += kEngineLanes) {
    const int across = step & ((1 << log_across) - 1), down = step >> log_across;
    const int i = along ? across : across << log_n, k = along ? down << log_n : down;
    T x[n];
    if (factor.first + i < factor.last) {
      get(factor.first + i, first_k + k, x);
    } else {
#pragma unroll
      for (int j = 0; j < n; ++j) x[j] = 0;
    }
#pragma unroll
    for (int j = 0; j < n; ++j) {
      if constexpr (along) {
        if (k + j < depth) to[(k + j) * size.lead() + i] = x[j];
      } else {
        to[k * size.lead() + i + j] = factor.first + i + j < factor.last ? x[j] : T{0};
      }
    }
  }
}

template <int n, bool along, class T>
__device__ __forceinline__ void stage_factor(const TileSize& size, const Operand<T>& x, T* to,
                                             const Factor<T>& factor, int first_k, int depth) {
  if (factor.data) {
    stage<n, along, 8>(size, to, factor, first_k, depth, [&](int i, int k, T(&out)[n]) {
      load(factor.data + (int64_t)(along ? i : k) * factor.line + (along ? k : i), out);
    });
  } else {
    stage<n, along, 4>(size, to, factor, first_k, depth, [&](int i, int k, T(&out)[n]) {
      x.get_of_rows(along ? i : k, along ? k : i, out);
    });
  }
}

// Depths first_k to first_k + depth, of those from the factor's first_k on.
template <class T>
__device__ __forceinline__ void stage(const TileSize& size, const Operand<T>& x, T* to,
                                      const Factor<T>& factor, int first_k, int depth) {
  first_k += factor.first_k;
  if (!factor.data && x.is_drawn()) {
    const bool along = factor.along;
    stage<1, false, 1>(size, to, factor, first_k, depth, [&](int i, int k, T(&out)[1]) {
      out[0] = x.at_place(along ? i : k, along ? k : i);
    });
  } else if (factor.along) {
    if (factor.packs) {
      stage_factor<kPack<T>, true>(size, x, to, factor, first_k, depth);
    } else {
      stage_factor<1, true>(size, x, to, factor, first_k, depth);
    }
  } else if (factor.packs) {
    stage_factor<kPack<T>, false>(size, x, to, factor, first_k, depth);
  } else {
    stage_factor<1, false>(size, x, to, factor, first_k, depth);
  }
}

// A thread's sums of a tile.
template <class T>
struct TileSums {
  T of[kSide][kSide];
  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < kSide * kSide; ++i) of[i / kSide][i % kSide] = 0;
  }
};

template <class T>
__device__ __forceinline__ void multiply(const TileSize& size, const T* rows, const T* cols,
                                         int depth, TileSums<T>* sums) {
  const int lane = threadIdx.x & (size.lanes() - 1), across = size.lanes_across();
  const int first = threadIdx.x / size.lanes(), step = size.groups() * size.lead();
  rows += lane / across * kSide + first * size.lead();
  cols += lane % across * kSide + first * size.lead();
#pragma unroll 4
  for (int k = first; k < depth; k += size.groups(), rows += step, cols += step) {
    const auto x = *reinterpret_cast<const Together<T>*>(rows);
    const auto y = *reinterpret_cast<const Together<T>*>(cols);
#pragma unroll
    for (int i = 0; i < kSide; ++i) {
#pragma unroll
      for (int j = 0; j < kSide; ++j) sums->of[i][j] = fused(x.of[i], y.of[j], sums->of[i][j]);
    }
  }
}

// Of the largest tiles, by tensor cores: a warp's 16 x 32 elements, of[j] those of columns 8 j on, in
// mma()'s places; factors are rounded to 11 bits.
__device__ __forceinline__ bool takes_tensor_cores(const Plan<float>& plan, const TileSize& size) {
  return plan.precision == FG_CUDA_TF32 && size.log_side == kLargest;
}
__device__ __forceinline__ bool takes_tensor_cores(const Plan<double>&, const TileSize&) {
  return false;
}
__device__ __forceinline__ int first_row_of_warp() { return (int)threadIdx.x / 64 * 16; }
__device__ __forceinline__ int first_col_of_warp() { return (int)threadIdx.x / 32 % 2 * 32; }

__device__ __forceinline__ void multiply_on_tensor_cores(const TileSize& size, const float* rows,
                                                         const float* cols, int depth,
                                                         TileSums<float>* sums) {
  const int lane = threadIdx.x % 32, g = lane / 4, lead = size.lead();
  rows += first_row_of_warp() + g, cols += first_col_of_warp() + g;
  for (int k = lane % 4; k - lane % 4 < depth; k += 8) {
    const auto word = [&](const float* from, int at, int i) {
      return at < depth ? tf32(__float_as_uint(from[at * lead + i])) : 0u;
    };
    const uint32_t a[4] = {word(rows, k, 0), word(rows, k, 8), word(rows, k + 4, 0),
                           word(rows, k + 4, 8)};
#pragma unroll
    for (int j = 0; j < kSide; ++j) {
      const uint32_t b[2] = {word(cols, k, 8 * j), word(cols, k + 4, 8 * j)};
      mma(float{}, sums->of[j], a, b);
    }
  }
}
__device__ __forceinline__ void multiply_on_tensor_cores(const TileSize&, const double*,
                                                         const double*, int, TileSums<double>*) {}

// Adds the product of two factors over `depth` to a tile; seen(rows, cols, depth) may read what of
// them is in shared memory.
template <class T, class Seen>
__device__ __forceinline__ void add_product(const TileSize& size, const Operand<T>& x,
                                            const Factor<T>& of_rows, const Factor<T>& of_cols,
                                            int depth, TileSums<T>* sums, const Seen& seen) {
  T* const memory = reinterpret_cast<T*>(dynamic_shared());
  const int chunk = size.chunk<T>();
  for (int first = 0; first < depth; first += chunk) {
    const int count = depth - first < chunk ? depth - first : chunk;
    __syncthreads();  // whoever reads what was there is done
#pragma unroll 1
    for (int side = 0; side < 2; ++side) {
      const Factor<T> factor = {
          side ? of_cols.data : of_rows.data,       side ? of_cols.line : of_rows.line,
          side ? of_cols.first : of_rows.first,     side ? of_cols.last : of_rows.last,
          side ? of_cols.first_k : of_rows.first_k, side ? of_cols.along : of_rows.along,
          side ? of_cols.packs : of_rows.packs};
      stage(size, x, memory + side * chunk * size.lead(), factor, first, count);
    }
    __syncthreads();
    const T* const of_second = memory + chunk * size.lead();
    if (takes_tensor_cores(x.plan, size)) {
      multiply_on_tensor_cores(size, memory, of_second, count, sums);
    } else {
      multiply(size, memory, of_second, count, sums);
    }
    seen(memory, of_second, count);
  }
}

// give(row, col, sum) for every element of the tile, columns side by side.
template <class T, class Give>
__device__ __forceinline__ void finish_tile(const Plan<T>& plan, const TileSize& size,
                                            const TileSums<T>& sums, const Give& give) {
  T* const memory = reinterpret_cast<T*>(dynamic_shared());
  const int lane = threadIdx.x & (size.lanes() - 1), group = threadIdx.x / size.lanes();
  const int row = lane / size.lanes_across() * kSide, col = lane % size.lanes_across() * kSide;
  const int elements = 1 << (2 * size.log_side);
  __syncthreads();
  if (takes_tensor_cores(plan, size)) {
    const int in_warp = threadIdx.x % 32;
    T* const to = memory + (first_row_of_warp() + in_warp / 4) * size.side() + first_col_of_warp() +
                  in_warp % 4 * 2;
#pragma unroll
    for (int i = 0; i < kSide * kSide; ++i) {
      to[i % 4 / 2 * 8 * size.side() + i / 4 * 8 + i % 2] = sums.of[i / 4][i % 4];
    }
  } else {
#pragma unroll
    for (int i = 0; i < kSide; ++i) {
      Together<T> four;
#pragma unroll
      for (int j = 0; j < kSide; ++j) four.of[j] = sums.of[i][j];
      *reinterpret_cast<Together<T>*>(memory + group * elements + (row + i) * size.side() + col) =
          four;
    }
  }
  __syncthreads();
  int groups = size.groups();
  if (elements < kEngineLanes) {  // all threads add first
    const int together = kEngineLanes / elements, each = groups / together;
    T* const part = memory + threadIdx.x / elements * each * elements + threadIdx.x % elements;
    T sum = part[0];
#pragma unroll 4
    for (int g = 1; g < each; ++g) sum += part[g * elements];
    __syncthreads();
    memory[threadIdx.x] = sum;
    __syncthreads();
    groups = together;
  }
#pragma unroll 1
  for (int i = threadIdx.x; i < elements; i += kEngineLanes) {
    T sum = memory[i];
    for (int g = 1; g < groups; ++g) sum += memory[g * elements + i];
    give(i >> size.log_side, i & (size.side() - 1), sum);
  }
  __syncthreads();
}

}  // namespace mlp
}  // namespace fastgen
