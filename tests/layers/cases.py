"""The layers, the book's own beside them, and models to put them in."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen.layers import GaussianLatent, Sampling

LAYERS = [Sampling, GaussianLatent]
each_layer = pytest.mark.parametrize("layer_class", LAYERS)
SEED = 42


class StockSampling(keras.layers.Layer):
    """The book's layer."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        mean, log_var = inputs
        noise = keras.random.normal(
            keras.ops.shape(mean), dtype=mean.dtype, seed=self.seed_generator
        )
        return mean + keras.ops.exp(log_var / 2) * noise


def inputs_of(shape=(7, 10), dtype="float32"):
    mean, log_var = np.random.default_rng(0).standard_normal((2, *shape))
    return [tf.constant(mean, dtype), tf.constant(log_var, dtype)]


def model_of(layer, features=10):
    inputs = keras.Input([features])
    dense = [keras.layers.Dense(4, name=name, dtype=layer.dtype_policy) for name in ("m", "v")]
    outputs = keras.layers.Dense(features, name="out")(layer([d(inputs) for d in dense]))
    return keras.Model(inputs, outputs)


def state(layer):
    return layer.seed_generator.state.value.numpy().tolist()
