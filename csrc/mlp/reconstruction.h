// Losses of a network whose outputs are to be like given rows.
#pragma once
#include "core/logistic.h"
#include "mlp/network.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// Features that are summed up before a row's total takes their sum: two levels of rounding errors.
constexpr int64_t kSumFeatures = 32;

// losses[row] = the sum over a panel's features of term(output, target, &slope), and the slopes of the
// outputs, scaled. losses: space for whole vectors.
template <class T, class Term>
FG_INLINE void feature_losses(const Network<T>& net, const Panel& p, const Rows<T>& targets,
                              T scale, T* losses, const Term& term) {
  typedef typename Compute<T>::type V;
  const Rows<T> out = net.values(net.count(), p), slopes = net.slopes(net.count(), p);
  const int64_t features = net.outputs();
  for (int64_t r = 0; r < net.cut().width(); r += Lanes<V>::count) {
    V total = {};
    for (int64_t first = 0; first < features; first += kSumFeatures) {
      V sum = {};
      for (int64_t f = first; f < least(features, first + kSumFeatures); ++f) {
        V slope;
        sum += term(load(out.feature(f), r, Whole{}), load(targets.feature(f), r, Whole{}), &slope);
        store(slopes.feature(f), r, slope * scale, Whole{});
      }
      total += sum;
    }
    store(losses, r, total, Whole{});
  }
}

// Binary cross-entropy of logits.
template <class T>
void cross_entropies(const Network<T>& net, const Panel& p, const Rows<T>& targets, T scale,
                     T* losses) {
  typedef typename Compute<T>::type V;
  feature_losses(net, p, targets, scale, losses, [](V l, V y, V* slope) {
    const V e = exp_of_minus_abs(l);
    *slope = sigmoid(l, e) - y;
    return softplus(l, e) - y * l;
  });
}

template <class T>
void squared_errors(const Network<T>& net, const Panel& p, const Rows<T>& targets, T scale,
                    T* losses) {
  typedef typename Compute<T>::type V;
  feature_losses(net, p, targets, scale, losses, [](V x, V y, V* slope) {
    const V error = x - y;
    *slope = error * 2.0f;
    return error * error;
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
