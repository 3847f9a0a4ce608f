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

#ifdef __cplusplus
}
#endif
