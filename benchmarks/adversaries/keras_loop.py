"""The book's loop: `train_on_batch` of either network, `trainable` set before each."""

import keras
import tensorflow as tf

from benchmarks import gan
from benchmarks.adversaries import Adversary, keras_networks


class Provider(Adversary):
    def build(self, weights):
        generator, discriminator = keras_networks.make(weights)
        discriminator.compile(loss="binary_crossentropy", optimizer="rmsprop")
        discriminator.trainable = False
        self.gan = keras.Sequential([generator, discriminator])
        self.gan.compile(loss="binary_crossentropy", optimizer="rmsprop")
        images = tf.data.Dataset.from_tensor_slices(self.images).shuffle(1000).repeat()
        self._batches = iter(images.batch(self.batch, drop_remainder=True).prefetch(1))

    def call(self, rows):
        self._step(next(self._batches))

    def _step(self, real, noise=None):
        generator, discriminator = self.gan.layers
        batch = self.batch
        drawn = noise is None
        noise = tf.random.normal([batch, gan.CODINGS]) if drawn else noise
        first, second = (noise, None) if drawn else (noise[0], noise[1])
        images = tf.concat([generator(first), real], axis=0)
        discriminator.trainable = True
        discriminator.train_on_batch(images, tf.constant([[0.0]] * batch + [[1.0]] * batch))
        second = tf.random.normal([batch, gan.CODINGS]) if drawn else second
        discriminator.trainable = False
        self.gan.train_on_batch(second, tf.constant([[1.0]] * batch))

    def take(self, feed):
        for real, noise in zip(feed.real, feed.noise, strict=True):
            self._step(tf.constant(real), tf.constant(noise))

    def weights(self):
        return keras_networks.values(*self.gan.layers)
