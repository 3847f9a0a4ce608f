"""Autoencoders of dense layers and nothing else: linear, stacked, tied, overcomplete."""

import math

from fastgen.layers import DenseTranspose
from fastgen.models.autoencoders.parts import DenseParts
from fastgen.ops import arguments


def linear_autoencoder(input_shape=(3,), codings=2, *, seed=None, name="linear_autoencoder"):
    """Builds a linear `fastgen.models.Autoencoder`, by default 3-2-3.

    Trained by the mean squared error it finds the plane of the first principal components: what it
    makes of inputs is what PCA does.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> x = np.random.default_rng(1).normal(size=(60, 2)) @ [[1.0, 0.0, 0.5], [0.0, 0.5, 0.1]]
    >>> model = fastgen.models.linear_autoencoder(seed=1)
    >>> model.compile(fastgen.optimizers.SGD(0.5))
    >>> history = model.fit(x, epochs=200, verbose=0)
    >>> bool(history.history["loss"][-1] < 1e-3 * x.var())
    True

    Args:
        input_shape: as of `stacked_autoencoder`.
        codings: likewise.
        seed: likewise.
        name: Name of the model.

    Returns:
        A `fastgen.models.Autoencoder`, to be compiled.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Baldi & Hornik (1989), Neural Networks and Principal Component Analysis,
    https://doi.org/10.1016/0893-6080(89)90014-2; Géron (2022), Hands-On Machine Learning, 3rd
    edition, chapter 17.
    """
    parts = DenseParts("linear_autoencoder", input_shape, codings, (), "linear", seed)
    return parts.autoencoder(parts.encoder(), parts.decoder(), "linear", name)


def stacked_autoencoder(
    input_shape=(28, 28),
    codings=30,
    *,
    hidden=(100,),
    activation="relu",
    output_activation="linear",
    seed=None,
    name="stacked_autoencoder",
):
    """Builds a dense `fastgen.models.Autoencoder`, by default 784-100-30-100-784.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> model = fastgen.models.stacked_autoencoder((8, 8), 3, hidden=(16,), seed=1)
    >>> model.compile()
    >>> x = np.random.default_rng(1).random((32, 8, 8))
    >>> history = model.fit(x, validation_data=x, verbose=0)
    >>> model.encode(x).shape, model.predict(x, verbose=0).shape
    ((32, 3), (32, 8, 8))

    Args:
        input_shape: shape of an input: any.
        codings: integer ≥ 1.
        hidden: units of the encoder's hidden layers; the decoder has them in reverse.
        activation: of the hidden layers and the codings: a name, or a function.
        output_activation: of the outputs; `"sigmoid"` for the loss `"binary_crossentropy"`.
        seed: Python integer ≥ 0, of the initial weights, of noise and of the order of inputs, or
            None for seeds that `keras.utils.set_random_seed` determines.
        name: Name of the model.

    Returns:
        A `fastgen.models.Autoencoder`, to be compiled.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Géron (2022), Hands-On Machine Learning, 3rd edition, chapter 17.
    """
    parts = DenseParts("stacked_autoencoder", input_shape, codings, hidden, activation, seed)
    return parts.autoencoder(parts.encoder(), parts.decoder(), output_activation, name)


def tied_autoencoder(
    input_shape=(28, 28),
    codings=30,
    *,
    hidden=(100,),
    activation="relu",
    output_activation="linear",
    seed=None,
    name="tied_autoencoder",
):
    """Builds a stacked `fastgen.models.Autoencoder` whose decoder has the encoder's weights.

    Each layer of the decoder is a `fastgen.layers.DenseTranspose` of one of the encoder, with a
    bias of its own: half the weights of `stacked_autoencoder`.

    Example:
    >>> import fastgen
    >>> tied, stacked = fastgen.models.tied_autoencoder(), fastgen.models.stacked_autoencoder()
    >>> tied.count_params(), stacked.count_params()
    (82414, 163814)

    Args:
        input_shape: as of `stacked_autoencoder`.
        codings: likewise.
        hidden: likewise.
        activation: likewise.
        output_activation: likewise.
        seed: likewise.
        name: Name of the model.

    Returns:
        A `fastgen.models.Autoencoder`, to be compiled.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Géron (2022), Hands-On Machine Learning, 3rd edition, chapter 17, "Tying Weights".
    """
    parts = DenseParts("tied_autoencoder", input_shape, codings, hidden, activation, seed)
    outermost, *inner = dense = parts.dense(*parts.units, parts.codings)
    decoder = [*(DenseTranspose(x, activation) for x in reversed(inner)), DenseTranspose(outermost)]
    return parts.autoencoder([*parts.flatten(), *dense], decoder, output_activation, name)


def overcomplete_autoencoder(
    input_shape=(28, 28),
    codings=None,
    *,
    hidden=(),
    activation="relu",
    output_activation="linear",
    seed=None,
    name="overcomplete_autoencoder",
):
    """Builds a dense `fastgen.models.Autoencoder` of no fewer codings than inputs.

    Nothing keeps it from copying its inputs: `denoising_autoencoder` and `sparse_autoencoder` have
    a constraint that makes them learn more.

    Example:
    >>> import fastgen
    >>> fastgen.models.overcomplete_autoencoder((8, 8), seed=1).encoder.output_shape
    (None, 128)

    Args:
        input_shape: as of `stacked_autoencoder`.
        codings: integer, the number of inputs at least; by default twice that.
        hidden: as of `stacked_autoencoder`.
        activation: likewise.
        output_activation: likewise.
        seed: likewise.
        name: Name of the model.

    Returns:
        A `fastgen.models.Autoencoder`, to be compiled.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Géron (2022), Hands-On Machine Learning, 3rd edition, chapter 17.
    """
    builder = "overcomplete_autoencoder"
    inputs = math.prod(arguments.integers(builder, "input_shape", input_shape))
    codings = 2 * inputs if codings is None else codings
    arguments.count(builder, "codings", codings, least=inputs)
    parts = DenseParts(builder, input_shape, codings, hidden, activation, seed)
    return parts.autoencoder(parts.encoder(), parts.decoder(), output_activation, name)
