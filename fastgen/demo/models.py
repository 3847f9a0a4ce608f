"""The book's variational autoencoder as a user of stock Keras would write it."""

import keras
from keras import layers, ops

from fastgen.models import variational_autoencoder


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


class StockVAE(keras.Model):
    """784-150-100-[10]-100-150-784, SELU, logits out.

    Args:
        image_shape: `(height, width)` or `(height, width, channels)`.
        codings: Units of the latent layer.
        seed: Of the noise.
    """

    def __init__(self, image_shape, codings=10, seed=None):
        dense = {"activation": "selu", "kernel_initializer": "lecun_normal"}
        images = keras.Input(image_shape)
        x = layers.Flatten()(images)
        pixels = x.shape[-1]
        x = layers.Dense(150, **dense)(x)
        x = layers.Dense(100, **dense)(x)
        mean = layers.Dense(codings, name="mean")(x)
        log_var = layers.Dense(codings, name="log_var")(x)
        z = StockGaussianLatent(seed=seed)([mean, log_var])
        encoder = keras.Model(images, [mean, log_var, z], name="encoder")

        z = keras.Input((codings,))
        x = layers.Dense(100, **dense)(z)
        x = layers.Dense(150, **dense)(x)
        x = layers.Reshape(image_shape)(layers.Dense(pixels)(x))
        decoder = keras.Model(z, x, name="decoder")

        super().__init__(images, decoder(encoder(images)[2]))
        self.encoder, self.decoder, self.codings = encoder, decoder, codings

    def encode(self, x):
        """Means of the codings."""
        return self.encoder.predict(x, verbose=0)[0]

    def decode(self, codings):
        """Images of codings."""
        logits = self.decoder.predict(codings, batch_size=256, verbose=0)
        return ops.convert_to_numpy(ops.sigmoid(logits))

    def generate(self, n, seed=None):
        """Images of draws from the standard normal."""
        return self.decode(ops.convert_to_numpy(keras.random.normal((n, self.codings), seed=seed)))


def stock(image_shape, seed):
    """The stock model, compiled."""
    vae = StockVAE(image_shape, seed=seed)
    vae.compile("nadam", loss=reconstruction_loss)
    return vae


def ours(image_shape, seed):
    """fastgen's, compiled."""
    vae = variational_autoencoder(image_shape, seed=seed)
    vae.compile("nadam")
    return vae
