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
    precision: as for mlp_forward. All arrays are NumPy's or, on one GPU, those that are updated CuPy's;
        integers and learning rates may be NumPy's all the same, and are copied there. There a network
        has at most 12 layers, and no averages nor accumulated gradients.

Returns:
    Dict of arrays of shape [steps]: discriminator_ with every name of discriminator_update's, means
    over n_critic; generator_loss; generator_gradient_norm; pairwise_distance, the root of the mean
    of the squared distance of two rows that were generated for the discriminator's last update. On a
    GPU arrays there, for nothing waits for it: a loss that is not finite is no error, nor is a row
    that is out of range, which is read as NaN. Nothing is updated from then on, what is told is 0 but
    for that loss, and `done`, an array there, tells how far it came.

Raises:
    ValueError: shapes, dtypes, devices, rows or options do not fit; a loss is not finite: its phase
        updated nothing, what came before stands.
    NotImplementedError: arrays on a GPU, and fastgen was built without nvcc.

Source: Goodfellow et al., Generative adversarial nets, NeurIPS 2014.
)";

// done must be where the networks are: a kernel writes there.
void check_done(const Place& place, py::handle done) {
  if (done.is_none()) return;
  if (is_on_gpu(done) == place.on_gpu()) {
    if (place.on_gpu()) in_place_on_gpu(kOp, "done", done);
    return;
  }
  const char* const where[] = {"in NumPy", "on a GPU"};
  throw py::value_error(std::string(kOp) + ": done must be " + where[place.on_gpu()] +
                        ", as the networks are. Received: done " + where[!place.on_gpu()]);
}

void put_done(py::handle to, const int64_t done[2]) {
  if (to.is_none() || is_on_gpu(to)) return;
  Array out = output(kOp, "done", to, py::dtype::of<int64_t>(), {2});
  std::copy(done, done + 2, static_cast<int64_t*>(out.mutable_data()));
}

// of(i): column i of the telemetry.
template <class Of>
py::dict dict_of(const Of& of) {
  std::vector<std::string> names;
  for (const char* name : kDiscriminatorTelemetry) {
    names.push_back(std::string("discriminator_") + name);
  }
  for (const char* name : {"generator_loss", "generator_gradient_norm", "pairwise_distance"}) {
    names.push_back(name);
  }
  py::dict told;
  for (size_t i = 0; i < names.size(); ++i) told[names[i].c_str()] = of(i);
  return told;
}

// The steps as the kernels take them, with arrays where the kernels read them.
struct Feed {
  Array images, rows, seeds, targets, d_rates, g_rates;
  bool corrupts_fakes;

  int64_t steps() const { return rows.shape()[0]; }
  int64_t n_critic() const { return rows.shape()[1]; }
  fg_gan_feed of(bool with_targets) const {
    return {steps(),
            n_critic(),
            rows.shape()[2],
            images_of(images),
            static_cast<const int64_t*>(rows.data()),
            static_cast<const int64_t*>(seeds.data()),
            with_targets ? targets.data() : nullptr,
            static_cast<const double*>(d_rates.data()),
            static_cast<const double*>(g_rates.data()),
            corrupts_fakes};
  }
};

// Learning rates where the kernels read them; for None the optimizer's.
Array rates_at(const Place& place, const char* name, py::handle value, double otherwise,
               const Shape& shape, const char* as) {
  if (!value.is_none()) return numbers_at<double>(place, kOp, name, value, "fiu", shape, as);
  const auto all = numbers_or(kOp, name, value, otherwise, shape, as);
  return at_place(name, py::array_t<double>(all.size(), all.data()), place);
}

// On the CPU: an error once done has what was made before it.
py::dict run_on_cpu(const fg_player& g, const fg_player& d, const fg_gan_feed& feed,
                    py::handle done_) {
  std::vector<double> telemetry(feed.steps * FG_GAN_TELEMETRY);
  int64_t done[2];
  int code;
  {
    py::gil_scoped_release release;
    code = fg_gan_step(fg_pool(), &g, &d, &feed, telemetry.data(), done);
  }
  put_done(done_, done);
  if (code != FG_OK) raise(code);
  return dict_of([&](size_t i) { return column(telemetry, i, FG_GAN_TELEMETRY); });
}

