// Sparsity penalties of a network's layers: the mean activity of each unit over the batch, what it
// costs, and what of that each activation has to answer for.
#pragma once
#include "mlp/check.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// The slopes of what layer i gives, and those of its penalty.
template <class T>
void add_penalty_slopes(const Network<T>& net, int64_t i, const Panel& p) {
  typedef typename Compute<T>::type V;
  const Rows<T> a = net.values(i + 1, p), d = net.slopes(i + 1, p);
  const bool signs = net.layer(i).of.sparsity == FG_SPARSITY_L1;
  for (int64_t unit = 0; unit < net.features(i + 1); ++unit) {
    const V slope = splat<V>(net.penalty_slopes(i)[unit]);
    for (int64_t r = 0; r < net.cut().width(); r += Lanes<V>::count) {
      const V own = signs ? with_sign(slope, load(a.feature(unit), r, Whole{})) : slope;
      store(d.feature(unit), r, load(d.feature(unit), r, Whole{}) + own, Whole{});
    }
  }
}

// The penalties of a network. A derivative of kl or mse is one by the mean of the batch: add() of all
// panels, then settle(), then backward(). That of l1 is the same at any mean.
template <class T>
class Sparsity {
  typedef typename Compute<T>::type V;

 public:
  explicit Sparsity(const Network<T>& net)
      : net_(net), units_(units(net)), sums_(units_ * (1 + net.cut().panels(0))) {}

  // After the network has its memory. Of l1, these slopes stay.
  int reserve(const char* op) {
    if (!sums_.data) return no_memory(op, units_ * (1 + net_.cut().panels(0)));
    for_layers([&](int64_t i, int64_t) {
      for (int64_t unit = 0; unit < net_.features(i + 1); ++unit) {
        net_.penalty_slopes(i)[unit] = slope(net_.layer(i).of, 0);
      }
    });
    return FG_OK;
  }

  int64_t layers() const {
    int64_t count = 0;
    for_layers([&](int64_t, int64_t) { ++count; });
    return count;
  }
  // Whether settle() must stand between the passes of a batch.
  bool of_means() const {
    bool found = false;
    for_layers([&](int64_t i, int64_t) { found |= net_.layer(i).of.sparsity != FG_SPARSITY_L1; });
    return found;
  }

  // A panel's rows after forward(), by whichever thread.
  void add(const Panel& p) {
    for_layers([&](int64_t i, int64_t first) {
      const Rows<T> a = net_.values(i + 1, p);
      const bool absolute = net_.layer(i).of.sparsity == FG_SPARSITY_L1;
      for (int64_t unit = 0; unit < net_.features(i + 1); ++unit) {
        V total = {};
        for_vectors<T>(p.count, [&](int64_t r, auto lanes) {
          const V x = load(a.feature(unit), r, lanes);
          total += absolute ? magnitude(x) : x;
        });
        of_panel(p.row / net_.cut().width())[first + unit] = sum(total);
      }
    });
  }

  // After add() of all panels: the weighted penalties' sum. activity: of each layer that has one, the
  // mean over its units.
  double settle(double* activity) {
    const int64_t panels = net_.cut().panels(0), rows = net_.cut().rows(0);
    double* const q = of_panel(panels);
    for (int64_t unit = 0; unit < units_; ++unit) {
      q[unit] = 0;
      for (int64_t panel = 0; panel < panels; ++panel) q[unit] += of_panel(panel)[unit];
      q[unit] /= rows;
    }
    double penalty = 0;
    for_layers([&](int64_t i, int64_t first) {
      const fg_mlp_layer& l = net_.layer(i).of;
      penalty +=
          l.sparsity_weight * sparsity_penalty(l.sparsity, l.sparsity_target, q + first, l.units);
      double total = 0;
      for (int64_t unit = 0; unit < l.units; ++unit) {
        total += q[first + unit];
        net_.penalty_slopes(i)[unit] = slope(l, q[first + unit]);
      }
      *activity++ = total / l.units;
    });
    return penalty;
  }

 private:
  // body(a layer that has a penalty, the place of its first unit among those of all)
  template <class Body>
  void for_layers(const Body& body) const {
    for (int64_t i = 0, first = 0; i < net_.count(); ++i) {
      if (!net_.penalises(i)) continue;
      body(i, first);
      first += net_.features(i + 1);
    }
  }
  static int64_t units(const Network<T>& net) {
    int64_t total = 0;
    for (int64_t i = 0; i < net.count(); ++i) total += net.penalises(i) * net.features(i + 1);
    return total;
  }
  T slope(const fg_mlp_layer& l, double q) const {
    const double of_mean = sparsity_slope(l.sparsity, q, l.sparsity_target);
    return (T)(l.sparsity_weight * of_mean / net_.cut().rows(0));
  }
  double* of_panel(int64_t panel) const { return sums_.data + panel * units_; }

  const Network<T>& net_;
  const int64_t units_;
  const Memory<double> sums_;  // of each panel, then the means
};

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
