// A panel of rows through a network, forwards and backwards.
#pragma once
#include "mlp/corruption.h"
#include "mlp/gaussian.h"
#include "mlp/rows.h"
#include "mlp/sparsity.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// Products of a panel's weights.
template <class T>
int64_t pass_cycles(const Network<T>& net) {
  int64_t weights = 0;
  for (int64_t i = 0; i < net.count(); ++i) weights += net.features(i) * net.features(i + 1);
  return weights * net.cut().width() / Lanes<typename Compute<T>::type>::count;
}

// out = act(sums + bias), in place; the sums with their bias stay in `kept` if it is not NULL.
template <class T>
void activate(const Layer<T>& layer, const Rows<T>& out, const Rows<T>* kept, int64_t width) {
  typedef typename Compute<T>::type V;
  for_activation(layer.of.activation, layer.of.slope, [&](auto act) {
    for (int64_t unit = 0; unit < layer.of.units; ++unit) {
      const V bias = splat<V>(layer.bias() ? layer.bias()[unit] : T{0});
      T* const y = out.feature(unit);
      for (int64_t r = 0; r < width; r += Lanes<V>::count) {
        const V sum = load(y, r, Whole{}) + bias;
        if (kept) store(kept->feature(unit), r, sum, Whole{});
        store(y, r, act.value(sum), Whole{});
      }
    }
    return FG_OK;
  });
}

// From the inputs up.
template <class T>
void forward(const Network<T>& net, const Panel& p, const Seeds& seeds) {
  const int64_t width = net.cut().width();
  const int64_t* seed = seeds.of;
  for (int64_t i = 0; i < net.count(); ++i) {
    const Layer<T> layer = net.layer(i);
    if (net.corrupts(i)) {
      corrupt(net, i, p, seed, seeds.first_row);
      if (seed) seed += 2;
    }
    const Rows<T> x = net.operand(i, p), sums = net.sums(i, p);
    const Rows<T> y = net.draws(i) ? sums : net.values(i + 1, p);
    multiply_rows<T>(layer.lines_of_units(), layer.of.units, layer.of.inputs, {x.base, x.step}, y,
                     width, false);
    activate(layer, y, fg_needs_input(layer.of.activation) ? &sums : nullptr, width);
    if (net.draws(i)) draw(net, i, p);
  }
}

// slopes, of a layer's outputs, become those of its sums.
template <class T>
void through_activation(const Layer<T>& layer, const Rows<T>& saved, const Rows<T>& slopes,
                        int64_t width) {
  typedef typename Compute<T>::type V;
  for_activation(layer.of.activation, layer.of.slope, [&](auto act) {
    for (int64_t unit = 0; unit < layer.of.units; ++unit) {
      T* const d = slopes.feature(unit);
      for (int64_t r = 0; r < width; r += Lanes<V>::count) {
        const V x = load(saved.feature(unit), r, Whole{});
        store(d, r, act.gradient(x, load(d, r, Whole{})), Whole{});
      }
    }
    return FG_OK;
  });
}

// How far backward() goes.
struct Backward {
  bool of_weights;      // leaves what the weights' gradients are made of
  bool to_inputs;       // down to the slopes of the first layer's inputs
  double kl_scale = 0;  // of the divergence of each row, for a layer that draws
};

// From the slopes of the outputs down.
template <class T>
void backward(const Network<T>& net, const Panel& p, const Backward& how) {
  const int64_t width = net.cut().width();
  const int64_t row = p.chunk * net.cut().chunk_rows() + p.lane;
  for (int64_t i = net.count() - 1; i >= 0; --i) {
    const Layer<T> layer = net.layer(i);
    const Rows<T> d = net.slopes(i + 1, p);
    if (net.draws(i)) through_draw(net, i, p, (T)how.kl_scale);
    if (net.penalises(i)) add_penalty_slopes(net, i, p);
    if (layer.of.activation != FG_LINEAR) {
      const bool of_sums = fg_needs_input(layer.of.activation);
      through_activation(layer, of_sums ? net.sums(i, p) : net.values(i + 1, p), d, width);
    }
    if (how.of_weights) {
      if (layer.of.transposed) {
        put_columns(p.count, layer.of.inputs, net.operand(i, p), net.columns(i), row);
      } else {
        put_columns(p.count, layer.of.units, d, net.columns(i), row);
      }
    }
    if (net.source(i) > 0 || how.to_inputs) {
      multiply_rows<T>(layer.lines_of_inputs(), layer.of.inputs, layer.of.units, {d.base, d.step},
                       net.slopes(net.source(i), p), width, net.draws(i + 1));
      if (net.corrupts(i)) through_corruption(net, i, p);
    }
  }
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
