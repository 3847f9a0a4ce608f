// What the inputs of a layer go through in training: dropout or noise.
#pragma once
#include "kernels/dropout.h"
#include "mlp/noise.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// out = f(a, b) on the inputs of layer i, features of a panel each.
template <class T, class Function>
FG_INLINE void of_inputs(const Network<T>& net, int64_t i, const Rows<T>& a, const Rows<T>& b,
                         const Rows<T>& out, const Function& f) {
  typedef typename Compute<T>::type V;
  for (int64_t feature = 0; feature < net.features(i); ++feature) {
    for (int64_t r = 0; r < net.cut().width(); r += Lanes<V>::count) {
      const V x = load(a.feature(feature), r, Whole{}), y = load(b.feature(feature), r, Whole{});
      store(out.feature(feature), r, f(x, y), Whole{});
    }
  }
}

// x mask; where that is 0, 0, of NaN too.
template <class V>
FG_INLINE V masked(V x, V mask) {
  return mask == 0.0f ? V{} : x * mask;
}

// What layer i multiplies, of what it gets; without a seed the same.
template <class T>
void corrupt(const Network<T>& net, int64_t i, const Panel& p, const int64_t* seed,
             int64_t first_row) {
  typedef typename Compute<T>::type V;
  const fg_mlp_layer& layer = net.layer(i).of;
  const bool drops = layer.corruption == FG_DROPOUT;
  const Rows<T> x = net.values(i, p), y = net.operand(i, p), mask = drops ? net.mask(i, p) : y;
  if (!seed) {
    if (drops) of_inputs(net, i, x, x, mask, [](V, V) { return splat<V>(1); });
    of_inputs(net, i, x, x, y, [](V value, V) { return value; });
  } else if (drops) {
    const Dropout<V> dropout(layer.amount);
    put_of_bits(p, layer.inputs, seed, first_row, net.drawn(p), mask,
                [&](auto bits) { return dropout(splat<V>(1), bits); });
    of_inputs(net, i, x, mask, y, masked<V>);
  } else {
    const V stddev = splat<V>((T)layer.amount);
    put_noise(p, layer.inputs, seed, first_row, net.drawn(p), y);
    of_inputs(net, i, x, y, y, [&](V value, V eps) { return fma(stddev, eps, value); });
  }
}

// The slopes of what layer i multiplies become those of what it gets.
template <class T>
void through_corruption(const Network<T>& net, int64_t i, const Panel& p) {
  typedef typename Compute<T>::type V;
  if (net.layer(i).of.corruption != FG_DROPOUT) return;
  of_inputs(net, i, net.slopes(i, p), net.mask(i, p), net.slopes(i, p), masked<V>);
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
