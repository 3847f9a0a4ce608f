"""Ours: `fastgen.ops`, on resident images."""

import keras
import numpy as np
import tensorflow as tf

from benchmarks import gan
from benchmarks.adversaries import Adversary, keras_networks
from fastgen import ops


class Provider(Adversary):
    def build(self, weights):
        self._networks = generator, discriminator = keras_networks.make(weights)
        optimizers = keras.optimizers.RMSprop(), keras.optimizers.RMSprop()
        self.images = tf.constant(self.images)

        @tf.function
        def steps(images, rows, seeds):
            return ops.gan_step(generator, discriminator, *optimizers, images, rows, seeds)

        @tf.function
        def updates(real, fake):
            for i in range(real.shape[0]):
                ops.discriminator_update(discriminator, optimizers[1], real[i], fake[i])

        self._steps, self._updates = steps, updates
        if self.operation == "discriminator_update":
            rows = self.shuffle(2 * self.per_call).reshape(2, self.per_call, -1)
            self._pair = [tf.gather(self.images, x) for x in rows]

    def call(self, rows):
        if self.operation == "discriminator_update":
            return self._updates(*self._pair)
        seeds = gan.seeds(self.taken, self.per_call)
        self.taken += self.per_call
        self._steps(self.images, tf.constant(rows[:, None]), tf.constant(seeds))

    def take(self, feed):
        if self.operation == "discriminator_update":
            return self._updates(tf.constant(feed.real), tf.constant(feed.fake))
        images = np.concatenate(feed.real)
        rows = np.arange(len(images)).reshape(len(feed.real), 1, -1)
        # In calls of the size that is timed, or of all there is.
        size = min(self.per_call, len(rows))
        for i in range(0, len(rows), size):
            part = slice(i, i + size)
            self._steps(tf.constant(images), tf.constant(rows[part]), tf.constant(feed.seeds[part]))

    def weights(self):
        return keras_networks.values(*self._networks)
