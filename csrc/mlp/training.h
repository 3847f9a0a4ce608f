// A network under training: its memory for a batch, and its optimizer.
#pragma once
#include <math.h>

#include "kernels/discriminator_update.h"
#include "mlp/check.h"
#include "mlp/passes.h"
#include "mlp/update.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// A network's layers, to be changed.
struct Layers {
  fg_mlp_layer of[kMaxLayers];
  fg_mlp mlp;

  explicit Layers(const fg_mlp& from) : mlp{from.dtype, from.count, of, from.seeds} {
    for (int64_t i = 0; i < from.count; ++i) of[i] = from.layers[i];
  }
  Layers(const Layers&) = delete;
  Layers& operator=(const Layers&) = delete;
  // A sigmoid at the end is the loss's.
  void end_in_logits() {
    fg_activation& last = of[mlp.count - 1].activation;
    if (last == FG_SIGMOID) last = FG_LINEAR;
  }
};

template <class T>
class Training {
 public:
  Training(const Layers& layers, const fg_optimizer& optimizer, const Cut& cut)
      : layers_(layers.mlp),
        optimizer_(optimizer),
        in_parts_(updates_in_parts(optimizer)),
        net_(layers_.mlp, cut),
        update_(net_),
        memory_(net_.size() + gradients()) {}

  int reserve(const char* op, const Network<T>* reader = nullptr) {
    if (!memory_.data) return no_memory(op, net_.size() + gradients());
    net_.place(memory_.data, reader);
    T* at = memory_.data + net_.size();
    for (int64_t i = 0; !in_parts_ && i < layers_.mlp.count; ++i) {
      fg_mlp_layer& l = layers_.of[i];
      l.kernel.gradient = at, at += padded(l.inputs * l.units);
      if (l.bias.variable) l.bias.gradient = at, at += padded(l.units);
    }
    return update_.reserve(op);
  }

  const Network<T>& net() const { return net_; }

  // The optimizer's step after backward() of all panels. *norm: the gradients' global norm.
  int step(const fg_threads* threads, double learning_rate, double* norm) {
    optimizer_.learning_rate = learning_rate;
    *norm = ::sqrt(update_.run(threads, in_parts_ ? &optimizer_ : nullptr));
    int code = FG_OK, applied = 1;
    if (!in_parts_) code = update_whole(threads, &applied);
    optimizer_.iterations += code == FG_OK && applied;
    return code;
  }

 private:
  static int64_t padded(int64_t size) { return (size + 15) / 16 * 16; }
  int64_t gradients() const {
    int64_t total = 0;
    for (int64_t i = 0; !in_parts_ && i < layers_.mlp.count; ++i) {
      total += padded(layers_.of[i].inputs * layers_.of[i].units) + padded(layers_.of[i].units);
    }
    return total;
  }

  int update_whole(const fg_threads* threads, int* applied) {
    fg_optimizer_tensor tensors[2 * kMaxLayers];
    int64_t count = 0;
    for (int64_t i = 0; i < layers_.mlp.count; ++i) {
      const fg_mlp_layer& l = layers_.of[i];
      if (!update_.tied_before(i)) tensors[count++] = l.kernel;
      if (l.bias.variable) tensors[count++] = l.bias;
    }
    return fg_optimizer_update(threads, &optimizer_, count, tensors, applied);
  }

  Layers layers_;
  fg_optimizer optimizer_;
  const bool in_parts_;
  Network<T> net_;
  Update<T> update_;
  const Memory<T> memory_;
};

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
