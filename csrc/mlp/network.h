// A dense network on the rows of a batch: where each layer's activations and gradients lie.
//
// Rows are cut into chunks, feature by feature in memory, and chunks into panels, the unit of
// threading; both by the number of rows alone. A batch may have two groups of rows (real and generated
// images, say), each with its own chunks.
#pragma once
#include <stdlib.h>

#include "core/status.h"
#include "kernels/mlp.h"
#include "mlp/product.h"
#include "mlp/requirements.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// How the rows of a batch are cut. 32 rows are two vectors: each weight that is read serves both. A
// smaller batch is cut into panels of 16, for two threads.
class Cut {
 public:
  explicit Cut(int64_t rows, int64_t more_rows = 0)
      : rows_{rows, more_rows},
        width_(rows >= 64 ? 32 : 16),
        chunk_rows_(rows >= 64  ? 64
                    : rows > 16 ? 32
                                : 16) {}

  int64_t width() const { return width_; }
  int64_t chunk_rows() const { return chunk_rows_; }
  int64_t rows(int64_t group) const { return rows_[group]; }
  int64_t panels(int64_t group) const { return (rows_[group] + width_ - 1) / width_; }
  int64_t chunks() const { return chunks(0) + chunks(1); }
  int64_t first_chunk(int64_t group) const { return group ? chunks(0) : 0; }
  // Rows with space for whole chunks.
  int64_t space() const { return chunks() * chunk_rows_; }
  int64_t rows_of_chunk(int64_t chunk) const {
    const int64_t group = chunk >= chunks(0);
    return least(chunk_rows_, rows_[group] - (chunk - first_chunk(group)) * chunk_rows_);
  }

 private:
  int64_t chunks(int64_t group) const { return (rows_[group] + chunk_rows_ - 1) / chunk_rows_; }
  int64_t rows_[2], width_, chunk_rows_;
};

// Panel `index` of a group: `count` rows from `row` of the group on.
struct Panel {
  int64_t group, row, count;
  int64_t chunk, lane;  // where it lies: from row `lane` of a chunk on

  Panel(const Cut& cut, int64_t group, int64_t index)
      : group(group),
        row(index * cut.width()),
        count(least(cut.width(), cut.rows(group) - row)),
        chunk(cut.first_chunk(group) + row / cut.chunk_rows()),
        lane(row % cut.chunk_rows()) {}
};

// What multiply() takes of a matrix as its second operand: blocks of columns, in each the rows of all
// chunks one after the other.
template <class T>
struct ColumnBlocks {
  static constexpr int64_t kWidth = 2 * Lanes<typename Compute<T>::type>::count;
  T* base;
  int64_t rows;  // of a block
  FG_INLINE T* at(int64_t block, int64_t row) const { return base + (block * rows + row) * kWidth; }
  FG_INLINE static int64_t blocks(int64_t cols) { return (cols + kWidth - 1) / kWidth; }
  FG_INLINE static int64_t size(int64_t cols, int64_t rows) { return blocks(cols) * rows * kWidth; }
};

// What the corrupting layers of a network draw in a pass.
struct Seeds {
  const int64_t* of = nullptr;  // two words for each, in their order; NULL: inputs stay as they are
  int64_t first_row = 0;        // of the numbers drawn, that of the group's first row
};

template <class T>
struct Layer {
  const fg_mlp_layer& of;

  FG_INLINE const T* kernel() const { return (const T*)of.kernel.variable; }
  FG_INLINE const T* bias() const { return (const T*)of.bias.variable; }
  // The kernel's lines of units, each as deep as there are inputs, and its lines of inputs.
  FG_INLINE Strided<T> lines_of_units() const {
    return of.transposed ? Strided<T>{kernel(), of.inputs, 1} : Strided<T>{kernel(), 1, of.units};
  }
  FG_INLINE Strided<T> lines_of_inputs() const {
    return of.transposed ? Strided<T>{kernel(), 1, of.inputs} : Strided<T>{kernel(), of.units, 1};
  }
};

// The memory of a network for the rows of `cut`.
template <class T>
class Network {
 public:
  Network(const fg_mlp& mlp, const Cut& cut)
      : cut_(cut), count_(mlp.count), layers_(mlp.layers), seeds_(mlp.seeds) {
    for (int64_t i = 0; i < count_; ++i) {
      if (!corrupts(i)) continue;
      ++corruptions_;
      widest_ = widest_ > features(i) ? widest_ : features(i);
    }
  }

  // Numbers of memory that place() needs.
  int64_t size() const {
    int64_t total = 2 * part(inputs() * cut_.space()) + part(widest_ * cut_.space());
    for (int64_t i = 0; i < count_; ++i) {
      const fg_mlp_layer& l = layers_[i];
      const int64_t out = part(l.units * cut_.space());
      total += out * (2 + keeps_sums(l) + (l.kind == FG_LOG_VARIANCE));
      total += part(ColumnBlocks<T>::size(l.transposed ? l.inputs : l.units, cut_.space()));
      total += (corrupts(i) + drops(i)) * part(l.inputs * cut_.space());
      total += penalises(i) ? part(l.units) : 0;
    }
    return total;
  }

