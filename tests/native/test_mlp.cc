// Networks on buffers of exact size: forwards and backwards against sums in double; steps of a GAN and
// of autoencoders with the same bits whoever runs their panels.
#include <math.h>

#include <thread>

#include "core/thread_pool.h"
#include "kernels/autoencoder_step.h"
#include "kernels/gan_step.h"
#include "native/check.h"
#include "native/reference.h"

namespace native {
namespace {

constexpr double kSlope = 0.125;  // leaky_relu's

// Multiples of 1/16, below 2.
Exact drawn(fg_dtype dtype, int64_t size, int64_t step) {
  Exact made(size * kSizes[dtype]);
  for (int64_t i = 0; i < size; ++i) put(dtype, made.data(), i, i * step % 63 / 16.0 - 1.9375);
  return made;
}

fg_optimizer_tensor tensor_of(fg_dtype dtype, int64_t size, const void* variable, void* gradient) {
  fg_optimizer_tensor x = {};
  x.dtype = dtype, x.decays = 1, x.size = size;
  x.variable = const_cast<void*>(variable), x.gradient = gradient;
  return x;
}

fg_mlp_layer layer_of(int64_t inputs, int64_t units, fg_activation activation,
                      const fg_optimizer_tensor& kernel, const fg_optimizer_tensor& bias) {
  fg_mlp_layer layer = {};
  layer.inputs = inputs, layer.units = units, layer.activation = activation, layer.slope = kSlope;
  layer.kernel = kernel, layer.bias = bias;
  return layer;
}

// h = leaky_relu(x W + b), y = h W^T: every sum with that of its terms' sizes.
struct Autoencoder {
  fg_dtype dtype;
  int64_t rows, inputs, units;
  const Exact x = drawn(dtype, rows* inputs, 37), kernel = drawn(dtype, inputs* units, 29);
  const Exact bias = drawn(dtype, units, 11), d_y = drawn(dtype, rows* inputs, 41);
  std::vector<double> h = std::vector<double>(rows * units), size_h = h, d_z = h, size_d_z = h;

  double at(const Exact& a, int64_t i) const { return get(dtype, a.data(), i); }
  double w(int64_t k, int64_t j) const { return at(kernel, k * units + j); }
  void close(const Exact& actual, int64_t i, double expected, double size) const {
    CHECK(fabs(at(actual, i) - expected) <= kAtol[dtype] + 2 * kRtol[dtype] * size);
  }

  void run(const fg_threads* threads) {
    Exact y(rows * inputs * kSizes[dtype]), d_x = y;
    Exact d_kernel(inputs * units * kSizes[dtype]), d_bias(units * kSizes[dtype]);
    const auto of_kernel = tensor_of(dtype, inputs * units, kernel.data(), d_kernel.data());
    const auto of_bias = tensor_of(dtype, units, bias.data(), d_bias.data());
    fg_mlp_layer layers[] = {layer_of(inputs, units, FG_LEAKY_RELU, of_kernel, of_bias),
                             layer_of(units, inputs, FG_LINEAR, of_kernel, {})};
    layers[1].transposed = 1;
    const fg_mlp mlp = {dtype, 2, layers, nullptr};
    CHECK(!fg_mlp_forward(threads, &mlp, rows, x.data(), y.data()));
    CHECK(!fg_mlp_grad(threads, &mlp, rows, x.data(), d_y.data(), d_x.data()));
    check_forward(y);
    check_inputs(d_x);
    check_variables(d_kernel, d_bias);
  }

