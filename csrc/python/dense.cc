#include "kernels/dense.h"

#include "python/dense_layer.h"
#include "python/module.h"

namespace fastgen::python::dense_module {
namespace {

struct Layer {
  static constexpr const char* op = "dense";
  static constexpr const char* grad_op = "dense_grad";
  static constexpr int inputs_axis = 0;
  static constexpr Products forward = {FASTGEN_BOTH(dense)};
  static constexpr Products backward = {FASTGEN_BOTH(dense_grad)};

  static constexpr const char* kernel_shape = "[inputs, units]";
  static constexpr const char* source = "keras.layers.Dense.";
  static constexpr const char* doc = R"(A dense layer: product with a matrix, bias, activation.

    y = activation(x @ kernel + bias)

Example:

>>> import numpy as np
>>> dense(np.ones([1, 2]), np.array([[1.0, -1.0], [2.0, -2.0]]), activation="relu")
array([[3., 0.]])
)";
  static constexpr const char* grad_doc = R"(Gradients of dense.

    d_z = activation'(z) * d_y, d_x = d_z @ kernel.T, d_kernel = x.T @ d_z, d_bias = sum(d_z)

Example:

>>> import numpy as np
>>> x, kernel = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])
>>> dense_grad(x, kernel, dense(x, kernel), np.ones([1, 1]))[0]
array([[3., 4.]])
)";
};

}  // namespace

void bind(py::module_& m) { bind_dense<Layer>(m); }

}  // namespace fastgen::python::dense_module
