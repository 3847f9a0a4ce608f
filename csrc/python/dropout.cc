#include "kernels/dropout.h"

#include "core/thread_pool.h"
#include "python/array.h"
#include "python/module.h"

namespace fastgen::python::dropout {
namespace {

constexpr const char* kDoc = R"(Elements dropped at random, the others scaled up; its own gradient.

    y = where(u >= rate, x / (1 - rate), 0), u the uniforms of tf.random.stateless_uniform

Example:

>>> import numpy as np
>>> dropout(np.array([1, 2, 3, 4], "float32"), 0.5, [1, 2]).tolist()
[2.0, 0.0, 6.0, 0.0]

Args:
    x: array of any shape; float32, float64, float16 or bfloat16.
    rate: number in [0, 1], the share of the elements that is dropped.
    seed: two integers of 64 bits.
    out: array for y to be written to; it may be x.

Returns:
    y: array of x's shape and dtype.

Raises:
    ValueError: seed is not two integers, or x is of another dtype,
        or rate is not in [0, 1].

Source: Srivastava et al., Dropout, JMLR 15, 2014, in its inverted form.
)";

py::object run_kernel(py::object x_, const Given<double>& rate_, py::object seed_, py::object out) {
  constexpr const char* op = "dropout";
  const Array x = input(op, "x", x_);
  const double rate = rate_.get(op, "rate");
  const auto seed = seed_words(op, seed_);
  Array y = output(op, "y", out, x.type, x.shape());
  check_overlap(op, {&y}, {&x});
  run([&, to = y.mutable_data()] {
    return fg_dropout(fg_pool(), x.dtype, x.size(), seed.data(), rate, x.data(), to);
  });
  return y.result();
}

}  // namespace

void bind(py::module_& m) {
  m.def("dropout", run_kernel, py::arg("x"), py::arg("rate"), py::arg("seed"), py::kw_only(),
        py::arg("out") = py::none(), kDoc);
}

}  // namespace fastgen::python::dropout
