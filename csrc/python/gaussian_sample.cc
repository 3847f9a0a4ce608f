#include "kernels/gaussian_sample.h"

#include "core/thread_pool.h"
#include "python/gpu.h"
#include "python/module.h"

namespace fastgen::python::gaussian_sample {
namespace {

constexpr const char* kDoc = R"(Draws from a diagonal Gaussian by the reparameterisation trick.

    z = mean + exp(log_var / 2) * eps

with eps = tf.random.stateless_normal(mean.shape, seed), float32 noise for half and bfloat16.

Example:

>>> import numpy as np
>>> mean = np.zeros([32, 10], "float32")
>>> z = gaussian_sample(mean, mean, seed=[1, 2])
>>> z.shape, z.dtype.name
((32, 10), 'float32')

Args:
    mean: array of any shape; float32, float64, float16 or bfloat16. NumPy's or,
        as all the others then, on a GPU.
    log_var: array of mean's shape and dtype.
    seed: two integers of 64 bits; the same seed gives the same z.
    out: array of mean's shape and dtype to write z to; may be mean or log_var.

Returns:
    z: array of mean's shape and dtype.

Raises:
    ValueError: shapes or dtypes differ, or seed is not two integers.

Source: Kingma and Welling, Auto-Encoding Variational Bayes, 2013, section 2.4.
)";

constexpr const char* kGradDoc = R"(Gradient of gaussian_sample with respect to log_var.

    d_log_var = d_z * exp(log_var / 2) * eps / 2

with the noise drawn again from seed; the gradient with respect to mean is d_z itself.

Example:

>>> import numpy as np
>>> x = np.ones([32, 10], "float32")
>>> gaussian_sample_grad(x, [1, 2], x).shape
(32, 10)

Args:
    log_var: array of any shape; float32, float64, float16 or bfloat16. NumPy's or,
        as all the others then, on a GPU.
    seed: the two integers that gaussian_sample had.
    d_z: array of log_var's shape and dtype, the gradient that arrives at z.
    out: array of log_var's shape and dtype to write d_log_var to; may be log_var or d_z.

Returns:
    d_log_var: array of log_var's shape and dtype.

Raises:
    ValueError: shapes or dtypes differ, or seed is not two integers.
)";

py::object sample(py::object mean_, py::object log_var_, py::object seed_, py::object out) {
  constexpr const char* op = "gaussian_sample";
  const Array mean = input_anywhere(op, "mean", mean_);
  const Array log_var = input_anywhere(op, "log_var", log_var_);
  check_same(op, mean, log_var);
  const auto seed = seed_words(op, seed_);
  const Place place(op, {&mean, &log_var});
  Array z = output(op, "z", out, mean.type, mean.shape(), place);
  check_overlap(op, {&z}, {&mean, &log_var});
  run_at(place, fg_pool(), FASTGEN_BOTH(gaussian_sample), mean.dtype, mean.size(), seed.data(),
         mean.data(), log_var.data(), z.mutable_data());
  return z.result();
}

py::object sample_grad(py::object log_var_, py::object seed_, py::object d_z_, py::object out) {
  constexpr const char* op = "gaussian_sample_grad";
  const Array log_var = input_anywhere(op, "log_var", log_var_);
  const Array d_z = input_anywhere(op, "d_z", d_z_);
  check_same(op, log_var, d_z);
  const auto seed = seed_words(op, seed_);
  const Place place(op, {&log_var, &d_z});
  Array d_log_var = output(op, "d_log_var", out, log_var.type, log_var.shape(), place);
  check_overlap(op, {&d_log_var}, {&log_var, &d_z});
  run_at(place, fg_pool(), FASTGEN_BOTH(gaussian_sample_grad), log_var.dtype, log_var.size(),
         seed.data(), log_var.data(), d_z.data(), d_log_var.mutable_data());
  return d_log_var.result();
}

}  // namespace

void bind(py::module_& m) {
  m.def("gaussian_sample", sample, py::arg("mean"), py::arg("log_var"), py::arg("seed"),
        py::kw_only(), py::arg("out") = py::none(), kDoc);
  m.def("gaussian_sample_grad", sample_grad, py::arg("log_var"), py::arg("seed"), py::arg("d_z"),
        py::kw_only(), py::arg("out") = py::none(), kGradDoc);
}

}  // namespace fastgen::python::gaussian_sample
