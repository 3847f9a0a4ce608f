#include "kernels/mlp.h"

#include "python/module.h"
#include "python/network.h"

namespace fastgen::python::mlp {
namespace {

constexpr const char* kDoc = R"(A network of dense layers.

    y = activation_n(... activation_1(x @ kernel_1 + bias_1) ... @ kernel_n + bias_n)

Example:

>>> import numpy as np
>>> kernel = np.array([[1.0, -1.0], [2.0, -2.0]])
>>> mlp_forward(np.ones([1, 2]), [(kernel, None, "relu"), (kernel, np.ones([2]), "linear", True)])
array([[4., 7.]])

Args:
    x: array of shape [rows, inputs]; float32 or float64. NumPy's or, as all the others then, on a
        GPU, where a network has at most 12 layers.
    layers: list of tuples (kernel, bias, activation): an array of shape [inputs, units], None or an
        array of shape [units], and one of linear, relu, selu, elu, gelu_tanh, leaky_relu, sigmoid,
        tanh, softplus and silu, or ("leaky_relu", slope), slope in [0, 1], 0.2 by default. (kernel,
        bias, activation, True): the kernel is [units, inputs]. (kernel, bias, activation,
        transposed, corruption): what the layer's inputs go through first, None, ("dropout", rate),
        as dropout, or ("gaussian", stddev), as gaussian_noise.
    seeds: None, and nothing is corrupted, or integers of shape [1, layers that corrupt, 2].
    precision: "float32", or "tf32": on a GPU large products of float32 then run on tensor cores, their
        factors rounded to 11 bits, their sums in float32. NumPy's arrays and float64 are multiplied
        as ever.

Returns:
    y: array of shape [rows, units of the last layer] and x's dtype.

Raises:
    ValueError: shapes or dtypes do not fit, or an activation is none of these, or a slope, a rate
        or a standard deviation is out of its range.
    NotImplementedError: arrays on a GPU, and fastgen was built without nvcc.

Source: keras.layers.Dense.
)";

constexpr const char* kGradDoc = R"(Gradients of mlp_forward.

    d_z_i = activation_i'(z_i) * d_y_i, d_kernel_i = y_(i-1).T @ d_z_i, d_bias_i = sum(d_z_i),
    d_y_(i-1) = d_z_i @ kernel_i.T

Example:

>>> import numpy as np
>>> layer = (np.array([[3.0], [4.0]]), np.zeros([1]), "linear")
>>> d_x, [(d_kernel, d_bias)] = mlp_grad(np.array([[1.0, 2.0]]), [layer], np.ones([1, 1]))
>>> d_x, d_bias
(array([[3., 4.]]), array([1.]))

Args:
    x: array of shape [rows, inputs]; float32 or float64.
    layers: as for mlp_forward.
    d_y: array of shape [rows, units of the last layer] and x's dtype, the gradient that arrives.
    seeds: as for mlp_forward.
    precision: likewise.

Returns:
    d_x: array of x's shape and dtype.
    gradients: list of tuples (d_kernel, d_bias), a layer each; d_bias is None where there is
        none. Layers with one kernel have one array, the sum of their gradients.

Raises:
    ValueError: shapes or dtypes do not fit, or an activation is none of the known ones.
    NotImplementedError: as for mlp_forward.
)";

fg_optimizer_tensor tensor_of(const Array& variable, const void* gradient) {
  fg_optimizer_tensor x = {};
  x.dtype = variable.dtype;
  x.size = variable.size();
  x.variable = const_cast<void*>(variable.data());  // which neither function writes to
  x.gradient = gradient;
  return x;
}

// Where a network's arrays and these are.
Place place_of(const char* op, const Network& network, std::initializer_list<const Array*> more) {
  std::vector<const Array*> all = network.arrays();
  all.insert(all.end(), more);
  return Place(op, all);
}

py::object forward(py::object x_, const Given<py::sequence>& layers, py::object seeds_,
                   const Given<std::string>& precision) {
  constexpr const char* op = "mlp_forward";
  Network network(op, layers.get(op, "layers"), false);
  const Array x = network.rows("x", x_, network.inputs(), false);
  const fg_cuda_precision how = precision_code(op, precision);
  const Place place = place_of(op, network, {&x});
  Array y = output(op, "y", py::none(), network.dtype(), {x.shape()[0], network.units()}, place);
  const Integers seeds = network.corruption_seeds("seeds", seeds_, 1, place);
  const fg_mlp mlp = network.mlp(
      [&](size_t i) { return tensor_of(network.variables()[i], nullptr); }, seeds.data());
  run_networks(place, how, FASTGEN_BOTH(mlp_forward), &mlp, static_cast<int64_t>(x.shape()[0]),
               x.data(), y.mutable_data());
  return y.result();
}

py::tuple grad(py::object x_, const Given<py::sequence>& layers, py::object d_y_, py::object seeds_,
               const Given<std::string>& precision) {
  constexpr const char* op = "mlp_grad";
  Network network(op, layers.get(op, "layers"), false);
  const Array x = network.rows("x", x_, network.inputs(), false);
  const Array d_y = network.rows("d_y", d_y_, network.units(), false);
  check_shape(op, d_y, {x.shape()[0], network.units()}, "as many rows as x");
  const fg_cuda_precision how = precision_code(op, precision);
  const Place place = place_of(op, network, {&x, &d_y});
  Array d_x = output(op, "d_x", py::none(), network.dtype(), x.shape(), place);
  std::vector<Array> gradients;
  for (const Array& w : network.variables()) {
    gradients.push_back(output(op, "gradients", py::none(), network.dtype(), w.shape(), place));
  }
  const Integers seeds = network.corruption_seeds("seeds", seeds_, 1, place);
  const fg_mlp mlp = network.mlp(
      [&](size_t i) { return tensor_of(network.variables()[i], gradients[i].mutable_data()); },
      seeds.data());
  run_networks(place, how, FASTGEN_BOTH(mlp_grad), &mlp, static_cast<int64_t>(x.shape()[0]),
               x.data(), d_y.data(), d_x.mutable_data());
  return py::make_tuple(d_x.result(),
                        network.by_layer([&](size_t i) { return gradients[i].result(); }));
}

}  // namespace

void bind(py::module_& m) {
  m.def("mlp_forward", forward, py::arg("x"), py::arg("layers"), py::kw_only(),
        py::arg("seeds") = py::none(), py::arg("precision") = "float32", kDoc);
  m.def("mlp_grad", grad, py::arg("x"), py::arg("layers"), py::arg("d_y"), py::kw_only(),
        py::arg("seeds") = py::none(), py::arg("precision") = "float32", kGradDoc);
}

}  // namespace fastgen::python::mlp