py::dict run_on_gpu(const Place& place, fg_cuda_precision how, const fg_player& g,
                    const fg_player& d, const fg_gan_feed& feed, py::handle done_) {
  Array telemetry =
      new_on_gpu("telemetry", py::dtype::of<double>(), {feed.steps, FG_GAN_TELEMETRY}, place);
  Array done = {};
  if (!done_.is_none()) {
    done = numbers_at<int64_t>(place, kOp, "done", done_, "i", {2}, "an array of two integers");
  }
  run_networks(place, how, FASTGEN_BOTH(gan_step), &g, &d, &feed,
               static_cast<double*>(telemetry.mutable_data()),
               done_.is_none() ? nullptr : static_cast<int64_t*>(done.mutable_data()));
  const auto all = py::slice(0, feed.steps, 1);
  return dict_of([&](size_t i) { return telemetry.value[py::make_tuple(all, i)]; });
}

py::dict step(const Given<py::sequence>& generator, const Given<py::dict>& generator_optimizer,
              const Given<py::sequence>& discriminator,
              const Given<py::dict>& discriminator_optimizer, py::object images_, py::object rows_,
              py::object seeds_, py::object targets_, py::object discriminator_rates_,
              py::object generator_rates_, py::object discriminator_corruption_,
              py::object generator_corruption_, const Given<bool>& corrupts_fakes_,
              py::object done_, const Given<std::string>& precision) {
  const int64_t nothing[2] = {0, 0};
  put_done(done_, nothing);
  const bool corrupts_fakes = corrupts_fakes_.get(kOp, "corrupts_fakes");
  Player g(kOp, {"generator", generator}, {"generator_optimizer", generator_optimizer});
  Player d(kOp, {"discriminator", discriminator},
           {"discriminator_optimizer", discriminator_optimizer});
  const Array images = d.network.rows("images", images_, d.network.inputs(), true);
  const bool given = !targets_.is_none();
  const Array targets = given ? input_anywhere(kOp, "targets", targets_) : images;
  std::vector<const Array*> arrays = g.arrays({&images, &targets});
  for (const Array* x : d.arrays({})) arrays.push_back(x);
  const Place place(kOp, arrays);
  check_done(place, done_);
  const Array rows = numbers_at<int64_t>(place, kOp, "rows", rows_, "iu", {-1, -1, -1},
                                         "integers of shape [steps, n_critic, batch]");
  const Shape of_rows = rows.shape();
  const Array seeds =
      numbers_at<int64_t>(place, kOp, "seeds", seeds_, "iu", {of_rows[0], of_rows[1] + 1, 2},
                          "integers of shape [steps, n_critic + 1, 2]");
  if (given) {
    const Shape of_targets = {of_rows[0], of_rows[1], 2, of_rows[2]};
    check_shape(kOp, targets, of_targets, "shape [steps, n_critic, 2, batch]");
    check_dtype(kOp, targets, d.network.dtype(), "the dtype of the networks");
  }
  const Feed feed = {images,
                     rows,
                     seeds,
                     targets,
                     rates_at(place, "discriminator_rates", discriminator_rates_, d.learning_rate(),
                              {of_rows[0], of_rows[1]}, "of shape [steps, n_critic]"),
                     rates_at(place, "generator_rates", generator_rates_, g.learning_rate(),
                              {of_rows[0]}, "of shape [steps]"),
                     corrupts_fakes};
  const py::ssize_t passes = of_rows[0] * (of_rows[1] + 1);
  const Integers of_g_seeds =
      g.network.corruption_seeds("generator_corruption", generator_corruption_, passes, place);
  const Integers of_d_seeds = d.network.corruption_seeds("discriminator_corruption",
                                                         discriminator_corruption_, passes, place);
  const fg_player of_g = g.of(of_g_seeds), of_d = d.of(of_d_seeds);
  const fg_cuda_precision how = precision_code(kOp, precision);
  return place.on_gpu() ? run_on_gpu(place, how, of_g, of_d, feed.of(given), done_)
                        : run_on_cpu(of_g, of_d, feed.of(given), done_);
}

}  // namespace

void bind(py::module_& m) {
  m.def(kOp, step, py::arg("generator"), py::arg("generator_optimizer"), py::arg("discriminator"),
        py::arg("discriminator_optimizer"), py::arg("images"), py::arg("rows"), py::arg("seeds"),
        py::kw_only(), py::arg("targets") = py::none(), py::arg("discriminator_rates") = py::none(),
        py::arg("generator_rates") = py::none(), py::arg("discriminator_corruption") = py::none(),
        py::arg("generator_corruption") = py::none(), py::arg("corrupts_fakes") = true,
        py::arg("done") = py::none(), py::arg("precision") = "float32", kDoc);
}

}  // namespace fastgen::python::gan_step
