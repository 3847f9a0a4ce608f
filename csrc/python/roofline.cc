#include "kernels/roofline.h"

#include "core/thread_pool.h"
#include "python/array.h"
#include "python/module.h"

namespace fastgen::python::roofline {
namespace {

constexpr const char* kTriadDoc = R"(STREAM triad, a = b + scale * c: what memory bandwidth allows.

Moves 12 bytes an element.

Example:

>>> import numpy as np
>>> a, b, c = np.zeros([3, 4], "float32") + np.float32([[0], [1], [2]])
>>> triad(a, b, c, 3.0)
array([7., 7., 7., 7.], dtype=float32)

Args:
    a: float32 array to write to.
    b: float32 array of a's shape.
    c: float32 array of a's shape.
    scale: number.

Returns:
    a.

Raises:
    ValueError: shapes or dtypes differ, or a overlaps b or c.
)";

constexpr const char* kFmaDoc = R"(Chains of multiply-adds in registers: what the cores allow.

Example:

>>> fma_peak(panels=2, iterations=100) > 0
True

Args:
    panels: how many pieces of work to share among the threads, >= 0.
    iterations: rounds of the chains in a piece, >= 0.

Returns:
    The floating-point operations done, an FMA counting two.

Raises:
    ValueError: panels or iterations is negative.
)";

py::object triad(py::object a_, py::object b_, py::object c_, const Given<double>& scale_) {
  constexpr const char* op = "triad";
  const Array b = input(op, "b", b_), c = input(op, "c", c_);
  check_dtype(op, b, py::dtype::of<float>(), "dtype float32");
  check_same(op, b, c);
  if (a_.is_none()) throw py::value_error("triad: a must be an array. Received: a=None");
  Array a = output(op, "a", a_, b.type, b.shape());
  check_overlap(op, {&a}, {&b, &c});
  if (a.size() && (a.data() == b.data() || a.data() == c.data())) {
    throw py::value_error("triad: a must not be b or c. Received: overlapping memory");
  }
  const auto scale = static_cast<float>(scale_.get(op, "scale"));
  run([&, to = static_cast<float*>(a.mutable_data())] {
    return fg_triad(fg_pool(), a.size(), scale, static_cast<const float*>(b.data()),
                    static_cast<const float*>(c.data()), to);
  });
  return a.result();
}

double fma_peak(const Given<int64_t>& panels_, const Given<int64_t>& iterations_) {
  const int64_t panels = panels_.get("fma_peak", "panels");
  const int64_t iterations = iterations_.get("fma_peak", "iterations");
  if (panels < 0 || iterations < 0) {
    throw py::value_error(
        "fma_peak: panels and iterations must not be negative. Received: panels=" +
        std::to_string(panels) + ", iterations=" + std::to_string(iterations));
  }
  std::vector<float> sink(panels);
  double flops = 0;
  run([&] { return fg_fma_peak(fg_pool(), panels, iterations, &flops, sink.data()); });
  return flops;
}

}  // namespace

void bind(py::module_& m) {
  m.def("triad", triad, py::arg("a"), py::arg("b"), py::arg("c"), py::arg("scale"), kTriadDoc);
  m.def("fma_peak", fma_peak, py::arg("panels"), py::arg("iterations"), kFmaDoc);
}

}  // namespace fastgen::python::roofline
