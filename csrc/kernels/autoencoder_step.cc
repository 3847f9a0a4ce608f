#include "kernels/autoencoder_step.h"

#include "mlp/images.h"
#include "mlp/noise.h"
#include "mlp/reconstruction.h"
#include "mlp/training.h"

namespace fastgen {
namespace FASTGEN_TARGET {

static const char* const kOp = "autoencoder_step";

template <class T>
class Autoencoder {
 public:
  Autoencoder(const Layers& layers, const fg_player& player, const fg_autoencoder_feed& feed)
      : feed_(feed),
        training_(layers, player.optimizer, Cut(feed.batch)),
        targets_(feed.targets.data ? net().outputs() * net().cut().space() : 0),
        losses_(2 * net().cut().space()),
        noise_(feed.batch * codings()),
        sparsity_(net()) {}

  int reserve() {
    if (!targets_.data || !losses_.data || !noise_.data) return no_memory(kOp, net().size());
    if (int code = training_.reserve(kOp)) return code;
    return sparsity_.reserve(kOp);
  }

  int run(const fg_threads* threads, double* telemetry, double* activity, int64_t* done) {
    for (int64_t step = 0; step < feed_.steps; ++step, telemetry += FG_STEP_TELEMETRY) {
      telemetry[FG_STEP_PENALTY] = passes(threads, step, activity);
      activity += sparsity_.layers();
      sums(step, telemetry);
      if (!isfinite(telemetry[FG_STEP_LOSS])) {
        return fail(
            FG_INVALID_ARGUMENT,
            "%s: the loss is not finite in step %lld of %lld: the step updated nothing, what "
            "came before stands",
            kOp, (long long)step, (long long)feed_.steps);
      }
      double* const norm = telemetry + FG_STEP_GRADIENT_NORM;
      if (int code = training_.step(threads, feed_.rates[step], norm)) return code;
      ++*done;
    }
    return FG_OK;
  }

 private:
  const Network<T>& net() const { return training_.net(); }
  int64_t drawing() const {
    for (int64_t i = 0; i < net().count(); ++i) {
      if (net().draws(i)) return i;
    }
    return -1;
  }
  int64_t codings() const { return drawing() < 0 ? 0 : net().features(drawing() + 1); }

  // All panels forwards and backwards; returns the sparsity penalties.
  double passes(const fg_threads* threads, int64_t step, double* activity) {
    const Cut& cut = net().cut();
    const int64_t panels = cut.panels(0), cycles = pass_cycles(net());
    if (!sparsity_.of_means()) {
      parallel_for(threads, panels, 3 * cycles, [&](int64_t index) {
        ascend(Panel(cut, 0, index), step);
        descend(Panel(cut, 0, index), step);
      });
      return sparsity_.settle(activity);
    }
    parallel_for(threads, panels, cycles,
                 [&](int64_t index) { ascend(Panel(cut, 0, index), step); });
    const double penalty = sparsity_.settle(activity);
    parallel_for(threads, panels, 2 * cycles,
                 [&](int64_t index) { descend(Panel(cut, 0, index), step); });
    return penalty;
  }

  Rows<T> targets(const Panel& p) const {
    return feed_.targets.data ? net().rows(targets_.data, net().outputs(), p) : net().values(0, p);
  }

  // A panel forwards.
  void ascend(const Panel& p, int64_t step) {
    const int64_t* const rows = feed_.rows + step * feed_.batch + p.row;
    const auto at = [&](int64_t r) { return rows[r]; };
    put_images(p, net().inputs(), feed_.images, at, net().values(0, p));
    if (feed_.targets.data) put_images(p, net().outputs(), feed_.targets, at, targets(p));
    const int64_t latent = drawing();
    if (latent >= 0) {
      put_noise(p, codings(), feed_.seeds + 2 * step, 0, noise_.data + p.row * codings(),
                net().noise(latent, p));
    }
    forward(net(), p, net().seeds(step));
    sparsity_.add(p);
  }

