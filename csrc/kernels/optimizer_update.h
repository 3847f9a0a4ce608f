// Formula: one step of SGD (momentum, Nesterov), RMSprop (momentum, centered), Adam (AMSGrad) or
//   Nadam as Keras 3.15 writes them (the templates below), for all tensors of a model. Around it, in
//   Keras' order: gradient / loss_scale; mean over accumulation_steps calls; clipping by value, by
//   each tensor's norm or by the global one; weight decay w -= w wd lr; the rule; moving average.
// Shapes: a list of tensors of any sizes; slots, average and accumulator are as long as the variable.
// Dtypes: float32, float64, each tensor its own; scalars of the step in the tensor's dtype, as in
//   Keras. Norms: float32 sums of a tile, tiles in double.
// Error: 16 u (|w| + s / c), u = 2^-24 or 2^-53; s is the step if all its terms had one sign, c is
//   1 - beta_2^(iterations + 1) of Adam and Nadam, which lose as much in Keras, and else 1.
// Edges: NaN and inf propagate, but with a loss_scale a gradient that is not finite leaves
//   everything as it was; what is below the smallest normal number counts as 0; any alignment.
// Bytes: 12 (SGD), 20 (its momentum, RMSprop), 28 (Adam, Nadam, others) an element in float32; norms
//   and a loss_scale read gradients once more.
// Determinism: bit-equal for any thread count within an ISA. In place; no two arrays may overlap.
#pragma once
#include "core/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FG_SGD = 0, FG_RMSPROP = 1, FG_ADAM = 2, FG_NADAM = 3 };
enum { FG_CLIP_NOTHING = 0, FG_CLIP_VALUE = 1, FG_CLIP_NORM = 2, FG_CLIP_GLOBAL_NORM = 3 };

typedef struct fg_optimizer {
  int rule;       // FG_SGD, ...
  int variation;  // nonzero: Nesterov's SGD, centered RMSprop, AMSGrad
  int clip;       // FG_CLIP_NOTHING, ...
  double learning_rate;
  double momentum;  // of SGD and RMSprop; beta_1
  double rho;       // of RMSprop; beta_2
  double epsilon;
  double weight_decay;
  double clip_at;
  double loss_scale;                // 0: none
  double ema_momentum;              // of the tensors' averages
  int64_t ema_overwrite_frequency;  // 0: never
  int64_t accumulation_steps;       // 1: none; else every tensor has an accumulator
  int64_t iterations;               // calls before this one
  void* u_product;                  // of Nadam: one number, updated in place
  fg_dtype u_product_dtype;
  // For CUDA, NULL or what stands in the place of iterations and of learning_rate: numbers on the
  // device. A step that applies counts up the iterations there.
  int64_t* device_iterations;
  const void* device_learning_rate;
  fg_dtype device_learning_rate_dtype;
} fg_optimizer;

typedef struct fg_optimizer_tensor {
  fg_dtype dtype;
  int decays;  // nonzero: weight_decay applies
  int64_t size;
  void* variable;
  const void* gradient;  // NULL: only the average and the accumulator of this variable are kept up
  // SGD: momentum, where it is not 0. RMSprop: velocity, momentum if above 0, average gradient if
  // centered. Adam: momentum, velocity, largest velocity of AMSGrad. Nadam: momentum, velocity.
  void* slots[3];
  void* average;      // or NULL
  void* accumulator;  // or NULL
} fg_optimizer_tensor;

// *applied = 0 if the gradients were not finite under a loss scale: then nothing was written.
FG_API int fg_optimizer_update(const fg_threads* threads, const fg_optimizer* optimizer,
                               int64_t count, const fg_optimizer_tensor* tensors, int* applied);

// The same on a CUDA stream, in builds with CUDA: the structs on the host, read before the call
// returns; what they point to, *applied, which may be NULL, and *u_product on the device. Whether a
// step applies is decided there: nothing waits for it. Numbers below the smallest normal one are
// kept.
FG_API int fg_cuda_optimizer_update(void* stream, const fg_optimizer* optimizer, int64_t count,
                                    const fg_optimizer_tensor* tensors, int* applied);

#ifdef __cplusplus
}

#include "core/host_device.h"

namespace fastgen {

// The numbers of one step, in the tensor's dtype T. Which of them a rule uses, its function says.
template <class T>
struct OptimizerScalars {
  T learning_rate, momentum, epsilon;
  T rho, m_rate, v_rate;        // rho; 1 - beta_1; 1 - beta_2 or 1 - rho
  T m_scale, g_scale, v_scale;  // Nadam: of momentum, gradient and velocity
  T u, next_u;                  // Nadam: momenta of this step and of the next
};

// V: T or a vector of it. Roots and quotients are the caller's.
template <class V, class T>
FG_MATH void sgd_step(const OptimizerScalars<T>& s, V gradient, V* w) {
  *w = *w - gradient * s.learning_rate;
}
template <class V, class T>
FG_MATH void sgd_momentum_step(const OptimizerScalars<T>& s, bool nesterov, V gradient, V* w,
                               V* m) {
  const V step = gradient * s.learning_rate;
  *m = *m * s.momentum - step;
  *w = *w + (nesterov ? *m * s.momentum - step : *m);
}

// Returns what the root is taken of. average: NULL unless centered.
template <class V, class T>
FG_MATH V rmsprop_spread(const OptimizerScalars<T>& s, V gradient, V* v, V* average) {
  *v = s.rho * *v + s.v_rate * (gradient * gradient);
  if (!average) return *v + s.epsilon;
  *average = s.rho * *average + s.v_rate * gradient;
  return *v - *average * *average + s.epsilon;
}
// What w loses, or its momentum gains.
template <class V, class T>
FG_MATH V rmsprop_increment(const OptimizerScalars<T>& s, V gradient, V inverse_root) {
  return s.learning_rate * gradient * inverse_root;
}

template <class V, class T>
FG_MATH void adam_moments(const OptimizerScalars<T>& s, V gradient, V* m, V* v) {
  *m = *m + (gradient - *m) * s.m_rate;
  *v = *v + (gradient * gradient - *v) * s.v_rate;
}
// What is divided by sqrt(velocity, or its largest) + epsilon. learning_rate: bias correction included.
template <class V, class T>
FG_MATH V adam_increment(const OptimizerScalars<T>& s, V m) {
  return m * s.learning_rate;
}
// What is divided by sqrt(velocity * v_scale) + epsilon.
template <class V, class T>
FG_MATH V nadam_increment(const OptimizerScalars<T>& s, V gradient, V m) {
  return (m * s.m_scale + gradient * s.g_scale) * s.learning_rate;
}

}  // namespace fastgen
#endif
