#include "kernels/dense_transpose.h"

#include "python/dense_layer.h"
#include "python/module.h"

namespace fastgen::python::dense_transpose_module {
namespace {

struct Layer {
  static constexpr const char* op = "dense_transpose";
  static constexpr const char* grad_op = "dense_transpose_grad";
  static constexpr int inputs_axis = 1;
  static constexpr auto forward = fg_dense_transpose;
  static constexpr auto backward = fg_dense_transpose_grad;
};

constexpr const char* kDoc = R"(A dense layer whose kernel is that of another one, transposed.

    y = activation(x @ kernel.T + bias)

Example:

>>> import numpy as np
>>> dense_transpose(np.ones([1, 2]), np.array([[1.0, 2.0], [-1.0, -2.0]]), activation="relu")
array([[3., 0.]])

Args:
    x: array of shape [..., inputs]; float32, float64, float16 or bfloat16.
    kernel: array of shape [units, inputs] and x's dtype.
    bias: None, or an array of shape [units] and x's dtype.
    activation: linear, relu, selu, elu, gelu_tanh, leaky_relu, sigmoid, tanh, softplus or silu.

Returns:
    y: array of shape [..., units] and x's dtype.

Raises:
    ValueError: shapes or dtypes do not fit, or activation is none of these.

Source: tied weights, chapter 17 of Geron (2019), Hands-On Machine Learning.
)";

constexpr const char* kGradDoc = R"(Gradients of dense_transpose.

    d_z = activation'(z) * d_y, d_x = d_z @ kernel, d_kernel = d_z.T @ x, d_bias = sum(d_z)

Example:

>>> import numpy as np
>>> x, kernel = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
>>> dense_transpose_grad(x, kernel, dense_transpose(x, kernel), np.ones([1, 1]))[0]
array([[3., 4.]])

Args:
    x: array of shape [..., inputs]; float32, float64, float16 or bfloat16.
    kernel: array of shape [units, inputs] and x's dtype.
    saved: y; for silu and gelu_tanh, whose derivative does not follow from it,
        z = dense_transpose(x, kernel, bias). Array of shape [..., units] and x's dtype.
    d_y: array of y's shape and dtype, the gradient that arrives at y.
    activation: as for dense_transpose.

Returns:
    d_x, d_kernel, d_bias: arrays of the shapes of x, kernel and bias, and x's dtype.

Raises:
    ValueError: shapes or dtypes do not fit, or activation is none of the known ones.
)";

}  // namespace

void bind(py::module_& m) { bind_dense<Layer>(m, kDoc, kGradDoc); }

}  // namespace fastgen::python::dense_transpose_module
