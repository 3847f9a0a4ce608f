"""Autoencoders as the tests of their op have them, and their step by Keras."""

import functools

import keras
import numpy as np
import tensorflow as tf

import fastgen
from fastgen.ops import network


@functools.cache
def digits():
    """1,000 images of digits, float32."""
    (images, _), _ = fastgen.data.load("digits")
    return images[:1000].reshape(-1, 784)


class Autoencoder:
    """Dense layers of these widths in Keras, and their loss by Keras; the same weights each time.

    Args:
        sizes: inputs, and units of the encoder's layers, codings last.
        variational: whether codings are drawn.
        loss: one of `ops.autoencoder_step`.
    """

    def __init__(self, sizes, dtype, variational=True, loss="binary_crossentropy"):
        keras.utils.set_random_seed(1)
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy(dtype)  # a model of another one would cast its inputs
        try:
            self.build(sizes, dtype, variational, "sigmoid" if "cross" in loss else "linear")
        finally:
            keras.config.set_dtype_policy(policy)
        self.dtype, self.loss, self.codings = dtype, loss, sizes[-1]
        for variable in self.variables[1::2]:  # biases other than zeros
            variable.assign(keras.random.normal(variable.shape, stddev=0.1, dtype=dtype))

    def build(self, sizes, dtype, variational, last):
        dense = keras.layers.Dense
        inputs = keras.Input(sizes[:1], dtype=dtype)
        *hidden, codings = sizes[1:]
        x = inputs
        for units in hidden:
            x = dense(units, "selu")(x)
        mean = dense(codings)(x)
        heads = [mean, dense(codings, kernel_initializer="orthogonal")(x)] if variational else mean
        self.encoder = keras.Model(inputs, heads)
        units = [dense(n, "selu") for n in reversed(hidden)]
        self.decoder = keras.Sequential(
            [keras.Input([codings], dtype=dtype), *units, dense(sizes[0], last)]
        )
        self.models = [self.encoder, self.decoder]
        self.variables = [v for m in self.models for v in m.trainable_variables]
        # The layers as the kernel takes them; the log variance's stands after that of the mean.
        chain = [network._dense(x, (None, 1)) for m in self.models for x in m.layers if x.weights]
        self.chain, self.log_variance = chain, len(hidden) + 1 if variational else -1

    def state(self, optimizer):
        """All that a step writes."""
        return [v.value for v in (*self.variables, *optimizer.variables)]

    def stock_step(self, optimizer, scale=1.0):
        """A function of images, a seed and the scale of the divergence; it returns the losses."""
        values = [v.value for v in self.variables]

        def step(x, seed, kl_scale):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(values)
                reconstruction, kl = self.losses(x, seed)
                loss = scale * reconstruction + kl_scale * kl
            optimizer.apply(tape.gradient(loss, values), self.variables)
            return loss, scale * reconstruction, kl

        return step

    def losses(self, x, seed):
        """Reconstruction and divergence, means over the batch."""
        z, kl = self.encoder(x), tf.zeros([], self.dtype)
        if self.log_variance >= 0:
            mean, log_var = z
            noise = tf.random.stateless_normal(tf.shape(mean), seed, dtype=self.dtype)
            z = mean + tf.exp(log_var / 2) * noise
            each = 1 + log_var - tf.exp(log_var) - tf.square(mean)
            kl = -0.5 * tf.reduce_mean(tf.reduce_sum(each, axis=1))
        y = self.decoder(z)
        if self.loss == "mean_squared_error":
            each = tf.math.squared_difference(x, y)
        else:
            each = tf.nn.sigmoid_cross_entropy_with_logits(x, y._keras_logits)
        return tf.reduce_mean(tf.reduce_sum(each, axis=1)), kl


def small(dtype="float64", **how):
    """Of 9 pixels."""
    return Autoencoder((9, 7, 2), dtype, **how)


def images_of(model, n=40):
    """Images of the size that a model takes."""
    x = np.random.default_rng(3).random((n, model.encoder.input_shape[1]))
    return x.astype(model.dtype)


def feed(steps, images, batch=8, key=0):
    """Rows and seeds."""
    rng = np.random.default_rng(key)
    return rng.integers(0, len(images), (steps, batch)), rng.integers(-(2**40), 2**40, (steps, 2))


def built(model, make):
    """An optimizer of its own."""
    optimizer = make()
    optimizer.build(model.variables)
    return optimizer


def copies(variables):
    """The values, as arrays of their own."""
    return [v.numpy().copy() for v in variables]
