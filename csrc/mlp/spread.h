// How far the outputs for the rows of a batch lie apart.
#pragma once
#include <math.h>

#include "core/pack.h"
#include "mlp/check.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// The root of the mean of |x_i - x_j|^2 over all pairs of different rows: without looking at pairs, as
// 2 / (n - 1) (sum |x|^2 - n |mean|^2).
template <class T>
class Spread {
  typedef typename Compute<T>::type V;

 public:
  explicit Spread(const Network<T>& net)
      : net_(net), sums_((net.outputs() + 1) * net.cut().panels(0)) {}

  int reserve(const char* op) {
    return sums_.data ? FG_OK : no_memory(op, net_.outputs() * net_.cut().panels(0));
  }

  // A panel's rows, by whichever thread.
  void add(const Panel& p, const Rows<T>& x) {
    constexpr int64_t n = Lanes<V>::count;
    double* const sums = of_panel(p.row / net_.cut().width());
    double squares = 0;
    for (int64_t f = 0; f < net_.outputs(); f += n) {
      const int64_t left = least(n, net_.outputs() - f);
      V totals[n] = {}, square = {};  // of a feature each
#pragma GCC unroll 16
      for (int64_t i = 0; i < n; ++i) {
        if (i == left) break;
        for_vectors<T>(p.count, [&](int64_t r, auto lanes) {
          const V value = load(x.feature(f + i), r, lanes);
          totals[i] += value;
          square = fma(value, value, square);
        });
      }
      transpose(totals);
#pragma GCC unroll 16
      for (int64_t i = 1; i < n; ++i) totals[0] += totals[i];
      T of_features[n];
      store(of_features, 0, totals[0], Whole{});
      for (int64_t i = 0; i < left; ++i) sums[f + i] = of_features[i];
      squares += sum(square);
    }
    sums[net_.outputs()] = squares;
  }

  // After add() of all panels.
  double distance() const {
    const int64_t rows = net_.cut().rows(0), panels = net_.cut().panels(0);
    if (rows < 2) return 0;
    double squares = 0, of_mean = 0;
    for (int64_t f = 0; f <= net_.outputs(); ++f) {
      double total = 0;
      for (int64_t panel = 0; panel < panels; ++panel) total += of_panel(panel)[f];
      if (f < net_.outputs()) {
        of_mean += total * total / rows;
      } else {
        squares = total;
      }
    }
    const double rest = squares - of_mean;
    return rest <= 0 ? 0 : ::sqrt(2 * rest / (rows - 1));
  }

 private:
  double* of_panel(int64_t panel) const { return sums_.data + panel * (net_.outputs() + 1); }
  const Network<T>& net_;
  const Memory<double> sums_;
};

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
