// The innermost loop of matrix products: a tile of c in registers.
#pragma once
#include "core/load_store.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// Lines of a tile of c, each of 2 vectors: with two of b and one of a they take 31 of AVX-512's 32
// registers; 6 x 2 take 15 of 16.
#if FG_TARGET == FG_TARGET_avx512
constexpr int kTileLines = 14;
#else
constexpr int kTileLines = 6;
#endif

// Steps of the depth after which a number is read. Where they are on pages of their own, no prefetcher
// of the machine follows: 64 rows of 784-1568 took 1.1 to 1.3 times as long, those of 784-150 no less.
constexpr int64_t kAhead = 16;

// Element (line, k) of the operand that is read number by number is at base[line * line_step +
// k * depth_step].
template <class T>
struct Strided {
  const T* base;
  int64_t line_step, depth_step;

  FG_INLINE Strided from(int64_t line, int64_t k) const {
    return {base + line * line_step + k * depth_step, line_step, depth_step};
  }
};

// c[lines][vectors] (+)= the sum over k < depth of a[line][k] b[k][vectors], one running sum in order.
// b's rows are b_step numbers apart, c's c_step.
template <class V, int lines, int vectors>
void multiply(int64_t depth, const Strided<typename Lanes<V>::type>& a,
              const typename Lanes<V>::type* b, int64_t b_step, typename Lanes<V>::type* c,
              int64_t c_step, bool add) {
  typedef typename Lanes<V>::type T;
  constexpr int64_t n = Lanes<V>::count;
  // A base for every three lines: an address is then a base and once or twice the step.
  constexpr int bases = (lines + 2) / 3;
  const T* base[bases];
#pragma GCC unroll 5
  for (int i = 0; i < bases; ++i) base[i] = a.base + 3 * i * a.line_step;
  const int64_t line_step = a.line_step, depth_step = a.depth_step;
  V sum[lines][vectors];
#pragma GCC unroll 14
  for (int i = 0; i < lines; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) sum[i][j] = V{};
  }
  for (int i = 0; i < lines; ++i) {
    for (int j = 0; j < vectors; ++j) __builtin_prefetch(c + i * c_step + j * n, 1);
  }
  for (int64_t k = 0; k < depth; ++k, b += b_step) {
    __builtin_prefetch(base[0] + kAhead * depth_step);
    __builtin_prefetch(base[0] + kAhead * depth_step + (lines - 1) * line_step);
    V y[vectors];
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) y[j] = load(b, j * n, Whole{});
#pragma GCC unroll 14
    for (int i = 0; i < lines; ++i) {
      T number;  // at any alignment
      __builtin_memcpy(&number, base[i / 3] + i % 3 * line_step, sizeof number);
      const V x = splat<V>(number);
#pragma GCC unroll 2
      for (int j = 0; j < vectors; ++j) sum[i][j] = fma(x, y[j], sum[i][j]);
    }
#pragma GCC unroll 5
    for (int i = 0; i < bases; ++i) base[i] += depth_step;
  }
#pragma GCC unroll 14
  for (int i = 0; i < lines; ++i, c += c_step) {
    asm("" : "+r"(c));  // one address at a time: 28 at once, from the top on, would not fit
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) {
      store(c, j * n, add ? load(c, j * n, Whole{}) + sum[i][j] : sum[i][j], Whole{});
    }
  }
}

// multiply() of so many lines, up to kTileLines.
template <class V, int vectors, int lines = kTileLines>
FG_INLINE auto multiply_of_lines(int64_t wanted) {
  if constexpr (lines == 1) {
    return &multiply<V, 1, vectors>;
  } else {
    return wanted == lines ? &multiply<V, lines, vectors>
                           : multiply_of_lines<V, vectors, lines - 1>(wanted);
  }
}

// The same for up to kTileLines lines and 2 vectors of columns, of which c gets the first `cols`; b has
// whole vectors.
template <class V, class T = typename Lanes<V>::type>
void multiply_tile(int64_t lines, int64_t cols, int64_t depth, const Strided<T>& a, const T* b,
                   int64_t b_step, T* c, int64_t c_step, bool add) {
  constexpr int64_t n = Lanes<V>::count;
  const auto multiply = cols > n ? multiply_of_lines<V, 2>(lines) : multiply_of_lines<V, 1>(lines);
  if (cols % n == 0) return multiply(depth, a, b, b_step, c, c_step, add);
  alignas(64) T own[kTileLines * 2 * n];
  multiply(depth, a, b, b_step, own, 2 * n, false);
  for (int64_t i = 0; i < lines; ++i) {
    for_vectors<T>(cols, [&](int64_t j, auto lanes) {
      const V sum = load(own, i * 2 * n + j, lanes);
      store(c, i * c_step + j, add ? load(c, i * c_step + j, lanes) + sum : sum, lanes);
    });
  }
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
