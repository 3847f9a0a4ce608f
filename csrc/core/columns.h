// Sums over the rows of a matrix, and values per column for each of its elements.
#pragma once
#include "core/tile.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// Rows that are added up in the vector's own precision before doubles take them: two roundings.
constexpr int kGroupRows = 4;

// Bytes. Rows side by side confuse the CPU's own prefetching: 300 float32 columns from DRAM came at
// 7.7 GB/s a thread, with this at 9.9; reading them straight on, at 10.4.
constexpr int64_t kAhead = 4096;

FG_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How column_sums cuts a matrix: by its shape alone.
struct ColumnPanels {
  // Narrow matrices are read `fold` rows at a time, as one row that fills vectors.
  int64_t fold, rows, cols;
  int64_t padded;  // cols as whole vectors
  int64_t panel_rows, row_panels, col_panels;

  FG_INLINE ColumnPanels(int64_t matrix_rows, int64_t matrix_cols) {
    fold = matrix_cols < 256 ? 256 / matrix_cols : 1;
    rows = ceil_div(matrix_rows, fold), cols = fold * matrix_cols;
    padded = ceil_div(cols, 16) * 16;
    // 64 panels keep any number of threads busy and are soon combined.
    const int64_t full = ceil_div(4 * kPanel, least(cols, kTile)), share = ceil_div(rows, 64);
    panel_rows = ceil_div(full > share ? full : share, kGroupRows) * kGroupRows;
    row_panels = ceil_div(rows, panel_rows), col_panels = ceil_div(cols, kTile);
  }
};

FG_INLINE void add(double* sums, F64 x) { store(sums, 0, load(sums, 0, Whole{}) + x, Whole{}); }
FG_INLINE void add(double* sums, F32 x) {
  F64 low, high;
  to_double(x, &low, &high);
  add(sums, low);
  add(sums + Lanes<F64>::count, high);
}

// Adds what `group` rows, each `stride` after the last, add up to. sums has space for whole vectors.
template <int group, class T, class Term>
FG_INLINE void add_rows(const T* x, int64_t stride, int64_t cols, double* sums, const Term& term) {
  for_vectors<T>(cols, [&](int64_t i, auto lanes) {
    const auto at = [&](int64_t row) {
      __builtin_prefetch((const char*)x + (row * stride + i) * sizeof(T) + kAhead);
      return term(load(x, row * stride + i, lanes));
    };
    if constexpr (group == 1) {
      add(sums + i, at(0));
    } else {
      add(sums + i, (at(0) + at(1)) + (at(2) + at(3)));
    }
  });
}

// take(col, sum of term(x) over the rows of column col), column by column. term(0) must be 0.
template <class T, class Term, class Take>
FG_INLINE int column_sums(const char* op, const fg_threads* threads, int64_t rows, int64_t cols,
                          const T* x, const Term& term, const Take& take) {
  if (rows == 0) {
    for (int64_t col = 0; col < cols; ++col) take(col, 0.0);
  }
  if (rows == 0 || cols == 0) return FG_OK;
  const ColumnPanels cut(rows, cols);
  double* const partial = (double*)calloc((size_t)(cut.row_panels * cut.padded), sizeof(double));
  if (!partial) {
    return fail(FG_RESOURCE_EXHAUSTED, "%s: no memory for %lld partial sums", op,
                (long long)(cut.row_panels * cut.padded));
  }
  const int64_t whole_rows = rows * cols / cut.cols;  // the last may be shorter
  const int64_t last_cols = rows * cols - whole_rows * cut.cols;
  parallel_for(
      threads, cut.row_panels * cut.col_panels, 4 * kPanel * kElementCycles, [&](int64_t panel) {
        const int64_t first_row = panel / cut.col_panels * cut.panel_rows;
        const int64_t first_col = panel % cut.col_panels * kTile;
        const int64_t count = least(kTile, cut.cols - first_col);
        const int64_t end = least(whole_rows, first_row + cut.panel_rows);
        double* const to = partial + panel / cut.col_panels * cut.padded + first_col;
        int64_t row = first_row;
        for (; row + kGroupRows <= end; row += kGroupRows) {
          add_rows<kGroupRows>(x + row * cut.cols + first_col, cut.cols, count, to, term);
        }
        for (; row < least(cut.rows, first_row + cut.panel_rows); ++row) {
          const int64_t present = row < whole_rows ? count : last_cols - first_col;
          if (present > 0) {
            add_rows<1>(x + row * cut.cols + first_col, 0, least(count, present), to, term);
          }
        }
      });
  for (int64_t panel = 1; panel < cut.row_panels; ++panel) {
    for (int64_t i = 0; i < cut.cols; ++i) partial[i] += partial[panel * cut.padded + i];
  }
  for (int64_t i = 1; i < cut.fold; ++i) {
    for (int64_t col = 0; col < cols; ++col) partial[col] += partial[i * cols + col];
  }
  for (int64_t col = 0; col < cols; ++col) take(col, partial[col]);
  free(partial);
  return FG_OK;
}

// A value per column, in vectors for elements that follow each other in a row-major matrix.
template <class V>
class ColumnValues {
  typedef typename Lanes<V>::type T;

 public:
  // Space for values(), which are to be written before extend().
  explicit FG_INLINE ColumnValues(int64_t cols)
      : cols_(cols), values_((T*)malloc((size_t)(cols + Lanes<V>::count) * sizeof(T))) {}
  FG_INLINE ~ColumnValues() { free(values_); }
  ColumnValues(const ColumnValues&) = delete;

  FG_INLINE T* values() { return values_; }
  // The columns start anew after the last, so that a vector may begin at any.
  FG_INLINE void extend() {
    for (int64_t i = 0; i < Lanes<V>::count; ++i) values_[cols_ + i] = values_[i];
  }

  // body(i, values, lanes) over elements [first, first + size) of the matrix, i from 0.
  template <class Storage, class Body>
  FG_INLINE void for_elements(int64_t first, int64_t size, const Body& body) const {
    const int64_t step = Lanes<V>::count % cols_;
    int64_t col = first % cols_;
    for_vectors<Storage>(size, [&](int64_t i, auto lanes) {
      body(i, load(values_, col, Whole{}), lanes);
      col += step;
      if (col >= cols_) col -= cols_;
    });
  }

 private:
  int64_t cols_;
  T* values_;
};

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