  // Its losses, and backwards.
  void descend(const Panel& p, int64_t step) {
    const int64_t latent = drawing();
    const T scale = (T)(feed_.reconstruction_scale / feed_.batch);
    // A panel's sums have its width of space, whatever its count.
    T* const losses = losses_.data + p.row;
    if (feed_.loss == FG_BINARY_CROSS_ENTROPY) {
      cross_entropies(net(), p, targets(p), scale, losses);
    } else {
      squared_errors(net(), p, targets(p), scale, losses);
    }
    if (latent >= 0) divergences(net(), latent, p, losses + net().cut().space());
    backward(net(), p, {true, false, feed_.kl_scales[step] / feed_.batch});
  }

  void sums(int64_t step, double* telemetry) const {
    double reconstruction = 0, kl = 0;
    for (int64_t i = 0; i < feed_.batch; ++i) {
      reconstruction += (double)losses_.data[i];
      if (drawing() >= 0) kl += (double)losses_.data[net().cut().space() + i];
    }
    reconstruction *= feed_.reconstruction_scale / feed_.batch, kl /= feed_.batch;
    telemetry[FG_STEP_LOSS] =
        reconstruction + feed_.kl_scales[step] * kl + telemetry[FG_STEP_PENALTY];
    telemetry[FG_STEP_RECONSTRUCTION] = reconstruction;
    telemetry[FG_STEP_KL] = kl;
  }

  const fg_autoencoder_feed& feed_;
  Training<T> training_;
  const Memory<T> targets_, losses_, noise_;
  Sparsity<T> sparsity_;
};

static int check(const fg_player& player, const fg_autoencoder_feed& feed) {
  if (int code = check_player(kOp, player, feed.batch, true)) return code;
  if (int code = check_images(kOp, feed.images, player.mlp.dtype)) return code;
  const fg_mlp_layer& last = player.mlp.layers[player.mlp.count - 1];
  if (feed.targets.data) {
    if (int code = check_images(kOp, feed.targets, player.mlp.dtype)) return code;
  } else if (last.units != player.mlp.layers[0].inputs) {
    return fail(FG_INVALID_ARGUMENT,
                "%s: without targets there must be as many outputs as inputs. Received: %lld, %lld",
                kOp, (long long)last.units, (long long)player.mlp.layers[0].inputs);
  }
  const bool logits = last.activation == FG_SIGMOID || last.activation == FG_LINEAR;
  if (feed.loss != FG_SQUARED_ERROR && !(feed.loss == FG_BINARY_CROSS_ENTROPY && logits)) {
    return fail(FG_INVALID_ARGUMENT,
                "%s: loss must be FG_SQUARED_ERROR or, of a sigmoid or of logits, "
                "FG_BINARY_CROSS_ENTROPY. Received: %d",
                kOp, feed.loss);
  }
  if (feed.steps < 0 || feed.batch < 1) {
    return fail(FG_INVALID_ARGUMENT,
                "%s: steps must be 0 or more, batch 1 or more. Received: %lld, %lld", kOp,
                (long long)feed.steps, (long long)feed.batch);
  }
  return check_rows(kOp, feed.rows, feed.steps * feed.batch, feed.images.count);
}

int autoencoder_step(const fg_threads* threads, const fg_player* autoencoder,
                     const fg_autoencoder_feed* feed, double* telemetry, double* activity,
                     int64_t* done) {
  *done = 0;
  if (int code = check(*autoencoder, *feed)) return code;
  return for_real(kOp, autoencoder->mlp.dtype, [&](auto number) {
    Layers layers(autoencoder->mlp);
    if (feed->loss == FG_BINARY_CROSS_ENTROPY) layers.end_in_logits();
    Autoencoder<decltype(number)> training(layers, *autoencoder, *feed);
    if (int code = training.reserve()) return code;
    return training.run(threads, telemetry, activity, done);
  });
}

}  // namespace FASTGEN_TARGET
}  // namespace fastgen

FASTGEN_EXPORT(int, autoencoder_step,
               (const fg_threads* threads, const fg_player* autoencoder,
                const fg_autoencoder_feed* feed, double* telemetry, double* activity,
                int64_t* done),
               (threads, autoencoder, feed, telemetry, activity, done))
