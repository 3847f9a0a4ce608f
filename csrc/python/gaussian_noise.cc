#include "kernels/gaussian_noise.h"

#include "core/thread_pool.h"
#include "python/array.h"
#include "python/module.h"

namespace fastgen::python::gaussian_noise {
namespace {

constexpr const char* kDoc = R"(Gaussian noise added to an array.

    y = x + stddev * random_normal(shape, seed)

Example:

>>> import numpy as np
>>> gaussian_noise(np.array([5.0, -5.0]), 0.0, [1, 2]).tolist()
[5.0, -5.0]

Args:
    x: array of any shape; float32, float64, float16 or bfloat16.
    stddev: number, the standard deviation of the noise.
    seed: two integers of 64 bits.
    out: array for y to be written to; it may be x.

Returns:
    y: array of x's shape and dtype.

Raises:
    ValueError: seed is not two integers, or x is of another dtype.

Source: Vincent et al., Stacked denoising autoencoders, JMLR 11, 2010, section 3.3.
)";

py::object run_kernel(py::object x_, const Given<double>& stddev_, py::object seed_,
                      py::object out) {
  constexpr const char* op = "gaussian_noise";
  const Array x = input(op, "x", x_);
  const double stddev = stddev_.get(op, "stddev");
  const auto seed = seed_words(op, seed_);
  Array y = output(op, "y", out, x.type, x.shape());
  check_overlap(op, {&y}, {&x});
  run([&, to = y.mutable_data()] {
    return fg_gaussian_noise(fg_pool(), x.dtype, x.size(), seed.data(), stddev, x.data(), to);
  });
  return y.result();
}

}  // namespace

void bind(py::module_& m) {
  m.def("gaussian_noise", run_kernel, py::arg("x"), py::arg("stddev"), py::arg("seed"),
        py::kw_only(), py::arg("out") = py::none(), kDoc);
}

}  // namespace fastgen::python::gaussian_noise
