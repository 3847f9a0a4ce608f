"""Two kernels of a user's own, with gradients, in a Keras model that trains.

    python examples/custom_kernel.py [EPOCHS]

A denoising autoencoder of scikit-learn's digits: the noise grows with the brightness of a pixel and
is clipped, and the hidden layers learn how steep their activation is.
"""

import sys

import keras
import tensorflow as tf

import fastgen
import fastgen.data
from fastgen import jit
from fastgen.jit import math


def d_swish(x, steepness, d_y):
    """The gradients of x and of the steepness."""
    s = math.sigmoid(steepness * x)
    slope = x * s * (1 - s)
    return d_y * (s + steepness * slope), d_y * x * slope


def swish_in_stock_ops(x, steepness):
    """What runs inside XLA and in an exported model."""
    return x * tf.sigmoid(steepness * x)


@jit.elementwise(gradient=d_swish, reference=swish_in_stock_ops)
def swish(x, steepness):
    """A logistic curve times x; the steepness is broadcast along the batch."""
    return x * math.sigmoid(steepness * x)


@jit.elementwise(noise="normal", gradient=lambda x, strength, d_y, noise: (d_y, 0.0))
def corrupt(x, strength, noise):
    """Noise as strong as a pixel is bright, kept in [0, 1]; the slope passes straight through."""
    return min(max(x + strength * (0.1 + x) * noise, 0), 1)


@keras.saving.register_keras_serializable(package="custom_kernel")
class Swish(keras.layers.Layer):
    """`swish`, one steepness a unit."""

    def build(self, input_shape):
        """Make the weights."""
        self.steepness = self.add_weight(shape=input_shape[-1:], initializer="ones")

    def call(self, x):
        """Apply the kernel."""
        return swish(x, self.steepness)


@keras.saving.register_keras_serializable(package="custom_kernel")
class Corruption(keras.layers.Layer):
    """`corrupt` in training, nothing otherwise."""

    def __init__(self, strength=0.5, **kwargs):
        super().__init__(**kwargs)
        self.strength = strength
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, x, training=False):
        """Apply the kernel."""
        if not training:
            return x
        return corrupt(x, self.strength, seed=self.seeds.next())

    def get_config(self):
        """As Keras wants it."""
        return {**super().get_config(), "strength": self.strength}


def autoencoder(pixels):
    """A denoising autoencoder of flat images."""
    layers = [keras.Input((pixels,)), Corruption()]
    for units in (150, 30, 150):
        layers += [keras.layers.Dense(units), Swish()]
    return keras.Sequential([*layers, keras.layers.Dense(pixels, activation="sigmoid")])


def main(epochs=5):
    """Train the model; return its losses."""
    (images, _), (valid, _) = fastgen.data.load("digits")
    images, valid = images.reshape(len(images), -1), valid.reshape(len(valid), -1)
    swish.check_gradient([-2.0, 0.5], [1.0, 1.5])
    model = autoencoder(images.shape[-1])
    model.compile("nadam", loss="mse", jit_compile=False)
    history = model.fit(images, images, epochs=epochs, validation_data=(valid, valid), verbose=2)
    for name, paths in fastgen.stats().items():
        print(name, paths)
    return history.history["val_loss"]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
