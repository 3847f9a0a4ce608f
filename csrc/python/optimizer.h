// An optimizer as callers describe it: a dict of options, and the arrays of its variables' state.
#pragma once
#include <algorithm>
#include <string>

#include "kernels/optimizer_update.h"
#include "python/gpu.h"

namespace fastgen::python {

inline void check_count(const char* op, const std::string& what, size_t count, size_t expected) {
  if (count == expected) return;
  throw py::value_error(std::string(op) + ": expected " + std::to_string(expected) + " " + what +
                        ". Received: " + std::to_string(count));
}

// An array to be written in place, like `as` where that is given.
inline Array in_place(const char* op, const char* name, py::handle value, const Array* as) {
  if (as && !is_on_gpu(value)) return output(op, name, value, as->type, as->shape());
  const Array array = in_place_anywhere(op, name, value);
  if (as) {
    check_shape(op, array, as->shape(), "the shape of its variable");
    check_dtype(op, array, as->type, "the dtype of its variable");
  }
  return array;
}

// Options by name, each of which must be known.
class Options {
 public:
  Options(const char* op, const py::dict& given, std::initializer_list<const char*> known)
      : op_(op), given_(given) {
    for (const auto& item : given) {
      const bool found = std::any_of(known.begin(), known.end(), [&](const char* name) {
        return py::str(name).equal(item.first);
      });
      if (found) continue;
      std::string all;
      for (const char* name : known) all += (all.empty() ? "" : ", ") + std::string(name);
      refuse("options must be among " + all, py::repr(item.first));
    }
  }

  template <class T>
  T get(const char* name, const char* what) const {
    if (!given_.contains(name)) refuse(std::string("there must be a ") + name, "none");
    return cast<T>(name, what);
  }
  template <class T>
  T get(const char* name, const char* what, const T& otherwise) const {
    return given_.contains(name) ? cast<T>(name, what) : otherwise;
  }
  py::object object(const char* name) const {
    return given_.contains(name) ? py::object(given_[name]) : py::none();
  }
  // The place of a string in `names`.
  int place(const char* name, std::initializer_list<const char*> names,
            const char* otherwise) const {
    const auto given = otherwise ? get<std::string>(name, "a string", otherwise)
                                 : get<std::string>(name, "a string");
    const auto found = std::find(names.begin(), names.end(), given);
    if (found != names.end()) return found - names.begin();
    std::string all;
    for (const char* each : names) all += (all.empty() ? "" : ", ") + std::string(each);
    refuse(std::string(name) + " must be one of " + all, given);
  }

 private:
  template <class T>
  T cast(const char* name, const char* what) const {
    const py::object value = given_[name];
    T wanted;
    if (!read(value, &wanted)) refuse_type(op_, name, what, value);
    return wanted;
  }
  [[noreturn]] void refuse(const std::string& rule, const std::string& received) const {
    throw py::value_error(std::string(op_) + ": " + rule + ". Received: " + received);
  }

  const char* op_;
  const py::dict& given_;
};

// Options, and the state of the first `updated` of some variables; averages and accumulators, if
// there are any, of all.
class Optimizer {
 public:
  Optimizer(const char* op, const py::dict& given, const std::vector<Array>& variables,
            size_t updated)
      : op_(op) {
    const Options options(
        op, given,
        {"rule", "iterations", "learning_rate", "slots", "variation", "slot_places", "momentum",
         "rho", "epsilon", "weight_decay", "clip", "clip_at", "loss_scale", "averages",
         "ema_momentum", "ema_overwrite_frequency", "accumulators", "accumulation_steps",
         "u_product"});
    read_numbers(options);
    read_slots(options, variables, updated);
    averages_ = of_all(options, "averages", variables);
    accumulators_ = of_all(options, "accumulators", variables);
    const auto u_product = options.object("u_product");
    if (u_product.is_none()) return;
    u_product_.push_back(in_place(op, "u_product", u_product, nullptr));
    check_count(op, "number as u_product", u_product_[0].size(), 1);
    of.u_product = u_product_[0].mutable_data();
    of.u_product_dtype = u_product_[0].dtype;
  }

