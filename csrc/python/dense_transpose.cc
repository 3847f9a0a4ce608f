#include "kernels/dense_transpose.h"

#include <memory>

#include "kernels/sigmoid_cross_entropy.h"
#include "python/dense_layer.h"
#include "python/module.h"

namespace fastgen::python::dense_transpose_module {
namespace {

struct Layer {
  static constexpr const char* op = "dense_transpose";
  static constexpr const char* grad_op = "dense_transpose_grad";
  static constexpr int inputs_axis = 1;
  static constexpr Products forward = {FASTGEN_BOTH(dense_transpose)};
  static constexpr Products backward = {FASTGEN_BOTH(dense_transpose_grad)};

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

constexpr const char* kCrossEntropyDoc =
    R"(Cross-entropy of targets and the sigmoid of what a tied decoder gives, averaged over its units.

    logits = x @ kernel.T + bias
    loss = mean(max(logits, 0) - logits * y + log(1 + exp(-abs(logits))), axis=-1)
    y = targets * (1 - label_smoothing) + label_smoothing / 2

On a GPU that is one kernel, and the logits are never in memory; of NumPy's arrays it is
dense_transpose and then sigmoid_cross_entropy. The slope is what gradients are made of:

>>> import numpy as np
>>> x, kernel, targets = np.ones([2, 1]), np.zeros([4, 1]), np.zeros([2, 4])
>>> slope = np.empty([2, 4])
>>> loss = dense_transpose_cross_entropy(x, kernel, None, targets, slope=slope)
>>> d_logits = sigmoid_cross_entropy_from_slope_grad(slope, np.full([2], 1 / 2))  # of the mean
>>> d_x, d_kernel, d_bias = dense_transpose_grad(x, kernel, d_logits, d_logits)
>>> d_bias
array([0.125, 0.125, 0.125, 0.125])

Example:

>>> dense_transpose_cross_entropy(x, kernel, None, targets)
array([0.69314718, 0.69314718])

Args:
    x: array of shape [..., inputs]; float32, float64, float16 or bfloat16.
        NumPy's or, as all the others then, on a GPU.
    kernel: array of shape [units, inputs] and x's dtype.
    bias: None, or an array of shape [units] and x's dtype.
    targets: array of shape [..., units] and x's dtype, or of uint8, which stand for 255ths.
    label_smoothing: number in [0, 1].
    precision: as for dense_transpose.
    out: array for the loss to be written to.
    slope: array of shape [..., units] and x's dtype, to which the loss's derivative by each logit
        is written, (sigmoid(logits) - y) / units. It may be targets.

Returns:
    loss: array of shape [...]; float64 for float64, else float32.

Raises:
    ValueError: shapes or dtypes do not fit, arrays overlap, or precision is none of the known ones.
    NotImplementedError: arrays on a GPU, and fastgen was built without nvcc.

Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 6.2.2.2.
)";

// On the CPU by way of the logits, in memory.
int cross_entropy_on_cpu(const fg_threads* threads, fg_dtype dtype, fg_dtype targets_dtype,
                         int64_t rows, int64_t inputs, int64_t units, fg_cuda_precision,
                         const void* x, const void* kernel, const void* bias, const void* targets,
                         double label_smoothing, void* loss, void* slope) {
  const std::unique_ptr<double[]> logits(new double[rows * units]);  // large enough for any dtype
  if (int code = fg_dense_transpose(threads, dtype, rows, inputs, units, FG_LINEAR, x, kernel, bias,
                                    logits.get(), nullptr)) {
    return code;
  }
  return fg_sigmoid_cross_entropy(threads, dtype, targets_dtype, rows, units, targets, logits.get(),
                                  label_smoothing, loss, slope);
}

py::object cross_entropy(py::object x_, py::object kernel_, py::object bias_, py::object targets_,
                         const Given<double>& label_smoothing_, const Given<std::string>& precision,
                         py::object out, py::object slope_) {
  constexpr const char* op = "dense_transpose_cross_entropy";
  const DenseArrays<Layer> s(op, x_, kernel_);
  const fg_cuda_precision how = precision_code(op, precision);
  const double label_smoothing = label_smoothing_.get(op, "label_smoothing");
  const Array bias = s.bias(op, bias_), targets = bytes_anywhere(op, "targets", targets_);
  const py::dtype dtype = s.x.type;
  check_shape(op, targets, s.y, "the shape of the logits");
  if (targets.dtype != FG_UINT8) check_dtype(op, targets, dtype, "the dtype of x");
  const Place place(op, {&s.x, &s.kernel, &bias, &targets});
  Array loss =
      output(op, "loss", out, kl_dtype(s.x.dtype), Shape(s.y.begin(), s.y.end() - 1), place);
  const bool sloped = !slope_.is_none();
  Array slope = sloped ? output(op, "slope", slope_, dtype, s.y, place) : loss;
  for (const Array* result : {&loss, &slope}) {
    check_overlap(op, {result}, {&targets});
    for (const Array* read : {&s.x, &s.kernel, &bias}) check_overlap(op, {read, result}, {});
  }
  if (sloped) check_overlap(op, {&loss, &slope}, {});
  run_at(place, fg_pool(), op, cross_entropy_on_cpu, FASTGEN_ON_GPU(dense_transpose_cross_entropy),
         s.x.dtype, targets.dtype, s.rows, s.inputs, s.units, how, s.x.data(), s.kernel.data(),
         bias_.is_none() ? nullptr : bias.data(), targets.data(), label_smoothing,
         loss.mutable_data(), sloped ? slope.mutable_data() : nullptr);
  return loss.result();
}

}  // namespace

void bind(py::module_& m) {
  bind_dense<Layer>(m);
  m.def("dense_transpose_cross_entropy", cross_entropy, py::arg("x"), py::arg("kernel"),
        py::arg("bias"), py::arg("targets"), py::arg("label_smoothing") = 0.0, py::kw_only(),
        py::arg("precision") = "float32", py::arg("out") = py::none(),
        py::arg("slope") = py::none(), kCrossEntropyDoc);
}

}  // namespace fastgen::python::dense_transpose_module
