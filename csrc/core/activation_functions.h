// The activations of core/activation.h on vectors V of the target, or on a GPU on numbers: by way of
// cuda/activation.cuh. Whoever includes it has included expm1, sigmoid, softplus, larger and splat.
#pragma once

namespace fastgen {
namespace FASTGEN_TARGET {

constexpr double kSeluScale = 1.0507009873554804934, kSeluAlpha = 1.6732632423543772848;
constexpr double kLeakySlope = 0.2f;  // an attribute of float32 in TensorFlow
// gelu_tanh(z) = z sigmoid(2 u), u = sqrt(2 / pi) (z + 0.044715 z^3).
constexpr double kGeluSlope = 1.5957691216057307117, kGeluCubic = 0.044715;

template <int activation>
struct Activation {
  double leaky_slope;

  template <class V, class T = typename Lanes<V>::type>
  FG_INLINE V value(V z) const {
    if constexpr (activation == FG_RELU) return larger(V{}, z);
    if constexpr (activation == FG_SELU) {
      return z < 0.0f ? expm1(z) * T(kSeluScale * kSeluAlpha) : z * T(kSeluScale);
    }
    if constexpr (activation == FG_ELU) return z < 0.0f ? expm1(z) : z;
    if constexpr (activation == FG_LEAKY_RELU) return larger(z * T(leaky_slope), z);
    if constexpr (activation == FG_SIGMOID) return sigmoid(z);
    if constexpr (activation == FG_TANH) {
      const V e = expm1(-2.0f * (z < 0.0f ? -z : z)), y = e / (e + 2.0f);
      return z < 0.0f ? y : -y;
    }
    if constexpr (activation == FG_SOFTPLUS) return softplus(z);
    if constexpr (activation == FG_SILU) return z * sigmoid(z);
    if constexpr (activation == FG_GELU_TANH) return z * gate(z);
    return z;
  }

  // d_z of d_y; from z where fg_needs_input, else from y.
  template <class V, class T = typename Lanes<V>::type>
  FG_INLINE V gradient(V x, V d_y) const {
    if constexpr (activation == FG_RELU) return x > 0.0f ? d_y : V{};
    if constexpr (activation == FG_SELU) {
      return d_y * (x < 0.0f ? x + T(kSeluScale * kSeluAlpha) : splat<V>(T(kSeluScale)));
    }
    if constexpr (activation == FG_ELU) return x < 0.0f ? d_y * (x + 1.0f) : d_y;
    if constexpr (activation == FG_LEAKY_RELU) return x > 0.0f ? d_y : d_y * T(leaky_slope);
    if constexpr (activation == FG_SIGMOID) return d_y * x * (1.0f - x);
    if constexpr (activation == FG_TANH) return d_y * (1.0f - x * x);
    if constexpr (activation == FG_SOFTPLUS) return d_y * -expm1(-x);
    if constexpr (activation == FG_SILU) {
      const V s = sigmoid(x);
      return d_y * s * (x * (1.0f - s) + 1.0f);
    }
    if constexpr (activation == FG_GELU_TANH) {
      const V s = gate(x), slope = T(kGeluSlope) * (x * x * T(3 * kGeluCubic) + 1.0f);
      return d_y * s * (x * (1.0f - s) * slope + 1.0f);
    }
    return d_y;
  }

 private:
  template <class V, class T = typename Lanes<V>::type>
  static FG_INLINE V gate(V z) {
    return sigmoid(z * (z * z * T(kGeluSlope * kGeluCubic) + T(kGeluSlope)));
  }
};

// Calls body(Activation<code>{leaky_slope}).
template <int first = 0, class Body>
FG_INLINE int for_activation(fg_activation activation, double leaky_slope, const Body& body) {
  if constexpr (first == FG_ACTIVATIONS - 1) {
    return body(Activation<first>{leaky_slope});
  } else {
    if (activation == first) return body(Activation<first>{leaky_slope});
    return for_activation<first + 1>(activation, leaky_slope, body);
  }
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen
