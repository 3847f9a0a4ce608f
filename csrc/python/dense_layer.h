// The functions on a dense layer, of which dense.cc and dense_transpose.cc bind one pair each.
#pragma once
#include <string>

#include "core/activation.h"
#include "core/thread_pool.h"
#include "python/array.h"

namespace fastgen::python {

inline fg_activation activation_code(const char* op, const std::string& name) {
  static const char* const names[] = FG_ACTIVATION_NAMES;
  for (fg_activation code = 0; code < FG_ACTIVATIONS; ++code) {
    if (name == names[code]) return code;
  }
  std::string all;
  for (const char* known : names) all += std::string(all.empty() ? "" : ", ") + known;
  throw py::value_error(std::string(op) + ": activation must be one of " + all +
                        ". Received: " + name);
}

// Layer: op, grad_op, inputs_axis, and the kernels forward and backward.
template <class Layer>
struct DenseArrays {
  Array x, kernel;
  int64_t rows, inputs, units;
  Shape y;

  DenseArrays(const char* op, py::handle x_, py::handle kernel_)
      : x(input(op, "x", x_)), kernel(input(op, "kernel", kernel_)) {
    check_dtype(op, kernel, x.value.dtype(), "the dtype of x");
    y = x.shape();
    if (y.size() < 2) {
      throw py::value_error(std::string(op) +
                            ": x must have rank 2 or more. Received: x.shape=" + text(y));
    }
    const Shape k = kernel.shape();
    if (k.size() != 2 || k[Layer::inputs_axis] != y.back()) {
      throw py::value_error(std::string(op) + ": kernel must have rank 2 and its " +
                            (Layer::inputs_axis ? "last" : "first") +
                            " axis be as long as the last of x. Received: x.shape=" + text(y) +
                            ", kernel.shape=" + text(k));
    }
    inputs = k[Layer::inputs_axis], units = k[1 - Layer::inputs_axis];
    rows = 1;
    for (size_t i = 0; i + 1 < y.size(); ++i) rows *= y[i];
    y.back() = units;
  }
};

template <class Layer>
py::array dense(py::object x_, py::object kernel_, py::object bias_,
                const std::string& activation) {
  constexpr const char* op = Layer::op;
  const DenseArrays<Layer> s(op, x_, kernel_);
  const fg_activation code = activation_code(op, activation);
  const bool biased = !bias_.is_none();
  const Array bias = input(op, "bias", biased ? bias_ : x_);
  if (biased) {
    check_shape(op, bias, {s.units}, "one number for each unit");
    check_dtype(op, bias, s.x.value.dtype(), "the dtype of x");
  }
  Array y = output(op, "y", py::none(), s.x.value.dtype(), s.y);
  run([&, to = y.mutable_data()] {
    return Layer::forward(fg_pool(), s.x.dtype, s.rows, s.inputs, s.units, code, s.x.data(),
                          s.kernel.data(), biased ? bias.data() : nullptr, to, nullptr);
  });
  return y.value;
}

template <class Layer>
py::tuple dense_grad(py::object x_, py::object kernel_, py::object saved_, py::object d_y_,
                     const std::string& activation) {
  constexpr const char* op = Layer::grad_op;
  const DenseArrays<Layer> s(op, x_, kernel_);
  const fg_activation code = activation_code(op, activation);
  const Array saved = input(op, "saved", saved_), d_y = input(op, "d_y", d_y_);
  const py::dtype dtype = s.x.value.dtype();
  for (const Array* a : {&saved, &d_y}) {
    check_shape(op, *a, s.y, "the shape of y");
    check_dtype(op, *a, dtype, "the dtype of x");
  }
  Array d_x = output(op, "d_x", py::none(), dtype, s.x.shape());
  Array d_kernel = output(op, "d_kernel", py::none(), dtype, s.kernel.shape());
  Array d_bias = output(op, "d_bias", py::none(), dtype, {s.units});
  run([&, to_x = d_x.mutable_data(), to_kernel = d_kernel.mutable_data(),
       to_bias = d_bias.mutable_data()] {
    return Layer::backward(fg_pool(), s.x.dtype, s.rows, s.inputs, s.units, code, s.x.data(),
                           s.kernel.data(), saved.data(), d_y.data(), to_x, to_kernel, to_bias);
  });
  return py::make_tuple(d_x.value, d_kernel.value, d_bias.value);
}

// The docstrings from the arguments on; the Layer has what comes before.
template <class Layer>
std::string doc() {
  return std::string(Layer::doc) + R"(
Args:
    x: array of shape [..., inputs]; float32, float64, float16 or bfloat16.
    kernel: array of shape )" +
         Layer::kernel_shape + R"( and x's dtype.
    bias: None, or an array of shape [units] and x's dtype.
    activation: linear, relu, selu, elu, gelu_tanh, leaky_relu, sigmoid, tanh, softplus or silu.

Returns:
    y: array of shape [..., units] and x's dtype.

Raises:
    ValueError: shapes or dtypes do not fit, or activation is none of these.

Source: )" +
         Layer::source + "\n";
}

template <class Layer>
std::string grad_doc() {
  return std::string(Layer::grad_doc) + R"(
Args:
    x: array of shape [..., inputs]; float32, float64, float16 or bfloat16.
    kernel: array of shape )" +
         Layer::kernel_shape + R"( and x's dtype.
    saved: y; for silu and gelu_tanh, whose derivative does not follow from it,
        z = )" +
         Layer::op + R"((x, kernel, bias). Array of shape [..., units] and x's dtype.
    d_y: array of y's shape and dtype, the gradient that arrives at y.
    activation: as for )" +
         Layer::op + R"(.

Returns:
    d_x, d_kernel, d_bias: arrays of the shapes of x, kernel and bias, and x's dtype.

Raises:
    ValueError: shapes or dtypes do not fit, or activation is none of the known ones.
)";
}

template <class Layer>
void bind_dense(py::module_& m) {
  m.def(Layer::op, dense<Layer>, py::arg("x"), py::arg("kernel"), py::arg("bias") = py::none(),
        py::arg("activation") = "linear", doc<Layer>().c_str());
  m.def(Layer::grad_op, dense_grad<Layer>, py::arg("x"), py::arg("kernel"), py::arg("saved"),
        py::arg("d_y"), py::arg("activation") = "linear", grad_doc<Layer>().c_str());
}

}  // namespace fastgen::python
