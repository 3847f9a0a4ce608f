// A dense network as callers describe it: a list of layers, each a tuple of kernel, bias or None, the
// name of an activation, or ("leaky_relu", slope), whether its kernel is read as [units, inputs], what
// its inputs go through in training, and a sparsity penalty.
#pragma once
#include <algorithm>
#include <string>
#include <utility>

#include "core/thread_pool.h"
#include "kernels/discriminator_update.h"
#include "python/dense_layer.h"
#include "python/optimizer.h"

namespace fastgen::python {

// Integers or real numbers that fit a shape, -1 for any size.
template <class T>
py::array_t<T, py::array::c_style> numbers(const char* op, const char* name, py::handle value,
                                           const char* kinds, const Shape& shape, const char* as) {
  const py::array given = numpy_view(op, name, value);
  const bool good = given && std::string(kinds).find(given.dtype().kind()) != std::string::npos;
  const Shape found = good ? Shape(given.shape(), given.shape() + given.ndim()) : Shape();
  bool fits = good && found.size() == shape.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) fits = shape[i] < 0 || found[i] == shape[i];
  if (!fits) {
    throw py::value_error(std::string(op) + ": " + name + " must be " + as + ". Received: " +
                          (good ? name + (".shape=" + text(found)) : std::string(py::repr(value))));
  }
  return py::array_t<T, py::array::c_style | py::array::forcecast>(given);
}

// The same where a kernel reads them: of a GPU's arrays of that dtype as they are, else copied there.
template <class T>
Array numbers_at(const Place& place, const char* op, const char* name, py::handle value,
                 const char* kinds, const Shape& shape, const char* as) {
  if (!place.on_gpu() || !is_on_gpu(value)) {
    return at_place(name, numbers<T>(op, name, value, kinds, shape, as), place);
  }
  const Array x = any_on_gpu(op, name, value);
  place.check(op, x);
  const Shape found = x.shape();
  bool fits = found.size() == shape.size() && same_type(x.type, py::dtype::of<T>());
  for (size_t i = 0; fits && i < shape.size(); ++i) fits = shape[i] < 0 || found[i] == shape[i];
  if (fits) return x;
  throw py::value_error(std::string(op) + ": " + name + " must be " + as + ", on a GPU " +
                        text(py::dtype::of<T>()) + ". Received: " + name + ".shape=" + text(found) +
                        ", dtype=" + text(x.type));
}

// Integers, perhaps none.
struct Integers {
  Array array = {};
  const int64_t* data() const {
    return array.value && array.size() ? static_cast<const int64_t*>(array.data()) : nullptr;
  }
};

class Network {
 public:
  // in_place: the kernel writes to the variables.
  Network(const char* op, const py::sequence& layers, bool in_place) : op_(op), written_(in_place) {
    check_some(layers.size());
    for (size_t i = 0; i < layers.size(); ++i) add(py::object(layers[i]));
  }

  // Kernels and biases in the order of the layers, those that are shared once.
  std::vector<Array>& variables() { return variables_; }
  std::vector<const Array*> arrays() const {
    std::vector<const Array*> all;
    for (const Array& x : variables_) all.push_back(&x);
    return all;
  }
  py::dtype dtype() const { return variables_[0].type; }
  fg_dtype dtype_code() const { return variables_[0].dtype; }
  py::ssize_t inputs() const { return layers_.front().inputs; }
  py::ssize_t units() const { return layers_.back().units; }

  // The network with what tensor(place in variables()) gives for each of them.
  template <class Tensor>
  fg_mlp mlp(const Tensor& tensor, const int64_t* seeds = nullptr) {
    std::vector<fg_optimizer_tensor> tensors;
    for (size_t i = 0; i < variables_.size(); ++i) tensors.push_back(tensor(i));
    for (size_t i = 0; i < layers_.size(); ++i) {
      layers_[i].kernel = tensors[places_[i].first];
      if (places_[i].second != kNone) layers_[i].bias = tensors[places_[i].second];
    }
    return {dtype_code(), static_cast<int64_t>(layers_.size()), layers_.data(), seeds};
  }

  // Layer i makes the log variance; whether it can, the kernel says.
  void set_log_variance(const py::object& place) {
    const int64_t i = Given<int64_t>{place}.get(op_, "log_variance");
    if (i < 0 || i >= (int64_t)layers_.size()) {
      throw py::value_error(
          std::string(op_) +
          ": log_variance must be the place of a layer. Received: " + std::to_string(i));
    }
    layers_[i].kind = FG_LOG_VARIANCE;
  }

  // How many layers have a sparsity penalty.
  int64_t penalties() const {
    return std::count_if(layers_.begin(), layers_.end(), [](const auto& l) { return l.sparsity; });
  }

