// Formula: a step of the optimizer of a network d with one logit on the mean over all rows, real and
//   fake, of softplus(d(x)) - target d(x), the binary cross-entropy of sigmoid(d(x)).
// Shapes: real[m, inputs], fake[n, inputs], targets[m + n], the real ones first; see mlp.h.
// Dtypes: float32, float64; images also uint8, for 255ths. Losses are summed in double.
// Error: gradients as those of mlp.h, the step as optimizer_update.h has it.
// Edges: a loss that is not finite: an error, nothing is written. NaN in weights makes it so.
// Bytes: no joined batch, no gradient but for clipping by norms: a weight and its slots are read and
//   written once, while their gradient is in registers and L1; see mlp.h for the rest.
// Determinism: bit-equal for any thread count within an ISA. In place; no two arrays may overlap.
#pragma once
#include "kernels/mlp.h"

#ifdef __cplusplus
extern "C" {
#endif

// A network and its optimizer, which counts its iterations from optimizer.iterations on.
typedef struct fg_player {
  fg_mlp mlp;
  fg_optimizer optimizer;
} fg_player;

// Rows of images: uint8, scaled to [0, 1], or the network's dtype.
typedef struct fg_images {
  fg_dtype dtype;
  const void* data;
  int64_t count;  // of rows
} fg_images;

enum {
  FG_DISCRIMINATOR_LOSS = 0,  // mean over real and fake rows
  FG_REAL_ACCURACY,           // share of rows with a probability above 1/2
  FG_FAKE_ACCURACY,           // not above 1/2
  FG_REAL_PROBABILITY,        // mean of sigmoid(d(x))
  FG_FAKE_PROBABILITY,
  FG_DISCRIMINATOR_GRADIENT_NORM,
  FG_DISCRIMINATOR_TELEMETRY
};

// targets, if not NULL: one for each row, the real ones first; else 1 for real, 0 for fake rows. The
// loss must be finite: if it is not, nothing is updated.
FG_API int fg_discriminator_update(const fg_threads* threads, const fg_player* discriminator,
                                   const fg_images* real, const fg_images* fake,
                                   const void* targets, double* telemetry);

// The same on a CUDA stream, in builds with CUDA: see mlp.h and gan_step.h. It does not wait for the
// stream, so that a loss that is not finite is no error here: telemetry, on the device as well, then
// has it in its first place, and zeros. Optimizers that average weights or accumulate gradients are
// refused.
FG_API int fg_cuda_discriminator_update(void* stream, fg_cuda_precision precision,
                                        const fg_player* discriminator, const fg_images* real,
                                        const fg_images* fake, const void* targets,
                                        double* telemetry);

#ifdef __cplusplus
}
#endif
