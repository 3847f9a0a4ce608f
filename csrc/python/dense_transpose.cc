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

  static constexpr const char* kernel_shape = "[units, inputs]";
  static constexpr const char* source =
      "tied weights, chapter 17 of Geron (2019), Hands-On Machine Learning.";
  static constexpr const char* doc =
      R"(A dense layer whose kernel is that of another one, transposed.

    y = activation(x @ kernel.T + bias)

Example:

>>> import numpy as np
>>> dense_transpose(np.ones([1, 2]), np.array([[1.0, 2.0], [-1.0, -2.0]]), activation="relu")
array([[3., 0.]])
)";
  static constexpr const char* grad_doc = R"(Gradients of dense_transpose.

    d_z = activation'(z) * d_y, d_x = d_z @ kernel, d_kernel = d_z.T @ x, d_bias = sum(d_z)

Example:

>>> import numpy as np
>>> x, kernel = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
>>> dense_transpose_grad(x, kernel, dense_transpose(x, kernel), np.ones([1, 1]))[0]
array([[3., 4.]])
)";
};

}  // namespace

void bind(py::module_& m) { bind_dense<Layer>(m); }

}  // namespace fastgen::python::dense_transpose_module
