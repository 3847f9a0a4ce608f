#include "kernels/discriminator_update.h"

#include "python/module.h"
#include "python/network.h"

namespace fastgen::python::discriminator_update {
namespace {

constexpr const char* kOp = "discriminator_update";

constexpr const char* kDoc = R"(One step of a discriminator on real and fake rows, in place.

    loss = mean over all rows of softplus(d(x)) - target * d(x)

Example:

>>> import numpy as np
>>> kernel = np.zeros([2, 1])
>>> sgd = {"rule": "sgd", "iterations": 0, "learning_rate": 1.0}
>>> told = discriminator_update([(kernel, None, "sigmoid")], sgd, np.ones([1, 2]), np.zeros([3, 2]))
>>> kernel.ravel(), round(told["loss"], 6)
(array([0.125, 0.125]), 0.693147)

Args:
    layers: network with one unit at its end, a logit or its sigmoid, as for mlp_forward; kernels
        and biases are C-contiguous and updated in place.
    optimizer: dict of optimizer_update's options, but loss_scale, with its rule, iterations,
        learning_rate and slots: lists of arrays in the order kernel, bias, kernel, ..., where what
        layers share counts once.
    real: array of shape [rows, inputs], uint8, scaled to [0, 1], or the network's dtype.
    fake: likewise, of as many rows or others.
    targets: None, 1 for real and 0 for fake rows, or an array of shape [real rows + fake rows] of
        the network's dtype, the real ones first.
    corruption: None, or integers of shape [1, layers that corrupt, 2]: seeds, as for mlp_forward of
        all rows, the real ones first.
    precision: as for mlp_forward. All arrays are NumPy's or, on one GPU, those that are updated CuPy's;
        there a network has at most 12 layers, and no averages nor accumulated gradients.

Returns:
    Dict of loss, real_accuracy and fake_accuracy (shares of rows on the right side of 1/2),
    real_probability and fake_probability (means of sigmoid(d(x))), and gradient_norm (global,
    before any clipping). On a GPU arrays of one number there, for nothing waits for it: a loss that is
    not finite is no error, but nothing was updated, and the other numbers are 0.

Raises:
    ValueError: shapes, dtypes, devices or options do not fit; the loss is not finite: nothing was
        updated.
    NotImplementedError: arrays on a GPU, and fastgen was built without nvcc.

Source: Goodfellow et al., Generative adversarial nets, NeurIPS 2014.
)";

py::dict dict_of(const double* telemetry) {
  py::dict told;
  for (int i = 0; i < FG_DISCRIMINATOR_TELEMETRY; ++i) {
    told[kDiscriminatorTelemetry[i]] = telemetry[i];
  }
  return told;
}

// Numbers that stay on the GPU.
py::dict dict_of(const Array& telemetry) {
  py::dict told;
  for (int i = 0; i < FG_DISCRIMINATOR_TELEMETRY; ++i) {
    told[kDiscriminatorTelemetry[i]] = telemetry.value[py::int_(i)];
  }
  return told;
}

py::dict update(const Given<py::sequence>& layers, const Given<py::dict>& optimizer,
                py::object real_, py::object fake_, py::object targets_, py::object corruption_,
                const Given<std::string>& precision) {
  Player player(kOp, {"layers", layers}, {"optimizer", optimizer});
  const Network& network = player.network;
  const Array real = network.rows("real", real_, network.inputs(), true);
  const Array fake = network.rows("fake", fake_, network.inputs(), true);
  const bool given = !targets_.is_none();
  const Array targets = given ? input_anywhere(kOp, "targets", targets_) : fake;
  if (given) {
    check_shape(kOp, targets, {real.shape()[0] + fake.shape()[0]}, "a number for each row");
    check_dtype(kOp, targets, network.dtype(), "the dtype of the network");
  }
  const fg_cuda_precision how = precision_code(kOp, precision);
  const Place place(kOp, player.arrays({&real, &fake, &targets}));
  const Integers seeds = network.corruption_seeds("corruption", corruption_, 1, place);
  const fg_player of = player.of(seeds);
  const fg_images of_real = images_of(real), of_fake = images_of(fake);
  double telemetry[FG_DISCRIMINATOR_TELEMETRY];
  Array there = {};
  if (place.on_gpu()) {
    there = new_on_gpu("telemetry", py::dtype::of<double>(), {FG_DISCRIMINATOR_TELEMETRY}, place);
  }
  run_networks(place, how, FASTGEN_BOTH(discriminator_update), &of, &of_real, &of_fake,
               given ? targets.data() : nullptr,
               place.on_gpu() ? static_cast<double*>(there.mutable_data()) : telemetry);
  return place.on_gpu() ? dict_of(there) : dict_of(telemetry);
}

}  // namespace

void bind(py::module_& m) {
  m.def(kOp, update, py::arg("layers"), py::arg("optimizer"), py::arg("real"), py::arg("fake"),
        py::arg("targets") = py::none(), py::arg("corruption") = py::none(), py::kw_only(),
        py::arg("precision") = "float32", kDoc);
}

}  // namespace fastgen::python::discriminator_update
