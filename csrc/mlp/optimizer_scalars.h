// The numbers of a step of kernels/optimizer_update.h, and what its state must be: for the CPU's
// targets and for CUDA.
#pragma once
#include "core/host_device.h"
#include "kernels/optimizer_update.h"

#ifndef __CUDACC_RTC__
#include "core/status.h"
#endif

namespace fastgen {

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
FG_MATH float power(float x, float y) { return powf(x, y); }
FG_MATH double power(double x, double y) { return pow(x, y); }
FG_MATH float root(float x) { return sqrtf(x); }
FG_MATH double root(double x) { return sqrt(x); }
#else
FG_MATH float power(float x, float y) { return __builtin_powf(x, y); }
FG_MATH double power(double x, double y) { return __builtin_pow(x, y); }
FG_MATH float root(float x) { return __builtin_sqrtf(x); }
FG_MATH double root(double x) { return __builtin_sqrt(x); }
#endif

// What a call does, by how many there were before it: those that accumulate are no updates.
struct CallPhase {
  int64_t updates;  // before this call
  bool update, overwrite;
};
FG_MATH CallPhase phase_of(const fg_optimizer& o) {
  const int64_t steps = o.accumulation_steps > 1 ? o.accumulation_steps : 1;
  const int64_t updates = o.iterations / steps, frequency = o.ema_overwrite_frequency;
  return {updates, (o.iterations + 1) % steps == 0,
          frequency > 0 && (updates + 1) % frequency == 0};
}

// On the device: the optimizer with the numbers that are there.
FG_MATH fg_optimizer read_on_device(fg_optimizer o) {
  if (o.device_iterations) o.iterations = *o.device_iterations;
  if (o.device_learning_rate) {
    o.learning_rate = o.device_learning_rate_dtype == FG_FLOAT64
                          ? *static_cast<const double*>(o.device_learning_rate)
                          : *static_cast<const float*>(o.device_learning_rate);
  }
  return o;
}

// What Keras casts to the tensor's dtype has been a float32 before; what it multiplies with has not.
template <class T>
FG_MATH T cast(double x) {
  return (T)(float)x;
}

// The factor by which Nadam's momentum warms up.
template <class T>
FG_MATH T warm_up(T decay, T step) {
  return 1 - (T)0.5 * power(decay, step);
}

// Every product and difference is rounded where Keras rounds it. Nadam's m_scale and g_scale are left
// to use_u_product().
template <class T>
FG_MATH OptimizerScalars<T> scalars(const fg_optimizer& o, int64_t updates) {
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
    const T decay = cast<T>(0.96);
    s.m_rate = 1 - beta_1;
    s.v_rate = 1 - beta_2;
    s.u = beta_1 * warm_up(decay, step);
    s.next_u = beta_1 * warm_up(decay, (T)(updates + 2));
    s.v_scale = 1 / (1 - power(beta_2, step));
  }
  return s;
}

// Nadam's scales of momentum and gradient, by the product of momenta after this step.
template <class T>
FG_MATH void use_u_product(OptimizerScalars<T>* s, T product) {
  s->m_scale = s->next_u / (1 - product * s->next_u);
  s->g_scale = (1 - s->u) / (1 - product);
}

template <class T>
FG_MATH OptimizerScalars<T> scalars(const fg_optimizer& o, int64_t updates, double u_product) {
  OptimizerScalars<T> s = scalars<T>(o, updates);
  if (o.rule == FG_NADAM) use_u_product(&s, (T)u_product);
  return s;
}

// That product, of the one before, in the dtype it is kept in.
template <class T>
FG_MATH T next_u_product(const fg_optimizer& o, int64_t updates, T product) {
  return product * (T)o.momentum * warm_up((T)0.96, (T)(updates + 1));
}

#ifndef __CUDACC_RTC__
namespace {  // each ISA its own copy

inline int check_optimizer(const char* op, const fg_optimizer& o) {
  if (o.rule < FG_SGD || o.rule > FG_NADAM) {
    return fail(FG_INVALID_ARGUMENT,
                "%s: rule must be FG_SGD, FG_RMSPROP, FG_ADAM or FG_NADAM. Received: %d", op,
                o.rule);
  }
  const auto is_real = [](fg_dtype x) { return x == FG_FLOAT32 || x == FG_FLOAT64; };
  const bool real = is_real(o.u_product_dtype);
  if (o.rule == FG_NADAM && !(o.u_product && real)) {
    return fail(FG_INVALID_ARGUMENT, "%s: Nadam needs a u_product, float32 or float64", op);
  }
  if (o.device_learning_rate && !is_real(o.device_learning_rate_dtype)) {
    return fail(FG_INVALID_ARGUMENT,
                "%s: a learning rate on the device must be float32 or float64. Received: code %d",
                op, (int)o.device_learning_rate_dtype);
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

}  // namespace
#endif

}  // namespace fastgen
