// Products on tensor cores, with an epilogue in registers.
//
// A warp has kWarpRows rows and up to kMostCols columns of the result in registers. A block has as
// many rows as threads, and keeps its columns: it steps through rows and, within them, through depth,
// panel by panel of a ring whose copies run ahead, also over the end of its rows. Where they fit, the
// panels of b are read once and stay.
#pragma once
#include "cuda/operand.cuh"
#include "cuda/tiling.cuh"

namespace fastgen {
namespace cuda {

constexpr int kWarpRows = 32;
constexpr int kMostCols = 128;
constexpr int kStages = 4;

// Fragments, of 8 columns each, whose columns are dealt so that a lane has 16 bytes of a row of T: of
// fragment f columns c + 2 f and c + 2 f + 1, where c = lane % 4 * kDealt.
template <class T>
constexpr int kDealt = kPack<T> < 4 ? 4 : kPack<T>;
template <class T>
constexpr int kGroupCols = 4 * kDealt<T>;
template <class T>
constexpr int kGroupFragments = kDealt<T> / 2;
template <class T>
constexpr int kGroups = kMostCols / kGroupCols<T>;

// The sums of a warp.
template <class T>
struct WarpSums {
  float of[kWarpRows / 16][kMostCols / 8][4];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int m = 0; m < kWarpRows / 16; ++m) {
#pragma unroll
      for (int n = 0; n < kMostCols / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) of[m][n][i] = 0;
      }
    }
  }

  // Adds the product of a panel's lines from `row` on and `groups` of columns of another.
  __device__ __forceinline__ void add(char* a, char* b, int row, int groups) {
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    uint4 of_a[kWarpRows / 16][2];
#pragma unroll
    for (int m = 0; m < kWarpRows / 16; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        of_a[m][half] = *slot_of(a, row + 16 * m + 8 * half + g, t);
        round_words(T{}, &of_a[m][half]);
      }
    }
#pragma unroll
    for (int group = 0; group < kGroups<T>; ++group) {
      if (group < groups) {
#pragma unroll
        for (int f = 0; f < kGroupFragments<T>; ++f) {
          const int col = group * kGroupCols<T> + g / 2 * kDealt<T> + 2 * f + g % 2;
          const uint4 of_b = *slot_of(b, col, t);
          const uint32_t first[2] = {of_b.x, of_b.y}, second[2] = {of_b.z, of_b.w};
          const int n = group * kGroupFragments<T> + f;
#pragma unroll
          for (int m = 0; m < kWarpRows / 16; ++m) {
            const uint4 &upper = of_a[m][0], &lower = of_a[m][1];
            const uint32_t one[4] = {upper.x, lower.x, upper.y, lower.y};
            const uint32_t two[4] = {upper.z, lower.z, upper.w, lower.w};
            mma(T{}, of[m][n], one, first);
            mma(T{}, of[m][n], two, second);
          }
        }
      }
    }
  }

  // Hands the sums, 16 bytes of T at a time, to the epilogue; row by row of four in one loop, for its
  // code for all activations, once for each, would take minutes to compile.
  template <class Epilogue>
  __device__ __forceinline__ void finish(const Tiling& tiling, int64_t row, int64_t slice,
                                         int64_t part, int groups, const Epilogue& epilogue) const {
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    float of_row[4] = {};
#pragma unroll
    for (int group = 0; group < kGroups<T>; ++group) {
      if (group < groups) {
        const int64_t col = slice * tiling.slice_cols + group * kGroupCols<T> + t * kDealt<T>;
        const auto columns = epilogue.template columns<kDealt<T>>(col);
#pragma unroll 1
        for (int r = 0; r < 4; ++r) {
          float values[kDealt<T>], sum = 0;
#pragma unroll
          for (int i = 0; i < kDealt<T>; ++i) {
            const int n = group * kGroupFragments<T> + i / 2, j = i % 2;
            values[i] = pick(r, of[0][n][j], of[0][n][2 + j], of[1][n][j], of[1][n][2 + j]);
          }
          if (row + 8 * r + g < tiling.rows) {
            sum = epilogue.finish(columns, part, row + 8 * r + g, col, values);
          }
#pragma unroll
          for (int j = 0; j < 4; ++j) of_row[j] += r == j ? sum : 0;
        }
      }
    }
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      epilogue.template finish_row<4>(slice, row + 8 * r + g, of_row[r]);
    }
  }
};