  void check_forward(const Exact& y) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < units; ++j) {
        double sum = at(bias, j), size = fabs(sum), d = 0, size_d = 0;
        for (int64_t k = 0; k < inputs; ++k) {
          sum += at(x, i * inputs + k) * w(k, j), size += fabs(at(x, i * inputs + k) * w(k, j));
          d += at(d_y, i * inputs + k) * w(k, j), size_d += fabs(at(d_y, i * inputs + k) * w(k, j));
        }
        const double slope = sum > 0 ? 1 : kSlope;
        h[i * units + j] = slope * sum, size_h[i * units + j] = size;
        d_z[i * units + j] = slope * d, size_d_z[i * units + j] = size_d;
      }
      for (int64_t k = 0; k < inputs; ++k) {
        double sum = 0, size = 0;
        for (int64_t j = 0; j < units; ++j) {
          sum += h[i * units + j] * w(k, j), size += size_h[i * units + j] * fabs(w(k, j));
        }
        close(y, i * inputs + k, sum, size);
      }
    }
  }

  void check_inputs(const Exact& d_x) const {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t k = 0; k < inputs; ++k) {
        double sum = 0, size = 0;
        for (int64_t j = 0; j < units; ++j) {
          sum += d_z[i * units + j] * w(k, j), size += size_d_z[i * units + j] * fabs(w(k, j));
        }
        close(d_x, i * inputs + k, sum, size);
      }
    }
  }

  void check_variables(const Exact& d_kernel, const Exact& d_bias) const {
    for (int64_t j = 0; j < units; ++j) {
      double total = 0, size_of_total = 0;
      for (int64_t i = 0; i < rows; ++i) {
        total += d_z[i * units + j], size_of_total += size_d_z[i * units + j];
      }
      close(d_bias, j, total, size_of_total);
      for (int64_t k = 0; k < inputs; ++k) {
        double sum = 0, size = 0;
        for (int64_t i = 0; i < rows; ++i) {
          const double read = at(x, i * inputs + k), arrived = at(d_y, i * inputs + k);
          sum += read * d_z[i * units + j] + arrived * h[i * units + j];
          size += fabs(read) * size_d_z[i * units + j] + fabs(arrived) * size_h[i * units + j];
        }
        close(d_kernel, k * units + j, sum, size);
      }
    }
  }
};

constexpr int64_t kShapes[][3] = {{0, 3, 2},    {1, 1, 1},   {7, 17, 5},  {16, 14, 33},
                                  {33, 61, 16}, {65, 3, 15}, {17, 2, 520}};

// A network with an activation in its middle and a state for Adam.
struct Player {
  std::vector<Exact> arrays;  // a variable, its momentum, its velocity, ...
  std::vector<fg_mlp_layer> layers;
  std::vector<int64_t> seeds;
  fg_player of;

  Player(fg_dtype dtype, const std::vector<int64_t>& sizes, fg_activation middle, int clip) {
    arrays.reserve(6 * sizes.size());
    for (size_t i = 0; i + 1 < sizes.size(); ++i) {
      const bool last = i + 2 == sizes.size();
      const auto kernel = variable(dtype, sizes[i] * sizes[i + 1]);
      const auto bias = variable(dtype, sizes[i + 1]);
      const auto activation = last ? FG_SIGMOID : middle;
      layers.push_back(layer_of(sizes[i], sizes[i + 1], activation, kernel, bias));
    }
    of = {{dtype, (int64_t)layers.size(), layers.data(), nullptr}, {}};
    of.optimizer.rule = FG_ADAM, of.optimizer.clip = clip, of.optimizer.clip_at = 0.5;
    of.optimizer.momentum = 0.5, of.optimizer.rho = 0.75, of.optimizer.epsilon = 1e-3;
    of.optimizer.accumulation_steps = 1, of.optimizer.learning_rate = 0.01;
  }

  // Noise on what the first layer gets, dropout before the last one.
  void corrupt(int64_t passes) {
    layers[0].corruption = FG_GAUSSIAN_NOISE, layers[0].amount = 0.5;
    layers.back().corruption = FG_DROPOUT, layers.back().amount = 0.25;
    for (int64_t i = 0; i < passes * 4; ++i) seeds.push_back(i * 7);
    of.mlp.seeds = seeds.data();
  }

