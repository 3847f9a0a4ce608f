#include "kernels/sigmoid_cross_entropy.h"

#include "core/thread_pool.h"
#include "python/gpu.h"
#include "python/module.h"

namespace fastgen::python::sigmoid_cross_entropy {
namespace {

constexpr const char* kDoc =
    R"(Cross-entropy of targets and the sigmoid of logits, averaged over the last axis.

    loss = mean(max(logits, 0) - logits * y + log(1 + exp(-abs(logits))), axis=-1)
    y = targets * (1 - label_smoothing) + label_smoothing / 2

Example:

>>> import numpy as np
>>> sigmoid_cross_entropy(np.array([[0.0, 1.0]]), np.array([[0.0, 0.0]]))
array([0.69314718])

Args:
    targets: array of the shape and dtype of logits, or of uint8, which stand for 255ths.
    logits: array of shape [..., cols]; float32, float64, float16 or bfloat16.
        NumPy's or, as all the others then, on a GPU.
    label_smoothing: number in [0, 1].
    out: array for the loss to be written to.
    slope: array of the shape and dtype of logits, to which the loss's derivative by each logit is
        written, (sigmoid(logits) - y) / cols. It may be logits or targets.

Returns:
    loss: array of shape [...]; float64 for float64, else float32.

Raises:
    ValueError: shapes or dtypes differ, or logits is a scalar.

Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 6.2.2.2.
)";

constexpr const char* kGradDoc = R"(Gradient of sigmoid_cross_entropy with respect to the logits.

    d_logits = d_loss * (sigmoid(logits) - y) / cols

Example:

>>> import numpy as np
>>> sigmoid_cross_entropy_grad(np.zeros([1, 2]), np.zeros([1, 2]), np.ones([1]))
array([[0.25, 0.25]])

Args:
    targets: array of the shape and dtype of logits, or of uint8, which stand for 255ths.
    logits: array of shape [..., cols]; float32, float64, float16 or bfloat16.
        NumPy's or, as all the others then, on a GPU.
    d_loss: array of shape [...], the gradient that arrives at the loss, in its dtype.
    label_smoothing: number in [0, 1].
    out: array for d_logits; it may be logits or targets.

Returns:
    d_logits: array of the shape and dtype of logits.

Raises:
    ValueError: shapes or dtypes differ, or logits is a scalar.
)";

constexpr const char* kFromSlopeDoc = R"(sigmoid_cross_entropy_grad from the slope that was kept.

    d_logits = d_loss * slope

Example:

>>> import numpy as np
>>> sigmoid_cross_entropy_from_slope_grad(np.ones([1, 2]), np.full([1], 3.0))
array([[3., 3.]])

Args:
    slope: array of shape [..., cols], as sigmoid_cross_entropy leaves it. NumPy's or, as all the
        others then, on a GPU.
    d_loss: array of shape [...], the gradient that arrives at the loss, in its dtype.
    out: array for d_logits; it may be slope.

Returns:
    d_logits: array of the shape and dtype of slope.

Raises:
    ValueError: shapes or dtypes differ, or slope is a scalar.
)";

struct Inputs {
  Array targets, logits;
  Matrix m;
};

Inputs inputs(const char* op, py::handle targets_, py::handle logits_) {
  Inputs in{bytes_anywhere(op, "targets", targets_), input_anywhere(op, "logits", logits_), {}};
  in.m = matrix(op, in.logits);
  if (in.targets.dtype != FG_UINT8) {
    check_same(op, in.targets, in.logits);
  } else {
    check_shape(op, in.targets, in.logits.shape(), "the shape of logits");
  }
  return in;
}

Array upstream(const char* op, py::handle d_loss_, const Matrix& m, fg_dtype dtype) {
  const Array d_loss = input_anywhere(op, "d_loss", d_loss_);
  check_shape(op, d_loss, m.outer, "the shape of logits without its last axis");
  check_dtype(op, d_loss, kl_dtype(dtype), "the dtype of the loss");
  return d_loss;
}

