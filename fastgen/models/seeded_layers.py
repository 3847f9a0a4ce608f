"""Layers with the initial weights that go with their activation, and a seed each."""

import keras

INITIALIZERS = {
    "selu": keras.initializers.LecunNormal,
    "relu": keras.initializers.HeNormal,
    "elu": keras.initializers.HeNormal,
    "gelu": keras.initializers.HeNormal,
    "leaky_relu": keras.initializers.HeNormal,
    "silu": keras.initializers.HeNormal,
}


class Layers:
    """Makes layers, each with a seed of its own."""

    def __init__(self, activation, numbers_from):
        self.activation = activation
        self.initializer = INITIALIZERS.get(activation, keras.initializers.GlorotUniform)
        self.numbers_from = numbers_from

    def hidden(self, layer_class, *args, **kwargs):
        """A layer with the activation, and the initializer that goes with it."""
        initializer = self.initializer(seed=self.seed())
        activation = {"activation": self.activation, "kernel_initializer": initializer}
        return layer_class(*args, **activation, **kwargs)

    def linear(self, layer_class, *args, **kwargs):
        """A layer without activation, or with one that saturates."""
        initializer = keras.initializers.GlorotUniform(seed=self.seed())
        return layer_class(*args, kernel_initializer=initializer, **kwargs)

    def seed(self):
        """A seed for a layer, or None."""
        return None if self.numbers_from is None else int(self.numbers_from.integers(2**31))
