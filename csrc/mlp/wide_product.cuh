// Products of many rows on tensor cores: a tile of 128 rows and up to 112 columns by a block. Panels of
// 16 depths of both factors go round in a ring of shared memory, whose copies run ahead of the products.
#pragma once
#include "mlp/product.cuh"

namespace fastgen {
namespace mlp {

constexpr int kPanel = 16, kRing = 4;
constexpr int kWarpRows = 32, kFragmentCols = 8;  // two warps side by side
constexpr int kMostFragments = kMostWideCols / 2 / kFragmentCols;

// Shared memory has a factor's panel as it comes: line by line, or else depth by depth. The padding
// keeps the words that a warp reads together in different banks.
constexpr int kAlongLead = kPanel + 4;
__device__ __forceinline__ int lead_of(bool along, int lines) {
  return along ? kAlongLead : lines + 8;
}
__device__ __forceinline__ int place_in(bool along, int lead, int line, int k) {
  return along ? line * lead + k : k * lead + line;
}

constexpr int kRowPanel = kWideRows * kAlongLead, kColPanel = kMostWideCols * kAlongLead;
static_assert(kRowPanel >= kPanel * (kWideRows + 8) && kColPanel >= kPanel * (kMostWideCols + 8) &&
                  kRing * (kRowPanel + kColPanel) * sizeof(float) <= kEngineShared &&
                  kWideRows * kMostWideCols * sizeof(float) <= kEngineShared,
              "both ways fit, and the sums");

struct WideTile {
  int width;
  __device__ __forceinline__ int rows() const { return kWideRows; }
  __device__ __forceinline__ int cols() const { return width; }
};

// A warp's 32 rows and half of the columns, in mma()'s places.
struct WideSums {
  float of[kWarpRows / 16][kMostFragments][4];
  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int m = 0; m < kWarpRows / 16; ++m) {
#pragma unroll
      for (int n = 0; n < kMostFragments; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) of[m][n][i] = 0;
      }
    }
  }
};
__device__ __forceinline__ int first_row_of_wide() { return (int)threadIdx.x / 64 * kWarpRows; }
__device__ __forceinline__ int first_col_of_wide(const WideTile& tile) {
  return (int)threadIdx.x / 32 % 2 * (tile.width / 2);
}

// A thread's share of a factor's panels: two copies of 16 bytes where lines lie so, else words.
class PanelCopies {
 public:
  __device__ __forceinline__ PanelCopies(const Operand<float>& x, const Factor<float>& factor,
                                         int lines, int depth)
      : x_(x), factor_(factor), lines_(lines), depth_(depth) {
    look_up(0);
  }

  // The panel from depth k on, which comes after the one before; it is there when copies are waited for.
  __device__ __forceinline__ void start(float* panel, int k) {
    const int lead = lead_of(factor_.along, lines_);
    if (!factor_.packs) return start_words(panel, lead, k);
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      if (line(j) >= lines_) continue;
      const int depth_left = depth_ - k - depth(j);
      const int lines_left = factor_.last - factor_.first - line(j);
      const bool is_there = depth_left > 0 && lines_left > 0;
      const int left = factor_.along ? depth_left : lines_left;
      float* const to = panel + place_in(factor_.along, lead, line(j), depth(j));
      const int64_t across =
          factor_.along ? factor_.first_k + k + depth(j) : factor_.first + line(j);
      if (!is_there) {
        fill(to, 0);
      } else if (!from_[j]) {
        fill(to, NAN);
      } else {
        copy_async(to, from_[j] + across, left < 4 ? left * 4 : 16);
      }
    }
    if (!factor_.along) look_up(k + kPanel);
  }

 private:
  // Of copy j: its first line and depth in a panel.
  __device__ __forceinline__ int line(int j) const {
    return factor_.along ? (int)threadIdx.x / 4 + 64 * j : (int)threadIdx.x % 32 * 4;
  }
  __device__ __forceinline__ int depth(int j) const {
    return factor_.along ? (int)threadIdx.x % 4 * 4 : (int)threadIdx.x / 32 + 8 * j;
  }

  // Rows that an index names are looked up a panel before they are read.
  __device__ __forceinline__ void look_up(int k) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int first = factor_.along ? factor_.first + line(j) : factor_.first_k + k + depth(j);
      const bool is_there = factor_.along ? first < factor_.last : k + depth(j) < depth_;
      from_[j] = !is_there      ? nullptr
                 : factor_.data ? factor_.data + (int64_t)first * factor_.line
                                : static_cast<const float*>(x_.line_of(first).data);
    }
  }

  __device__ __forceinline__ static void fill(float* to, float value) {
    *reinterpret_cast<Together<float>*>(to) = {value, value, value, value};
  }

  // Of a factor in memory: a warp takes neighbours.
  __device__ __forceinline__ void start_words(float* panel, int lead, int k) const {
    const int thread = threadIdx.x, steps = factor_.along ? 1 : 2;
    for (int j = 0; j < steps; ++j) {
      const int at = factor_.along ? thread % kPanel : thread / 32 + 8 * j;
      const int first = factor_.along ? thread / kPanel : thread % 32;
      for (int i = first; i < lines_; i += factor_.along ? kEngineLanes / kPanel : 32) {
        const int64_t from_line = factor_.first + i, from_k = factor_.first_k + k + at;
        const bool is_there = from_line < factor_.last && k + at < depth_;
        const int64_t from =
            factor_.along ? from_line * factor_.line + from_k : from_k * factor_.line + from_line;
        copy_word_async(panel + place_in(factor_.along, lead, i, at),
                        factor_.data + (is_there ? from : 0), is_there ? 4 : 0);
      }
    }
  }

  const Operand<float>& x_;
  const Factor<float>& factor_;
  const int lines_, depth_;
  const float* from_[2];
};

