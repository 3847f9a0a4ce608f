"""The book's variational autoencoder, and its latent layer in stock Keras."""

import keras
from keras import layers, ops


class StockGaussianLatent(layers.Layer):
    """What `fastgen.layers.GaussianLatent` does, written in stock Keras."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.kl_tracker = keras.metrics.Mean(name="kl")

    def call(self, inputs):
        """Sample, add the loss and log it."""
        mean, log_var = inputs
        kl = -0.5 * ops.sum(1 + log_var - ops.exp(log_var) - ops.square(mean), axis=-1)
        self.add_loss(ops.mean(kl))
        self.kl_tracker.update_state(kl)
        eps = keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=self.seed_generator)
        return mean + ops.exp(log_var / 2) * eps


def reconstruction_loss(x, logits):
    """Binary cross-entropy summed over the pixels of each image, from logits."""
    bce = ops.binary_crossentropy(x, logits, from_logits=True)
    return ops.sum(bce, axis=list(range(1, len(bce.shape))))


def variational_autoencoder(image_shape, latent, codings=10):
    """Builds the 784-150-100-[10]-100-150-784 model (SELU, logits out) around a latent layer.

    Args:
        image_shape: `(height, width)` or `(height, width, channels)`.
        latent: Layer that maps `[mean, log_var]` to codings and adds the KL loss.
        codings: Units of the latent layer.

    Returns:
        `(vae, encoder, decoder)`. The encoder returns `[mean, log_var, z]`, the decoder logits.
    """
    dense = {"activation": "selu", "kernel_initializer": "lecun_normal"}
    images = keras.Input(image_shape)
    x = layers.Flatten()(images)
    pixels = x.shape[-1]
    x = layers.Dense(150, **dense)(x)
    x = layers.Dense(100, **dense)(x)
    mean = layers.Dense(codings, name="mean")(x)
    log_var = layers.Dense(codings, name="log_var")(x)
    encoder = keras.Model(images, [mean, log_var, latent([mean, log_var])], name="encoder")

    z = keras.Input((codings,))
    x = layers.Dense(100, **dense)(z)
    x = layers.Dense(150, **dense)(x)
    x = layers.Dense(pixels)(x)
    decoder = keras.Model(z, layers.Reshape(image_shape)(x), name="decoder")

    vae = keras.Model(images, decoder(encoder(images)[2]), name="variational_autoencoder")
    return vae, encoder, decoder
