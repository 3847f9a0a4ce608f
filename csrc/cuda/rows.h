// How launchers cut a matrix into the lines of cuda/rows.cuh.
#pragma once
#include "cuda/launch.h"
#include "cuda/rows.cuh"

namespace fastgen {
namespace cuda {

constexpr int64_t kWideFrom = 1025;  // columns: below, a warp sums a row in the row's own precision
constexpr int64_t kPiece = 16384;    // columns of a wide line

inline bool is_wide(int64_t cols) { return cols >= kWideFrom; }

// By the shape and the width of a pack alone, so that results do not depend on the GPU.
inline Lines lines_of(int64_t rows, int64_t cols, int n) {
  Lines lines = {rows, cols, 1, cols, 1};
  if (is_wide(cols)) {
    lines.lanes = kBlockLanes;
    lines.piece = kPiece;
    lines.pieces = (cols + kPiece - 1) / kPiece;
    lines.count = rows * lines.pieces;
  } else {
    while (lines.lanes < kWarp && lines.lanes * n < cols) lines.lanes *= 2;
  }
  return lines;
}

inline unsigned grid_of(const Lines& lines) {
  const int64_t per_block = kBlockLanes / lines.lanes;
  return grid_of((lines.count + per_block - 1) / per_block);
}

// body(n, wide) with both as constants.
template <class T, class Body>
int for_width_of_rows(int64_t cols, std::initializer_list<const void*> pointers, const Body& body) {
  return for_width<T>(cols, pointers, [&](auto n) {
    return is_wide(cols) ? body(n, std::true_type{}) : body(n, std::false_type{});
  });
}

// sums[row] = scale times the sum of its pieces.
int finish_row_sums(const char* op, void* stream, int64_t rows, int64_t pieces,
                    const RowSums<float>& sums);
int finish_row_sums(const char* op, void* stream, int64_t rows, int64_t pieces,
                    const RowSums<double>& sums);

// launch_lines(sums) starts the kernel that sums lines.
template <class K, class Launch>
int sum_rows(const char* op, void* stream, const Lines& lines, K* sums, double scale,
             const Launch& launch_lines) {
  Scratch pieces(op, stream);
  if (lines.pieces > 1) {
    if (int code = pieces.allocate(lines.count * sizeof(double))) return code;
  }
  const RowSums<K> to = {sums, pieces.as<double>(), scale};
  if (int code = launch_lines(to)) return code;
  if (lines.pieces <= 1 || lines.count == 0) return FG_OK;
  return finish_row_sums(op, stream, lines.count / lines.pieces, lines.pieces, to);
}

}  // namespace cuda
}  // namespace fastgen
