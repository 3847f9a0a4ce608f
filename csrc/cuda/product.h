// Products on the host's side: how they are cut, and which kernel or library multiplies.
#pragma once
#include "cuda/fma_product.cuh"
#include "cuda/launch.h"
#include "cuda/precision.h"
#include "cuda/tensor_product.cuh"

namespace fastgen {
namespace cuda {

constexpr int64_t kMultiprocessors = 132;  // of an H200; no result depends on it
constexpr int64_t kPartDepth = 512;        // at least, where depth is cut

constexpr int64_t pieces_of(int64_t size, int64_t piece) { return (size + piece - 1) / piece; }
constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

template <class T>
constexpr bool kNarrow = sizeof(T) == 2;

int check_precision(const char* op, fg_cuda_precision precision);

// Lines of `depth`, those of a row-major matrix's rows or, across, of its columns.
template <class T>
Operand<T> operand(const T* data, int64_t lines, int64_t depth, bool across) {
  constexpr int64_t four = least(16, 4 * sizeof(T));
  const int64_t row = (across ? lines : depth) * (int64_t)sizeof(T);
  const auto packed = [&](int64_t by) { return (uintptr_t)data % by == 0 && row % by == 0; };
  if (across) {
    return {data, lines, depth, 1, lines, packed(four) ? Reading::across : Reading::singly};
  }
  return {data, lines, depth, depth, 1, packed(16) ? Reading::along : Reading::singly};
}
template <class T>
Operand<T> rows_of(const T* x, int64_t rows, int64_t cols) {
  return operand(x, rows, cols, false);
}
template <class T>
Operand<T> cols_of(const T* x, int64_t rows, int64_t cols) {
  return operand(x, cols, rows, true);
}

// Depth in parts where there are fewer tiles than multiprocessors: by the shape alone.
inline void cut_depth(int64_t depth, bool in_parts, Tiling* tiling) {
  const int64_t tiles = tiling->row_tiles * tiling->slices;
  tiling->parts = 1, tiling->part_depth = depth > 0 ? depth : 1;
  if (!in_parts || tiles == 0 || tiles >= kMultiprocessors) return;
  const int64_t wanted = least(2 * kMultiprocessors / tiles, depth / kPartDepth);
  if (wanted <= 1) return;
  tiling->part_depth = pieces_of(pieces_of(depth, wanted), kPartDepth) * kPartDepth;
  tiling->parts = pieces_of(depth, tiling->part_depth);
}

// The largest tiles that leave no more than half of the multiprocessors idle, or the smallest.
template <class T>
Tiling fma_tiling(int64_t rows, int64_t cols, int64_t depth, bool in_parts) {
  constexpr int64_t kEnough = kMultiprocessors / 2;
  for (int64_t side = kFmaTile<kMostFours<T>>;; side /= 2) {
    Tiling tiling = {rows,      cols, pieces_of(rows, side), pieces_of(cols, side), 1, depth,
                     (int)side, false};
    cut_depth(depth, in_parts, &tiling);
    const int64_t blocks = tiling.row_tiles * tiling.slices * tiling.parts;
    if (side == kFmaTile<1> || blocks >= kEnough) return tiling;
  }
}

constexpr int kTensorThreads = 128;
constexpr int64_t kSharedByTwo = 110 << 10;  // bytes of two blocks on a multiprocessor of 228 KiB
constexpr int64_t kSharedByOne = 200 << 10;

// Slices as equal as groups of columns allow; narrower ones where rows alone do not fill the GPU.
template <class T>
Tiling tensor_tiling(int64_t rows, int64_t cols, int64_t depth, bool in_parts) {
  const int64_t row_tiles = pieces_of(rows, kTensorThreads),
                groups = pieces_of(cols, kGroupCols<T>);
  Tiling tiling = {rows, cols, row_tiles, pieces_of(groups, kGroups<T>), 1, depth, 0, false};
  cut_depth(depth, in_parts, &tiling);
  const int64_t filling = kMultiprocessors / (row_tiles * tiling.parts + 1);
  if (filling > tiling.slices) tiling.slices = least(groups, filling);
  const int64_t of_slice = tiling.slices > 0 ? pieces_of(groups, tiling.slices) : 1;
  tiling.slice_cols = (int)of_slice * kGroupCols<T>;
  tiling.slices = pieces_of(groups, of_slice);
  return tiling;
}

// Shared memory of a block; of `panels` of b, or a ring of them.
inline int64_t shared_of(int threads, int slice_cols, int64_t panels) {
  return (kStages * (int64_t)threads + panels * slice_cols) * kPanelLineBytes;
}

template <class T, class Epilogue>
int launch_tensor(const char* op, void* stream, const Operand<T>& a, const Operand<T>& b,
                  Tiling tiling, const Epilogue& epilogue) {
  const auto kernel = tensor_product_kernel<T, Epilogue>;
  const int64_t panels = pieces_of(tiling.part_depth, kPanelDepth<T>);
  int64_t most;
  const auto with = [&](int threads, bool resident, int64_t blocks_at_once) {
    const int64_t bytes = shared_of(threads, tiling.slice_cols, resident ? panels : kStages);
    const int64_t per_row = tiling.slices * tiling.parts;
    tiling.resident = resident, tiling.row_tiles = pieces_of(tiling.rows, threads);
    const int64_t fitting = blocks_at_once * kMultiprocessors / per_row;
    const int64_t sharing = least(tiling.row_tiles, fitting > 1 ? fitting : 1);
    if (bytes > most) return -1;  // this GPU has less
    return launch(op, stream, (unsigned)(per_row * sharing), threads, bytes, kernel, a, b, tiling,
                  epilogue);
  };
  if (tiling.rows == 0 || tiling.cols == 0) return FG_OK;
  if (int code = allow_shared(op, kernel, &most)) return code;
  const bool again = tiling.row_tiles * tiling.slices > 4 * kMultiprocessors;
  int code = -1;
  if (again && shared_of(kTensorThreads, tiling.slice_cols, panels) <= kSharedByTwo) {
    code = with(kTensorThreads, true, 2);
  } else if (again && shared_of(2 * kTensorThreads, tiling.slice_cols, panels) <= kSharedByOne) {
    code = with(2 * kTensorThreads, true, 1);
  }
  if (code == -1) code = with(kTensorThreads, false, 2);
  if (code != -1) return code;
  return fail(FG_RESOURCE_EXHAUSTED, "%s: the GPU has too little shared memory for tensor cores",
              op);
}

template <class T, class Epilogue>
int launch_fma(const char* op, void* stream, const Operand<T>& a, const Operand<T>& b,
               const Tiling& tiling, const Epilogue& epilogue) {
  const int64_t tiles = tiling.row_tiles * tiling.slices * tiling.parts;
  const auto with = [&](auto fours) {
    return launch(op, stream, grid_of(tiles), kFmaThreads, 4 * sizeof(FmaStep<T, fours>),
                  fma_product_kernel<fours, T, Epilogue>, a, b, tiling, epilogue);
  };
  if (tiling.slice_cols == kFmaTile<1>) return with(std::integral_constant<int, 1>{});
  return with(std::integral_constant<int, kMostFours<T>>{});
}

// body(tiling, run): run(a, b, tiling, epilogue) multiplies, on tensor cores or not.
template <class T, class Body>
int for_product(const char* op, void* stream, fg_cuda_precision precision, int64_t rows,
                int64_t cols, int64_t depth, bool in_parts, const Body& body) {
  if constexpr (sizeof(T) <= sizeof(float)) {
    if (kNarrow<T> || precision == FG_CUDA_TF32) {
      return body(tensor_tiling<T>(rows, cols, depth, in_parts),
                  [&](const auto& a, const auto& b, const Tiling& tiling, const auto& epilogue) {
                    return launch_tensor<T>(op, stream, a, b, tiling, epilogue);
                  });
    }
  }
  if constexpr (!kNarrow<T>) {
    return body(fma_tiling<T>(rows, cols, depth, in_parts),
                [&](const auto& a, const auto& b, const Tiling& tiling, const auto& epilogue) {
                  return launch_fma<T>(op, stream, a, b, tiling, epilogue);
                });
  }
  return FG_INTERNAL;
}

// out[i] = scale sum_part parts[part * size + i], in their order; 0 where there are none.
template <class T>
int sum_parts(const char* op, void* stream, int64_t parts, int64_t size,
              const typename Compute<T>::type* from, double scale, T* out);

// out[i, j] = sum_k a[i, k] b[j, k], row-major.
template <class T>
int multiply(const char* op, void* stream, fg_cuda_precision precision, const Operand<T>& a,
             const Operand<T>& b, T* out);

}  // namespace cuda
}  // namespace fastgen
