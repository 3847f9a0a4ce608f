"""The two networks as the book builds them, with the weights of `benchmarks.gan`."""

import keras
from keras import layers

from benchmarks import gan


def make(weights):
    """Generator and discriminator."""
    generator = keras.Sequential(
        [
            keras.Input((gan.CODINGS,)),
            layers.Dense(100, activation="selu"),
            layers.Dense(150, activation="selu"),
            layers.Dense(gan.PIXELS, activation="sigmoid"),
            layers.Reshape((28, 28)),
        ]
    )
    discriminator = keras.Sequential(
        [
            keras.Input((28, 28)),
            layers.Flatten(),
            layers.Dense(150, activation="selu"),
            layers.Dense(100, activation="selu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    for variable, value in zip(variables(generator, discriminator), weights, strict=True):
        variable.assign(value)
    return generator, discriminator


def variables(generator, discriminator):
    """In the order of `gan.make_weights`, whatever is frozen."""
    return [*generator.weights, *discriminator.weights]


def values(*networks):
    return [variable.numpy() for variable in variables(*networks)]
