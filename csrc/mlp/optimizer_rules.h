// The rules of optimizer_update on a stretch of a tensor, and the numbers of a step: for that kernel
// and for networks whose weights are updated while their gradient is in cache.
#pragma once
#include "core/newton.h"
#include "core/tile.h"
#include "kernels/optimizer_update.h"

namespace fastgen {
namespace FASTGEN_TARGET {

// An estimate of a root and of a quotient beside some ten operations, and the bytes.
constexpr int64_t kUpdateCycles = 3 * kElementCycles;

FG_INLINE float power(float x, float y) { return __builtin_powf(x, y); }
FG_INLINE double power(double x, double y) { return __builtin_pow(x, y); }
FG_INLINE float root(float x) { return __builtin_sqrtf(x); }
FG_INLINE double root(double x) { return __builtin_sqrt(x); }

// What Keras casts to the tensor's dtype has been a float32 before; what it multiplies with has not.
template <class T>
FG_INLINE T cast(double x) {
  return (T)(float)x;
}

inline int check_optimizer(const char* op, const fg_optimizer& o) {
  if (o.rule < FG_SGD || o.rule > FG_NADAM) {
    return fail(FG_INVALID_ARGUMENT,
                "%s: rule must be FG_SGD, FG_RMSPROP, FG_ADAM or FG_NADAM. Received: %d", op,
                o.rule);
  }
  const bool real = o.u_product_dtype == FG_FLOAT32 || o.u_product_dtype == FG_FLOAT64;
  if (o.rule == FG_NADAM && !(o.u_product && real)) {
    return fail(FG_INVALID_ARGUMENT, "%s: Nadam needs a u_product, float32 or float64", op);
  }
  return FG_OK;
}

// What a step reads and writes of tensor i; slots: if it is `stepped`.
inline int check_state(const char* op, const fg_optimizer& o, int64_t i,
                       const fg_optimizer_tensor& x, bool stepped) {
  if ((x.dtype != FG_FLOAT32 && x.dtype != FG_FLOAT64) || x.size < 0) {
    return fail(FG_INVALID_ARGUMENT,
                "%s: tensor %lld must be float32 or float64, of size 0 or more. Received: dtype "
                "code %d, size %lld",
                op, (long long)i, (int)x.dtype, (long long)x.size);
  }
  const bool needed[3] = {o.rule != FG_SGD, o.rule == FG_ADAM || o.rule == FG_NADAM,
                          o.variation && (o.rule == FG_RMSPROP || o.rule == FG_ADAM)};
  // Adam's velocity is its second slot, RMSprop's momentum, which it may do without, is too.
  for (int j = 0; j < 3; ++j) {
    if (stepped && needed[j] && !x.slots[j]) {
      return fail(FG_INVALID_ARGUMENT, "%s: tensor %lld has no slot %d", op, (long long)i, j);
    }
  }
  if (o.accumulation_steps > 1 && !x.accumulator) {
    return fail(FG_INVALID_ARGUMENT, "%s: tensor %lld has no accumulator", op, (long long)i);
  }
  return FG_OK;
}

// The factor by which Nadam's momentum warms up.
template <class T>
FG_INLINE T warm_up(T decay, T step) {
  return 1 - (T)0.5 * power(decay, step);
}

// Every product and difference is rounded where Keras rounds it.
template <class T>
FG_INLINE OptimizerScalars<T> scalars(const fg_optimizer& o, int64_t updates, double u_product) {
  OptimizerScalars<T> s = {};
  const T beta_1 = cast<T>(o.momentum), beta_2 = cast<T>(o.rho), step = (T)(updates + 1);
  s.learning_rate = (T)o.learning_rate;
  s.momentum = o.rule == FG_SGD ? cast<T>(o.momentum) : (T)o.momentum;
  s.epsilon = (T)o.epsilon;
  s.rho = (T)o.rho;
  s.m_rate = (T)(1 - o.momentum);
  s.v_rate = (T)(1 - o.rho);
  if (o.rule == FG_ADAM) {
    s.learning_rate = s.learning_rate * root(1 - power(beta_2, step)) / (1 - power(beta_1, step));
  } else if (o.rule == FG_NADAM) {
    const T decay = cast<T>(0.96), u = beta_1 * warm_up(decay, step);
    const T next_u = beta_1 * warm_up(decay, (T)(updates + 2)), product = (T)u_product;
    s.m_rate = 1 - beta_1;
    s.v_rate = 1 - beta_2;
    s.m_scale = next_u / (1 - product * next_u);
    s.g_scale = (1 - u) / (1 - product);
    s.v_scale = 1 / (1 - power(beta_2, step));
  }
  return s;
}

template <class T>
FG_INLINE double next_u_product(const fg_optimizer& o, int64_t updates, bool update) {
  T u = get((const T*)o.u_product, 0);
  if (update) u = u * (T)o.momentum * warm_up((T)0.96, (T)(updates + 1));
  put((T*)o.u_product, 0, u);
  return u;
}

// Nadam's product of momenta after this step, which is written; 1 for other rules.
FG_INLINE double updated_u_product(const fg_optimizer& o, int64_t updates, bool update) {
  if (o.rule != FG_NADAM) return 1;
  return o.u_product_dtype == FG_FLOAT64 ? next_u_product<double>(o, updates, update)
                                         : next_u_product<float>(o, updates, update);
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
