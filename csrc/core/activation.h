// The activations of dense layers and their derivatives, as Keras defines them.
#pragma once

// gelu is the form with tanh: the other one, with erf, is left to TensorFlow.
enum {
  FG_LINEAR = 0,
  FG_RELU,
  FG_SELU,
  FG_ELU,
  FG_GELU_TANH,
  FG_LEAKY_RELU,
  FG_SIGMOID,
  FG_TANH,
  FG_SOFTPLUS,
  FG_SILU,
  FG_ACTIVATIONS
};
typedef int fg_activation;

// In this order.
#define FG_ACTIVATION_NAMES                                  \
  {"linear",     "relu",    "selu", "elu",      "gelu_tanh", \
   "leaky_relu", "sigmoid", "tanh", "softplus", "silu"}

// Whether the derivative follows from the input of the activation; if not, from its value.
static inline int fg_needs_input(fg_activation activation) {
  return activation == FG_GELU_TANH || activation == FG_SILU;
}

#ifdef FASTGEN_TARGET
#include "core/logistic.h"
// What they are written in comes first.
#include "core/activation_functions.h"
#endif
