#include "kernels/gaussian_sample_kl.h"

#include "core/thread_pool.h"
#include "python/gpu.h"
#include "python/module.h"

namespace fastgen::python::gaussian_sample_kl {
namespace {

constexpr const char* kDoc = R"(gaussian_sample and gaussian_kl in one pass over mean and log_var.

    z = mean + exp(log_var / 2) * eps
    kl = -1/2 * sum(1 + log_var - exp(log_var) - mean**2)    over the last axis

Example:

>>> import numpy as np
>>> mean = np.ones([32, 10], "float32")
>>> z, kl = gaussian_sample_kl(mean, 0 * mean, seed=[1, 2])
>>> z.shape, kl.shape
((32, 10), (32,))

Args:
    mean: array of shape [..., cols]; float32, float64, float16 or bfloat16. NumPy's or, as all the
        others then, on a GPU: CuPy's, or of whoever has DLPack or __cuda_array_interface__.
    log_var: array of mean's shape and dtype.
    seed: two integers of 64 bits; the same seed gives the same z.
    out: tuple of two arrays for z and kl; z may be mean or log_var.

Returns:
    z: array of mean's shape and dtype.
    kl: array of shape [...]; float64 for float64, else float32.

Raises:
    ValueError: shapes or dtypes differ, mean is a scalar, or seed is not two integers.

Source: Kingma and Welling, Auto-Encoding Variational Bayes, 2013.
)";

constexpr const char* kGradDoc = R"(Gradients of gaussian_sample_kl, in one pass.

    d_mean = d_z + d_kl * mean
    d_log_var = d_z * exp(log_var / 2) * eps / 2 + d_kl * (exp(log_var) - 1) / 2

with the noise drawn again from seed.

Example:

>>> import numpy as np
>>> mean = np.ones([32, 10])
>>> d_mean, _ = gaussian_sample_kl_grad(mean, 0 * mean, [1, 2], mean, np.ones([32]))
>>> d_mean[0, 0]
np.float64(2.0)

Args:
    mean: array of shape [..., cols]; float32, float64, float16 or bfloat16. NumPy's or, as all the
        others then, on a GPU: CuPy's, or of whoever has DLPack or __cuda_array_interface__.
    log_var: array of mean's shape and dtype.
    seed: the two integers that gaussian_sample_kl had.
    d_z: array of mean's shape and dtype, the gradient that arrives at z.
    d_kl: array of shape [...], the gradient that arrives at kl; float64 for float64, else float32.
    out: tuple of two arrays for d_mean and d_log_var; they may be mean, log_var or d_z.

Returns:
    d_mean, d_log_var: arrays of mean's shape and dtype.

Raises:
    ValueError: shapes or dtypes differ, mean is a scalar, or seed is not two integers.
)";

py::tuple sample_kl(py::object mean_, py::object log_var_, py::object seed_, py::object out) {
  constexpr const char* op = "gaussian_sample_kl";
  const Array mean = input_anywhere(op, "mean", mean_);
  const Array log_var = input_anywhere(op, "log_var", log_var_);
  check_same(op, mean, log_var);
  const Matrix m = matrix(op, mean);
  const auto seed = seed_words(op, seed_);
  const Place place(op, {&mean, &log_var});
  const auto outs = outputs(op, out, 2);
  Array z = output(op, "z", outs[0], mean.type, mean.shape(), place);
  Array kl = output(op, "kl", outs[1], kl_dtype(mean.dtype), m.outer, place);
  check_overlap(op, {&z, &kl}, {&mean, &log_var});
  run_at(place, fg_pool(), FASTGEN_BOTH(gaussian_sample_kl), mean.dtype, m.rows, m.cols,
         seed.data(), mean.data(), log_var.data(), z.mutable_data(), kl.mutable_data());
  return py::make_tuple(z.result(), kl.result());
}

py::tuple sample_kl_grad(py::object mean_, py::object log_var_, py::object seed_, py::object d_z_,
                         py::object d_kl_, py::object out) {
  constexpr const char* op = "gaussian_sample_kl_grad";
  const Array mean = input_anywhere(op, "mean", mean_);
  const Array log_var = input_anywhere(op, "log_var", log_var_);
  check_same(op, mean, log_var);
  const Matrix m = matrix(op, mean);
  const auto seed = seed_words(op, seed_);
  const Array d_z = input_anywhere(op, "d_z", d_z_), d_kl = input_anywhere(op, "d_kl", d_kl_);
  check_same(op, mean, d_z);
  check_shape(op, d_kl, m.outer, "mean's shape without its last axis");
  check_dtype(op, d_kl, kl_dtype(mean.dtype), "the dtype of kl");
  const Place place(op, {&mean, &log_var, &d_z, &d_kl});
  const auto outs = outputs(op, out, 2);
  Array d_mean = output(op, "d_mean", outs[0], mean.type, mean.shape(), place);
  Array d_log_var = output(op, "d_log_var", outs[1], mean.type, mean.shape(), place);
  check_overlap(op, {&d_mean, &d_log_var}, {&mean, &log_var, &d_z, &d_kl});
  run_at(place, fg_pool(), FASTGEN_BOTH(gaussian_sample_kl_grad), mean.dtype, m.rows, m.cols,
         seed.data(), mean.data(), log_var.data(), d_z.data(), d_kl.data(), d_mean.mutable_data(),
         d_log_var.mutable_data());
  return py::make_tuple(d_mean.result(), d_log_var.result());
}

}  // namespace

void bind(py::module_& m) {
  m.def("gaussian_sample_kl", sample_kl, py::arg("mean"), py::arg("log_var"), py::arg("seed"),
        py::kw_only(), py::arg("out") = py::none(), kDoc);
  m.def("gaussian_sample_kl_grad", sample_kl_grad, py::arg("mean"), py::arg("log_var"),
        py::arg("seed"), py::arg("d_z"), py::arg("d_kl"), py::kw_only(),
        py::arg("out") = py::none(), kGradDoc);
}

}  // namespace fastgen::python::gaussian_sample_kl