  fg_optimizer_tensor variable(fg_dtype dtype, int64_t size) {
    arrays.push_back(drawn(dtype, size, 31));
    fg_optimizer_tensor x = tensor_of(dtype, size, arrays.back().data(), nullptr);
    for (int slot = 0; slot < 2; ++slot) {
      arrays.emplace_back(size * kSizes[dtype]);
      x.slots[slot] = arrays.back().data();
      memset(x.slots[slot], 0, size * kSizes[dtype]);
    }
    return x;
  }
};

// Two steps of a GAN, from the start.
struct Gan {
  static constexpr int64_t kSteps = 2, kCritic = 2, kImages = 5, kCols = 21, kCodings = 3;
  Player g, d;
  Exact telemetry{kSteps * FG_GAN_TELEMETRY * (int64_t)sizeof(double)};

  Gan(const fg_threads* threads, fg_dtype dtype, fg_dtype of_images, int64_t batch, int clip)
      : g(dtype, {kCodings, 17, kCols}, FG_SELU, clip), d(dtype, {kCols, 35, 1}, FG_SILU, clip) {
    Exact images = drawn(dtype, kImages * kCols, 13), bytes(kImages * kCols);
    for (int64_t i = 0; i < kImages * kCols; ++i) ((uint8_t*)bytes.data())[i] = uint8_t(i * 37);
    const int64_t count = kSteps * kCritic * batch;
    Exact rows(count * 8), seeds(kSteps * (kCritic + 1) * 16), targets = drawn(dtype, 2 * count, 5);
    for (int64_t i = 0; i < count; ++i) ((int64_t*)rows.data())[i] = i * 3 % kImages;
    for (int64_t i = 0; i < kSteps * (kCritic + 1) * 2; ++i) ((int64_t*)seeds.data())[i] = i;
    const std::vector<double> rates(kSteps * kCritic, 0.01);
    g.corrupt(kSteps * (kCritic + 1)), d.corrupt(kSteps * (kCritic + 1));
    const bool uint8 = of_images == FG_UINT8;
    const fg_gan_feed feed = {kSteps,
                              kCritic,
                              batch,
                              {of_images, uint8 ? bytes.data() : images.data(), kImages},
                              (const int64_t*)rows.data(),
                              (const int64_t*)seeds.data(),
                              uint8 ? nullptr : targets.data(),
                              rates.data(),
                              rates.data(),
                              uint8};
    int64_t done[2];
    CHECK(!fg_gan_step(threads, &g.of, &d.of, &feed, (double*)telemetry.data(), done));
    CHECK(done[0] == kSteps * kCritic && done[1] == kSteps);
    for (int64_t i = 0; i < kSteps * FG_GAN_TELEMETRY; ++i) {
      CHECK(isfinite(((const double*)telemetry.data())[i]));
    }
  }

  bool operator==(const Gan& other) const {
    return g.arrays == other.g.arrays && d.arrays == other.d.arrays && telemetry == other.telemetry;
  }
};

// Two steps of a variational autoencoder, with penalties in encoder and decoder where its images are
// their own targets, from the start.
struct VariationalAutoencoder {
  static constexpr int64_t kSteps = 2, kImages = 5, kCols = 21, kHidden = 9, kCodings = 3;
  Player player;
  Exact telemetry{kSteps * FG_STEP_TELEMETRY * (int64_t)sizeof(double)};
  Exact activity;  // of two layers