  // A variable of the list with its state.
  fg_optimizer_tensor tensor(size_t i, Array* variable) {
    fg_optimizer_tensor x = {};
    x.dtype = variable->dtype;
    x.decays = 1;
    x.size = variable->size();
    x.variable = variable->mutable_data();
    if (averages_.size()) x.average = averages_[i].mutable_data();
    if (accumulators_.size()) x.accumulator = accumulators_[i].mutable_data();
    for (size_t kind = 0; kind < slots_.size(); ++kind) {
      if (i < slots_[kind].size()) x.slots[places_[kind]] = slots_[kind][i].mutable_data();
    }
    return x;
  }

  // All that is updated beside the variables.
  std::vector<const Array*> arrays() const {
    std::vector<const Array*> all;
    for (const auto& kind : slots_) {
      for (const Array& x : kind) all.push_back(&x);
    }
    for (const auto* list : {&averages_, &accumulators_, &u_product_}) {
      for (const Array& x : *list) all.push_back(&x);
    }
    return all;
  }

  fg_optimizer of = {};

 private:
  void read_numbers(const Options& options) {
    const auto number = [&](const char* name) { return options.get(name, "a number", 0.0); };
    of.rule = options.place("rule", {"sgd", "rmsprop", "adam", "nadam"}, nullptr);
    of.clip = options.place("clip", {"nothing", "value", "norm", "global_norm"}, "nothing");
    of.variation = options.get("variation", "True or False", false);
    of.learning_rate = options.get<double>("learning_rate", "a number");
    of.momentum = number("momentum");
    of.rho = number("rho");
    of.epsilon = number("epsilon");
    of.weight_decay = number("weight_decay");
    of.clip_at = number("clip_at");
    of.loss_scale = number("loss_scale");
    of.ema_momentum = number("ema_momentum");
    of.ema_overwrite_frequency = options.get<int64_t>("ema_overwrite_frequency", "an integer", 0);
    of.accumulation_steps = options.get<int64_t>("accumulation_steps", "an integer", 1);
    of.iterations = options.get<int64_t>("iterations", "an integer");
  }

  void read_slots(const Options& options, const std::vector<Array>& variables, size_t updated) {
    const auto kinds = options.get<py::sequence>("slots", "a list of lists", py::tuple());
    places_ = options.get<std::vector<int64_t>>("slot_places", "a list of integers", {});
    check_count(op_, "kinds of slots, as many as slot_places", kinds.size(), places_.size());
    for (int64_t place : places_) {
      if (place < 0 || place > 2) check_count(op_, "places below", place, 3);
    }
    for (py::handle kind : kinds) {
      py::sequence list;
      if (!read(kind, &list)) refuse_type(op_, "slots", "a list of lists", kind);
      check_count(op_, "slots of a kind", list.size(), updated);
      slots_.emplace_back();
      for (size_t i = 0; i < updated; ++i) {
        slots_.back().push_back(in_place(op_, "slots", py::object(list[i]), &variables[i]));
      }
    }
  }

  std::vector<Array> of_all(const Options& options, const char* name,
                            const std::vector<Array>& variables) {
    const auto from = options.get<py::sequence>(name, "a list of arrays", py::tuple());
    std::vector<Array> arrays;
    if (from.size()) check_count(op_, name, from.size(), variables.size());
    for (size_t i = 0; i < from.size(); ++i) {
      arrays.push_back(in_place(op_, name, py::object(from[i]), &variables[i]));
    }
    return arrays;
  }

  const char* op_;
  std::vector<int64_t> places_;
  std::vector<std::vector<Array>> slots_;  // by kind
  std::vector<Array> averages_, accumulators_, u_product_;
};

}  // namespace fastgen::python
