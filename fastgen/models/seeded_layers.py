"""Layers with the initial weights that go with their activation, and a seed each."""

import keras
import numpy as np

INITIALIZERS = {
    "selu": keras.initializers.LecunNormal,
    "relu": keras.initializers.HeNormal,
    "elu": keras.initializers.HeNormal,
    "gelu": keras.initializers.HeNormal,
    "leaky_relu": keras.initializers.HeNormal,
    "silu": keras.initializers.HeNormal,
}


class Layers:
    """Makes layers, each with a seed of its own.

    Args:
        activation: of the hidden layers: a name, or a function.
        seed: Python integer ≥ 0 that determines the layers' seeds, or None for layers without.
    """

    def __init__(self, activation, seed):
        self.activation = activation
        self.initializer = INITIALIZERS.get(activation, keras.initializers.GlorotUniform)
        self.numbers_from = None if seed is None else np.random.default_rng(seed)

    def hidden(self, layer_class, *args, **kwargs):
        """A layer with the activation, and the initializer that goes with it."""
        initializer = self.initializer(seed=self.seed())
        activation = {"activation": self.activation, "kernel_initializer": initializer}
        return layer_class(*args, **activation, **kwargs)

    def linear(self, layer_class, *args, **kwargs):
        """A layer without activation, or with one that saturates."""
        initializer = keras.initializers.GlorotUniform(seed=self.seed())
        return layer_class(*args, kernel_initializer=initializer, **kwargs)

    @staticmethod
    def last(activation, name):
        """The last operation of a model, so that Keras' losses find the logits of a sigmoid."""
        return keras.layers.Activation(activation, dtype=wide_dtype(), name=name)

    def seed(self):
        """A seed for a layer, or None."""
        return None if self.numbers_from is None else int(self.numbers_from.integers(2**31))


def wide_dtype():
    """The dtype of a model's ends, float32 at least: a half sigmoid is 1 from a logit of 9 on."""
    return "float64" if keras.config.dtype_policy().variable_dtype == "float64" else "float32"
