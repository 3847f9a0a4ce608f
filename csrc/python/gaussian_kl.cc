#include "kernels/gaussian_kl.h"

#include "core/thread_pool.h"
#include "python/gpu.h"
#include "python/module.h"

namespace fastgen::python::gaussian_kl {
namespace {

constexpr const char* kDoc =
    R"(KL divergence from a diagonal Gaussian to the standard normal, over the last axis.

    kl = -1/2 * sum(1 + log_var - exp(log_var) - mean**2)

Example:

>>> import numpy as np
>>> mean = np.ones([32, 10], "float32")
>>> gaussian_kl(mean, 0 * mean)[0]
np.float32(5.0)

Args:
    mean: array of shape [..., cols]; float32, float64, float16 or bfloat16. NumPy's or,
        as all the others then, on a GPU.
    log_var: array of mean's shape and dtype.
    out: array for kl to be written to.

Returns:
    kl: array of shape [...]; float64 for float64, else float32.

Raises:
    ValueError: shapes or dtypes differ, or mean is a scalar.

Source: Kingma and Welling, Auto-Encoding Variational Bayes, 2013, appendix B.
)";

constexpr const char* kGradDoc = R"(Gradients of gaussian_kl.

    d_mean = d_kl * mean
    d_log_var = d_kl * (exp(log_var) - 1) / 2

Example:

>>> import numpy as np
>>> mean = np.ones([32, 10])
>>> d_mean, d_log_var = gaussian_kl_grad(mean, 0 * mean, np.ones([32]))
>>> d_mean[0, 0], d_log_var[0, 0]
(np.float64(1.0), np.float64(0.0))

Args:
    mean: array of shape [..., cols]; float32, float64, float16 or bfloat16. NumPy's or,
        as all the others then, on a GPU.
    log_var: array of mean's shape and dtype.
    d_kl: array of shape [...], the gradient that arrives at kl; float64 for float64, else float32.
    out: tuple of two arrays for d_mean and d_log_var; they may be mean and log_var.

Returns:
    d_mean, d_log_var: arrays of mean's shape and dtype.

Raises:
    ValueError: shapes or dtypes differ, or mean is a scalar.
)";

py::object kl(py::object mean_, py::object log_var_, py::object out) {
  constexpr const char* op = "gaussian_kl";
  const Array mean = input_anywhere(op, "mean", mean_);
  const Array log_var = input_anywhere(op, "log_var", log_var_);
  check_same(op, mean, log_var);
  const Matrix m = matrix(op, mean);
  const Place place(op, {&mean, &log_var});
  Array kl = output(op, "kl", out, kl_dtype(mean.dtype), m.outer, place);
  check_overlap(op, {&kl}, {&mean, &log_var});
  run_at(place, fg_pool(), FASTGEN_BOTH(gaussian_kl), mean.dtype, m.rows, m.cols, mean.data(),
         log_var.data(), kl.mutable_data());
  return kl.result();
}

py::tuple kl_grad(py::object mean_, py::object log_var_, py::object d_kl_, py::object out) {
  constexpr const char* op = "gaussian_kl_grad";
  const Array mean = input_anywhere(op, "mean", mean_);
  const Array log_var = input_anywhere(op, "log_var", log_var_);
  check_same(op, mean, log_var);
  const Matrix m = matrix(op, mean);
  const Array d_kl = input_anywhere(op, "d_kl", d_kl_);
  check_shape(op, d_kl, m.outer, "mean's shape without its last axis");
  check_dtype(op, d_kl, kl_dtype(mean.dtype), "the dtype of kl");
  const Place place(op, {&mean, &log_var, &d_kl});
  const auto outs = outputs(op, out, 2);
  Array d_mean = output(op, "d_mean", outs[0], mean.type, mean.shape(), place);
  Array d_log_var = output(op, "d_log_var", outs[1], mean.type, mean.shape(), place);
  check_overlap(op, {&d_mean, &d_log_var}, {&mean, &log_var, &d_kl});
  run_at(place, fg_pool(), FASTGEN_BOTH(gaussian_kl_grad), mean.dtype, m.rows, m.cols, mean.data(),
         log_var.data(), d_kl.data(), d_mean.mutable_data(), d_log_var.mutable_data());
  return py::make_tuple(d_mean.result(), d_log_var.result());
}

}  // namespace

void bind(py::module_& m) {
  m.def("gaussian_kl", kl, py::arg("mean"), py::arg("log_var"), py::kw_only(),
        py::arg("out") = py::none(), kDoc);
  m.def("gaussian_kl_grad", kl_grad, py::arg("mean"), py::arg("log_var"), py::arg("d_kl"),
        py::kw_only(), py::arg("out") = py::none(), kGradDoc);
}

}  // namespace fastgen::python::gaussian_kl
