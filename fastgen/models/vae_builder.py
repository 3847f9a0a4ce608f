"""Builds variational autoencoders, dense and convolutional, for images of any shape."""

import math

import keras
from keras import layers

from fastgen.layers import GaussianLatent
from fastgen.models.seeded_layers import Layers
from fastgen.models.vae import VariationalAutoencoder
from fastgen.ops import arguments

HIDDEN = {"dense": (150, 100), "convolutional": (32, 64)}


def variational_autoencoder(
    input_shape=(28, 28),
    codings=10,
    *,
    kind="dense",
    hidden=None,
    activation="selu",
    reconstruction="binary_crossentropy",
    reduction="sum",
    beta=1.0,
    free_bits=0.0,
    prior=None,
    seed=None,
    name="variational_autoencoder",
):
    """Builds a `fastgen.models.VariationalAutoencoder`: by default 784-150-100-[10]-100-150-784.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> vae = fastgen.models.variational_autoencoder((8, 8), codings=2, hidden=(16,), seed=1)
    >>> vae.compile("nadam")
    >>> x = np.random.default_rng(1).random((32, 8, 8))
    >>> history = vae.fit(x, validation_data=x, verbose=0)
    >>> vae.encode(x).shape, vae.generate(3, seed=1).shape
    ((32, 2), (3, 8, 8))

    Args:
        input_shape: shape of an image: any, or for a convolutional model `(height, width)` or
            `(height, width, channels)`.
        codings: integer ≥ 1.
        kind: `"dense"`, or `"convolutional"`, whose layers halve the image, and double it again,
            by strides of 2.
        hidden: units of the encoder's hidden layers, or filters of a convolutional one; the
            decoder has them in reverse. By default (150, 100), or (32, 64) filters.
        activation: of the hidden layers: a name, or a function.
        reconstruction: `"binary_crossentropy"`, of images in [0, 1] with a sigmoid output, or
            `"mean_squared_error"`, with a linear output.
        reduction: `"sum"` or `"mean"` over pixels: see `VariationalAutoencoder`.
        beta: number ≥ 0 or schedule: see `VariationalAutoencoder`.
        free_bits: number ≥ 0, nats for each coding: see `fastgen.layers.GaussianLatent`.
        prior: `fastgen.layers.Prior` of as many codings, or None for the standard normal.
        seed: Python integer, of the initial weights and of the noise, or None for seeds that
            `keras.utils.set_random_seed` determines.
        name: Name of the model.

    Returns:
        A `VariationalAutoencoder`, to be compiled.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Géron (2022), Hands-On Machine Learning, 3rd edition, chapter 17.
    """
    owner = "variational_autoencoder"
    arguments.choice(owner, "kind", kind, tuple(HIDDEN))
    shape = arguments.integers(owner, "input_shape", input_shape)
    hidden = arguments.integers(owner, "hidden", HIDDEN[kind] if hidden is None else hidden)
    codings = arguments.count(owner, "codings", codings)
    if kind == "convolutional" and len(shape) not in (2, 3):
        raise ValueError(
            "variational_autoencoder: a convolutional model needs an input_shape (height, width) "
            f"or (height, width, channels). Received: {input_shape!r}"
        )
    parts = Layers(activation, seed)
    latent = GaussianLatent(seed=seed, free_bits=free_bits, prior=prior, name="gaussian_latent")
    images = keras.Input(shape, name="images")
    x = _dense_encoder(parts, hidden, images) if kind == "dense" else None
    x = _convolutional_encoder(parts, hidden, images) if x is None else x
    mean, log_var = (parts.linear(layers.Dense, codings, name=n)(x) for n in ("mean", "log_var"))
    encoder = keras.Model(images, [mean, log_var, latent([mean, log_var])], name="encoder")

    z = keras.Input((codings,), name="codings")
    decode = _dense_decoder if kind == "dense" else _convolutional_decoder
    x = layers.Reshape(shape)(decode(parts, hidden, z, shape))
    last = "sigmoid" if reconstruction == "binary_crossentropy" else "linear"
    decoder = keras.Model(z, parts.last(last, name="images")(x), name="decoder")
    return VariationalAutoencoder(
        encoder, decoder, reconstruction=reconstruction, reduction=reduction, beta=beta, name=name
    )


def _dense_encoder(parts, hidden, images):
    x = layers.Flatten()(images)
    for units in hidden:
        x = parts.hidden(layers.Dense, units)(x)
    return x


def _dense_decoder(parts, hidden, z, shape):
    for units in reversed(hidden):
        z = parts.hidden(layers.Dense, units)(z)
    return parts.linear(layers.Dense, math.prod(shape))(z)


def _convolutional_encoder(parts, hidden, images):
    x = layers.Reshape((*images.shape[1:3], -1))(images)  # a channel for grey images
    for filters in hidden:
        x = parts.hidden(layers.Conv2D, filters, 3, strides=2, padding="same")(x)
    return layers.Flatten()(x)


def _convolutional_decoder(parts, hidden, z, shape):
    sizes = [shape[:2]]
    for _ in hidden:
        sizes.append(tuple(-(-n // 2) for n in sizes[-1]))
    x = parts.hidden(layers.Dense, math.prod(sizes[-1]) * hidden[-1])(z)
    x = layers.Reshape((*sizes[-1], hidden[-1]))(x)
    channels = shape[2] if len(shape) == 3 else 1
    outputs = [channels, *hidden[:-1]]
    for level in reversed(range(len(hidden))):
        size, filters = sizes[level], outputs[level]
        make = parts.hidden if level else parts.linear
        x = make(layers.Conv2DTranspose, filters, 3, strides=2, padding="same")(x)
        extra = [(0, now - wanted) for now, wanted in zip(x.shape[1:3], size, strict=True)]
        if any(b for _, b in extra):
            x = layers.Cropping2D(tuple(extra))(x)
    return x
