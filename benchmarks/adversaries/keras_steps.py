"""Stock Keras: the step as one tf.function with gradient tapes, without and with XLA."""

import keras
import tensorflow as tf

from benchmarks import gan
from benchmarks.adversaries import Adversary, keras_networks


class Provider(Adversary):
    def build(self, weights):
        self._networks = self.generator, self.discriminator = keras_networks.make(weights)
        self._loss = keras.losses.BinaryCrossentropy()
        self._optimizers = keras.optimizers.RMSprop(), keras.optimizers.RMSprop()
        for optimizer, network in zip(self._optimizers, self._networks, strict=True):
            optimizer.build(network.trainable_variables)
        in_function = tf.function(jit_compile="xla" in self.name)
        self._update, self._step = in_function(self.update), in_function(self.step)
        self._updates, self._steps = in_function(self.updates), in_function(self.steps)
        images = tf.data.Dataset.from_tensor_slices(self.images).shuffle(1000).repeat()
        self._batches = iter(images.batch(self.batch, drop_remainder=True).prefetch(1))
        self.images = tf.constant(self.images)
        pairs = [[next(self._batches) for _ in range(self.per_call)] for _ in range(2)]
        self._pairs = [tf.stack(pair) for pair in pairs]
        self._first_pair = [pair[0] for pair in pairs]

    def update(self, real, fake):
        """One of the discriminator."""
        images = tf.concat([fake, real], 0)
        labels = tf.concat([tf.zeros([self.batch, 1]), tf.ones([self.batch, 1])], 0)
        with tf.GradientTape() as tape:
            loss = self._loss(labels, self.discriminator(images, training=True))
        self._descend(tape, loss, 1)

    def step(self, real, noise=None):
        """Both phases; draws noise where none is given."""
        first, second = (
            tf.random.normal([self.batch, gan.CODINGS]) if noise is None else noise[phase]
            for phase in range(2)
        )
        self.update(real, self.generator(first, training=True))
        with tf.GradientTape() as tape:
            output = self.discriminator(self.generator(second, training=True), training=True)
            loss = self._loss(tf.ones([self.batch, 1]), output)
        self._descend(tape, loss, 0)

    def _descend(self, tape, loss, which):
        variables = self._networks[which].trainable_variables
        self._optimizers[which].apply(tape.gradient(loss, variables), variables)

    def updates(self, real, fake):
        for i in tf.range(len(real)):
            self.update(real[i], fake[i])

    def steps(self, images, rows, noise=None):
        # Gathered at once: XLA would carry all images through the loop.
        real = tf.gather(images, rows)
        for i in tf.range(len(rows)):
            self.step(real[i], None if noise is None else noise[i])

    def call(self, rows):
        scan = self.name.endswith("_scan")
        if self.operation == "discriminator_update":
            return self._updates(*self._pairs) if scan else self._update(*self._first_pair)
        if scan:
            return self._steps(self.images, tf.constant(rows))
        return self._step(next(self._batches))

    def take(self, feed):
        feed = [tf.constant(x) for x in (feed.real, feed.fake, feed.noise)]
        if self.name.endswith("_scan"):
            return self._take_all(*feed)
        for real, fake, noise in zip(*feed, strict=True):
            if self.operation == "discriminator_update":
                self._update(real, fake)
            else:
                self._step(real, noise)

    def _take_all(self, real, fake, noise):
        if self.operation == "discriminator_update":
            return self._updates(real, fake)
        steps = len(real)
        rows = tf.reshape(tf.range(steps * self.batch, dtype=tf.int64), [steps, -1])
        self._steps(tf.reshape(real, [-1, 28, 28]), rows, noise)

    def weights(self):
        return keras_networks.values(*self._networks)
