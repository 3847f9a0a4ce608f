#include "kernels/optimizer_update.h"

#include <pybind11/stl.h>

#include <algorithm>

#include "core/thread_pool.h"
#include "python/array.h"
#include "python/module.h"

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
    variables: list of arrays, float32 or float64, those with a gradient first.
    gradients: list of arrays with the shapes and dtypes of the first variables.
    slots: list of lists, one a kind, of an array for every gradient.
    learning_rate: number.
    variation: Nesterov's SGD, centered RMSprop, Adam with AMSGrad.
    slot_places: for each kind of slots its place: SGD 0 momentum; RMSprop 0 velocity, 1 momentum,
        2 average gradient; Adam and Nadam 0 momentum, 1 velocity, 2 largest velocity.
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
    accumulation_steps: calls that make an update.
    u_product: array of one number, of Nadam.

Returns:
    False if gradients under a loss scale were not finite and nothing was written, else True.

Raises:
    ValueError: shapes, dtypes or numbers of arrays that do not go together.

Source: keras.optimizers.
)";

int place_of(const char* what, const std::string& name, std::initializer_list<const char*> names) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return found - names.begin();
  std::string all;
  for (const char* each : names) all += (all.empty() ? "" : ", ") + std::string(each);
  throw py::value_error(std::string(kOp) + ": " + what + " must be one of " + all +
                        ". Received: " + name);
}

void check_count(const char* what, size_t count, size_t expected) {
  if (count == expected) return;
  throw py::value_error(std::string(kOp) + ": expected " + std::to_string(expected) + " " + what +
                        ". Received: " + std::to_string(count));
}

// An array to be written in place, like `as` where that is given.
Array in_place(const char* name, py::handle value, const Array* as) {
  if (as) return output(kOp, name, value, as->value.dtype(), as->shape());
  const Array array = input(kOp, name, value);
  return output(kOp, name, value, array.value.dtype(), array.shape());
}

struct Arrays {
  std::vector<Array> variables, gradients, slots, averages, accumulators;

  void read(const py::list& variables_, const py::list& gradients_, const py::list& slots_,
            const py::sequence& averages_, const py::sequence& accumulators_) {
    for (py::handle x : variables_) variables.push_back(in_place("variables", x, nullptr));
    if (gradients_.size() > variables.size()) {
      check_count("gradients at most", gradients_.size(), variables.size());
    }
    for (py::handle x : gradients_) {
      gradients.push_back(input(kOp, "gradients", x));
      check_same(kOp, gradients.back(), variables[gradients.size() - 1]);
    }
    for (py::handle kind : slots_) {
      const auto list = py::cast<py::list>(kind);
      check_count("slots of a kind", list.size(), gradients.size());
      for (size_t i = 0; i < list.size(); ++i) {
        slots.push_back(in_place("slots", list[i], &variables[i]));
      }
    }
    read_all("averages", averages_, &averages);
    read_all("accumulators", accumulators_, &accumulators);
  }

  void read_all(const char* name, const py::sequence& from, std::vector<Array>* to) {
    if (from.size()) check_count(name, from.size(), variables.size());
    for (size_t i = 0; i < from.size(); ++i) {
      to->push_back(in_place(name, from[i], &variables[i]));
    }
  }

  std::vector<fg_optimizer_tensor> pointers(const std::vector<int>& places) {
    std::vector<fg_optimizer_tensor> tensors(variables.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
      fg_optimizer_tensor& x = tensors[i];
      x.dtype = variables[i].dtype;
      x.decays = 1;
      x.size = variables[i].size();
      x.variable = variables[i].mutable_data();
      if (averages.size()) x.average = averages[i].mutable_data();
      if (accumulators.size()) x.accumulator = accumulators[i].mutable_data();
      if (i >= gradients.size()) continue;
      x.gradient = gradients[i].data();
      for (size_t j = 0; j < places.size(); ++j) {
        x.slots[places[j]] = slots[j * gradients.size() + i].mutable_data();
      }
    }
    return tensors;
  }
};

bool update(const std::string& rule, int64_t iterations, const py::list& variables,
            const py::list& gradients, const py::list& slots, double learning_rate, bool variation,
            const std::vector<int>& slot_places, double momentum, double rho, double epsilon,
            double weight_decay, const std::string& clip, double clip_at, double loss_scale,
            const py::sequence& averages, double ema_momentum, int64_t ema_overwrite_frequency,
            const py::sequence& accumulators, int64_t accumulation_steps, py::object u_product_) {
  check_count("kinds of slots, as many as slot_places", slots.size(), slot_places.size());
  for (int place : slot_places) {
    if (place < 0 || place > 2) check_count("places below", place, 3);
  }
  Arrays arrays;
  arrays.read(variables, gradients, slots, averages, accumulators);
  fg_optimizer o = {};
  o.rule = place_of("rule", rule, {"sgd", "rmsprop", "adam", "nadam"});
  o.clip = place_of("clip", clip, {"nothing", "value", "norm", "global_norm"});
  o.variation = variation;
  o.learning_rate = learning_rate;
  o.momentum = momentum;
  o.rho = rho;
  o.epsilon = epsilon;
  o.weight_decay = weight_decay;
  o.clip_at = clip_at;
  o.loss_scale = loss_scale;
  o.ema_momentum = ema_momentum;
  o.ema_overwrite_frequency = ema_overwrite_frequency;
  o.accumulation_steps = accumulation_steps;
  o.iterations = iterations;
  if (!u_product_.is_none()) {
    Array u_product = in_place("u_product", u_product_, nullptr);
    check_count("number as u_product", u_product.size(), 1);
    o.u_product = u_product.mutable_data();
    o.u_product_dtype = u_product.dtype;
  }
  const std::vector<fg_optimizer_tensor> tensors = arrays.pointers(slot_places);
  int applied;
  run([&] { return fg_optimizer_update(fg_pool(), &o, tensors.size(), tensors.data(), &applied); });
  return applied;
}

}  // namespace

void bind(py::module_& m) {
  m.def(kOp, update, py::arg("rule"), py::arg("iterations"), py::arg("variables"),
        py::arg("gradients"), py::arg("slots"), py::arg("learning_rate"), py::kw_only(),
        py::arg("variation") = false, py::arg("slot_places") = std::vector<int>(),
        py::arg("momentum") = 0.0, py::arg("rho") = 0.0, py::arg("epsilon") = 0.0,
        py::arg("weight_decay") = 0.0, py::arg("clip") = "nothing", py::arg("clip_at") = 0.0,
        py::arg("loss_scale") = 0.0, py::arg("averages") = py::tuple(),
        py::arg("ema_momentum") = 0.0, py::arg("ema_overwrite_frequency") = 0,
        py::arg("accumulators") = py::tuple(), py::arg("accumulation_steps") = 1,
        py::arg("u_product") = py::none(), kDoc);
}

}  // namespace fastgen::python::optimizer_update
