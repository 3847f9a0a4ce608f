// Matrix products of few rows: c = a b as in gemm.h, to the bit, but read where it lies. (Packing what
// a few tiles multiply by takes a quarter of the time: 64 rows of 784-150, one thread, 90 GFLOP/s
// packed and 108 unpacked; 32 rows of 784-100, 66 and 104. From some 500 rows on packing pays.)
//
// A task computes a block of c. It packs for itself (core/pack.h) what cannot be read so: storage of
// 16 bits, lines in each other's way, columns that are no whole vector.
#pragma once
#include <type_traits>

#include "core/gemm.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// A block of c: 8 tiles by 512 columns, 224 KiB of L2.
constexpr int64_t kSmallBlockTiles = 8, kSmallBlockCols = 512;
// A block that is the task's own lies on its stack.
constexpr int64_t kOwnBytes = 64 << 10;
// Where the blocks of c go: into a row-major c; nowhere, but for epilogue(block), each in turn; or so
// and transposed.
enum class Keep { all, none, none_turned };

// One product. A and B: storage of the operands; c is in their compute type. epilogue(block) is
// called for each block when it is done; by pointer, so that the code here is there once for all of
// them.
template <class A, class B>
class SmallGemm {
  typedef typename Compute<A>::type V;
  typedef typename Lanes<V>::type C;

 public:
  template <class Epilogue>
  SmallGemm(const Operand<A>& a, const Operand<B>& b, int64_t depth, Keep keep, C* c,
            const Epilogue& epilogue)
      : a_(a),
        b_(b),
        keep_(keep),
        c_(c),
        depth_(depth),
        epilogue_(&epilogue),
        finish_([](const void* to, const Block<C>& block) { (*(const Epilogue*)to)(block); }) {
    if (a.lines > 0 && b.lines > 0) plan();
  }

  int64_t tasks() const { return panels_ ? row_blocks() * ceil_div(panels_, block_panels_) : 0; }
  // Of a task, about.
  int64_t cycles() const { return products() / kCols + 1; }

  void compute(int64_t task) const {
    alignas(64) C own[kOwnBytes / sizeof(C)];
    const int64_t tile = task % row_blocks() * block_tiles_;
    const int64_t panel = task / row_blocks() * block_panels_;
    const int64_t row = tile * tile_lines_, col = panel * kCols;
    const int64_t rows = least(block_tiles_ * tile_lines_, a_.lines - row);
    const int64_t cols = least(block_panels_ * kCols, b_.lines - col);
    const Block<C> block = keep_ == Keep::all
                               ? Block<C>{c_ + row * b_.lines + col, b_.lines, row, rows, col, cols}
                               : Block<C>{own, block_panels_ * kCols, row, rows, col, cols};
    for (int64_t k = 0; k == 0 || k < depth_; k += kStep) {
      multiply_step(block, k, least(kStep, depth_ - k));
    }
    if (keep_ == Keep::none_turned) return finish_turned(block);
    finish_(epilogue_, block);
  }

 private:
  static constexpr int64_t kCols = kTileCols<A>, kStep = kDepth<C>, kLanes = kCols / 2;

  // Whether multiply() may read an operand where it lies. Lines of a depth each that are a multiple of
  // 4 KiB apart are in each other's way in L1 and L2.
  template <class T>
  static bool direct(const Operand<T>& x) {
    return std::is_same<T, C>::value && (x.line_step != 1 || x.depth_step * sizeof(C) % 4096 != 0);
  }

  void plan() {
    panels_ = ceil_div(b_.lines, kCols), tiles_ = ceil_div(a_.lines, kTileLines);
    tile_lines_ = ceil_div(a_.lines, tiles_);
    tiles_ = ceil_div(a_.lines, tile_lines_);
    plan_blocks();
    direct_a_ = direct(a_);
    direct_b_ = b_.line_step == 1 && direct(b_);
  }

  // Blocks of c: as large as the caches like, then halved while tasks are few and not small.
  void plan_blocks() {
    block_tiles_ = least(tiles_, kSmallBlockTiles);
    block_panels_ = least(panels_, kSmallBlockCols / kCols);
    // A tile's lines as whole vectors, for a block that is turned.
    const int64_t lines = ceil_div(tile_lines_, kLanes) * kLanes;
    while (keep_ != Keep::all &&
           block_tiles_ * lines * block_panels_ * kCols * (int64_t)sizeof(C) > kOwnBytes) {
      halve();
    }
    while (tasks() < 16 && products() > kTaskProducts && block_tiles_ * block_panels_ > 1) halve();
  }
  void halve() {
    int64_t& larger = block_panels_ > 1 && block_panels_ * kCols >= block_tiles_ * tile_lines_
                          ? block_panels_
                          : (block_tiles_ > 1 ? block_tiles_ : block_panels_);
    larger = ceil_div(larger, 2);
  }

  int64_t products() const { return block_tiles_ * tile_lines_ * block_panels_ * kCols * depth_; }
  int64_t row_blocks() const { return ceil_div(tiles_, block_tiles_); }

  void finish_turned(const Block<C>& block) const {
    alignas(64) C own[kOwnBytes / sizeof(C)];
    const int64_t step = ceil_div(block.rows, kLanes) * kLanes;
    pack_panels(Operand<C>{block.base, block.step, 1, block.rows}, 0, 0, 1,
                Panels<C>{own, step, block.cols, 0});
    finish_(epilogue_, Block<C>{own, step, block.col, block.cols, block.row, block.rows});
  }

  // Adds what `step` of the depth, from k on, contributes to a block.
  void multiply_step(const Block<C>& block, int64_t k, int64_t step) const {
    alignas(64) C own_a[kSmallBlockTiles * kTileLines * kStep];
    alignas(64) C own_b[kStep * kCols];
    if (!direct_a_) {
      pack_panels(a_, block.row, k, ceil_div(block.rows, tile_lines_),
                  Panels<C>{own_a, tile_lines_, step, tile_lines_ * step});
    }
    for (int64_t col = 0; col < block.cols; col += kCols) {
      const int64_t cols = least(kCols, block.cols - col);
      // A block of the task's own has space for whole vectors.
      const int64_t space = keep_ == Keep::all ? cols : ceil_div(cols, kLanes) * kLanes;
      const C* b = own_b;
      int64_t b_step = cols > kLanes ? kCols : kLanes;
      if (direct_b_ && cols % kLanes == 0) {
        b = (const C*)b_.base + block.col + col + k * b_.depth_step, b_step = b_.depth_step;
      } else {
        pack_panels(b_, block.col + col, k, 1, Panels<C>{own_b, b_step, step, 0});
      }
      for (int64_t row = 0; row < block.rows; row += tile_lines_) {
        const int64_t lines = least(tile_lines_, block.rows - row);
        const Strided<C> a = direct_a_
                                 ? Strided<C>{(const C*)a_.base, a_.line_step, a_.depth_step}.from(
                                       block.row + row, k)
                                 : Strided<C>{own_a + row * step, 1, tile_lines_};
        multiply_tile<V>(lines, space, step, a, b, b_step, block.base + row * block.step + col,
                         block.step, k > 0);
      }
    }
  }

  const Operand<A> a_;
  const Operand<B> b_;
  const Keep keep_;
  C* const c_;
  const int64_t depth_;
  const void* const epilogue_;
  void (*const finish_)(const void*, const Block<C>&);
  int64_t tile_lines_ = 1, tiles_ = 0, panels_ = 0;
  int64_t block_tiles_ = 1, block_panels_ = 1;
  bool direct_a_ = false, direct_b_ = false;
};

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
