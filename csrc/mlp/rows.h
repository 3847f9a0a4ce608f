// Rows of a batch into panels and back: transposed, a block of registers at a time.
#pragma once
#include "core/pack.h"
#include "mlp/network.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// out[cols][count] = the rows that load(row, col, lanes) gives: vectors of `cols` columns. Lanes from
// count to the next whole vector become 0.
template <class T, class Load>
FG_INLINE void put_rows(int64_t count, int64_t cols, const Rows<T>& out, const Load& read) {
  typedef typename Compute<T>::type V;
  constexpr int64_t n = Lanes<V>::count;
  for (int64_t row = 0; row < count; row += n) {
    for_vectors<T>(cols, [&](int64_t col, auto lanes) {
      V x[n];
#pragma GCC unroll 16
      for (int64_t i = 0; i < n; ++i) x[i] = row + i < count ? read(row + i, col, lanes) : V{};
      transpose(x);
      const int64_t left = least(n, cols - col);
#pragma GCC unroll 16
      for (int64_t i = 0; i < n; ++i) {
        if (i < left) store(out.feature(col + i), row, x[i], Whole{});
      }
    });
  }
}

// The other way: write(row, col, x, lanes) gets the rows of from[cols][count].
template <class T, class Write>
FG_INLINE void take_rows(int64_t count, int64_t cols, const Rows<T>& from, const Write& write) {
  typedef typename Compute<T>::type V;
  constexpr int64_t n = Lanes<V>::count;
  for (int64_t row = 0; row < count; row += n) {
    for_vectors<T>(cols, [&](int64_t col, auto lanes) {
      V x[n];
      const int64_t left = least(n, cols - col);
#pragma GCC unroll 16
      for (int64_t i = 0; i < n; ++i) {
        x[i] = i < left ? load(from.feature(col + i), row, Whole{}) : V{};
      }
      transpose(x);
#pragma GCC unroll 16
      for (int64_t i = 0; i < n; ++i) {
        if (row + i < count) write(row + i, col, x[i], lanes);
      }
    });
  }
}

// A row-major matrix into a panel.
template <class T>
void put_matrix(int64_t count, int64_t cols, const T* x, const Rows<T>& out) {
  put_rows(count, cols, out,
           [&](int64_t row, int64_t col, auto lanes) { return load(x, row * cols + col, lanes); });
}
// A panel's rows of a row-major matrix, in and out.
template <class T>
void put_matrix(const Panel& p, int64_t cols, const T* x, const Rows<T>& out) {
  put_matrix(p.count, cols, x + p.row * cols, out);
}
template <class T>
void take_matrix(const Panel& p, int64_t cols, const Rows<T>& from, T* y) {
  take_rows(p.count, cols, from, [&](int64_t row, int64_t col, auto x, auto lanes) {
    store(y, (p.row + row) * cols + col, x, lanes);
  });
}

// The rows of a panel as blocks of columns, from row `to` of each block on. Columns past the last are
// zeros.
template <class T>
void put_columns(int64_t count, int64_t cols, const Rows<T>& from, const ColumnBlocks<T>& out,
                 int64_t to) {
  typedef typename Compute<T>::type V;
  constexpr int64_t n = Lanes<V>::count, width = ColumnBlocks<T>::kWidth;
  const auto write = [&](int64_t row, int64_t col, V x, auto) {
    store(out.at(col / width, to + row), col % width, x, Whole{});
  };
  take_rows(count, cols, from, write);
  if ((cols + n - 1) / n % 2) {  // the second vector of the last block
    const int64_t block = cols / width;
    for (int64_t row = 0; row < count; ++row) store(out.at(block, to + row), n, V{}, Whole{});
  }
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