// Where a block is on its way through its rows and, within them, through depth.
struct Cursor {
  int64_t row;
  int panel, stage;

  __device__ __forceinline__ void advance(int panels, int64_t rows) {
    stage = (stage + 1) % kStages;
    if (++panel == panels) panel = 0, row += rows;
  }
};

// Blocks: slices by parts by those that share the rows, slices fastest, for they read the same rows.
template <class T, class Epilogue>
__global__ void __launch_bounds__(256, 1)
    tensor_product_kernel(Operand<T> a, Operand<T> b, Tiling tiling, Epilogue epilogue) {
  const int64_t slice = blockIdx.x % tiling.slices, rest = blockIdx.x / tiling.slices;
  const int64_t part = rest % tiling.parts, sharing = gridDim.x / (tiling.slices * tiling.parts);
  const int64_t first_col = slice * tiling.slice_cols;
  const int slice_groups = tiling.slice_cols / kGroupCols<T>;
  const int64_t left_groups = (tiling.cols - first_col - 1) / kGroupCols<T> + 1;
  const int groups = left_groups < slice_groups ? (int)left_groups : slice_groups;
  const int64_t begin = part * tiling.part_depth, most = begin + tiling.part_depth;
  const int64_t end = most < a.depth ? most : a.depth;
  const int panels = end > begin ? (int)((end - begin - 1) / kPanelDepth<T>)+1 : 1;

  const int rows = blockDim.x, in_block = threadIdx.x / 32 * kWarpRows;
  const int a_bytes = rows * kPanelLineBytes, b_bytes = tiling.slice_cols * kPanelLineBytes;
  char* const of_a = dynamic_shared();
  char* const of_b = of_a + kStages * a_bytes;
  PanelReader<T, false> reader_a = {a, 0, end, rows, {}};
  PanelReader<T, true> reader_b = {b, first_col, end, groups * kGroupCols<T>, {}};
  const int64_t first_row = rest / tiling.parts * rows;
  Cursor here = {first_row, 0, 0}, ahead = here;

  const auto panel_b = [&](const Cursor& at) {
    return of_b + (tiling.resident ? at.panel : at.stage) * b_bytes;
  };
  const auto reads_b = [&](const Cursor& at) { return !tiling.resident || at.row == first_row; };
  const auto start_read = [&] {
    if (ahead.row < tiling.rows) {
      const int64_t k = begin + (int64_t)ahead.panel * kPanelDepth<T>;
      reader_a.first = ahead.row;
      reader_a.start_read(of_a + ahead.stage * a_bytes, k);
      if (reads_b(ahead)) reader_b.start_read(panel_b(ahead), k);
    }
    commit_copies();
  };
  const auto finish_read = [&] {
    if (ahead.row < tiling.rows) {
      reader_a.finish_read(of_a + ahead.stage * a_bytes);
      if (reads_b(ahead)) reader_b.finish_read(panel_b(ahead));
    }
    ahead.advance(panels, sharing * rows);
  };
  for (int i = 0; i < kStages - 1; ++i) {
    start_read();
    finish_read();
  }
  WarpSums<T> sums;
  sums.clear();
  for (; here.row < tiling.rows; here.advance(panels, sharing * rows)) {
    wait_for_copies<kStages - 2>();
    if (reads_b(here)) reader_b.round_copied(panel_b(here));
    __syncthreads();
    start_read();
    const int64_t row = here.row + in_block;
    if (row < tiling.rows) sums.add(of_a + here.stage * a_bytes, panel_b(here), in_block, groups);
    finish_read();
    if (here.panel == panels - 1) {
      sums.finish(tiling, row, slice, part, groups, epilogue);
      sums.clear();
    }
  }
}

}  // namespace cuda
}  // namespace fastgen
