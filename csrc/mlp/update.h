// Gradients of a network's weights, and what an optimizer makes of them while they are in cache.
#pragma once
#include "core/simd.h"
#include "mlp/network.h"
#include "mlp/optimizer_rules.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// A part of a kernel that a task updates: 4 tiles of lines by up to 512 columns, whose gradients take
// 28 KiB a tile.
constexpr int64_t kPartLines = 4 * kTileLines, kPartCols = 512;

// Whether a step needs nothing but each part's own gradient.
FG_INLINE bool updates_in_parts(const fg_optimizer& o) {
  return (o.clip == FG_CLIP_NOTHING || o.clip == FG_CLIP_VALUE) && o.loss_scale == 0 &&
         o.accumulation_steps <= 1 && o.ema_momentum == 0;
}

template <class T>
class Update {
  typedef typename Compute<T>::type V;

 public:
  // A task's part of a layer's kernel or, where lines is 0, all of its bias.
  struct Part {
    int64_t layer, line, lines, col, cols;
  };

  explicit Update(const Network<T>& net) : net_(net) {
    count_ = parts([](const Part&) {});
  }
  ~Update() { free(parts_); }
  Update(const Update&) = delete;
  Update& operator=(const Update&) = delete;

  int reserve(const char* op) {
    parts_ = (Part*)malloc((size_t)count_ * (sizeof(Part) + sizeof(double)));
    if (!parts_) {
      return fail(FG_RESOURCE_EXHAUSTED, "%s: no memory for %lld parts", op, (long long)count_);
    }
    squares_ = (double*)(parts_ + count_);
    int64_t i = 0;
    parts([&](const Part& part) { parts_[i++] = part; });
    return FG_OK;
  }

  // After backward() of all panels: applies the optimizer's rule, if there is one, and leaves the
  // gradients that the layers have memory for. Returns the sum of the gradients' squares.
  double run(const fg_threads* threads, const fg_optimizer* optimizer) {
    OptimizerScalars<T> s = {};
    if (optimizer) {
      s = scalars<T>(*optimizer, optimizer->iterations,
                     updated_u_product(*optimizer, optimizer->iterations, true));
    }
    const int64_t cycles = kPartLines * 150 / Lanes<V>::count * (net_.cut().space() + 40);
    parallel_for(threads, count_, cycles, [&](int64_t i) {
      [[maybe_unused]] const FlushedUnderflow flushed;
      squares_[i] = parts_[i].lines ? update_kernel(parts_[i], optimizer, s)
                                    : update_bias(parts_[i], optimizer, s);
    });
    double total = 0;
    for (int64_t i = 0; i < count_; ++i) total += squares_[i];
    return total;
  }

  // Whether a layer before this one has its kernel.
  bool tied_before(int64_t i) const {
    for (int64_t j = 0; j < i; ++j) {
      if (tied(i, j)) return true;
    }
    return false;
  }

 private:
  int64_t lines(int64_t i) const { return layer(i).transposed ? layer(i).units : layer(i).inputs; }
  int64_t cols(int64_t i) const { return layer(i).transposed ? layer(i).inputs : layer(i).units; }
  const fg_mlp_layer& layer(int64_t i) const { return net_.layer(i).of; }
  bool tied(int64_t i, int64_t j) const {
    return layer(i).kernel.variable == layer(j).kernel.variable;
  }
  // Calls take(part) for all, layer by layer.
  template <class Take>
  int64_t parts(const Take& take) const {
    int64_t count = 0;
    for (int64_t i = 0; i < net_.count(); ++i) {
      for (int64_t line = 0; line < lines(i) && !tied_before(i); line += kPartLines) {
        for (int64_t col = 0; col < cols(i); col += kPartCols, ++count) {
          take(Part{i, line, least(kPartLines, lines(i) - line), col,
                    least(kPartCols, cols(i) - col)});
        }
      }
      if (layer(i).bias.variable) take(Part{i, 0, 0, 0, layer(i).units}), ++count;
    }
    return count;
  }

