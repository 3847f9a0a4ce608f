// What kernels on networks ask of their arguments, on every device.
#pragma once
#include <float.h>
#include <math.h>

#include "core/status.h"
#include "kernels/gan_step.h"
#include "mlp/optimizer_scalars.h"

namespace fastgen {

constexpr int64_t kMaxLayers = 64;

namespace {  // each ISA its own copy

inline int check_corruption(const char* op, int64_t i, const fg_mlp_layer& l) {
  const double most = l.corruption == FG_DROPOUT ? 1 : DBL_MAX;
  const bool known =
      l.corruption == FG_INTACT || l.corruption == FG_DROPOUT || l.corruption == FG_GAUSSIAN_NOISE;
  const bool second_head = l.kind == FG_LOG_VARIANCE && l.corruption != FG_INTACT;
  if (known && l.amount >= 0 && l.amount <= most && !second_head) return FG_OK;
  return fail(FG_INVALID_ARGUMENT,
              "%s: layer %lld must leave its inputs as they are, drop them with a probability in "
              "[0, 1], or "
              "add noise of a finite standard deviation of 0 or more; a log variance has what the "
              "mean has. "
              "Received: corruption %d, amount %g",
              op, (long long)i, l.corruption, l.amount);
}

inline int check_layer(const char* op, int64_t i, const fg_mlp_layer& l, fg_dtype dtype) {
  if (l.inputs < 1 || l.units < 1 || l.activation < 0 || l.activation >= FG_ACTIVATIONS ||
      !l.kernel.variable) {
    return fail(FG_INVALID_ARGUMENT,
                "%s: layer %lld must have a kernel, inputs and units, and an activation from 0 to "
                "%d. Received: %lld inputs, %lld units, activation %d",
                op, (long long)i, FG_ACTIVATIONS - 1, (long long)l.inputs, (long long)l.units,
                (int)l.activation);
  }
  if (l.activation == FG_LEAKY_RELU && !(l.slope >= 0 && l.slope <= 1)) {
    return fail(FG_INVALID_ARGUMENT, "%s: the slope of layer %lld must be in [0, 1]. Received: %g",
                op, (long long)i, l.slope);
  }
  for (int which = 0; which < 2; ++which) {
    const fg_optimizer_tensor& x = which ? l.bias : l.kernel;
    const int64_t size = which ? l.units : l.inputs * l.units;
    if (x.variable && (x.dtype != dtype || x.size != size)) {
      return fail(FG_INVALID_ARGUMENT,
                  "%s: the variables of layer %lld must have the network's dtype, code %d, and its "
                  "sizes, %lld. Received: code %d, size %lld",
                  op, (long long)i, (int)dtype, (long long)size, (int)x.dtype, (long long)x.size);
    }
  }
  return FG_OK;
}

// Layers of one kernel must have its lines and columns in the same places. Biases are never shared.
inline int check_tied(const char* op, int64_t i, const fg_mlp& mlp) {
  const auto lines = [&](int64_t of) {
    return mlp.layers[of].transposed ? mlp.layers[of].units : mlp.layers[of].inputs;
  };
  for (int64_t j = 0; j < i; ++j) {
    const void* const bias = mlp.layers[i].bias.variable;
    if (bias && bias == mlp.layers[j].bias.variable) {
      return fail(FG_INVALID_ARGUMENT,
                  "%s: layer %lld must have a bias of its own. Received: that of layer %lld", op,
                  (long long)i, (long long)j);
    }
    if (mlp.layers[i].kernel.variable != mlp.layers[j].kernel.variable || lines(i) == lines(j)) {
      continue;
    }
    return fail(FG_INVALID_ARGUMENT,
                "%s: layer %lld must read its kernel, that of layer %lld, with %lld lines too. "
                "Received: %lld lines",
                op, (long long)i, (long long)j, (long long)lines(j), (long long)lines(i));
  }
  return FG_OK;
}

// Layers that read what the layer before gives, or a pair of heads.
inline int check_order(const char* op, int64_t i, const fg_mlp& mlp, bool autoencoder) {
  const fg_mlp_layer &l = mlp.layers[i], *const before = i ? &l - 1 : nullptr;
  if (l.kind == FG_LOG_VARIANCE && autoencoder) {
    const bool pair = before && before->kind == FG_DENSE && before->inputs == l.inputs &&
                      before->units == l.units && before->activation == FG_LINEAR &&
                      l.activation == FG_LINEAR && !l.transposed && i + 1 < mlp.count;
    if (pair) return FG_OK;
    return fail(FG_INVALID_ARGUMENT,
                "%s: layer %lld, a log variance, must be linear and stand beside a linear layer of "
                "as many inputs and units, before another layer",
                op, (long long)i);
  }
  if (l.kind != FG_DENSE) {
    return fail(FG_INVALID_ARGUMENT, "%s: layer %lld must be dense. Received: kind %d", op,
                (long long)i, l.kind);
  }
  if (!before || l.inputs == before->units) return FG_OK;
  return fail(FG_INVALID_ARGUMENT,
              "%s: layer %lld must take the %lld units of the one before. Received: %lld inputs",
              op, (long long)i, (long long)before->units, (long long)l.inputs);
}

inline int check_sparsity(const char* op, int64_t i, const fg_mlp& mlp, bool autoencoder) {
  const fg_mlp_layer& l = mlp.layers[i];
  if (l.sparsity == FG_NO_SPARSITY) return FG_OK;
  if (!autoencoder) {
    return fail(FG_INVALID_ARGUMENT, "%s: layer %lld must have no sparsity penalty", op,
                (long long)i);
  }
  const bool kl = l.sparsity == FG_SPARSITY_KL;
  const bool known = kl || l.sparsity == FG_SPARSITY_L1 || l.sparsity == FG_SPARSITY_MSE;
  const bool target =
      kl ? l.sparsity_target >= 0 && l.sparsity_target <= 1 : fabs(l.sparsity_target) <= DBL_MAX;
  const bool weight = l.sparsity_weight >= 0 && l.sparsity_weight <= DBL_MAX;
  if (known && target && weight && l.kind == FG_DENSE && i + 1 < mlp.count) return FG_OK;
  return fail(FG_INVALID_ARGUMENT,
              "%s: the sparsity penalty of layer %lld, which must be dense and before another one, "
              "must be kl, l1 or mse, of a finite weight of 0 or more and a finite target, for kl "
              "in [0, 1]. Received: kind %d, weight %g, target %g",
              op, (long long)i, l.sparsity, l.sparsity_weight, l.sparsity_target);
}

// autoencoder: whether there may be layers of FG_LOG_VARIANCE, and penalties.
inline int check_mlp(const char* op, const fg_mlp& mlp, int64_t rows, bool autoencoder = false) {
  if (mlp.count < 1 || mlp.count > kMaxLayers) {
    return fail(FG_INVALID_ARGUMENT, "%s: a network must have 1 to %lld layers. Received: %lld", op,
                (long long)kMaxLayers, (long long)mlp.count);
  }
  for (int64_t i = 0; i < mlp.count; ++i) {
    const fg_mlp_layer& l = mlp.layers[i];
    if (int code = check_layer(op, i, l, mlp.dtype)) return code;
    if (int code = check_corruption(op, i, l)) return code;
    if (int code = check_tied(op, i, mlp)) return code;
    if (int code = check_shape(op, rows, l.inputs)) return code;
    if (int code = check_shape(op, rows, l.units)) return code;
    if (int code = check_order(op, i, mlp, autoencoder)) return code;
    if (int code = check_sparsity(op, i, mlp, autoencoder)) return code;
  }
  return FG_OK;
}

// Whether a network and its optimizer have what they need for a batch.
inline int check_player(const char* op, const fg_player& player, int64_t rows,
                        bool autoencoder = false) {
  if (int code = check_mlp(op, player.mlp, rows, autoencoder)) return code;
  const fg_optimizer& o = player.optimizer;
  if (int code = check_optimizer(op, o)) return code;
  if (o.loss_scale != 0) {
    return fail(FG_INVALID_ARGUMENT, "%s: the loss has no scale here. Received: loss_scale=%g", op,
                o.loss_scale);
  }
  for (int64_t i = 0; i < player.mlp.count; ++i) {
    const fg_mlp_layer& l = player.mlp.layers[i];
    bool again = false;  // a kernel's state is that of its first layer
    for (int64_t j = 0; j < i; ++j) {
      again |= l.kernel.variable == player.mlp.layers[j].kernel.variable;
    }
    if (int code = again ? FG_OK : check_state(op, o, 2 * i, l.kernel, true)) return code;
    if (!l.bias.variable) continue;
    if (int code = check_state(op, o, 2 * i + 1, l.bias, true)) return code;
  }
  return FG_OK;
}

inline int check_logit(const char* op, const fg_mlp& mlp) {
  const fg_mlp_layer& last = mlp.layers[mlp.count - 1];
  const bool logit = last.activation == FG_LINEAR || last.activation == FG_SIGMOID;
  if (last.units == 1 && logit) return FG_OK;
  return fail(
      FG_INVALID_ARGUMENT,
      "%s: the discriminator must end in one unit, linear or sigmoid. Received: %lld units, "
      "activation %d",
      op, (long long)last.units, (int)last.activation);
}

inline int check_images(const char* op, const fg_images& images, fg_dtype dtype) {
  if (images.dtype == dtype || images.dtype == FG_UINT8) return FG_OK;
  return fail(FG_INVALID_ARGUMENT,
              "%s: images must be uint8 or of the network's dtype, code %d. Received: code %d", op,
              (int)dtype, (int)images.dtype);
}

// A discriminator and the rows of an update.
inline int check_judged(const char* op, const fg_player& player, const fg_images& real,
                        const fg_images& fake) {
  const fg_mlp& mlp = player.mlp;
  if (int code = check_player(op, player, real.count + fake.count)) return code;
  if (int code = check_logit(op, mlp)) return code;
  if (int code = check_images(op, real, mlp.dtype)) return code;
  if (int code = check_images(op, fake, mlp.dtype)) return code;
  if (real.count < 1 || fake.count < 1) {
    return fail(FG_INVALID_ARGUMENT, "%s: there must be real and fake rows. Received: %lld, %lld",
                op, (long long)real.count, (long long)fake.count);
  }
  return FG_OK;
}

// What of a feed can be seen without its arrays.
inline int check_gan(const char* op, const fg_player& g, const fg_player& d,
                     const fg_gan_feed& feed) {
  if (int code = check_player(op, g, feed.batch)) return code;
  if (int code = check_player(op, d, 2 * feed.batch)) return code;
  if (int code = check_logit(op, d.mlp)) return code;
  if (int code = check_images(op, feed.images, d.mlp.dtype)) return code;
  const int64_t out = g.mlp.layers[g.mlp.count - 1].units, in = d.mlp.layers[0].inputs;
  if (g.mlp.dtype != d.mlp.dtype || out != in) {
    return fail(FG_INVALID_ARGUMENT,
                "%s: the discriminator must take what the generator makes, %lld numbers of dtype "
                "code %d. Received: %lld, code %d",
                op, (long long)out, (int)g.mlp.dtype, (long long)in, (int)d.mlp.dtype);
  }
  if (feed.steps < 0 || feed.n_critic < 1 || feed.batch < 1) {
    return fail(FG_INVALID_ARGUMENT,
                "%s: steps must be 0 or more, n_critic and batch 1 or more. Received: %lld, %lld, "
                "%lld",
                op, (long long)feed.steps, (long long)feed.n_critic, (long long)feed.batch);
  }
  return FG_OK;
}

}  // namespace
}  // namespace fastgen
