#include "kernels/gan_step.h"

#include "python/module.h"
#include "python/network.h"

namespace fastgen::python::gan_step {
namespace {

constexpr const char* kOp = "gan_step";

constexpr const char* kDoc = R"(Steps of a generator against a discriminator, in place.

    n_critic times discriminator_update on generator(noise) and real images, then, with other noise,
    a step of the generator on the mean of softplus(-discriminator(generator(noise)))

Example:

>>> import numpy as np
>>> generator = [(np.ones([3, 2], "float32"), None, "sigmoid")]
>>> discriminator = [(np.ones([2, 1], "float32"), None, "sigmoid")]
>>> sgd = {"rule": "sgd", "iterations": 0, "learning_rate": 0.1}
>>> images = np.full([5, 2], 255, "uint8")
>>> told = gan_step(generator, sgd, discriminator, sgd, images, [[[4, 2]]], [[[1, 1], [1, 2]]])
>>> sorted(told)[-2:], told["generator_loss"].shape
(['generator_loss', 'pairwise_distance'], (1,))

Args:
    generator: network as for mlp_forward; kernels and biases are C-contiguous and updated in place.
    generator_optimizer: dict as for discriminator_update.
    discriminator: network as for discriminator_update, which takes what the generator makes.
    discriminator_optimizer: dict as for discriminator_update.
    images: array of shape [number, inputs of the discriminator], uint8, scaled to [0, 1], or the
        networks' dtype.
    rows: integers of shape [steps, n_critic, batch], the places of the batches' images.
    seeds: integers of shape [steps, n_critic + 1, 2], of the noise, as for random_normal: those of
        the discriminator's updates, then the generator's.
    targets: None, 1 for real and 0 for fake rows, or an array of shape [steps, n_critic, 2, batch]
        of the networks' dtype, real then fake.
    discriminator_rates: None, or learning rates of shape [steps, n_critic] in place of the
        optimizer's.
    generator_rates: None, or learning rates of shape [steps] in place of the optimizer's.
    discriminator_corruption: None, or integers of shape [steps (n_critic + 1), layers that corrupt,
        2]: the seeds of each pass, see mlp_forward; real rows come before fake ones.
    generator_corruption: the same for the generator.
    corrupts_fakes: whether the generator's corruption acts on the images that it makes for the
        discriminator's updates, too.
    done: None, or an array of two int64 to write to, also on failure, how many updates of the
        discriminator and of the generator were made.

Returns:
    Dict of arrays of shape [steps]: discriminator_ with every name of discriminator_update's, means
    over n_critic; generator_loss; generator_gradient_norm; pairwise_distance, the root of the mean
    of the squared distance of two rows that were generated for the discriminator's last update.

Raises:
    ValueError: shapes, dtypes, rows or options do not fit; a loss is not finite: its phase updated
        nothing, what came before stands.

Source: Goodfellow et al., Generative adversarial nets, NeurIPS 2014.
)";

void put_done(py::handle to, const int64_t done[2]) {
  if (to.is_none()) return;
  Array out = output(kOp, "done", to, py::dtype::of<int64_t>(), {2});
  std::copy(done, done + 2, static_cast<int64_t*>(out.mutable_data()));
}

py::dict dict_of(const std::vector<double>& telemetry) {
  std::vector<std::string> names;
  for (const char* name : kDiscriminatorTelemetry) {
    names.push_back(std::string("discriminator_") + name);
  }
  for (const char* name : {"generator_loss", "generator_gradient_norm", "pairwise_distance"}) {
    names.push_back(name);
  }
  py::dict told;
  for (size_t i = 0; i < names.size(); ++i) {
    told[names[i].c_str()] = column(telemetry, i, FG_GAN_TELEMETRY);
  }
  return told;
}

py::dict step(const py::sequence& generator, const py::dict& generator_optimizer,
              const py::sequence& discriminator, const py::dict& discriminator_optimizer,
              py::object images_, py::object rows_, py::object seeds_, py::object targets_,
              py::object discriminator_rates_, py::object generator_rates_,
              py::object discriminator_corruption_, py::object generator_corruption_,
              bool corrupts_fakes, py::object done_) {
  const int64_t nothing[2] = {0, 0};
  put_done(done_, nothing);
  Player g(kOp, generator, generator_optimizer), d(kOp, discriminator, discriminator_optimizer);
  const Array images = d.network.rows("images", images_, d.network.inputs(), true);
  const auto rows = numbers<int64_t>(kOp, "rows", rows_, "iu", {-1, -1, -1},
                                     "integers of shape [steps, n_critic, batch]");
  const Shape of_rows(rows.shape(), rows.shape() + 3);
  const auto seeds = numbers<int64_t>(kOp, "seeds", seeds_, "iu", {of_rows[0], of_rows[1] + 1, 2},
                                      "integers of shape [steps, n_critic + 1, 2]");
  const Shape of_targets = {of_rows[0], of_rows[1], 2, of_rows[2]};
  const bool given = !targets_.is_none();
  const Array targets = given ? input(kOp, "targets", targets_) : images;
  if (given) {
    check_shape(kOp, targets, of_targets, "shape [steps, n_critic, 2, batch]");
    check_dtype(kOp, targets, d.network.dtype(), "the dtype of the networks");
  }
  const auto d_rates =
      numbers_or(kOp, "discriminator_rates", discriminator_rates_, d.learning_rate(),
                 {of_rows[0], of_rows[1]}, "of shape [steps, n_critic]");
  const auto g_rates = numbers_or(kOp, "generator_rates", generator_rates_, g.learning_rate(),
                                  {of_rows[0]}, "of shape [steps]");
  const fg_gan_feed feed = {of_rows[0],
                            of_rows[1],
                            of_rows[2],
                            images_of(images),
                            rows.data(),
                            seeds.data(),
                            given ? targets.data() : nullptr,
                            d_rates.data(),
                            g_rates.data(),
                            corrupts_fakes};
  const py::ssize_t passes = of_rows[0] * (of_rows[1] + 1);
  const Integers of_g_seeds =
      g.network.corruption_seeds("generator_corruption", generator_corruption_, passes);
  const Integers of_d_seeds =
      d.network.corruption_seeds("discriminator_corruption", discriminator_corruption_, passes);
  const fg_player of_g = g.of(of_g_seeds), of_d = d.of(of_d_seeds);
  std::vector<double> telemetry(of_rows[0] * FG_GAN_TELEMETRY);
  int64_t done[2];
  int code;
  {
    py::gil_scoped_release release;
    code = fg_gan_step(fg_pool(), &of_g, &of_d, &feed, telemetry.data(), done);
  }
  put_done(done_, done);
  if (code != FG_OK) raise(code);
  return dict_of(telemetry);
}

}  // namespace

void bind(py::module_& m) {
  m.def(kOp, step, py::arg("generator"), py::arg("generator_optimizer"), py::arg("discriminator"),
        py::arg("discriminator_optimizer"), py::arg("images"), py::arg("rows"), py::arg("seeds"),
        py::kw_only(), py::arg("targets") = py::none(), py::arg("discriminator_rates") = py::none(),
        py::arg("generator_rates") = py::none(), py::arg("discriminator_corruption") = py::none(),
        py::arg("generator_corruption") = py::none(), py::arg("corrupts_fakes") = true,
        py::arg("done") = py::none(), kDoc);
}

}  // namespace fastgen::python::gan_step
