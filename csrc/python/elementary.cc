#include "kernels/elementary.h"

#include "python/array.h"
#include "python/module.h"

namespace fastgen::python::elementary {
namespace {

constexpr const char* kExpDoc = R"(e**x by the kernels' own vector math, on one thread.

Example:

>>> import numpy as np
>>> exp(np.zeros(2))
array([1., 1.])

Args:
    x: array; float32 or float64.
    out: array of x's shape and dtype to write to; may be x.

Returns:
    Array of x's shape and dtype. Subnormal results lose bits.

Raises:
    ValueError: x is neither float32 nor float64.
)";

constexpr const char* kLogDoc = R"(Natural logarithm by the kernels' own vector math, on one thread.

Example:

>>> import numpy as np
>>> log(np.ones(2))
array([0., 0.])

Args:
    x: array of normal, finite, positive numbers; float32 or float64.
    out: array of x's shape and dtype to write to; may be x.

Returns:
    Array of x's shape and dtype; undefined for other x.

Raises:
    ValueError: x is neither float32 nor float64.
)";

constexpr const char* kLog1pDoc = R"(ln(1 + x) by the kernels' own vector math, on one thread.

Example:

>>> import numpy as np
>>> log1p(np.zeros(2))
array([0., 0.])

Args:
    x: array of numbers in [0, 1]; float32 or float64.
    out: array of x's shape and dtype to write to; may be x.

Returns:
    Array of x's shape and dtype; undefined for other x.

Raises:
    ValueError: x is neither float32 nor float64.
)";

constexpr const char* kSigmoidDoc =
    R"(1 / (1 + e**-x) by the kernels' own vector math, on one thread.

Example:

>>> import numpy as np
>>> sigmoid(np.zeros(2))
array([0.5, 0.5])

Args:
    x: array; float32 or float64.
    out: array of x's shape and dtype to write to; may be x.

Returns:
    Array of x's shape and dtype. Subnormal results lose bits.

Raises:
    ValueError: x is neither float32 nor float64.
)";

constexpr const char* kSoftplusDoc =
    R"(ln(1 + e**x) by the kernels' own vector math, on one thread.

Example:

>>> import numpy as np
>>> softplus(np.array([-1000.0, 1000.0]))
array([   0., 1000.])

Args:
    x: array; float32 or float64.
    out: array of x's shape and dtype to write to; may be x.

Returns:
    Array of x's shape and dtype. Subnormal results lose bits.

Raises:
    ValueError: x is neither float32 nor float64.
)";

constexpr const char* kReciprocalDoc =
    R"(1 / x by the kernels' own vector math, on one thread.

Example:

>>> import numpy as np
>>> reciprocal(np.full(2, 4.0))
array([0.25, 0.25])

Args:
    x: array; float32 or float64. x and 1 / x are normal numbers.
    out: array of x's shape and dtype to write to; may be x.

Returns:
    Array of x's shape and dtype; undefined for other x.

Raises:
    ValueError: x is neither float32 nor float64.
)";

constexpr const char* kInverseSqrtDoc =
    R"(1 / sqrt(x) by the kernels' own vector math, on one thread.

Example:

>>> import numpy as np
>>> inverse_sqrt(np.full(2, 4.0))
array([0.5, 0.5])

Args:
    x: array of normal positive numbers, 0 and inf; float32 or float64.
    out: array of x's shape and dtype to write to; may be x.

Returns:
    Array of x's shape and dtype; undefined for other x.

Raises:
    ValueError: x is neither float32 nor float64.
)";

constexpr const char* kSquareRootDoc =
    R"(sqrt(x) by the kernels' own vector math, on one thread.

Example:

>>> import numpy as np
>>> square_root(np.full(2, 4.0))
array([2., 2.])

Args:
    x: array of normal positive numbers, 0 and inf; float32 or float64.
    out: array of x's shape and dtype to write to; may be x.

Returns:
    Array of x's shape and dtype; undefined for other x.

Raises:
    ValueError: x is neither float32 nor float64.
)";

constexpr const char* kQuotientDoc =
    R"(a / b by the kernels' own vector math, on one thread.

