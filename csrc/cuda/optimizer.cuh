// The rules of kernels/optimizer_update.h on one element in registers, for kernels that update
// weights while their gradient is at hand. Numbers of a step: mlp/optimizer_scalars.h.
#pragma once
#include "mlp/optimizer_scalars.h"

namespace fastgen {
namespace cuda {

// A rule whose slots are known at compile time. step() is given those of fg_optimizer_tensor: the
// ones that slot(i) denies are neither read nor written.
template <int rule, bool variation, bool momentum>
struct OptimizerRule {
  static constexpr bool is_nadam = rule == FG_NADAM;
  static constexpr bool has_momentum = momentum;

  __host__ __device__ static constexpr bool slot(int i) {
    return i == 0   ? rule != FG_SGD || momentum
           : i == 1 ? rule == FG_ADAM || rule == FG_NADAM || (rule == FG_RMSPROP && momentum)
                    : variation && (rule == FG_RMSPROP || rule == FG_ADAM);
  }

  template <class T>
  __device__ __forceinline__ static void step(const OptimizerScalars<T>& s, T gradient, T* w,
                                              T (&slots)[3]) {
    if constexpr (rule == FG_SGD && momentum) {
      sgd_momentum_step(s, variation, gradient, w, &slots[0]);
    } else if constexpr (rule == FG_SGD) {
      sgd_step(s, gradient, w);
    } else if constexpr (rule == FG_RMSPROP) {
      const T spread = rmsprop_spread(s, gradient, &slots[0], variation ? &slots[2] : nullptr);
      T increment = rmsprop_increment(s, gradient, 1 / root(spread));
      if constexpr (momentum) slots[1] = increment = s.momentum * slots[1] + increment;
      *w = *w - increment;
    } else {
      adam_moments(s, gradient, &slots[0], &slots[1]);
      T increment = adam_increment(s, slots[0]), v = slots[1];
      if constexpr (is_nadam) {
        increment = nadam_increment(s, gradient, slots[0]), v = v * s.v_scale;
      } else if constexpr (variation) {
        slots[2] = v = slots[2] > v ? slots[2] : v;
      }
      *w = *w - increment / (root(v) + s.epsilon);
    }
  }
};

// Keras' weight decay, before the rule: by the learning rate without Adam's corrections.
template <class T>
__device__ __forceinline__ T decayed(T w, T weight_decay, T learning_rate) {
  return w - w * weight_decay * learning_rate;
}

// x in [-at, at]; a NaN stays NaN.
template <class T>
__device__ __forceinline__ T clipped_by_value(T x, T at) {
  return x < -at ? -at : x > at ? at : x;
}

#ifndef __CUDACC_RTC__
// On the host: body(OptimizerRule<...>{}), by the optimizer and by whether its tensors have a slot of
// momentum: the first one of SGD, the second one of RMSprop.
template <class Body>
int for_rule(const fg_optimizer& o, bool momentum, const Body& body) {
  const bool variation = o.variation != 0;
  switch (o.rule) {
    case FG_SGD:
      if (!momentum) return body(OptimizerRule<FG_SGD, false, false>{});
      return variation ? body(OptimizerRule<FG_SGD, true, true>{})
                       : body(OptimizerRule<FG_SGD, false, true>{});
    case FG_RMSPROP:
      if (momentum) {
        return variation ? body(OptimizerRule<FG_RMSPROP, true, true>{})
                         : body(OptimizerRule<FG_RMSPROP, false, true>{});
      }
      return variation ? body(OptimizerRule<FG_RMSPROP, true, false>{})
                       : body(OptimizerRule<FG_RMSPROP, false, false>{});
    case FG_ADAM:
      return variation ? body(OptimizerRule<FG_ADAM, true, false>{})
                       : body(OptimizerRule<FG_ADAM, false, false>{});
    default:
      return body(OptimizerRule<FG_NADAM, false, false>{});
  }
}

// What for_rule() asks of a tensor.
inline bool has_momentum(const fg_optimizer& o, const fg_optimizer_tensor& tensor) {
  return (o.rule == FG_SGD && tensor.slots[0]) || (o.rule == FG_RMSPROP && tensor.slots[1]);
}
#endif

}  // namespace cuda
}  // namespace fastgen
