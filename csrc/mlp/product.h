// Products of a layer's weights with a panel of rows.
//
// A panel lies feature by feature, its rows side by side: vectors hold rows, weights are read number
// by number where they lie, in either layout, and nothing is packed.
#pragma once
#include "core/multiply.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// Features of a panel: row r of feature f is at base[f * step + r].
template <class T>
struct Rows {
  T* base;
  int64_t step;
  FG_INLINE T* feature(int64_t f) const { return base + f * step; }
};

// Depth of a pass: what it reads of a panel, 256 features of 32 float32 rows, stays in L1.
constexpr int64_t kPassDepth = 256;

// out[lines][width] (+)= a[lines][depth] x[depth][width]; width in whole vectors.
template <class T>
void multiply_rows(const Strided<T>& a, int64_t lines, int64_t depth, const Rows<const T>& x,
                   const Rows<T>& out, int64_t width, bool add) {
  typedef typename Compute<T>::type V;
  constexpr int64_t n = Lanes<V>::count;
  const int64_t tiles = (lines + kTileLines - 1) / kTileLines;
  const int64_t tile = tiles ? (lines + tiles - 1) / tiles : 1;
  const bool pairs = width % (2 * n) == 0;
  const auto product = [&](int64_t count) {
    return pairs ? multiply_of_lines<V, 2>(count) : multiply_of_lines<V, 1>(count);
  };
  const auto whole = product(tile);
  for (int64_t k = 0; k == 0 || k < depth; k += kPassDepth) {
    const int64_t pass = least(kPassDepth, depth - k);
    for (int64_t line = 0; line < lines; line += tile) {
      const int64_t count = least(tile, lines - line);
      const auto run = count == tile ? whole : product(count);
      for (int64_t r = 0; r < width; r += pairs ? 2 * n : n) {
        run(pass, a.from(line, k), x.feature(k) + r, x.step, out.feature(line) + r, out.step,
            add || k > 0);
      }
    }
  }
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
