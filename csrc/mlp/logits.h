// Binary cross-entropy of a network with one output, a logit.
#pragma once
#include "core/logistic.h"
#include "mlp/network.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// What a row's logit comes to.
template <class T>
struct LogitRows {
  T *loss, *probability;  // of every row of the group, with space for whole vectors
};

// Loss softplus(l) - target l of a panel's rows and, scaled, its gradient sigmoid(l) - target as the
// slope of the output. target(row, lanes) gives a vector of a row of the panel on.
template <class T, class Target>
void logit_losses(const Network<T>& net, const Panel& p, T scale, const Target& target,
                  const LogitRows<T>& out) {
  typedef typename Compute<T>::type V;
  const T* const logits = net.values(net.count(), p).base;
  T* const slopes = net.slopes(net.count(), p).base;
  for (int64_t r = 0; r < net.cut().width(); r += Lanes<V>::count) store(slopes, r, V{}, Whole{});
  for_vectors<T>(p.count, [&](int64_t r, auto lanes) {
    const V l = load(logits, r, lanes), e = exp_of_minus_abs(l), y = target(r, lanes);
    const V probability = sigmoid(l, e);
    store(out.loss, p.row + r, softplus(l, e) - y * l, lanes);
    store(out.probability, p.row + r, probability, lanes);
    store(slopes, r, (probability - y) * scale, lanes);
  });
}

// Sums over a group's rows, in order.
struct LogitSums {
  double loss = 0, probability = 0, above_half = 0;

  template <class T>
  FG_INLINE void add(const LogitRows<T>& rows, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      loss += (double)rows.loss[i];
      probability += (double)rows.probability[i];
      above_half += rows.probability[i] > (T)0.5;
    }
  }
};

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
