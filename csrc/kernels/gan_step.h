// Formula: steps of a generator g against a discriminator d. First n_critic times, with fresh noise z
//   and fresh images x: an update of d, see discriminator_update.h, on the fake rows g(z) and x. Then,
//   with fresh noise, one of g on the mean of softplus(-d(g(z))), through d as it is.
// Shapes: images[count, inputs of d]; noise [batch, inputs of g], as stateless_normal's of the seed.
// Dtypes: float32, float64; images also uint8, for 255ths.
// Error: as discriminator_update.h; noise as random_normal.h.
// Edges: a loss that is not finite: an error that names phase and step; that phase writes nothing,
//   those before it stand.
// Bytes: as discriminator_update.h; generated images stay in the caches they were made in.
// Determinism: bit-equal for any thread count, and for any cut of steps into calls, within an ISA.
#pragma once
#include "kernels/discriminator_update.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fg_gan_feed {
  int64_t steps, n_critic, batch;
  fg_images images;
  const int64_t* rows;   // [steps, n_critic, batch]: the images of a batch
  const int64_t* seeds;  // [steps, n_critic + 1, 2]: of the noise, as of stateless_normal
  const void* targets;   // [steps, n_critic, 2, batch], real then fake, or NULL: 1 and 0
  const double* discriminator_rates;  // [steps, n_critic]: learning rates
  const double* generator_rates;      // [steps]
  // Whether the generator's corruption acts on what it makes for the discriminator's updates, too. Of
  // each of a step's n_critic + 1 passes both networks have seeds.
  int corrupts_fakes;
} fg_gan_feed;

enum {
  FG_GENERATOR_LOSS = FG_DISCRIMINATOR_TELEMETRY,
  FG_GENERATOR_GRADIENT_NORM,
  FG_PAIRWISE_DISTANCE,  // of the images that d last saw: the root of the mean of its square
  FG_GAN_TELEMETRY
};

// telemetry: [steps, FG_GAN_TELEMETRY]; the discriminator's are means over n_critic updates.
// done: how many updates of the discriminator and of the generator were made, on failure too.
FG_API int fg_gan_step(const fg_threads* threads, const fg_player* generator,
                       const fg_player* discriminator, const fg_gan_feed* feed, double* telemetry,
                       int64_t done[2]);

// The same on a CUDA stream, in builds with CUDA: see discriminator_update.h and mlp.h. Everything that
// feed, networks and optimizers point to is on the device, rates, rows, seeds, telemetry and done
// included; the structs themselves and the layers are on the host, read before the call returns. The
// call does not wait for the stream, and a stream that is captured may be given: a replay starts from
// the optimizers' iterations at the call, or from those on the device. A loss that is not finite is no
// error here: from that phase on nothing is written but the loss itself, where telemetry has it, and
// done, which may be NULL, tells how far it came: with d and g updates made, g below steps, the loss was
// the generator's if d == (g + 1) n_critic, else the discriminator's. An image's row that is not in
// [0, count) is read as NaN, and so ends as such a loss.
// FASTGEN_CUDA_GAN=persistent (the default) runs all steps in one cooperative launch, a barrier of all
// blocks between phases; =graph, and a GPU without such launches, a launch for each phase, several
// steps by a CUDA graph. Bits are the same.
FG_API int fg_cuda_gan_step(void* stream, fg_cuda_precision precision, const fg_player* generator,
                            const fg_player* discriminator, const fg_gan_feed* feed,
                            double* telemetry, int64_t done[2]);

#ifdef __cplusplus
}
#endif
