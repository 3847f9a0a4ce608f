// The functions on a dense layer, of which dense.cc and dense_transpose.cc bind one pair each.
#pragma once
#include <string>

#include "core/activation.h"
#include "core/thread_pool.h"
#include "cuda/precision.h"
#include "python/gpu.h"

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

inline fg_cuda_precision precision_code(const char* op, const Given<std::string>& given) {
  const std::string name = given.get(op, "precision");
  if (name == "float32") return FG_CUDA_STRICT;
  if (name == "tf32") return FG_CUDA_TF32;
  throw py::value_error(std::string(op) + ": precision must be float32 or tf32. Received: " + name);
}

// A kernel's name and functions, of which the GPU's takes the precision, too.
template <class Cpu, class Gpu>
struct Products {
  const char* kernel;
  Cpu cpu;
  Gpu gpu;

  template <class... Args>
  void run(const Place& place, fg_dtype dtype, int64_t rows, int64_t inputs, int64_t units,
           fg_activation activation, fg_cuda_precision precision, Args... args) const {
    const auto on_cpu = [this](const fg_threads* threads, fg_dtype t, int64_t r, int64_t i,
                               int64_t u, fg_activation a, fg_cuda_precision,
                               auto... rest) { return cpu(threads, t, r, i, u, a, rest...); };
    run_at(place, fg_pool(), kernel, on_cpu, gpu, dtype, rows, inputs, units, activation, precision,
           args...);
  }
};
template <class Cpu, class Gpu>
Products(const char*, Cpu, Gpu) -> Products<Cpu, Gpu>;

// Layer: op, grad_op, inputs_axis, and the kernels forward and backward.
template <class Layer>
struct DenseArrays {
  Array x, kernel;
  int64_t rows, inputs, units;
  Shape y;

  DenseArrays(const char* op, py::handle x_, py::handle kernel_)
      : x(input_anywhere(op, "x", x_)), kernel(input_anywhere(op, "kernel", kernel_)) {
    check_dtype(op, kernel, x.type, "the dtype of x");
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
  // x where there is none.
  Array bias(const char* op, py::handle bias_) const {
    if (bias_.is_none()) return x;
    const Array bias = input_anywhere(op, "bias", bias_);
    check_shape(op, bias, {units}, "one number for each unit");
    check_dtype(op, bias, x.type, "the dtype of x");
    return bias;
  }
};

template <class Layer>
py::object dense(py::object x_, py::object kernel_, py::object bias_,
                 const Given<std::string>& activation, const Given<std::string>& precision) {
  constexpr const char* op = Layer::op;
  const DenseArrays<Layer> s(op, x_, kernel_);
  const fg_activation code = activation_code(op, activation.get(op, "activation"));
  const fg_cuda_precision how = precision_code(op, precision);
  const Array bias = s.bias(op, bias_);
  const Place place(op, {&s.x, &s.kernel, &bias});
  Array y = output(op, "y", py::none(), s.x.type, s.y, place);
  Layer::forward.run(place, s.x.dtype, s.rows, s.inputs, s.units, code, how, s.x.data(),
                     s.kernel.data(), bias_.is_none() ? nullptr : bias.data(), y.mutable_data(),
                     (void*)nullptr);
  return y.result();
}

template <class Layer>
py::tuple dense_grad(py::object x_, py::object kernel_, py::object saved_, py::object d_y_,
                     const Given<std::string>& activation, const Given<std::string>& precision) {
  constexpr const char* op = Layer::grad_op;
  const DenseArrays<Layer> s(op, x_, kernel_);
  const fg_activation code = activation_code(op, activation.get(op, "activation"));
  const fg_cuda_precision how = precision_code(op, precision);
  const Array saved = input_anywhere(op, "saved", saved_), d_y = input_anywhere(op, "d_y", d_y_);
  const py::dtype dtype = s.x.type;
  for (const Array* a : {&saved, &d_y}) {
    check_shape(op, *a, s.y, "the shape of y");
    check_dtype(op, *a, dtype, "the dtype of x");
  }
  const Place place(op, {&s.x, &s.kernel, &saved, &d_y});
  Array d_x = output(op, "d_x", py::none(), dtype, s.x.shape(), place);
  Array d_kernel = output(op, "d_kernel", py::none(), dtype, s.kernel.shape(), place);
  Array d_bias = output(op, "d_bias", py::none(), dtype, {s.units}, place);
  Layer::backward.run(place, s.x.dtype, s.rows, s.inputs, s.units, code, how, s.x.data(),
                      s.kernel.data(), saved.data(), d_y.data(), d_x.mutable_data(),
                      d_kernel.mutable_data(), d_bias.mutable_data());
  return py::make_tuple(d_x.result(), d_kernel.result(), d_bias.result());
}

constexpr const char* kPrecision =
    R"("float32", or "tf32": on a GPU products of float32 then run on tensor
        cores, their factors rounded to 11 bits, their sums in float32. NumPy's arrays and other
        dtypes are multiplied as ever.
)";

// The docstrings from the arguments on; the Layer has what comes before.
template <class Layer>
std::string doc() {
  return std::string(Layer::doc) + R"(
Args:
    x: array of shape [..., inputs]; float32, float64, float16 or bfloat16.
        NumPy's or, as all the others then, on a GPU.
    kernel: array of shape )" +
         Layer::kernel_shape + R"( and x's dtype.
    bias: None, or an array of shape [units] and x's dtype.
    activation: linear, relu, selu, elu, gelu_tanh, leaky_relu, sigmoid, tanh, softplus or silu.
    precision: )" +
         kPrecision + R"(
Returns:
    y: array of shape [..., units] and x's dtype.

Raises:
    ValueError: shapes or dtypes do not fit, or activation or precision is none of these.
    NotImplementedError: arrays on a GPU, and fastgen was built without nvcc.

Source: )" +
         Layer::source + "\n";
}

template <class Layer>
std::string grad_doc() {
  return std::string(Layer::grad_doc) + R"(
Args:
    x: array of shape [..., inputs]; float32, float64, float16 or bfloat16.
        NumPy's or, as all the others then, on a GPU.
    kernel: array of shape )" +
         Layer::kernel_shape + R"( and x's dtype.
    saved: y; for silu and gelu_tanh, whose derivative does not follow from it,
        z = )" +
         Layer::op + R"((x, kernel, bias). Array of shape [..., units] and x's dtype.
    d_y: array of y's shape and dtype, the gradient that arrives at y.
    activation: as for )" +
         Layer::op + R"(.
    precision: likewise.

Returns:
    d_x, d_kernel, d_bias: arrays of the shapes of x, kernel and bias, and x's dtype.

Raises:
    ValueError: shapes or dtypes do not fit, or activation or precision is none of the known ones.
    NotImplementedError: arrays on a GPU, and fastgen was built without nvcc.
)";
}

template <class Layer>
void bind_dense(py::module_& m) {
  m.def(Layer::op, dense<Layer>, py::arg("x"), py::arg("kernel"), py::arg("bias") = py::none(),
        py::arg("activation") = "linear", py::kw_only(), py::arg("precision") = "float32",
        doc<Layer>().c_str());
  m.def(Layer::grad_op, dense_grad<Layer>, py::arg("x"), py::arg("kernel"), py::arg("saved"),
        py::arg("d_y"), py::arg("activation") = "linear", py::kw_only(),
        py::arg("precision") = "float32", grad_doc<Layer>().c_str());
}

}  // namespace fastgen::python
