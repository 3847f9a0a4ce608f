#include "kernels/dense.h"

#include "python/dense_layer.h"
#include "python/module.h"

namespace fastgen::python::dense_module {
namespace {

struct Layer {
  static constexpr const char* op = "dense";
  static constexpr const char* grad_op = "dense_grad";
  static constexpr int inputs_axis = 0;
  static constexpr auto forward = fg_dense;
  static constexpr auto backward = fg_dense_grad;
};

constexpr const char* kDoc = R"(A dense layer: product with a matrix, bias, activation.

    y = activation(x @ kernel + bias)

Example:

>>> import numpy as np
>>> dense(np.ones([1, 2]), np.array([[1.0, -1.0], [2.0, -2.0]]), activation="relu")
array([[3., 0.]])

Args:
    x: array of shape [..., inputs]; float32, float64, float16 or bfloat16.
    kernel: array of shape [inputs, units] and x's dtype.
    bias: None, or an array of shape [units] and x's dtype.
    activation: linear, relu, selu, elu, gelu_tanh, leaky_relu, sigmoid, tanh, softplus or silu.

Returns:
    y: array of shape [..., units] and x's dtype.

Raises:
    ValueError: shapes or dtypes do not fit, or activation is none of these.

Source: keras.layers.Dense.
)";

constexpr const char* kGradDoc = R"(Gradients of dense.

    d_z = activation'(z) * d_y, d_x = d_z @ kernel.T, d_kernel = x.T @ d_z, d_bias = sum(d_z)

Example:

>>> import numpy as np
>>> x, kernel = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])
>>> dense_grad(x, kernel, dense(x, kernel), np.ones([1, 1]))[0]
array([[3., 4.]])

Args:
    x: array of shape [..., inputs]; float32, float64, float16 or bfloat16.
    kernel: array of shape [inputs, units] and x's dtype.
    saved: y; for silu and gelu_tanh, whose derivative does not follow from it,
        z = dense(x, kernel, bias). Array of shape [..., units] and x's dtype.
    d_y: array of y's shape and dtype, the gradient that arrives at y.
    activation: as for dense.

Returns:
    d_x, d_kernel, d_bias: arrays of the shapes of x, kernel and bias, and x's dtype.

Raises:
    ValueError: shapes or dtypes do not fit, or activation is none of the known ones.
)";

}  // namespace

void bind(py::module_& m) { bind_dense<Layer>(m, kDoc, kGradDoc); }

}  // namespace fastgen::python::dense_module
