// How kernels cut their work. Panels, the unit of threading, and tiles, the unit of scratch in L1,
// follow from the shape alone, so results do not depend on the number of threads.
#pragma once
#include <stdlib.h>

#include "core/load_store.h"
#include "core/status.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// float32 scratch of a tile takes 4 of 32 KiB of L1.
constexpr int64_t kTile = 1024;
// 16 tiles: some 60k cycles of sampling, several times what handing a panel to a thread costs.
constexpr int64_t kPanel = 16 * kTile;

// Cycles an element, measured, for whoever decides how many threads are worth waking.
#if FG_TARGET == FG_TARGET_avx512
constexpr int64_t kNoiseCycles = 4, kBitsCycles = 2, kElementCycles = 1;
#elif FG_TARGET == FG_TARGET_avx2
constexpr int64_t kNoiseCycles = 7, kBitsCycles = 4, kElementCycles = 2;
#else
constexpr int64_t kNoiseCycles = 15, kBitsCycles = 8, kElementCycles = 4;
#endif

// Runs body(panel) for every panel, on threads or, if there are none or one panel, here.
template <class Body>
FG_INLINE void parallel_for(const fg_threads* threads, int64_t panels, int64_t cycles_per_panel,
                            const Body& body) {
  const fg_task task = [](void* arg, int64_t begin, int64_t end) {
    const Body& run = *static_cast<const Body*>(arg);
    [[maybe_unused]] const GradualUnderflow kept;
    for (int64_t panel = begin; panel < end; ++panel) run(panel);
    fence_streams();
  };
  void* const arg = const_cast<Body*>(&body);
  if (threads && panels > 1) {
    threads->parallel_for(threads->pool, panels, cycles_per_panel, task, arg);
  } else {
    task(arg, 0, panels);
  }
}

// Elementwise work: body(first, size) on tiles of [0, size), in parallel.
template <class Body>
FG_INLINE void for_tiles(const fg_threads* threads, int64_t size, int64_t cycles_per_element,
                         const Body& body) {
  parallel_for(threads, (size + kPanel - 1) / kPanel, cycles_per_element * kPanel,
               [&](int64_t panel) {
                 const int64_t end = least(size, (panel + 1) * kPanel);
                 for (int64_t first = panel * kPanel; first < end; first += kTile) {
                   body(first, least(kTile, end - first));
                 }
               });
}

// A stretch of a row-major matrix that fits a tile: `rows` whole rows, or a piece of one row.
struct Tile {
  int64_t first;  // flat index of its first element
  int64_t row;    // its first row
  int64_t rows, cols;
  int64_t size() const { return rows * cols; }
};

// Rows of at most a tile: body(tile) on groups of whole rows, in parallel.
template <class Body>
FG_INLINE void for_row_tiles(const fg_threads* threads, int64_t rows, int64_t cols,
                             int64_t cycles_per_element, const Body& body) {
  const int64_t tile_rows = kTile / cols, panel_rows = kPanel / kTile * tile_rows;
  parallel_for(threads, (rows + panel_rows - 1) / panel_rows,
               cycles_per_element * panel_rows * cols, [&](int64_t panel) {
                 const int64_t end = least(rows, (panel + 1) * panel_rows);
                 for (int64_t row = panel * panel_rows; row < end; row += tile_rows) {
                   body(Tile{row * cols, row, least(tile_rows, end - row), cols});
                 }
               });
}

// Rows longer than a tile: body(tile, segment) on the tiles of each segment, in order; segments in
// parallel, segments_per_row(cols) to a row.
FG_INLINE int64_t segments_per_row(int64_t cols) { return (cols + kPanel - 1) / kPanel; }
template <class Body>
FG_INLINE void for_segment_tiles(const fg_threads* threads, int64_t rows, int64_t cols,
                                 int64_t cycles_per_element, const Body& body) {
  const int64_t segments = segments_per_row(cols);
  parallel_for(threads, rows * segments, cycles_per_element * kPanel, [&](int64_t segment) {
    const int64_t row = segment / segments, begin = segment % segments * kPanel;
    const int64_t end = least(cols, begin + kPanel);
    for (int64_t col = begin; col < end; col += kTile) {
      body(Tile{row * cols + col, row, 1, least(kTile, end - col)}, segment);
    }
  });
}

