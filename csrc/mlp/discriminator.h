// A network with one logit under training on real and fake rows, as two kernels have it.
#pragma once
#include "kernels/discriminator_update.h"
#include "mlp/images.h"
#include "mlp/logits.h"
#include "mlp/training.h"

namespace fastgen {
namespace FASTGEN_TARGET {

template <class T>
class Discriminator {
  typedef typename Compute<T>::type V;

 public:
  enum { kFake = 0, kReal = 1 };  // the groups of rows

  Discriminator(const Layers& layers, const fg_optimizer& optimizer, int64_t fakes, int64_t reals)
      : training_(layers, optimizer, Cut(fakes, reals)), rows_(2 * (space(fakes) + space(reals))) {
    T* at = rows_.data;
    for (int group = kFake; group <= kReal; ++group) {
      const int64_t size = space(group == kFake ? fakes : reals);
      logits_[group] = {at, at + size};
      at += 2 * size;
    }
  }

  int reserve(const char* op) {
    return rows_.data ? training_.reserve(op) : no_memory(op, 2 * cut().space());
  }

  const Network<T>& net() const { return training_.net(); }
  const Cut& cut() const { return net().cut(); }

  // A panel whose inputs lie in the network, forwards and backwards. targets: of the group's rows, or
  // NULL: `target` for all. The loss is the mean over `rows`. pass: of those that draw.
  void judge(const Panel& p, const T* targets, T target, int64_t rows, int64_t pass,
             const Backward& how) {
    const bool after_real = p.group == kFake && how.of_weights;
    forward(net(), p, net().seeds(pass, after_real ? cut().rows(kReal) : 0));
    logit_losses(
        net(), p, T{1} / (T)rows,
        [&](int64_t r, auto lanes) {
          return targets ? load(targets, p.row + r, lanes) : splat<V>(target);
        },
        logits_[p.group]);
    backward(net(), p, how);
  }

  LogitSums sums(int group) const {
    LogitSums sums;
    sums.add(logits_[group], cut().rows(group));
    return sums;
  }

  // The update after judge() of all panels, if the loss is finite; adds to the telemetry.
  int step(const fg_threads* threads, double learning_rate, double* telemetry, bool* finite) {
    const LogitSums fake = sums(kFake), real = sums(kReal);
    const double fakes = cut().rows(kFake), reals = cut().rows(kReal);
    const double loss = (fake.loss + real.loss) / (fakes + reals);
    *finite = isfinite(loss);
    if (!*finite) return FG_OK;
    telemetry[FG_DISCRIMINATOR_LOSS] += loss;
    telemetry[FG_REAL_ACCURACY] += real.above_half / reals;
    telemetry[FG_FAKE_ACCURACY] += 1 - fake.above_half / fakes;
    telemetry[FG_REAL_PROBABILITY] += real.probability / reals;
    telemetry[FG_FAKE_PROBABILITY] += fake.probability / fakes;
    double norm;
    const int code = training_.step(threads, learning_rate, &norm);
    telemetry[FG_DISCRIMINATOR_GRADIENT_NORM] += norm;
    return code;
  }

 private:
  static int64_t space(int64_t rows) { return (rows + 63) / 64 * 64; }

  Training<T> training_;
  const Memory<T> rows_;
  LogitRows<T> logits_[2];
};

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