  double update_kernel(const Part& part, const fg_optimizer* optimizer,
                       const OptimizerScalars<T>& s) const {
    alignas(64) T gradient[kTileLines * kPartCols];
    if (!net_.cut().chunks()) __builtin_memset(gradient, 0, sizeof gradient);
    double squares = 0;
    for (int64_t done = 0; done < part.lines; done += kTileLines) {
      const int64_t line = part.line + done, lines = least(kTileLines, part.lines - done);
      bool add = false;
      for (int64_t i = part.layer; i < net_.count(); ++i) {
        if (!tied(i, part.layer)) continue;
        add_gradient(i, line, lines, part, gradient, add);
        add = true;
      }
      for (int64_t j = 0; j < lines; ++j) {
        squares += apply(layer(part.layer).kernel, (line + j) * cols(part.layer) + part.col,
                         gradient + j * kPartCols, part.cols, optimizer, s);
      }
    }
    return squares;
  }

  // What layer i contributes to the gradient of lines [line, line + lines).
  void add_gradient(int64_t i, int64_t line, int64_t lines, const Part& part, T* gradient,
                    bool add) const {
    constexpr int64_t n = Lanes<V>::count, width = ColumnBlocks<T>::kWidth;
    const auto pair = multiply_of_lines<V, 2>(lines), single = multiply_of_lines<V, 1>(lines);
    const Cut& cut = net_.cut();
    for (int64_t col = 0; col < part.cols; col += width) {
      const auto run = part.cols - col > n ? pair : single;
      for (int64_t chunk = 0; chunk < cut.chunks(); ++chunk) {
        const Rows<T> of_lines =
            layer(i).transposed ? net_.slopes(i + 1, chunk) : net_.operand(i, chunk);
        run(cut.rows_of_chunk(chunk), Strided<T>{of_lines.feature(line), of_lines.step, 1},
            net_.columns(i).at((part.col + col) / width, chunk * cut.chunk_rows()), width,
            gradient + col, kPartCols, add || chunk > 0);
      }
    }
  }

  double update_bias(const Part& part, const fg_optimizer* optimizer,
                     const OptimizerScalars<T>& s) const {
    const fg_optimizer_tensor& bias = layer(part.layer).bias;
    double squares = 0;
    for (int64_t unit = 0; unit < part.cols; unit += kPartCols) {
      alignas(64) T gradient[kPartCols];
      const int64_t count = least(kPartCols, part.cols - unit);
      bias_gradient(part.layer, unit, count, gradient);
      squares += apply(bias, unit, gradient, count, optimizer, s);
    }
    return squares;
  }

  void bias_gradient(int64_t i, int64_t unit, int64_t count, T* gradient) const {
    const Cut& cut = net_.cut();
    for (int64_t j = 0; j < count; ++j) gradient[j] = 0;
    for (int64_t chunk = 0; chunk < cut.chunks(); ++chunk) {
      const int64_t rows = cut.rows_of_chunk(chunk);
      if (layer(i).transposed) {
        for (int64_t j = 0; j < count; ++j) {
          gradient[j] += sum<V>(net_.slopes(i + 1, chunk).feature(unit + j), rows);
        }
        continue;
      }
      const T one = 1;
      constexpr int64_t n = Lanes<V>::count, width = ColumnBlocks<T>::kWidth;
      for (int64_t col = 0; col < count; col += n) {
        const T* const block =
            net_.columns(i).at((unit + col) / width, chunk * cut.chunk_rows()) + col % width;
        multiply<V, 1, 1>(rows, Strided<T>{&one, 0, 0}, block, width, gradient + col, kPartCols,
                          chunk > 0);
      }
    }
  }

  // A stretch of a tensor, from element `first` on.
  double apply(const fg_optimizer_tensor& tensor, int64_t first, T* gradient, int64_t size,
               const fg_optimizer* optimizer, const OptimizerScalars<T>& s) const {
    V squares = {};
    T* const out = tensor.gradient ? (T*)tensor.gradient + first : nullptr;
    for_vectors<T>(size, [&](int64_t i, auto lanes) {
      const V g = load(gradient, i, lanes);
      squares = fma(g, g, squares);
      if (out) store(out, i, g, lanes);
    });
    if (optimizer) {
      if (optimizer->clip == FG_CLIP_VALUE) {
        const T at = (T)optimizer->clip_at;
        for_vectors<T>(size, [&](int64_t i, auto lanes) {
          store(gradient, i, clamp(load(gradient, i, lanes), -at, at), lanes);
        });
      }
      rule_tile(*optimizer, s, tensor.decays != 0, gradient, Arrays<T>(tensor, first), size);
    }
    return sum(squares);
  }

  const Network<T>& net_;
  int64_t count_ = 0;
  Part* parts_ = nullptr;
  double* squares_ = nullptr;
};

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
