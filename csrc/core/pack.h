// Operands of a matrix product in the order in which its innermost loop reads them.
#pragma once
#include "core/load_store.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// The n vectors of x, of n lanes each, as a matrix transposed in place: log2 n rounds of perfect
// shuffles, each of which rotates the bits of (row, lane) by one.
template <class V>
FG_INLINE void transpose(V* x) {
  constexpr int n = Lanes<V>::count;
  typename Lanes<V>::Int low, high;
#pragma GCC unroll 16
  for (int i = 0; i < n; ++i) {
    low[i] = i / 2 + i % 2 * n;
    high[i] = low[i] + n / 2;
  }
#pragma GCC unroll 4
  for (int round = 1; round < n; round *= 2) {
    V y[n];
#pragma GCC unroll 16
    for (int i = 0; i < n / 2; ++i) {
      y[2 * i] = __builtin_shuffle(x[i], x[i + n / 2], low);
      y[2 * i + 1] = __builtin_shuffle(x[i], x[i + n / 2], high);
    }
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) x[i] = y[i];
  }
}

// Element (line, k) of an operand is at base[line * line_step + k * depth_step]; one of the two
// steps is 1.
template <class T>
struct Operand {
  const T* base;
  int64_t line_step, depth_step;
  int64_t lines;
};

// Stores x at out[at...], but for what lies beyond size.
template <class T, class V>
FG_INLINE void store_within(T* out, int64_t at, int64_t size, V x) {
  constexpr int64_t n = Lanes<V>::count;
  if (at + n <= size) {
    store(out, at, x, Whole{});
  } else if (at < size) {
    store(out, at, x, Part{size - at});
  }
}

// How lines are laid out in panels of `width`, `depth` deep: element (line, k) of panel p is at
// out[p * step + k * width + line % width].
template <class C>
struct Panels {
  C* out;
  int64_t width, depth, step;
};

// Packs `count` panels from line `line` and depth `begin` on. Lines past the end are zeros or a copy
// of others: their products are computed and thrown away.
//
// A store is a whole vector where it ends within the panel. What it writes past its own row is
// written again, by a later store: the rows that follow.
template <class T, class V, class C>
FG_INLINE void pack_panels_by_line(const Operand<T>& from, int64_t line, int64_t begin,
                                   int64_t count, const Panels<C>& to) {
  constexpr int64_t n = Lanes<V>::count;
  const int64_t size = to.width * to.depth, last = (to.width - 1) / n * n;
  for (int64_t p = 0; p < count; ++p, line += to.width) {
    const int64_t left = from.lines - line;
    const T* const base = from.base + line * from.line_step + begin;
    for (int64_t k = 0; k < to.depth; k += n) {
      for (int64_t i = last; i >= 0; i -= n) {
        V x[n];
#pragma GCC unroll 16
        for (int64_t j = 0; j < n; ++j) {
          const T* const at = base + (i + j) * from.line_step + k;
          if (i + j >= left) {
            x[j] = V{};
          } else if (to.depth - k >= n) {
            x[j] = load(at, 0, Whole{});
          } else {
            x[j] = load(at, 0, Part{to.depth - k});
          }
        }
        transpose(x);
        C* const out = to.out + p * to.step;
#pragma GCC unroll 16
        for (int64_t j = 0; j < n; ++j) store_within(out, (k + j) * to.width + i, size, x[j]);
      }
    }
  }
}

// The same where the lines of each depth lie side by side: along all panels, then down.
template <class T, class V, class C>
FG_INLINE void pack_panels_by_depth(const Operand<T>& from, int64_t line, int64_t begin,
                                    int64_t count, const Panels<C>& to) {
  constexpr int64_t n = Lanes<V>::count;
  const int64_t size = to.width * to.depth;
  for (int64_t k = 0; k < to.depth; ++k) {
    const T* row = from.base + line + (begin + k) * from.depth_step;
    int64_t left = from.lines - line;
    for (int64_t p = 0; p < count; ++p, row += to.width, left -= to.width) {
      C* const out = to.out + p * to.step;
      for (int64_t i = 0; i < to.width; i += n) {
        V x = {};
        if (left - i >= n) {
          x = load(row, i, Whole{});
        } else if (left > i) {
          x = load(row, i, Part{left - i});
        }
        store_within(out, k * to.width + i, size, x);
      }
    }
  }
}

template <class T, class C>
__attribute__((noinline)) void pack_panels(const Operand<T>& from, int64_t line, int64_t begin,
                                           int64_t count, const Panels<C>& to) {
  typedef typename Compute<T>::type V;
  if (from.line_step == 1) {
    pack_panels_by_depth<T, V>(from, line, begin, count, to);
  } else {
    pack_panels_by_line<T, V>(from, line, begin, count, to);
  }
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
