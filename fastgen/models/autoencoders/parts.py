"""What the autoencoders of this family share: how they begin and end, and the dense layers."""

import math

import keras
from keras import layers

from fastgen.models.autoencoder import Autoencoder
from fastgen.models.seeded_layers import Layers, wide_dtype
from fastgen.ops import arguments


class Parts(Layers):
    """Makes the layers of an autoencoder, and the autoencoder of them.

    Args:
        builder: name of the function that builds it, for messages.
        input_shape: as of `stacked_autoencoder`.
        codings: likewise.
        activation: of the hidden layers and the codings.
        seed: as of `stacked_autoencoder`.
    """

    def __init__(self, builder, input_shape, codings, activation=None, seed=None):
        seed = None if seed is None else arguments.count(builder, "seed", seed, least=0)
        super().__init__(activation, seed)
        self.builder, self.model_seed = builder, seed
        self.shape = arguments.integers(builder, "input_shape", input_shape)
        self.codings = arguments.count(builder, "codings", codings)
        self.inputs = math.prod(self.shape)

    def autoencoder(self, encoder, decoder, output_activation, name):
        """The model.

        Args:
            encoder: list of layers, inputs → codings.
            decoder: list of layers, codings → as many numbers as there are inputs.
            output_activation: what makes the outputs of these numbers.
            name: of the model.
        """
        # In this order: a layer can be tied to one that has been built.
        first = keras.Input(self.shape, dtype=wide_dtype(), name="inputs")
        encoder = keras.Sequential([first, *encoder], name="encoder")
        first = keras.Input((self.codings,), dtype=wide_dtype(), name="codings")
        decoder = keras.Sequential([first, *decoder], name="decoder")
        if decoder.output_shape[1:] != self.shape:
            decoder.add(layers.Reshape(self.shape))
        decoder.add(self.last(output_activation, name="outputs"))
        return Autoencoder(encoder, decoder, seed=self.model_seed, name=name)


class DenseParts(Parts):
    """The same of dense layers.

    Args:
        builder: as of `Parts`, and so the others.
        input_shape: likewise.
        codings: likewise.
        hidden: as of `stacked_autoencoder`.
        activation: likewise.
        seed: likewise.
    """

    def __init__(self, builder, input_shape, codings, hidden, activation, seed):
        super().__init__(builder, input_shape, codings, activation, seed)
        self.units = arguments.integers(builder, "hidden", hidden, empty=True)

    def flatten(self):
        """The layer that makes vectors of the inputs, if they are none."""
        return [layers.Flatten()] if len(self.shape) > 1 else []

    def dense(self, *units):
        """Hidden layers."""
        return [self.hidden(layers.Dense, n) for n in units]

    def encoder(self):
        """Dense layers down to the codings."""
        return [*self.flatten(), *self.dense(*self.units, self.codings)]

    def decoder(self):
        """Dense layers up from the codings."""
        return [*self.dense(*reversed(self.units)), self.linear(layers.Dense, self.inputs)]