py::object forward(py::object targets_, py::object logits_, const Given<double>& label_smoothing_,
                   py::object out, py::object slope_) {
  constexpr const char* op = "sigmoid_cross_entropy";
  const auto [targets, logits, m] = inputs(op, targets_, logits_);
  const double label_smoothing = label_smoothing_.get(op, "label_smoothing");
  const Place place(op, {&targets, &logits});
  Array loss = output(op, "loss", out, kl_dtype(logits.dtype), m.outer, place);
  check_overlap(op, {&loss}, {&targets, &logits});
  void* to_slope = nullptr;
  if (!slope_.is_none()) {
    Array slope = output(op, "slope", slope_, logits.type, logits.shape(), place);
    check_overlap(op, {&loss, &slope}, {&targets, &logits});
    to_slope = slope.mutable_data();
  }
  run_at(place, fg_pool(), FASTGEN_BOTH(sigmoid_cross_entropy), logits.dtype, targets.dtype, m.rows,
         m.cols, targets.data(), logits.data(), label_smoothing, loss.mutable_data(), to_slope);
  return loss.result();
}

py::object grad(py::object targets_, py::object logits_, py::object d_loss_,
                const Given<double>& label_smoothing_, py::object out) {
  constexpr const char* op = "sigmoid_cross_entropy_grad";
  const auto [targets, logits, m] = inputs(op, targets_, logits_);
  const Array d_loss = upstream(op, d_loss_, m, logits.dtype);
  const double label_smoothing = label_smoothing_.get(op, "label_smoothing");
  const Place place(op, {&targets, &logits, &d_loss});
  Array d_logits = output(op, "d_logits", out, logits.type, logits.shape(), place);
  check_overlap(op, {&d_logits}, {&targets, &logits, &d_loss});
  run_at(place, fg_pool(), FASTGEN_BOTH(sigmoid_cross_entropy_grad), logits.dtype, targets.dtype,
         m.rows, m.cols, targets.data(), logits.data(), label_smoothing, d_loss.data(),
         d_logits.mutable_data());
  return d_logits.result();
}

py::object from_slope_grad(py::object slope_, py::object d_loss_, py::object out) {
  constexpr const char* op = "sigmoid_cross_entropy_from_slope_grad";
  const Array slope = input_anywhere(op, "slope", slope_);
  const Matrix m = matrix(op, slope);
  const Array d_loss = upstream(op, d_loss_, m, slope.dtype);
  const Place place(op, {&slope, &d_loss});
  Array d_logits = output(op, "d_logits", out, slope.type, slope.shape(), place);
  check_overlap(op, {&d_logits}, {&slope, &d_loss});
  run_at(place, fg_pool(), FASTGEN_BOTH(sigmoid_cross_entropy_from_slope_grad), slope.dtype, m.rows,
         m.cols, slope.data(), d_loss.data(), d_logits.mutable_data());
  return d_logits.result();
}

}  // namespace

void bind(py::module_& m) {
  m.def("sigmoid_cross_entropy", forward, py::arg("targets"), py::arg("logits"),
        py::arg("label_smoothing") = 0.0, py::kw_only(), py::arg("out") = py::none(),
        py::arg("slope") = py::none(), kDoc);
  m.def("sigmoid_cross_entropy_grad", grad, py::arg("targets"), py::arg("logits"),
        py::arg("d_loss"), py::arg("label_smoothing") = 0.0, py::kw_only(),
        py::arg("out") = py::none(), kGradDoc);
  m.def("sigmoid_cross_entropy_from_slope_grad", from_slope_grad, py::arg("slope"),
        py::arg("d_loss"), py::kw_only(), py::arg("out") = py::none(), kFromSlopeDoc);
}

}  // namespace fastgen::python::sigmoid_cross_entropy
