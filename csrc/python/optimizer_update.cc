#include "kernels/optimizer_update.h"

#include <pybind11/stl.h>

#include "core/thread_pool.h"
#include "python/module.h"
#include "python/optimizer.h"

namespace fastgen::python::optimizer_update {
namespace {

constexpr const char* kOp = "optimizer_update";

constexpr const char* kDoc = R"(One step of an optimizer for all variables of a model, in place.

    SGD, RMSprop, Adam or Nadam as Keras 3.15 writes them

Example:

>>> import numpy as np
>>> w = np.ones([3])
>>> optimizer_update("sgd", 0, [w], [np.ones([3])], [], 0.25)
True
>>> w
array([0.75, 0.75, 0.75])

Args:
    rule: "sgd", "rmsprop", "adam" or "nadam".
    iterations: number of calls before this one.
    variables: list of arrays, float32 or float64, those with a gradient first. All arrays are NumPy's
        or, on one GPU, CuPy's; gradients also of who has DLPack or __cuda_array_interface__.
    gradients: list of arrays with the shapes and dtypes of the first variables.
    slots: list of lists, one a kind, of an array for every gradient.
    learning_rate: number.
    variation: Nesterov's SGD, centered RMSprop, Adam with AMSGrad.
    slot_places: for each kind of slots its place: SGD 0 momentum; RMSprop 0 velocity, 1 momentum,
        2 average gradient; Adam and Nadam 0 momentum, 1 velocity, 2 largest velocity. This and the
        following are options: False, (), 0 or "nothing" unless given.
    momentum: of SGD and RMSprop; beta_1.
    rho: of RMSprop; beta_2.
    epsilon: number.
    weight_decay: number.
    clip: "nothing", "value", "norm" or "global_norm".
    clip_at: number.
    loss_scale: gradients are divided by it, 0: they are not.
    averages: list of moving averages of all variables, or ().
    ema_momentum: number.
    ema_overwrite_frequency: updates after which averages overwrite variables, 0: never.
    accumulators: list of sums of gradients of all variables, or ().
    accumulation_steps: calls that make an update; 1 unless given.
    u_product: array of one number, of Nadam.

Returns:
    False if gradients under a loss scale were not finite and nothing was written, else True. On a GPU,
    under a loss scale, an array of one int32 there, 0 or 1: nothing waits for the GPU.

Raises:
    ValueError: shapes, dtypes, devices or numbers of arrays that do not go together.
    NotImplementedError: arrays on a GPU, and fastgen was built without nvcc.

Source: keras.optimizers.
)";

py::object update(const Given<std::string>& rule, const Given<int64_t>& iterations,
                  const Given<py::sequence>& variables_, const Given<py::sequence>& gradients_,
                  const Given<py::sequence>& slots, const Given<double>& learning_rate,
                  const py::kwargs& options) {
  std::vector<Array> variables, gradients;
  for (py::handle x : variables_.get(kOp, "variables"))
    variables.push_back(in_place(kOp, "variables", x, nullptr));
  const py::sequence given = gradients_.get(kOp, "gradients");
  if (given.size() > variables.size()) {
    check_count(kOp, "gradients at most", given.size(), variables.size());
  }
  for (py::handle x : given) {
    gradients.push_back(input_anywhere(kOp, "gradients", x));
    check_same(kOp, gradients.back(), variables[gradients.size() - 1]);
  }
  options["rule"] = rule.value;
  options["iterations"] = iterations.value;
  options["slots"] = slots.value;
  options["learning_rate"] = learning_rate.value;
  Optimizer optimizer(kOp, options, variables, gradients.size());
  std::vector<fg_optimizer_tensor> tensors;
  for (size_t i = 0; i < variables.size(); ++i) {
    tensors.push_back(optimizer.tensor(i, &variables[i]));
    if (i < gradients.size()) tensors[i].gradient = gradients[i].data();
  }
  std::vector<const Array*> all = optimizer.arrays();
  for (const auto* list : {&variables, &gradients}) {
    for (const Array& x : *list) all.push_back(&x);
  }
  const Place place(kOp, all);
  const bool is_known = !place.on_gpu() || optimizer.of.loss_scale == 0;
  int applied = 1;
  Array there = is_known ? Array() : new_on_gpu("applied", py::dtype::of<int>(), {}, place);
  int* const to = is_known ? &applied : static_cast<int*>(there.mutable_data());
  run_at(place, fg_pool(), FASTGEN_BOTH(optimizer_update),
         static_cast<const fg_optimizer*>(&optimizer.of), static_cast<int64_t>(tensors.size()),
         static_cast<const fg_optimizer_tensor*>(tensors.data()),
         is_known && place.on_gpu() ? nullptr : to);
  return is_known ? py::bool_(applied) : there.result();
}

}  // namespace

void bind(py::module_& m) {
  m.def(kOp, update, py::arg("rule"), py::arg("iterations"), py::arg("variables"),
        py::arg("gradients"), py::arg("slots"), py::arg("learning_rate"), kDoc);
}

}  // namespace fastgen::python::optimizer_update