// Any shape: body(tile).
template <class Body>
FG_INLINE void for_matrix_tiles(const fg_threads* threads, int64_t rows, int64_t cols,
                                int64_t cycles_per_element, const Body& body) {
  if (rows == 0 || cols == 0) return;
  if (cols <= kTile) {
    for_row_tiles(threads, rows, cols, cycles_per_element, body);
  } else {
    for_segment_tiles(threads, rows, cols, cycles_per_element,
                      [&](const Tile& tile, int64_t) { body(tile); });
  }
}

// One element at any alignment.
template <class T>
FG_INLINE T get(const T* base, int64_t index) {
  T x;
  __builtin_memcpy(&x, (const char*)base + index * sizeof(T), sizeof x);
  return x;
}
template <class T>
FG_INLINE void put(T* base, int64_t index, T x) {
  __builtin_memcpy((char*)base + index * sizeof(T), &x, sizeof x);
}

// A value per row, repeated for every element of the tile.
template <class T>
FG_INLINE void repeat_rows(const T* row_values, const Tile& tile, T* out) {
  for (int64_t row = 0; row < tile.rows; ++row) {
    const T x = get(row_values, tile.row + row);
    for (int64_t col = 0; col < tile.cols; ++col) *out++ = x;
  }
}

// The sum of x[0, size), in vectors where there is a whole one. Four running sums: a quarter of the
// latency, and of the rounding error where all terms are alike.
template <class V>
FG_INLINE typename Lanes<V>::type sum(const typename Lanes<V>::type* x, int64_t size) {
  typedef typename Lanes<V>::type T;
  constexpr int64_t step = Lanes<V>::count;
  if (size < step) {
    T total = 0;
    for (int64_t i = 0; i < size; ++i) total += x[i];
    return total;
  }
  V total[4] = {};
  int64_t i = 0;
  for (; i + 4 * step <= size; i += 4 * step) {
    for (int j = 0; j < 4; ++j) total[j] += load(x, i + j * step, Whole{});
  }
  for_vectors<T>(size - i, [&](int64_t j, auto lanes) { total[0] += load(x, i + j, lanes); });
  return sum((total[0] + total[1]) + (total[2] + total[3]));
}

// sums[row] = the sum over the row of what terms(tile, T* out) writes for each of its elements.
// Long rows: a double per segment, added up in order.
template <class V, class T = typename Lanes<V>::type, class Terms>
FG_INLINE int row_sums(const char* op, const fg_threads* threads, int64_t rows, int64_t cols,
                       int64_t cycles_per_element, T* sums, const Terms& terms) {
  if (cols == 0) {
    for (int64_t row = 0; row < rows; ++row) put(sums, row, T{0});
  }
  if (rows == 0 || cols == 0) return FG_OK;
  if (cols <= kTile) {
    for_row_tiles(threads, rows, cols, cycles_per_element, [&](const Tile& tile) {
      alignas(64) T scratch[kTile];
      terms(tile, scratch);
      for (int64_t row = 0; row < tile.rows; ++row) {
        put(sums, tile.row + row, sum<V>(scratch + row * cols, cols));
      }
    });
    return FG_OK;
  }
  const int64_t segments = segments_per_row(cols);
  double* const partial = (double*)calloc((size_t)(rows * segments), sizeof(double));
  if (!partial) {
    return fail(FG_RESOURCE_EXHAUSTED, "%s: no memory for %lld partial sums", op,
                (long long)(rows * segments));
  }
  for_segment_tiles(threads, rows, cols, cycles_per_element,
                    [&](const Tile& tile, int64_t segment) {
                      alignas(64) T scratch[kTile];
                      terms(tile, scratch);
                      partial[segment] += sum<V>(scratch, tile.cols);
                    });
  for (int64_t row = 0; row < rows; ++row) {
    double total = 0;
    for (int64_t i = 0; i < segments; ++i) total += partial[row * segments + i];
    put(sums, row, (T)total);
  }
  free(partial);
  return FG_OK;
}

// Calls body(T{}) with the storage type of dtype; FG_INVALID_ARGUMENT for an unknown one.
template <class Body>
FG_INLINE int for_dtype(const char* op, fg_dtype dtype, const Body& body) {
  switch (dtype) {
    case FG_FLOAT32:
      return body(float{});
    case FG_FLOAT64:
      return body(double{});
    case FG_BFLOAT16:
      return body(bfloat16{});
    case FG_FLOAT16:
      return body(float16{});
  }
  return fail(FG_INVALID_ARGUMENT,
              "%s: dtype must be float32, float64, bfloat16 or float16. Received: code %d", op,
              (int)dtype);
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