  // The memory of the rows, 64-byte aligned. Where the outputs are inputs of another network, cut
  // alike, they may lie there.
  void place(T* memory, const Network* reader = nullptr) {
    const auto take = [&](int64_t size) {
      T* const at = memory;
      memory += part(size);
      return at;
    };
    const int64_t space = cut_.space();
    values_[0] = take(inputs() * space), slopes_[0] = take(inputs() * space);
    for (int64_t i = 0; i < count_; ++i) {
      const fg_mlp_layer& l = layers_[i];
      values_[i + 1] = take(l.units * space), slopes_[i + 1] = take(l.units * space);
      sums_[i] = keeps_sums(l) ? take(l.units * space) : nullptr;
      noise_[i] = l.kind == FG_LOG_VARIANCE ? take(l.units * space) : nullptr;
      corrupted_[i] = corrupts(i) ? take(l.inputs * space) : nullptr;
      masks_[i] = drops(i) ? take(l.inputs * space) : nullptr;
      penalty_slopes_[i] = penalises(i) ? take(l.units) : nullptr;
      columns_[i] = {take(ColumnBlocks<T>::size(l.transposed ? l.inputs : l.units, space)), space};
    }
    drawn_ = take(widest_ * space);
    if (reader) values_[count_] = reader->values_[0], slopes_[count_] = reader->slopes_[0];
  }

  const Cut& cut() const { return cut_; }
  int64_t count() const { return count_; }
  Layer<T> layer(int64_t i) const { return {layers_[i]}; }
  int64_t features(int64_t i) const { return i ? layers_[i - 1].units : layers_[0].inputs; }
  int64_t inputs() const { return features(0); }
  int64_t outputs() const { return features(count_); }

  // Whether layer i draws, and whose values it reads.
  bool draws(int64_t i) const { return i < count_ && layers_[i].kind == FG_LOG_VARIANCE; }
  int64_t source(int64_t i) const { return draws(i) ? i - 1 : i; }

  // Whether layer i corrupts its inputs, how many do, and what they draw in a pass.
  bool corrupts(int64_t i) const { return layers_[i].corruption != FG_INTACT; }
  int64_t corruptions() const { return corruptions_; }
  Seeds seeds(int64_t pass, int64_t first_row = 0) const {
    return {seeds_ ? seeds_ + 2 * corruptions_ * pass : nullptr, first_row};
  }

  // Whether there is a penalty of what layer i gives, and the derivatives of it by the activations of
  // each of its units, for l1 where these are positive.
  bool penalises(int64_t i) const { return layers_[i].sparsity != FG_NO_SPARSITY; }
  T* penalty_slopes(int64_t i) const { return penalty_slopes_[i]; }

  // What layer i gets, i = count(): the outputs; the gradient of it; and what layer i sums up, where
  // its activation's derivative follows from that.
  Rows<T> values(int64_t i, const Panel& p) const { return rows(values_[i], features(i), p); }
  Rows<T> slopes(int64_t i, const Panel& p) const { return rows(slopes_[i], features(i), p); }
  Rows<T> sums(int64_t i, const Panel& p) const { return rows(sums_[i], features(i + 1), p); }
  // The noise of a layer that draws.
  Rows<T> noise(int64_t i, const Panel& p) const { return rows(noise_[i], features(i + 1), p); }
  // What layer i multiplies: the values of its source or, where that corrupts them, what it makes of
  // them, and by which factors.
  template <class Where>
  Rows<T> operand(int64_t i, const Where& where) const {
    const int64_t from = source(i);
    return rows(corrupts(from) ? corrupted_[from] : values_[from], features(from), where);
  }
  Rows<T> mask(int64_t i, const Panel& p) const { return rows(masks_[i], features(i), p); }
  // Memory for numbers of a panel on their way, row by row, as many as a corrupting layer has inputs.
  T* drawn(const Panel& p) const {
    return drawn_ + (p.chunk * cut_.chunk_rows() + p.lane) * widest_;
  }
  // The slopes of a whole chunk.
  Rows<T> slopes(int64_t i, int64_t chunk) const { return rows(slopes_[i], features(i), chunk); }
  // Of a weight gradient's two operands that which lies along a line of the kernel.
  const ColumnBlocks<T>& columns(int64_t i) const { return columns_[i]; }

  // Memory of other features of all rows: where a chunk or a panel lies in it.
  Rows<T> rows(T* base, int64_t features, int64_t chunk) const {
    return {base + chunk * cut_.chunk_rows() * features, cut_.chunk_rows()};
  }
  Rows<T> rows(T* base, int64_t features, const Panel& p) const {
    return {rows(base, features, p.chunk).base + p.lane, cut_.chunk_rows()};
  }

 private:
  static bool keeps_sums(const fg_mlp_layer& l) {
    return fg_needs_input(l.activation) || l.kind == FG_LOG_VARIANCE;
  }
  bool drops(int64_t i) const { return layers_[i].corruption == FG_DROPOUT; }
  static int64_t part(int64_t size) { return (size + 15) / 16 * 16; }
  const Cut cut_;
  const int64_t count_;
  const fg_mlp_layer* const layers_;
  const int64_t* const seeds_;
  int64_t corruptions_ = 0, widest_ = 0;
  T *values_[kMaxLayers + 1], *slopes_[kMaxLayers + 1], *sums_[kMaxLayers], *noise_[kMaxLayers];
  T *corrupted_[kMaxLayers], *masks_[kMaxLayers], *drawn_, *penalty_slopes_[kMaxLayers];
  ColumnBlocks<T> columns_[kMaxLayers];
};

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