Example:

>>> import numpy as np
>>> quotient(np.ones(2), np.full(2, 4.0))
array([0.25, 0.25])

Args:
    a: array; float32 or float64.
    b: array of a's shape and dtype.
    out: array of a's shape and dtype to write to; may be a or b.

Returns:
    Array of a's shape and dtype. Near overflow and underflow of a, b or a / b it loses bits.

Raises:
    ValueError: a is neither float32 nor float64, or b differs.
)";

constexpr const char* kSincosDoc =
    R"(sin and cos of 2*pi*x by the kernels' own vector math, on one thread.

Example:

>>> import numpy as np
>>> sincos2pi(np.zeros(2))
(array([0., 0.]), array([1., 1.]))

Args:
    x: array of numbers in [-1/4, 1/4]; float32 or float64.
    out: tuple of two arrays of x's shape and dtype for the results.

Returns:
    Two arrays of x's shape and dtype.

Raises:
    ValueError: x is neither float32 nor float64.
)";

Array float_input(const char* op, py::handle value) {
  Array x = input(op, "x", value);
  if (x.dtype != FG_FLOAT32 && x.dtype != FG_FLOAT64) {
    throw py::value_error(std::string(op) +
                          ": x must be float32 or float64. Received: x.dtype=" + text(x.type));
  }
  return x;
}

using Function = int (*)(fg_dtype, int64_t, const void*, void*);

py::object map(const char* op, Function function, py::handle value, py::handle out) {
  const Array x = float_input(op, value);
  Array y = output(op, "y", out, x.type, x.shape());
  check_overlap(op, {&y}, {&x});
  run([&, to = y.mutable_data()] { return function(x.dtype, x.size(), x.data(), to); });
  return y.result();
}

py::tuple sincos2pi(py::object value, py::object out) {
  constexpr const char* op = "sincos2pi";
  const Array x = float_input(op, value);
  const auto outs = outputs(op, out, 2);
  Array sin = output(op, "sin", outs[0], x.type, x.shape());
  Array cos = output(op, "cos", outs[1], x.type, x.shape());
  check_overlap(op, {&sin, &cos}, {&x});
  run([&, to_sin = sin.mutable_data(), to_cos = cos.mutable_data()] {
    return fg_sincos2pi(x.dtype, x.size(), x.data(), to_sin, to_cos);
  });
  return py::make_tuple(sin.result(), cos.result());
}

py::object quotient(py::object a_, py::object b_, py::object out) {
  constexpr const char* op = "quotient";
  const Array a = input(op, "a", a_), b = input(op, "b", b_);
  check_same(op, a, b);
  Array y = output(op, "y", out, a.type, a.shape());
  check_overlap(op, {&y}, {&a, &b});
  run([&, to = y.mutable_data()] {
    return fg_quotient(a.dtype, a.size(), a.data(), b.data(), to);
  });
  return y.result();
}

void def(py::module_& m, const char* name, Function function, const char* doc) {
  m.def(
      name, [=](py::object x, py::object out) { return map(name, function, x, out); }, py::arg("x"),
      py::kw_only(), py::arg("out") = py::none(), doc);
}

}  // namespace

void bind(py::module_& m) {
  def(m, "exp", fg_exp, kExpDoc);
  def(m, "log", fg_log, kLogDoc);
  def(m, "log1p", fg_log1p, kLog1pDoc);
  def(m, "sigmoid", fg_sigmoid, kSigmoidDoc);
  def(m, "softplus", fg_softplus, kSoftplusDoc);
  def(m, "reciprocal", fg_reciprocal, kReciprocalDoc);
  def(m, "inverse_sqrt", fg_inverse_sqrt, kInverseSqrtDoc);
  def(m, "square_root", fg_square_root, kSquareRootDoc);
  m.def("quotient", quotient, py::arg("a"), py::arg("b"), py::kw_only(),
        py::arg("out") = py::none(), kQuotientDoc);
  m.def("sincos2pi", sincos2pi, py::arg("x"), py::kw_only(), py::arg("out") = py::none(),
        kSincosDoc);
}

}  // namespace fastgen::python::elementary