  VariationalAutoencoder(const fg_threads* threads, fg_dtype dtype, bool bytes, int64_t batch,
                         int clip)
      : player(dtype, {kCols, kHidden, kCodings, kHidden, kCols}, FG_SELU, clip),
        activity(bytes * kSteps * 2 * (int64_t)sizeof(double)) {
    add_log_variance(dtype);
    const Exact targets = drawn(dtype, kImages * kCols, 13);
    Exact images(kImages * kCols), rows(kSteps * batch * 8), seeds(kSteps * 16);
    for (int64_t i = 0; i < kImages * kCols; ++i) ((uint8_t*)images.data())[i] = uint8_t(i * 37);
    for (int64_t i = 0; i < kSteps * batch; ++i) ((int64_t*)rows.data())[i] = i * 3 % kImages;
    for (int64_t i = 0; i < kSteps * 2; ++i) ((int64_t*)seeds.data())[i] = i;
    player.corrupt(kSteps);
    if (bytes) {
      penalise(&player.layers[0], FG_SPARSITY_KL), penalise(&player.layers[3], FG_SPARSITY_L1);
    }
    const double rates[kSteps] = {0.01, 0.02}, kl_scales[kSteps] = {0.5, 1};
    const fg_autoencoder_feed feed = {kSteps,
                                      batch,
                                      {FG_UINT8, images.data(), kImages},
                                      {dtype, bytes ? nullptr : targets.data(), kImages},
                                      (const int64_t*)rows.data(),
                                      (const int64_t*)seeds.data(),
                                      bytes ? FG_BINARY_CROSS_ENTROPY : FG_SQUARED_ERROR,
                                      0.25,
                                      kl_scales,
                                      rates};
    int64_t done;
    CHECK(!fg_autoencoder_step(threads, &player.of, &feed, (double*)telemetry.data(),
                               (double*)activity.data(), &done));
    CHECK(done == kSteps);
    for (int64_t i = 0; i < kSteps * FG_STEP_TELEMETRY; ++i) {
      CHECK(isfinite(((const double*)telemetry.data())[i]));
    }
  }

  static void penalise(fg_mlp_layer* layer, int kind) {
    layer->sparsity = kind, layer->sparsity_weight = 0.5, layer->sparsity_target = 0.25;
  }

  void add_log_variance(fg_dtype dtype) {
    const fg_optimizer_tensor kernel = player.variable(dtype, kHidden * kCodings);
    memset(kernel.variable, 0, kHidden * kCodings * kSizes[dtype]);  // or a variance would be inf
    player.layers[1].activation = FG_LINEAR;
    fg_mlp_layer head = layer_of(kHidden, kCodings, FG_LINEAR, kernel, {});
    head.kind = FG_LOG_VARIANCE;
    player.layers.insert(player.layers.begin() + 2, head);
    player.of.mlp.count = player.layers.size(), player.of.mlp.layers = player.layers.data();
  }

  bool operator==(const VariationalAutoencoder& other) const {
    return player.arrays == other.player.arrays && telemetry == other.telemetry &&
           activity == other.activity;
  }
};

