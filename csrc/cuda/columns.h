// How launchers cut a matrix for cuda/columns.cuh.
#pragma once
#include "cuda/columns.cuh"
#include "cuda/launch.h"

namespace fastgen {
namespace cuda {

// By the shape and the width of a pack alone, so that results do not depend on the GPU. For a matrix
// that is not empty.
inline ColumnCut columns_of(int64_t rows, int64_t cols, int n) {
  constexpr int64_t kBlocks = 1024, kPieces = 256, kRows = 8;  // of a thread, at least
  const int64_t packs = (cols + n - 1) / n;
  ColumnCut cut = {rows, cols, rows, 1, 1, 1};
  cut.packs = (int)(packs < kColumnThreads ? packs : kColumnThreads);
  while (2 * cut.abreast * cut.packs <= kColumnThreads) cut.abreast *= 2;
  cut.tiles = (int)((packs + cut.packs - 1) / cut.packs);
  int64_t pieces = kBlocks / cut.tiles < kPieces ? kBlocks / cut.tiles : kPieces;
  const int64_t filled = rows / (kRows * cut.abreast);
  if (filled < pieces) pieces = filled;
  if (pieces > 1) cut.rows_of_piece = (rows + pieces - 1) / pieces;
  return cut;
}

inline int64_t pieces_of(const ColumnCut& cut) {
  return (cut.rows + cut.rows_of_piece - 1) / cut.rows_of_piece;
}
inline unsigned grid_of(const ColumnCut& cut) { return (unsigned)(pieces_of(cut) * cut.tiles); }

}  // namespace cuda
}  // namespace fastgen