  // Integers of shape [passes, layers that corrupt, 2], none for None.
  Integers corruption_seeds(const char* name, py::handle value, py::ssize_t passes,
                            const Place& place) const {
    const py::ssize_t drawing =
        std::count_if(layers_.begin(), layers_.end(), [](const auto& l) { return l.corruption; });
    if (value.is_none()) return {};
    return {numbers_at<int64_t>(place, op_, name, value, "iu", {passes, drawing, 2},
                                "integers of shape [passes, layers that corrupt, 2]")};
  }

  // What of() gives for the kernel and, or None, the bias of every layer.
  template <class Of>
  py::list by_layer(const Of& of) const {
    py::list all;
    for (const auto& [kernel, bias] : places_) {
      all.append(py::make_tuple(of(kernel), bias == kNone ? py::none() : py::object(of(bias))));
    }
    return all;
  }

  // Rows of inputs or, if `bytes`, of images that may be uint8.
  Array rows(const char* name, py::handle value, py::ssize_t cols, bool bytes) const {
    const Array x = bytes ? bytes_anywhere(op_, name, value) : input_anywhere(op_, name, value);
    const Shape shape = x.shape();
    if (shape.size() != 2 || shape[1] != cols) {
      throw py::value_error(std::string(op_) + ": " + name + " must have shape [rows, " +
                            std::to_string(cols) + "]. Received: " + name +
                            ".shape=" + text(shape));
    }
    if (x.dtype != FG_UINT8) check_dtype(op_, x, dtype(), "the dtype of the network");
    return x;
  }

 private:
  static constexpr size_t kNone = -1;

  void check_some(size_t count) const {
    if (count) return;
    throw py::value_error(std::string(op_) +
                          ": a network must have a layer or more. Received: none");
  }

  void add(const py::object& given) {
    const bool good =
        py::isinstance<py::tuple>(given) && py::len(given) >= 3 && py::len(given) <= 6;
    if (!good) {
      throw py::value_error(std::string(op_) +
                            ": a layer must be a tuple (kernel, bias, activation), perhaps with "
                            "transposed, corruption, sparsity. Received: " +
                            std::string(py::str(py::type::handle_of(given))));
    }
    const auto parts = py::reinterpret_borrow<py::tuple>(given);
    fg_mlp_layer layer = {};
    activate(parts[2], &layer);
    if (parts.size() > 4 && !parts[4].is_none()) corrupt(parts[4], &layer);
    if (parts.size() > 5 && !parts[5].is_none()) penalise(parts[5], &layer);
    layer.transposed = parts.size() > 3 && Given<bool>{parts[3]}.get(op_, "transposed");
    const size_t kernel = place_of("kernel", parts[0]);
    const Shape shape = variables_[kernel].shape();
    if (shape.size() != 2) {
      throw py::value_error(std::string(op_) +
                            ": a kernel must have rank 2. Received: kernel.shape=" + text(shape));
    }
    layer.inputs = shape[layer.transposed], layer.units = shape[!layer.transposed];
    size_t bias = kNone;
    if (!parts[1].is_none()) {
      bias = place_of("bias", parts[1]);
      check_shape(op_, variables_[bias], {layer.units}, "one number for each unit");
      check_dtype(op_, variables_[bias], dtype(), "the dtype of the first kernel");
    }
    check_dtype(op_, variables_[kernel], dtype(), "the dtype of the first kernel");
    layers_.push_back(layer);
    places_.emplace_back(kernel, bias);
  }

  static bool is_number(const py::object& x) {
    return py::isinstance<py::float_>(x) || py::isinstance<py::int_>(x);
  }

  // A name and a number.
  std::pair<std::string, double> named(const char* what, const py::object& given) const {
    if (py::isinstance<py::tuple>(given) && py::len(given) == 2) {
      const auto pair = py::reinterpret_borrow<py::tuple>(given);
      if (py::isinstance<py::str>(pair[0]) && is_number(pair[1])) {
        return {py::str(pair[0]), py::float_(pair[1])};
      }
    }
    throw py::value_error(
        std::string(op_) + ": " + what +
        " must be a pair of a name and a number. Received: " + std::string(py::repr(given)));
  }

  void activate(const py::object& given, fg_mlp_layer* layer) const {
    layer->slope = 0.2f;  // Keras' in TensorFlow's float32
    if (!py::isinstance<py::tuple>(given)) {
      const bool name = py::isinstance<py::str>(given);
      layer->activation = activation_code(op_, name ? py::str(given) : py::repr(given));
      return;
    }
    const auto [name, slope] = named("an activation with its slope", given);
    layer->activation = activation_code(op_, name), layer->slope = slope;
  }

  void corrupt(const py::object& given, fg_mlp_layer* layer) const {
    const auto [kind, amount] = named("a corruption", given);
    if (kind != "dropout" && kind != "gaussian") {
      throw py::value_error(std::string(op_) +
                            ": a corruption must be dropout or gaussian. Received: " + kind);
    }
    layer->corruption = kind == "dropout" ? FG_DROPOUT : FG_GAUSSIAN_NOISE;
    layer->amount = amount;
  }

