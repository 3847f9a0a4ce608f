// Formula: steps of a generator g against a discriminator d. First n_critic times, with fresh noise z
//   and fresh images x: an update of d, see discriminator_update.h, on the fake rows g(z) and x. Then,
//   with fresh noise, one of g on the mean of softplus(-d(g(z))), through d as it is.
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
