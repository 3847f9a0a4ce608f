"""The layers as one table, the book's own beside them, and models to put them in."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen.layers import (
    Corruption,
    DenseTranspose,
    FusedDense,
    GaussianLatent,
    Sampling,
    Sparsity,
)

SEED = 42
FEATURES = 10


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


def inputs_of(shape=(7, FEATURES), dtype="float32"):
    """A mean and a log_var."""
    mean, log_var = np.random.default_rng(0).standard_normal((2, *shape))
    return [tf.constant(mean, dtype), tf.constant(log_var, dtype)]


def _one_input(shape, dtype="float32"):
    return inputs_of(shape, dtype)[0]


@dataclass(frozen=True)
class Case:
    """A layer, as the tests of every layer need it.

    Attributes:
        make: `make(**kwargs)`, a layer; kwargs are what every Keras layer takes.
        stock: `stock(layer)`, a function of the same inputs that does the same in Keras' own code,
            with the same weights and seed, once the layer is built.
        inputs: `inputs(shape, dtype)`, what the layer is called on.
    """

    make: Callable
    stock: Callable
    inputs: Callable = _one_input

    def symbolic(self, shape):
        """Keras inputs, one for each of `inputs`."""
        return keras.tree.map_structure(lambda _: keras.Input(shape), self.inputs((1, 1)))


def _sampling(layer_class):
    return Case(
        lambda **kwargs: layer_class(seed=SEED, **kwargs),
        lambda layer: StockSampling(seed=layer.seed, dtype=layer.dtype_policy),
        inputs_of,
    )


def _stock_dense(layer):
    stock = keras.layers.Dense.from_config(layer.get_config())
    stock.build((None, layer.kernel.shape[0]))
    stock.set_weights(layer.get_weights())
    return stock


def _dense_transpose(**kwargs):
    dense = keras.layers.Dense(FEATURES, dtype=kwargs.get("dtype"))
    dense.build((None, 6))
    return DenseTranspose(dense, "tanh", bias_initializer="normal", **kwargs)


def _stock_dense_transpose(layer):
    """The book's layer."""

    def call(x):
        with keras.src.backend.AutocastScope(layer.compute_dtype):
            kernel, bias = (tf.convert_to_tensor(v) for v in (layer.dense.kernel, layer.bias))
        return tf.tanh(keras.ops.matmul(x, tf.transpose(kernel)) + bias)

    return call


CASES = {
    "Sampling": _sampling(Sampling),
    "GaussianLatent": _sampling(GaussianLatent),
    "FusedDense": Case(
        lambda **kwargs: FusedDense(6, "selu", bias_initializer="normal", **kwargs), _stock_dense
    ),
    "DenseTranspose": Case(_dense_transpose, _stock_dense_transpose),
    "Corruption": Case(
        lambda **kwargs: Corruption("gaussian", 0.3, SEED, **kwargs),
        lambda layer: keras.layers.GaussianNoise(0.3, SEED, dtype=layer.dtype_policy),
    ),
    "Sparsity": Case(
        lambda **kwargs: Sparsity(0.05, 0.1, **kwargs), lambda layer: keras.layers.Identity()
    ),
}
each_layer = pytest.mark.parametrize("name", CASES)
each_sampling_layer = pytest.mark.parametrize("layer_class", [Sampling, GaussianLatent])


def model_of(layer, features=FEATURES):
    """A sampling layer between dense ones."""
    inputs = keras.Input([features])
    dense = [keras.layers.Dense(4, name=name, dtype=layer.dtype_policy) for name in ("m", "v")]
    outputs = keras.layers.Dense(features, name="out")(layer([d(inputs) for d in dense]))
    return keras.Model(inputs, outputs)


def model_of_every_layer():
    """Every layer of the table, each after one dense layer for each of its inputs."""
    inputs = x = keras.Input([FEATURES])
    for name, case in CASES.items():
        layer = case.make(name=name)
        x = keras.tree.map_structure(lambda _: keras.layers.Dense(FEATURES)(x), case.inputs((1, 1)))  # noqa: B023
        x = layer(x)
    return keras.Model(inputs, keras.layers.Dense(FEATURES)(x))


def state(layer):
    """The state of the layer's seed generator."""
    return layer.seed_generator.state.value.numpy().tolist()