  void penalise(const py::object& given, fg_mlp_layer* layer) const {
    constexpr const char* names[] = FG_SPARSITY_NAMES;
    const bool three = py::isinstance<py::tuple>(given) && py::len(given) == 3;
    const auto parts = three ? py::reinterpret_borrow<py::tuple>(given) : py::tuple();
    if (three && is_number(parts[1]) && is_number(parts[2])) {
      const auto* const end = std::end(names);
      const auto* const name = std::find(names + 1, end, std::string(py::str(parts[0])));
      if (name != end) layer->sparsity = name - names;
      layer->sparsity_weight = py::float_(parts[1]), layer->sparsity_target = py::float_(parts[2]);
    }
    if (layer->sparsity != FG_NO_SPARSITY) return;
    throw py::value_error(std::string(op_) +
                          ": a sparsity penalty must be (kl, l1 or mse, weight, target). "
                          "Received: " +
                          std::string(py::repr(given)));
  }

  // Where an array is, or is put, among the variables: the same memory is the same variable.
  size_t place_of(const char* name, const py::object& value) {
    const auto same = std::find_if(given_.begin(), given_.end(),
                                   [&](const py::object& other) { return other.is(value); });
    if (same != given_.end()) return same - given_.begin();
    Array array = written_ ? in_place_anywhere(op_, name, value) : input_anywhere(op_, name, value);
    for (size_t i = 0; i < variables_.size(); ++i) {
      const bool equal = variables_[i].data() == array.data() && array.size() &&
                         variables_[i].shape() == array.shape();
      if (equal) return i;
    }
    given_.push_back(value);
    variables_.push_back(std::move(array));
    return variables_.size() - 1;
  }

  const char* op_;
  const bool written_;
  std::vector<py::object> given_;
  std::vector<Array> variables_;
  std::vector<fg_mlp_layer> layers_;
  std::vector<std::pair<size_t, size_t>> places_;  // of kernel and bias
};

// An argument with its name.
template <class T>
struct Named {
  const char* name;
  const Given<T>& given;
  T get(const char* op) const { return given.get(op, name); }
};

// A network under training with its optimizer.
class Player {
 public:
  Player(const char* op, const Named<py::sequence>& layers, const Named<py::dict>& optimizer)
      : network(op, layers.get(op), true),
        optimizer_(op, optimizer.get(op), network.variables(), network.variables().size()) {}

  // Valid while this and the seeds live.
  fg_player of(const Integers& seeds) {
    const auto tensor = [&](size_t i) { return optimizer_.tensor(i, &network.variables()[i]); };
    return {network.mlp(tensor, seeds.data()), optimizer_.of};
  }
  // The network's and the optimizer's, and these.
  std::vector<const Array*> arrays(std::initializer_list<const Array*> more) const {
    std::vector<const Array*> all = network.arrays();
    for (const Array* x : optimizer_.arrays()) all.push_back(x);
    all.insert(all.end(), more);
    return all;
  }
  double learning_rate() const { return optimizer_.of.learning_rate; }

  Network network;

 private:
  Optimizer optimizer_;
};

// Runs a kernel of the place on networks; the GPU's is told how to multiply.
template <class Cpu, class Gpu, class... Args>
void run_networks(const Place& place, fg_cuda_precision precision, const char* kernel, Cpu cpu,
                  Gpu gpu, Args... args) {
  const auto on_cpu = [cpu](const fg_threads* threads, fg_cuda_precision, auto... rest) {
    return cpu(threads, rest...);
  };
  run_at(place, fg_pool(), kernel, on_cpu, gpu, precision, args...);
}

// The numbers given or, for None, one for all.
inline std::vector<double> numbers_or(const char* op, const char* name, py::handle value,
                                      double otherwise, const Shape& shape, const char* as) {
  py::ssize_t count = 1;
  for (py::ssize_t n : shape) count *= n;
  if (value.is_none()) return std::vector<double>(count, otherwise);
  const auto given = numbers<double>(op, name, value, "fiu", shape, as);
  return std::vector<double>(given.data(), given.data() + count);
}

// Column i of a matrix of telemetry.
inline py::array_t<double> column(const std::vector<double>& telemetry, size_t i, size_t columns) {
  py::array_t<double> made(telemetry.size() / columns);
  for (size_t row = 0; row < telemetry.size() / columns; ++row) {
    made.mutable_data()[row] = telemetry[row * columns + i];
  }
  return made;
}

inline fg_images images_of(const Array& x) { return {x.dtype, x.data(), x.shape()[0]}; }

// The telemetry of a discriminator, in the order of its numbers.
constexpr const char* kDiscriminatorTelemetry[FG_DISCRIMINATOR_TELEMETRY] = {
    "loss",         "real_accuracy", "fake_accuracy", "real_probability", "fake_probability",
    "gradient_norm"};

}  // namespace fastgen::python
