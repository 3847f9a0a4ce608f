// The draw of a variational encoder: a mean, a log variance and their Kullback-Leibler divergence from
// the standard normal distribution.
#pragma once
#include "core/vector_math.h"
#include "kernels/gaussian_kl.h"
#include "mlp/network.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// Calls body(mean, log_var, noise, unit, row) on the vectors of a panel, layer i being the one that
// draws.
template <class T, class Body>
FG_INLINE void for_codings(const Network<T>& net, int64_t i, const Panel& p, const Body& body) {
  typedef typename Compute<T>::type V;
  const Rows<T> mean = net.values(i, p), log_var = net.sums(i, p), noise = net.noise(i, p);
  for (int64_t unit = 0; unit < net.features(i + 1); ++unit) {
    for (int64_t r = 0; r < net.cut().width(); r += Lanes<V>::count) {
      body(load(mean.feature(unit), r, Whole{}), load(log_var.feature(unit), r, Whole{}),
           load(noise.feature(unit), r, Whole{}), unit, r);
    }
  }
}

// The layer's outputs: mean + exp(log_var / 2) noise.
template <class T>
void draw(const Network<T>& net, int64_t i, const Panel& p) {
  typedef typename Compute<T>::type V;
  const Rows<T> out = net.values(i + 1, p);
  for_codings(net, i, p, [&](V mean, V log_var, V noise, int64_t unit, int64_t r) {
    store(out.feature(unit), r, fma(exp(log_var * 0.5f), noise, mean), Whole{});
  });
}

// slopes of the draw become those of the log variance, and of the mean the slopes of values(i): through
// the draw, and those of kl_scale times each row's divergence.
template <class T>
void through_draw(const Network<T>& net, int64_t i, const Panel& p, T kl_scale) {
  typedef typename Compute<T>::type V;
  const Rows<T> d_draw = net.slopes(i + 1, p), d_mean = net.slopes(i, p);
  const V scale = splat<V>(kl_scale);
  for_codings(net, i, p, [&](V mean, V log_var, V noise, int64_t unit, int64_t r) {
    const V d = load(d_draw.feature(unit), r, Whole{}), sigma = exp(log_var * 0.5f);
    store(d_mean.feature(unit), r, d + gaussian_kl_d_mean(mean, scale), Whole{});
    store(d_draw.feature(unit), r,
          d * noise * sigma * 0.5f + gaussian_kl_d_log_var(exp(log_var), scale), Whole{});
  });
}

// kl[row] = the divergence of each row of the panel; space for whole vectors.
template <class T>
void divergences(const Network<T>& net, int64_t i, const Panel& p, T* kl) {
  typedef typename Compute<T>::type V;
  for (int64_t r = 0; r < net.cut().width(); ++r) kl[r] = 0;
  for_codings(net, i, p, [&](V mean, V log_var, V, int64_t, int64_t r) {
    const V term = gaussian_kl_term(mean, log_var, exp(log_var));
    store(kl, r, load(kl, r, Whole{}) + term, Whole{});
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
