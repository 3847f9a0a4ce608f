// The rules of optimizer_update on a stretch of a tensor, and the numbers of a step: for that kernel
// and for networks whose weights are updated while their gradient is in cache.
#pragma once
#include "core/newton.h"
#include "core/tile.h"
#include "mlp/optimizer_scalars.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// An estimate of a root and of a quotient beside some ten operations, and the bytes.
constexpr int64_t kUpdateCycles = 3 * kElementCycles;

template <class T>
FG_INLINE double advance_u_product(const fg_optimizer& o, int64_t updates, bool update) {
  T u = get((const T*)o.u_product, 0);
  if (update) u = next_u_product(o, updates, u);
  put((T*)o.u_product, 0, u);
  return u;
}

// Nadam's product of momenta after this step, which is written; 1 for other rules.
FG_INLINE double updated_u_product(const fg_optimizer& o, int64_t updates, bool update) {
  if (o.rule != FG_NADAM) return 1;
  return o.u_product_dtype == FG_FLOAT64 ? advance_u_product<double>(o, updates, update)
                                         : advance_u_product<float>(o, updates, update);
}

// The arrays of a tensor from an element on; those that it does not have are NULL.
template <class T>
struct Arrays {
  T *w, *slots[3], *average, *accumulator;
  FG_INLINE static T* from(void* array, int64_t first) {
    return array ? (T*)array + first : nullptr;
  }
  FG_INLINE Arrays(const fg_optimizer_tensor& x, int64_t first)
      : w(from(x.variable, first)),
        slots{from(x.slots[0], first), from(x.slots[1], first), from(x.slots[2], first)},
        average(from(x.average, first)),
        accumulator(from(x.accumulator, first)) {}
};

template <class T>
FG_INLINE void sgd_tile(const fg_optimizer& o, const OptimizerScalars<T>& s, const T* g,
                        const Arrays<T>& to, int64_t size) {
  T* const momentum = to.slots[0];
  for_vectors<T>(size, [&](int64_t i, auto lanes) {
    auto w = load(to.w, i, lanes);
    if (momentum) {
      auto m = load(momentum, i, lanes);
      sgd_momentum_step(s, o.variation, load(g, i, lanes), &w, &m);
      store(momentum, i, m, lanes);
    } else {
      sgd_step(s, load(g, i, lanes), &w);
    }
    store(to.w, i, w, lanes);
  });
}

template <class T>
FG_INLINE void rmsprop_tile(const fg_optimizer& o, const OptimizerScalars<T>& s, const T* g,
                            const Arrays<T>& to, int64_t size) {
  typedef typename Compute<T>::type V;
  T *velocity = to.slots[0], *momentum = to.slots[1], *average = to.slots[2];
  for_vectors<T>(size, [&](int64_t i, auto lanes) {
    const V gradient = load(g, i, lanes);
    V v = load(velocity, i, lanes), mean = {};
    if (o.variation) mean = load(average, i, lanes);
    const V spread = rmsprop_spread(s, gradient, &v, o.variation ? &mean : nullptr);
    if (o.variation) store(average, i, mean, lanes);
    store(velocity, i, v, lanes);
    V step = rmsprop_increment(s, gradient, inverse_sqrt(spread));
    if (momentum) {
      step = s.momentum * load(momentum, i, lanes) + step;
      store(momentum, i, step, lanes);
    }
    store(to.w, i, load(to.w, i, lanes) - step, lanes);
  });
}

// Adam and Nadam.
template <class T>
FG_INLINE void adam_tile(const fg_optimizer& o, const OptimizerScalars<T>& s, const T* g,
                         const Arrays<T>& to, int64_t size) {
  typedef typename Compute<T>::type V;
  T *momentum = to.slots[0], *velocity = to.slots[1], *largest = to.slots[2];
  for_vectors<T>(size, [&](int64_t i, auto lanes) {
    const V gradient = load(g, i, lanes);
    V m = load(momentum, i, lanes), v = load(velocity, i, lanes);
    adam_moments(s, gradient, &m, &v);
    store(momentum, i, m, lanes);
    store(velocity, i, v, lanes);
    V step = adam_increment(s, m);
    if (o.rule == FG_NADAM) {
      step = nadam_increment(s, gradient, m), v = v * s.v_scale;
    } else if (o.variation) {
      const V before = load(largest, i, lanes);
      v = before > v ? before : v;
      store(largest, i, v, lanes);
    }
    step = quotient(step, square_root(v) + s.epsilon);
    store(to.w, i, load(to.w, i, lanes) - step, lanes);
  });
}

template <class T>
FG_INLINE void decay_tile(const fg_optimizer& o, const Arrays<T>& to, int64_t size) {
  const T decay = cast<T>(o.weight_decay), rate = (T)o.learning_rate;
  for_vectors<T>(size, [&](int64_t i, auto lanes) {
    const auto w = load(to.w, i, lanes);
    store(to.w, i, w - w * decay * rate, lanes);
  });
}

// One step of the rule, weight decay before it, on `size` elements.
template <class T>
FG_INLINE void rule_tile(const fg_optimizer& o, const OptimizerScalars<T>& s, bool decays,
                         const T* g, const Arrays<T>& to, int64_t size) {
  if (o.weight_decay != 0 && decays) decay_tile(o, to, size);
  if (o.rule == FG_SGD) {
    sgd_tile(o, s, g, to, size);
  } else if (o.rule == FG_RMSPROP) {
    rmsprop_tile(o, s, g, to, size);
  } else {
    adam_tile(o, s, g, to, size);
  }
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
