#include "kernels/autoencoder_step.h"

#include "python/module.h"
#include "python/network.h"

namespace fastgen::python::autoencoder_step {
namespace {

constexpr const char* kOp = "autoencoder_step";

constexpr const char* kDoc = R"(Steps of an autoencoder, variational or not, in place.

    loss = reconstruction_scale * mean(sum(each feature's loss)) + kl_scale * mean(kl) + penalty

Example:

>>> import numpy as np
>>> kernel = np.zeros([2, 2])
>>> sgd = {"rule": "sgd", "iterations": 0, "learning_rate": 1.0}
>>> told = autoencoder_step([(kernel, None, "sigmoid")], sgd, np.ones([3, 2]), [[0, 2]])
>>> kernel.ravel(), told["loss"].round(6)
(array([0.5, 0.5, 0.5, 0.5]), array([1.386294]))

Args:
    layers: network as for mlp_forward; kernels and biases are C-contiguous and updated in place.
        (kernel, bias, activation, transposed, corruption, sparsity): a penalty of what the layer
        gives, None or (kind, weight, target), as sparsity has it; not of the last layer.
    optimizer: dict as for discriminator_update.
    images: array of shape [number, inputs], uint8, scaled to [0, 1], or the network's dtype.
    rows: integers of shape [steps, batch], the places of the batches' images.
    loss: "binary_crossentropy", of a sigmoid at the end or of logits, or "mean_squared_error", the
        sum over features of either.
    reconstruction_scale: number.
    targets: None, the images themselves, or an array of shape [number, outputs], as images.
    log_variance: None, or the place of the layer that makes the log variance of what the layer
        before it makes the mean of, both of what comes before. The layer after them reads
        mean + exp(log_variance / 2) * noise.
    seeds: integers of shape [steps, 2], of the noise, as for random_normal; None without one.
    kl_scales: None, 1, or numbers of shape [steps].
    rates: None, or learning rates of shape [steps] in place of the optimizer's.
    corruption: None, or integers of shape [steps, layers that corrupt, 2]: seeds, see mlp_forward.
    done: None, or an array of one int64 to write to, also on failure, how many steps were made.

Returns:
    Dict of arrays of shape [steps]: loss; reconstruction_loss, that part of it; kl, the mean
    divergence, not scaled; penalty, the weighted sum of those of sparsity; gradient_norm. activity,
    of shape [steps, layers that have a penalty]: the mean over rows and units of what they give,
    for l1 of its magnitude.

Raises:
    ValueError: shapes, dtypes, rows or options do not fit; a loss is not finite: its step updated
        nothing, what came before stands.

Source: Kingma and Welling, Auto-encoding variational Bayes, 2014.
)";

int loss_code(const Given<std::string>& given) {
  const std::string name = given.get(kOp, "loss");
  if (name == "binary_crossentropy") return FG_BINARY_CROSS_ENTROPY;
  if (name == "mean_squared_error") return FG_SQUARED_ERROR;
  throw py::value_error(
      std::string(kOp) +
      ": loss must be one of binary_crossentropy, mean_squared_error. Received: " + name);
}

void put_done(py::handle to, int64_t done) {
  if (to.is_none()) return;
  Array out = output(kOp, "done", to, py::dtype::of<int64_t>(), {1});
  *static_cast<int64_t*>(out.mutable_data()) = done;
}

py::dict step(const Given<py::sequence>& layers, const Given<py::dict>& optimizer,
              py::object images_, py::object rows_, const Given<std::string>& loss_,
              const Given<double>& reconstruction_scale_, py::object targets_,
              py::object log_variance, py::object seeds_, py::object kl_scales_, py::object rates_,
              py::object corruption_, py::object done_) {
  put_done(done_, 0);
  Player player(kOp, {"layers", layers}, {"optimizer", optimizer});
  Network& network = player.network;
  if (!log_variance.is_none()) network.set_log_variance(log_variance);
  const int loss = loss_code(loss_);
  const double reconstruction_scale = reconstruction_scale_.get(kOp, "reconstruction_scale");
  const Array images = network.rows("images", images_, network.inputs(), true);
  const bool own = targets_.is_none();
  const Array targets = own ? images : network.rows("targets", targets_, network.units(), true);
  if (!own && targets.shape()[0] != images.shape()[0]) {
    check_shape(kOp, targets, {images.shape()[0], network.units()}, "a row for each image");
  }
  check_in_numpy(kOp, player.arrays({&images, &targets}));
  const auto rows =
      numbers<int64_t>(kOp, "rows", rows_, "iu", {-1, -1}, "integers of shape [steps, batch]");
  const py::ssize_t steps = rows.shape(0);
  std::vector<int64_t> seeds(2 * steps);
  if (!seeds_.is_none()) {
    const auto given =
        numbers<int64_t>(kOp, "seeds", seeds_, "iu", {steps, 2}, "integers of shape [steps, 2]");
    seeds.assign(given.data(), given.data() + 2 * steps);
  }
  const auto kl_scales = numbers_or(kOp, "kl_scales", kl_scales_, 1.0, {steps}, "of shape [steps]");
  const auto rates =
      numbers_or(kOp, "rates", rates_, player.learning_rate(), {steps}, "of shape [steps]");
  fg_images of_targets = images_of(targets);
  if (own) of_targets.data = nullptr;
  const fg_autoencoder_feed feed = {
      steps,        rows.shape(1), images_of(images),    of_targets,       rows.data(),
      seeds.data(), loss,          reconstruction_scale, kl_scales.data(), rates.data()};
  const Integers of_corruption =
      network.corruption_seeds("corruption", corruption_, steps, Place(kOp, {&images}));
  const fg_player of = player.of(of_corruption);
  std::vector<double> telemetry(steps * FG_STEP_TELEMETRY);
  py::array_t<double> activity({steps, network.penalties()});
  double* const to_activity = activity.mutable_data();
  int64_t done;
  int code;
  {
    py::gil_scoped_release release;
    code = fg_autoencoder_step(fg_pool(), &of, &feed, telemetry.data(), to_activity, &done);
  }
  put_done(done_, done);
  if (code != FG_OK) raise(code);
  py::dict told;
  const char* const names[] = {"loss", "reconstruction_loss", "kl", "penalty", "gradient_norm"};
  for (int i = 0; i < FG_STEP_TELEMETRY; ++i) {
    told[names[i]] = column(telemetry, i, FG_STEP_TELEMETRY);
  }
  told["activity"] = activity;
  return told;
}

}  // namespace

void bind(py::module_& m) {
  m.def(kOp, step, py::arg("layers"), py::arg("optimizer"), py::arg("images"), py::arg("rows"),
        py::kw_only(), py::arg("loss") = "binary_crossentropy",
        py::arg("reconstruction_scale") = 1.0, py::arg("targets") = py::none(),
        py::arg("log_variance") = py::none(), py::arg("seeds") = py::none(),
        py::arg("kl_scales") = py::none(), py::arg("rates") = py::none(),
        py::arg("corruption") = py::none(), py::arg("done") = py::none(), kDoc);
}

}  // namespace fastgen::python::autoencoder_step
