"""Small GANs, and the book's loop in stock Keras."""

import contextlib

import keras
import numpy as np
import tensorflow as tf

import fastgen

SHAPE, CODINGS, SEED = (4, 3), 3, 7


def images(n=40, seed=0, dtype="float32"):
    return np.random.default_rng(seed).random((n, *SHAPE)).astype(dtype)


def networks(batch_norm=False, dropout=0.0, dtype="float32"):
    """Generator and discriminator of dense layers, the same weights each time."""
    numbers = np.random.default_rng(SEED)

    def dense(units, activation):
        initializers = [keras.initializers.RandomUniform(-0.5, 0.5, int(numbers.integers(2**31)))]
        kernel, bias = initializers * 2
        return keras.layers.Dense(
            units, activation, kernel_initializer=kernel, bias_initializer=bias
        )

    def norm():
        return [keras.layers.BatchNormalization(momentum=0.9)] if batch_norm else []

    def drop():
        return [keras.layers.Dropout(dropout, seed=3)] if dropout else []

    with policy(dtype):
        layers = [dense(6, "selu"), *norm(), dense(12, "sigmoid"), keras.layers.Reshape(SHAPE)]
        generator = keras.Sequential([keras.Input((CODINGS,)), *layers], name="generator")
        layers = [keras.layers.Flatten(), dense(6, "selu"), *norm(), *drop(), dense(1, "sigmoid")]
        discriminator = keras.Sequential([keras.Input(SHAPE), *layers], name="discriminator")
    return generator, discriminator


@contextlib.contextmanager
def policy(name):
    """Keras' dtype inside, of layers, losses and optimizers."""
    before = keras.config.dtype_policy(), keras.config.floatx()
    keras.config.set_dtype_policy(name)
    keras.config.set_floatx(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_floatx(before[1])


def compiled(seed=1, nets=None, **arguments):
    gan = fastgen.GAN(*(nets or networks()), seed=seed)
    gan.compile(**arguments)
    return gan


def weights(model):
    """Everything that a training moves but noise, as one vector."""
    found = [v for m in (model.generator, model.discriminator) for v in m.weights]
    found += [v for x in model.optimizers for v in x.variables]
    return np.concatenate([np.ravel(v.numpy().astype("float64")) for v in found])


def book_networks(**arguments):
    """The book's `gan`, compiled as there, of small networks."""
    generator, discriminator = networks(**arguments)
    gan = keras.Sequential([generator, discriminator])
    discriminator.compile(loss="binary_crossentropy", optimizer="rmsprop")
    discriminator.trainable = False
    gan.compile(loss="binary_crossentropy", optimizer="rmsprop")
    return gan


def book_loop(gan, batches, noise, toggle=True):
    """The book's loop: with `toggle` the 2nd edition's, without it the 3rd's.

    `noise` returns the noise of each phase in turn.
    """
    generator, discriminator = gan.layers
    for batch in batches:
        n = len(batch)
        fake_and_real = tf.concat([generator(noise(n)), batch], axis=0)
        if toggle:
            discriminator.trainable = True
        discriminator.train_on_batch(fake_and_real, tf.constant([[0.0]] * n + [[1.0]] * n))
        if toggle:
            discriminator.trainable = False
        gan.train_on_batch(noise(n), tf.constant([[1.0]] * n))


def noise_of(seed, dtype="float32"):
    """The noise of a GAN of that seed, phase by phase."""
    drawn = iter(range(10**6))
    return lambda n: tf.random.stateless_normal((n, CODINGS), [seed, next(drawn)], dtype=dtype)
