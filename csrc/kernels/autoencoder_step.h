// Formula: steps of the optimizer of a network on the mean over a batch of reconstruction_scale times
//   the sum over features of softplus(l) - y l, the binary cross-entropy of sigmoid(l), or of
//   (x - y)^2; for a variational autoencoder plus kl_scale KL(N(mean, exp(log_var)) || N(0, 1)); of
//   layers that have one, plus the sparsity penalty of mlp.h.
// Shapes: images[count, inputs], targets[count, outputs]; rows[steps, batch] of both; see mlp.h.
// Dtypes: float32, float64; images and targets also uint8, for 255ths. Batches are summed in double.
// Error: gradients as those of mlp.h; the step as optimizer_update.h; noise as random_normal.h; mean
//   activities 9 u mean(|a|), u = 2^-24 or 2^-53, of which penalties and their slopes are made in
//   double.
// Edges: a loss that is not finite: an error that names the step, which writes nothing; those before
//   it stand.
// Bytes: see mlp.h; a weight and its slots are read and written once while their gradient is in
//   registers and L1, and no gradient is written but for clipping by norms. Panels go forwards and
//   backwards at once or, where a penalty is of the batch's mean (kl, mse), all forwards, then all
//   backwards.
// Determinism: bit-equal for any thread count, and for any cut of steps into calls, within an ISA.
#pragma once
#include "kernels/discriminator_update.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FG_BINARY_CROSS_ENTROPY = 0, FG_SQUARED_ERROR = 1 };
enum {
  FG_STEP_LOSS = 0,
  FG_STEP_RECONSTRUCTION,
  FG_STEP_KL,
  FG_STEP_PENALTY,
  FG_STEP_GRADIENT_NORM,
  FG_STEP_TELEMETRY
};

typedef struct fg_autoencoder_feed {
  int64_t steps, batch;
  fg_images images, targets;  // targets without data: the images themselves
  const int64_t* rows;        // [steps, batch]
  const int64_t* seeds;       // [steps, 2]: of the noise, as of stateless_normal
  int loss;  // FG_BINARY_CROSS_ENTROPY, of a sigmoid at the end or of logits, or ...
  double reconstruction_scale;
  const double* kl_scales;  // [steps]
  const double* rates;      // [steps]: learning rates
} fg_autoencoder_feed;

// telemetry: [steps, FG_STEP_TELEMETRY]: the loss; its reconstruction part; the mean divergence, not
// scaled; the sparsity penalties' sum, weighted; the gradients' norm. activity: [steps, layers that
// have a penalty]: the mean over rows and units of what they give, for l1 of its magnitude. *done: how
// many steps were made, on failure too.
FG_API int fg_autoencoder_step(const fg_threads* threads, const fg_player* autoencoder,
                               const fg_autoencoder_feed* feed, double* telemetry, double* activity,
                               int64_t* done);

#ifdef __cplusplus
}
#endif
