// Matrix products: c = a b for operands of either layout, in tiles of registers.
//
// Each element of c is one running sum over the depth, in order, cut at multiples of kDepth: so it
// depends on its row of a, its column of b and the depth alone, neither on the sizes of c nor on
// the number of threads.
//
// The operands are packed (core/pack.h) by as many tasks as there are panels; then tasks compute
// blocks of c, which stay in L2 until a caller's epilogue has been over them.
#pragma once
#include <stdlib.h>

#include "core/multiply.h"
#include "core/pack.h"
#include "core/tile.h"

namespace fastgen {
namespace FASTGEN_TARGET {

template <class T>
constexpr int64_t kTileCols = 2 * Lanes<typename Compute<T>::type>::count;
// Of a, 14 rows x this depth stay in L1 while the columns of b stream by: 14 KiB. (Half of it costs
// 15 %: each step passes over c.)
template <class C>
constexpr int64_t kDepth = 1024 / sizeof(C);
// Panels that a task packs: of rows of memory, 1 KiB of each.
constexpr int64_t kGroup = 8;
// The block of a that a task packs for itself: 8 x 14 KiB.
constexpr int64_t kBlockTiles = 8;
// Columns of a block of c: with this depth of b, 512 KiB of L2.
constexpr int64_t kBlockCols = 512;
// Packed operands of one round over the depth: larger ones take more rounds over c.
constexpr int64_t kPackedBytes = 16 << 20;
// An a of this size is packed once for all tasks; of a larger one each task packs its own rows.
constexpr int64_t kSharedBytes = 4 << 20;
// Products of a task, some 16 us: enough for two threads to share 64 x 150 x 784 evenly.
constexpr int64_t kTaskProducts = 1 << 20;

FG_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A finished block of c: element (row, col) of c is at base[(row - first_row) * step + col -
// first_col].
template <class C>
struct Block {
  C* base;
  int64_t step, row, rows, col, cols;
};

// One product of float32 or float64. epilogue(block) is called once for each block of c, when it is
// done; by pointer, so that the code here is there once for all of them.
template <class C>
class Gemm {
  typedef typename Compute<C>::type V;

 public:
  template <class Epilogue>
  Gemm(const Operand<C>& a, const Operand<C>& b, int64_t depth, C* c, const Epilogue& epilogue)
      : a_(a),
        b_(b),
        c_(c),
        c_step_(b.lines),
        depth_(depth),
        epilogue_(&epilogue),
        finish_([](const void* to, const Block<C>& block) { (*(const Epilogue*)to)(block); }) {
    const int64_t panels = ceil_div(b.lines, kCols), tiles = ceil_div(a.lines, kTileLines);
    if (tiles == 0 || panels == 0) return;
    tile_rows_ = ceil_div(a.lines, tiles);
    tiles_ = ceil_div(a.lines, tile_rows_), panels_ = panels;
    plan_round();
    plan_blocks();
  }
  ~Gemm() { free(packed_); }
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  int run(const char* op, const fg_threads* threads) {
    if (tiles_ == 0 || panels_ == 0) return FG_OK;
    if (int code = reserve(op)) return code;
    begin_ = 0;
    do {  // once if the depth is 0: c is zeros then
      parallel_for(threads, b_groups() + a_groups(), pack_cycles(),
                   [&](int64_t task) { pack(task); });
      parallel_for(threads, tasks(), cycles(), [&](int64_t task) { compute(task); });
      begin_ += round_;
    } while (begin_ < depth_);
    return FG_OK;
  }

 private:
  static constexpr int64_t kCols = kTileCols<C>, kStep = kDepth<C>;

  // The depth of a round: what is packed of b, and of a if all tasks share it, fits kPackedBytes.
  void plan_round() {
    const int64_t line_bytes = panels_ * kCols * (int64_t)sizeof(C);
    const int64_t steps = kPackedBytes / (line_bytes * kStep);
    round_ = least(depth_, kStep * (steps > 1 ? steps : 1));
    share_a_ = tiles_ * tile_rows_ * round_ * (int64_t)sizeof(C) <= kSharedBytes;
  }

  // Blocks of c: as large as the caches like, then halved while tasks are few and not small.
  void plan_blocks() {
    block_tiles_ = least(tiles_, kBlockTiles);
    block_panels_ = least(panels_, kBlockCols / kCols);
    while (tasks() < 16 && products() > kTaskProducts) {
      if (block_panels_ > 1 && block_panels_ * kCols >= block_tiles_ * tile_rows_) {
        block_panels_ = ceil_div(block_panels_, 2);
      } else if (block_tiles_ > 1) {
        block_tiles_ = ceil_div(block_tiles_, 2);
      } else {
        break;
      }
    }
  }

  int64_t products() const { return block_tiles_ * tile_rows_ * block_panels_ * kCols * depth_; }
  int64_t row_blocks() const { return tiles_ ? ceil_div(tiles_, block_tiles_) : 0; }
  int64_t tasks() const { return panels_ ? row_blocks() * ceil_div(panels_, block_panels_) : 0; }
  int64_t cycles() const { return products() / kCols + 1; }
  int64_t b_groups() const { return ceil_div(panels_, kGroup); }
  int64_t a_groups() const { return share_a_ ? ceil_div(tiles_, kGroup) : 0; }
  int64_t pack_cycles() const { return kGroup * kCols * round_ / 4; }

  C* packed_b(int64_t panel) const { return packed_ + panel * kCols * round_; }
  C* packed_a(int64_t tile) const { return packed_b(panels_) + tile * tile_rows_ * round_; }

  int reserve(const char* op) {
    const int64_t size = (panels_ * kCols + (share_a_ ? tiles_ * tile_rows_ : 0)) * round_;
    if (size == 0) return FG_OK;
    void* memory = nullptr;
    if (posix_memalign(&memory, 64, size * sizeof(C))) {
      return fail(FG_RESOURCE_EXHAUSTED, "%s: no memory for %lld packed numbers", op,
                  (long long)size);
    }
    packed_ = (C*)memory;
    return FG_OK;
  }

  int64_t round_depth() const { return least(round_, depth_ - begin_); }

  void pack(int64_t task) const {
    const bool of_b = task < b_groups();
    const int64_t first = (of_b ? task : task - b_groups()) * kGroup;
    if (of_b) {
      pack_panels(b_, first * kCols, begin_, least(kGroup, panels_ - first),
                  Panels<C>{packed_b(first), kCols, round_depth(), kCols * round_});
    } else {
      pack_panels(a_, first * tile_rows_, begin_, least(kGroup, tiles_ - first),
                  Panels<C>{packed_a(first), tile_rows_, round_depth(), tile_rows_ * round_});
    }
  }

  void compute(int64_t task) const {
    const int64_t tile = task % row_blocks() * block_tiles_;
    const int64_t panel = task / row_blocks() * block_panels_;
    const int64_t tiles = least(block_tiles_, tiles_ - tile);
    const int64_t panels = least(block_panels_, panels_ - panel);
    const int64_t depth = round_depth();
    for (int64_t k = 0; k == 0 || k < depth; k += kStep) {
      const int64_t step = least(kStep, depth - k);
      if (share_a_) {
        multiply_block(tile, tiles, panel, panels, k, step, packed_a(tile) + k * tile_rows_,
                       tile_rows_ * round_);
      } else {
        alignas(64) C own[kBlockTiles * kTileLines * kStep];
        pack_panels(a_, tile * tile_rows_, begin_ + k, tiles,
                    Panels<C>{own, tile_rows_, step, tile_rows_ * step});
        multiply_block(tile, tiles, panel, panels, k, step, own, tile_rows_ * step);
      }
    }
    if (begin_ + depth == depth_) {
      const int64_t row = tile * tile_rows_, col = panel * kCols;
      finish_(epilogue_, Block<C>{c_ + row * c_step_ + col, c_step_, row,
                                  least(tiles * tile_rows_, a_.lines - row), col,
                                  least(panels * kCols, b_.lines - col)});
    }
  }

  // The tiles of a block, one step of depth; tile i of a is at a + i * a_step.
  void multiply_block(int64_t tile, int64_t tiles, int64_t panel, int64_t panels, int64_t k,
                      int64_t step, const C* a, int64_t a_step) const {
    for (int64_t i = 0; i < tiles; ++i) {
      for (int64_t j = panel; j < panel + panels; ++j) {
        const int64_t row = (tile + i) * tile_rows_;
        multiply_tile<V>(least(tile_rows_, a_.lines - row), least(kCols, b_.lines - j * kCols),
                         step, Strided<C>{a + i * a_step, 1, tile_rows_}, packed_b(j) + k * kCols,
                         kCols, c_ + row * c_step_ + j * kCols, c_step_, begin_ + k > 0);
      }
    }
  }

  const Operand<C> a_, b_;
  C* const c_;
  const int64_t c_step_, depth_;
  const void* const epilogue_;
  void (*const finish_)(const void*, const Block<C>&);
  int64_t tile_rows_ = 1, tiles_ = 0, panels_ = 0;
  int64_t block_tiles_ = 1, block_panels_ = 1;
  int64_t round_ = 0;  // depth that is packed at a time
  int64_t begin_ = 0;  // where this round begins
  bool share_a_ = true;
  C* packed_ = nullptr;
};

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