template <bool rows_along, bool cols_along>
__device__ __forceinline__ void multiply_panel(const WideTile& tile, const float* rows,
                                               const float* cols, WideSums* sums) {
  const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  const int rows_lead = rows_along ? kAlongLead : kWideRows + 8;
  const int cols_lead = cols_along ? kAlongLead : tile.width + 8;
  rows += place_in(rows_along, rows_lead, first_row_of_wide() + g, t);
  cols += place_in(cols_along, cols_lead, first_col_of_wide(tile) + g, t);
#pragma unroll
  for (int k = 0; k < kPanel; k += 8) {
    uint32_t a[kWarpRows / 16][4];
#pragma unroll
    for (int i = 0; i < kWarpRows / 16 * 4; ++i) {
      const int at = place_in(rows_along, rows_lead, i / 4 * 16 + i % 2 * 8, k + i % 4 / 2 * 4);
      a[i / 4][i % 4] = tf32(__float_as_uint(rows[at]));
    }
#pragma unroll
    for (int n = 0; n < kMostFragments; ++n) {
      if (n * 2 * kFragmentCols < tile.width) {
        const int line = n * kFragmentCols;
        const uint32_t b[2] = {
            tf32(__float_as_uint(cols[place_in(cols_along, cols_lead, line, k)])),
            tf32(__float_as_uint(cols[place_in(cols_along, cols_lead, line, k + 4)]))};
#pragma unroll
        for (int m = 0; m < kWarpRows / 16; ++m) mma(float{}, sums->of[m][n], a[m], b);
      }
    }
  }
}

__device__ __forceinline__ void multiply_panel(const WideTile& tile, const float* rows,
                                               bool rows_along, const float* cols, bool cols_along,
                                               WideSums* sums) {
  if (!rows_along) {
    multiply_panel<false, false>(tile, rows, cols, sums);  // of a gradient
  } else if (cols_along) {
    multiply_panel<true, true>(tile, rows, cols, sums);
  } else {
    multiply_panel<true, false>(tile, rows, cols, sums);
  }
}

template <class Seen>
__device__ __forceinline__ void add_product(const WideTile& tile, const Operand<float>& x,
                                            const Factor<float>& of_rows,
                                            const Factor<float>& of_cols, int depth, WideSums* sums,
                                            const Seen& seen) {
  float* const row_panels = reinterpret_cast<float*>(dynamic_shared());
  float* const col_panels = row_panels + kRing * kRowPanel;
  PanelCopies rows(x, of_rows, tile.rows(), depth), cols(x, of_cols, tile.cols(), depth);
  const auto start = [&](int k) {
    const int slot = k / kPanel % kRing;
    if (k < depth) rows.start(row_panels + slot * kRowPanel, k);
    if (k < depth) cols.start(col_panels + slot * kColPanel, k);
    commit_copies();
  };
  __syncthreads();  // whoever reads what was there is done
  for (int k = 0; k < (kRing - 1) * kPanel; k += kPanel) start(k);
  for (int k = 0; k < depth; k += kPanel) {
    wait_for_copies<kRing - 2>();
    __syncthreads();
    start(k + (kRing - 1) * kPanel);
    const float* const row_panel = row_panels + k / kPanel % kRing * kRowPanel;
    const float* const col_panel = col_panels + k / kPanel % kRing * kColPanel;
    multiply_panel(tile, row_panel, of_rows.along, col_panel, of_cols.along, sums);
    seen(row_panel, col_panel, kPanel);
  }
}

template <class Give>
__device__ __forceinline__ void finish_tile(const Plan<float>&, const WideTile& tile,
                                            const WideSums& sums, const Give& give) {
  float* const memory = reinterpret_cast<float*>(dynamic_shared());
  const int lane = threadIdx.x % 32;
  float* const to = memory + (first_row_of_wide() + lane / 4) * tile.width +
                    first_col_of_wide(tile) + lane % 4 * 2;
  __syncthreads();
#pragma unroll
  for (int n = 0; n < kMostFragments; ++n) {
    if (n * 2 * kFragmentCols < tile.width) {
#pragma unroll
      for (int i = 0; i < kWarpRows / 16 * 4; ++i) {
        const int row = i / 4 * 16 + i % 4 / 2 * 8;
        to[row * tile.width + n * kFragmentCols + i % 2] = sums.of[i / 4][n][i % 4];
      }
    }
  }
  __syncthreads();
#pragma unroll 1
  for (int row = threadIdx.x / 32; row < kWideRows; row += kEngineLanes / 32) {
#pragma unroll 1
    for (int col = lane; col < tile.width; col += 32) {
      give(row, col, memory[row * tile.width + col]);
    }
  }
  __syncthreads();
}

// The sum of a bias's gradient over the depths of a panel, of the line that is the thread's.
__device__ __forceinline__ int lines_of(const WideTile& tile, bool turned) {
  return turned ? tile.rows() : tile.cols();
}
__device__ __forceinline__ float part_of_sum(const WideTile& tile, bool turned, const float* panel,
                                             int depth) {
  const int lines = lines_of(tile, turned), lead = lead_of(false, lines);
  float sum = 0;
  if ((int)threadIdx.x >= lines) return sum;
#pragma unroll 4
  for (int k = 0; k < depth; ++k) sum += panel[k * lead + threadIdx.x];
  return sum;
}

}  // namespace mlp
}  // namespace fastgen