// A thread for each fifth of the panels, none of which is the caller.
void fifths(void*, int64_t panels, int64_t, fg_task task, void* arg) {
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < 5; ++i) {
    threads.emplace_back(task, arg, panels * i / 5, panels * (i + 1) / 5);
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace

TEST(mlp) {
  for (const std::string& isa : isas()) {
    CHECK(!fg_set_isa(isa.c_str()));
    for (fg_dtype dtype : {FG_FLOAT32, FG_FLOAT64}) {
      for (const auto& s : kShapes) {
        context() = isa + " " + kNames[dtype] + " " + std::to_string(s[0]) + "x" +
                    std::to_string(s[1]) + "x" + std::to_string(s[2]);
        Autoencoder{dtype, s[0], s[1], s[2]}.run(s[0] % 2 ? fg_pool() : nullptr);
      }
    }
  }
}

TEST(mlp_refuses) {
  Player player(FG_FLOAT32, {4, 3, 1}, FG_RELU, FG_CLIP_NOTHING);
  fg_images images = {FG_UINT8, player.arrays[0].data(), 2};
  double told[FG_DISCRIMINATOR_TELEMETRY];
  const auto refused = [&] {
    return fg_discriminator_update(nullptr, &player.of, &images, &images, nullptr, told) ==
           FG_INVALID_ARGUMENT;
  };
  CHECK(!refused());
  player.layers[1].kernel.slots[1] = nullptr;
  CHECK(refused());
  player.of.optimizer.rule = FG_SGD;
  CHECK(!refused());
  player.of.optimizer.rule = FG_NADAM;  // without its u_product
  CHECK(refused());
  player.of.optimizer.rule = FG_SGD;
  player.layers[1].inputs = 4;
  CHECK(refused());
  player.layers[1].inputs = 3, player.layers[0].sparsity = FG_SPARSITY_L1;
  CHECK(refused());
  player.layers[0].sparsity = FG_NO_SPARSITY, images.dtype = FG_FLOAT16;
  CHECK(refused());
}

TEST(discriminator_update) {
  for (const std::string& isa : isas()) {
    CHECK(!fg_set_isa(isa.c_str()));
    for (fg_dtype dtype : {FG_FLOAT32, FG_FLOAT64}) {
      for (const auto& rows : {std::pair<int64_t, int64_t>{1, 1}, {17, 33}, {65, 7}}) {
        context() = isa + " " + kNames[dtype] + " " + std::to_string(rows.first) + " real rows";
        const Exact real(rows.first * 9), fake = drawn(dtype, rows.second * 9, 17);
        const Exact targets = drawn(dtype, rows.first + rows.second, 7);
        const fg_images of_real = {FG_UINT8, real.data(), rows.first};
        const fg_images of_fake = {dtype, fake.data(), rows.second};
        Player one(dtype, {9, 5, 1}, FG_TANH, FG_CLIP_VALUE);
        Player many(dtype, {9, 5, 1}, FG_TANH, FG_CLIP_VALUE);
        double told[2][FG_DISCRIMINATOR_TELEMETRY];
        CHECK(!fg_discriminator_update(nullptr, &one.of, &of_real, &of_fake, targets.data(),
                                       told[0]));
        CHECK(!fg_discriminator_update(fg_pool(), &many.of, &of_real, &of_fake, targets.data(),
                                       told[1]));
        CHECK(one.arrays == many.arrays && !memcmp(told[0], told[1], sizeof told[0]));
      }
    }
  }
}

TEST(threads_gan_step) {
  const fg_threads other = {nullptr, fifths};
  for (const std::string& isa : isas()) {
    CHECK(!fg_set_isa(isa.c_str()));
    for (int64_t batch : {1, 33, 70}) {
      for (int clip : {FG_CLIP_NOTHING, FG_CLIP_GLOBAL_NORM}) {
        context() = isa + " batch " + std::to_string(batch) + " clip " + std::to_string(clip);
        const fg_dtype dtype = batch == 33 ? FG_FLOAT64 : FG_FLOAT32;
        const fg_dtype images = clip ? dtype : FG_UINT8;
        const Gan alone(nullptr, dtype, images, batch, clip);
        CHECK(Gan(&other, dtype, images, batch, clip) == alone);
        for (int threads : {2, 3}) {
          fg_set_pool_size(threads);
          CHECK(Gan(fg_pool(), dtype, images, batch, clip) == alone);
        }
      }
    }
  }
}

TEST(threads_autoencoder_step) {
  const fg_threads other = {nullptr, fifths};
  for (const std::string& isa : isas()) {
    CHECK(!fg_set_isa(isa.c_str()));
    for (int64_t batch : {1, 33, 70}) {
      for (int clip : {FG_CLIP_NOTHING, FG_CLIP_GLOBAL_NORM}) {
        context() = isa + " batch " + std::to_string(batch) + " clip " + std::to_string(clip);
        const fg_dtype dtype = batch == 33 ? FG_FLOAT64 : FG_FLOAT32;
        const bool bytes = clip == FG_CLIP_NOTHING;
        const VariationalAutoencoder alone(nullptr, dtype, bytes, batch, clip);
        CHECK(VariationalAutoencoder(&other, dtype, bytes, batch, clip) == alone);
        for (int threads : {2, 3, 8}) {
          fg_set_pool_size(threads);
          CHECK(VariationalAutoencoder(fg_pool(), dtype, bytes, batch, clip) == alone);
        }
      }
    }
  }
}

}  // namespace native
