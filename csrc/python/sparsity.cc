#include "kernels/sparsity.h"

#include "core/thread_pool.h"
#include "python/gpu.h"
#include "python/module.h"

namespace fastgen::python::sparsity {
namespace {

constexpr const char* kDoc = R"(Sparsity penalty of the mean activity of each unit.

    q = mean(activations, all axes but the last); for "l1" of their magnitudes
    "kl":  penalty = sum(p * log(p / q) + (1 - p) * log((1 - p) / (1 - q)))
    "l1":  penalty = sum(q)
    "mse": penalty = sum((q - p)**2)

Example:

>>> import numpy as np
>>> penalty, activity = sparsity(np.array([[0.0, 0.5], [0.5, 0.5]]), 0.25, "mse")
>>> float(penalty), activity.tolist()
(0.0625, [0.25, 0.5])

Args:
    activations: array of shape [..., units]; float32, float64, float16 or bfloat16.
        NumPy's or, as all the others then, on a GPU.
    target: the p of the formulas.
    kind: "kl", "l1" or "mse".
    out: tuple of two arrays for penalty and activity.

Returns:
    penalty: array of shape []; float64 for float64, else float32.
    activity: float64 array of shape [units], the q of the formulas.

Raises:
    ValueError: activations is a scalar, or kind is another.

Source: Ng, Sparse autoencoder, CS294A lecture notes, 2011.
)";

constexpr const char* kGradDoc = R"(Gradient of sparsity with respect to the activations.

    d_activations = d_passed + (d_penalty * slope(activity) + d_activity) / rows

where slope is the derivative of the penalty by q; for "l1" the second term has the sign of the
activation.

Example:

>>> import numpy as np
>>> a = np.array([[0.0, 0.5], [0.5, 0.5]])
>>> sparsity_grad(a, 0.25, "mse", np.array([0.25, 0.5]), np.array(1.0)).tolist()
[[0.0, 0.25], [0.0, 0.25]]

Args:
    activations: array of shape [..., units]; float32, float64, float16 or bfloat16.
        NumPy's or, as all the others then, on a GPU.
    target: the p of the formulas.
    kind: "kl", "l1" or "mse".
    activity: float64 array of shape [units], from sparsity.
    d_penalty: array of shape [], the gradient that arrives at penalty.
    d_activity: None, or float64 array of shape [units], the gradient that arrives at activity.
    d_passed: None, or array of the activations' shape and dtype, a gradient that is added.
    out: array for d_activations; it may be activations or d_passed.

Returns:
    d_activations: array of the activations' shape and dtype.

Raises:
    ValueError: shapes or dtypes do not fit, activations is a scalar, or kind is another.
)";

int kind_code(const char* op, const Given<std::string>& given) {
  const std::string kind = given.get(op, "kind");
  if (kind == "kl") return FG_SPARSITY_KL;
  if (kind == "l1") return FG_SPARSITY_L1;
  if (kind == "mse") return FG_SPARSITY_MSE;
  throw py::value_error(std::string(op) + ": kind must be kl, l1 or mse. Received: kind='" + kind +
                        "'");
}

py::tuple value(py::object activations_, const Given<double>& target_,
                const Given<std::string>& kind_, py::object out) {
  constexpr const char* op = "sparsity";
  const Array activations = input_anywhere(op, "activations", activations_);
  const Matrix m = matrix(op, activations);
  const double target = target_.get(op, "target");
  const int kind = kind_code(op, kind_);
  const Place place(op, {&activations});
  const auto outs = outputs(op, out, 2);
  Array penalty = output(op, "penalty", outs[0], kl_dtype(activations.dtype), {}, place);
  Array activity = output(op, "activity", outs[1], py::dtype::of<double>(), {m.cols}, place);
  check_overlap(op, {&penalty, &activity}, {&activations});
  run_at(place, fg_pool(), FASTGEN_BOTH(sparsity), activations.dtype, m.rows, m.cols, kind, target,
         activations.data(), penalty.mutable_data(), (double*)activity.mutable_data());
  return py::make_tuple(penalty.result(), activity.result());
}

py::object gradient(py::object activations_, const Given<double>& target_,
                    const Given<std::string>& kind_, py::object activity_, py::object d_penalty_,
                    py::object d_activity_, py::object d_passed_, py::object out) {
  constexpr const char* op = "sparsity_grad";
  const Array activations = input_anywhere(op, "activations", activations_);
  const Matrix m = matrix(op, activations);
  const double target = target_.get(op, "target");
  const int kind = kind_code(op, kind_);
  const auto units = [&](const char* name, py::handle value) {
    const Array x = input_anywhere(op, name, value);
    check_shape(op, x, {m.cols}, "a value per unit");
    check_dtype(op, x, py::dtype::of<double>(), "that of activity");
    return x;
  };
  const Array activity = units("activity", activity_);
  const Array d_penalty = input_anywhere(op, "d_penalty", d_penalty_);
  check_shape(op, d_penalty, {}, "the shape of penalty");
  check_dtype(op, d_penalty, kl_dtype(activations.dtype), "the dtype of penalty");
  const bool with_activity = !d_activity_.is_none(), with_passed = !d_passed_.is_none();
  const Array d_activity = with_activity ? units("d_activity", d_activity_) : activity;
  const Array d_passed = with_passed ? input_anywhere(op, "d_passed", d_passed_) : activations;
  check_same(op, activations, d_passed);
  const Place place(op, {&activations, &activity, &d_penalty, &d_activity, &d_passed});
  Array d_activations =
      output(op, "d_activations", out, activations.type, activations.shape(), place);
  check_overlap(op, {&d_activations},
                {&activations, &activity, &d_penalty, &d_activity, &d_passed});
  run_at(place, fg_pool(), FASTGEN_BOTH(sparsity_grad), activations.dtype, m.rows, m.cols, kind,
         target, activations.data(), (const double*)activity.data(), d_penalty.data(),
         with_activity ? (const double*)d_activity.data() : nullptr,
         with_passed ? d_passed.data() : nullptr, d_activations.mutable_data());
  return d_activations.result();
}

}  // namespace

void bind(py::module_& m) {
  m.def("sparsity", value, py::arg("activations"), py::arg("target"), py::arg("kind"),
        py::kw_only(), py::arg("out") = py::none(), kDoc);
  m.def("sparsity_grad", gradient, py::arg("activations"), py::arg("target"), py::arg("kind"),
        py::arg("activity"), py::arg("d_penalty"), py::arg("d_activity") = py::none(),
        py::arg("d_passed") = py::none(), py::kw_only(), py::arg("out") = py::none(), kGradDoc);
}

}  // namespace fastgen::python::sparsity
