"""The book's GAN as a user of stock Keras would write it, and fastgen's."""

import keras
import tensorflow as tf

from fastgen.demo.comparison import Entrant
from fastgen.models import dense_gan

NAMES = "stock Keras GAN", "fastgen GAN"


class StockGAN(keras.Model):
    """Both networks' updates in one compiled step.

    Args:
        generator: codings → images.
        discriminator: images → probability.
        seed: Of the noise, which is that of a `fastgen.GAN` of this seed.
    """

    def __init__(self, generator, discriminator, seed=None):
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.noise = keras.random.SeedGenerator(seed)
        self.trackers = [
            keras.metrics.Mean(f"{name}_loss") for name in ("discriminator", "generator")
        ]

    @property
    def metrics(self):
        """Both losses, means over an epoch."""
        return self.trackers

    def compile(self, optimizers):
        """An optimizer for the discriminator, and one for the generator."""
        super().compile(jit_compile=False)
        self.optimizers = optimizers

    def imagine(self, n):
        """Images of new noise."""
        shape = (n, *self.generator.input_shape[1:])
        return self.generator(tf.random.stateless_normal(shape, self.noise.next()), training=True)

    def train_step(self, images):
        """The discriminator's update, then the generator's."""
        n = tf.shape(images)[0]
        ones, fake = tf.ones((n, 1)), self.imagine(n)
        both, labels = tf.concat([images, fake], 0), tf.concat([ones, 0 * ones], 0)
        losses = (
            self.descend(0, self.discriminator, lambda: self.judge(both, labels)),
            self.descend(1, self.generator, lambda: self.judge(self.imagine(n), ones)),
        )
        for tracker, loss in zip(self.trackers, losses, strict=True):
            tracker.update_state(loss, sample_weight=n)
        return {tracker.name: tracker.result() for tracker in self.trackers}

    def judge(self, images, labels):
        """Mean cross-entropy of what the discriminator says."""
        found = self.discriminator(images, training=True)
        return tf.reduce_mean(keras.losses.binary_crossentropy(labels, found))

    def descend(self, number, network, function):
        """An update of a network by its optimizer; the loss before it."""
        with tf.GradientTape() as tape:
            loss = function()
        weights = network.trainable_variables
        gradients = tape.gradient(loss, [w.value for w in weights])
        self.optimizers[number].apply(gradients, weights)
        return loss

    def generate(self, n, seed=None):
        """Images of draws from the standard normal."""
        codings = keras.random.normal((n, *self.generator.input_shape[1:]), seed=seed)
        return keras.ops.convert_to_numpy(self.generator(codings))


def build(image_shape, seed):
    """Both GANs, compiled, with the same weights and noise."""
    ours, other = (dense_gan(image_shape=image_shape, seed=seed) for _ in range(2))
    ours.compile("rmsprop", "rmsprop")
    stock = StockGAN(other.generator, other.discriminator, seed)
    stock.compile([keras.optimizers.RMSprop(), keras.optimizers.RMSprop()])
    return [Entrant(name, model) for name, model in zip(NAMES, (stock, ours), strict=True)]
