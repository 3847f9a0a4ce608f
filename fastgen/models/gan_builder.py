"""Builds generative adversarial networks, dense and convolutional."""

import math

import keras
from keras import layers

from fastgen.models.gan import GAN
from fastgen.models.seeded_layers import Layers
from fastgen.ops import arguments


def dense_gan(
    codings=30, image_shape=(28, 28), hidden=(100, 150), *, activation="selu", seed=None, name="gan"
):
    """Builds a `fastgen.GAN` of dense layers: 30-100-150-784 against 784-150-100-1.

    Both networks end in a sigmoid, so that images are in [0, 1]. A step of it is one kernel.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> gan = fastgen.models.dense_gan(2, (4, 4), hidden=(8,), seed=1)
    >>> gan.compile()
    >>> history = gan.fit(np.random.default_rng(1).random((64, 4, 4)), verbose=0)
    >>> gan.generate(3, seed=1).shape
    (3, 4, 4)

    Args:
        codings: integer ≥ 1.
        image_shape: shape of an image.
        hidden: units of the generator's hidden layers; the discriminator has them in reverse.
        activation: of the hidden layers: a name, or a function.
        seed: Python integer ≥ 0, of the initial weights, of the noise and of the order of images,
            or None for seeds that `keras.utils.set_random_seed` determines.
        name: Name of the model.

    Returns:
        A `fastgen.GAN`, to be compiled.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Géron (2019), Hands-On Machine Learning, 2nd edition, chapter 17.
    """
    codings = arguments.count("dense_gan", "codings", codings)
    shape = arguments.integers("dense_gan", "image_shape", image_shape)
    hidden = arguments.integers("dense_gan", "hidden", hidden)
    parts = Layers(activation, seed)
    pixels = math.prod(shape)
    generator = keras.Sequential(
        [
            keras.Input((codings,), name="codings"),
            *(parts.hidden(layers.Dense, units) for units in hidden),
            parts.linear(layers.Dense, pixels, activation="sigmoid"),
            *([layers.Reshape(shape)] if shape != (pixels,) else []),
        ],
        name="generator",
    )
    discriminator = keras.Sequential(
        [
            keras.Input(shape, name="images"),
            *([layers.Flatten()] if shape != (pixels,) else []),
            *(parts.hidden(layers.Dense, units) for units in reversed(hidden)),
            parts.linear(layers.Dense, 1, activation="sigmoid"),
        ],
        name="discriminator",
    )
    return GAN(generator, discriminator, seed=seed, name=name)


def dcgan(
    codings=100,
    image_shape=(28, 28, 1),
    filters=(64, 128),
    *,
    dropout=0.4,
    seed=None,
    name="dcgan",
):
    """Builds a `fastgen.GAN` of convolutions, whose images are in [-1, 1].

    Generator: dense, 7·7·128 → [batch norm → transposed convolution, stride 2, SELU]... → batch
    norm → transposed convolution, stride 2, tanh. Discriminator: [convolution, stride 2, leaky ReLU
    → dropout]... → dense, 1, sigmoid. All convolutions are 5 × 5.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> gan = fastgen.models.dcgan(2, (4, 4), filters=(3,), seed=1)
    >>> gan.compile(batch_norm="book")
    >>> images = np.random.default_rng(1).random((32, 4, 4)) * 2 - 1
    >>> history = gan.fit(images, verbose=0)
    >>> gan.generate(3, seed=1).shape
    (3, 4, 4)

    Args:
        codings: integer ≥ 1.
        image_shape: `(height, width, channels)`, or `(height, width)` for one channel. Each
            convolution halves the height and the width, which must be even as often.
        filters: of the discriminator's convolutions; the generator has them in reverse.
        dropout: rate in [0, 1).
        seed: Python integer ≥ 0, of the initial weights, of the noise and of the order of images,
            or None for seeds that `keras.utils.set_random_seed` determines.
        name: Name of the model.

    Returns:
        A `fastgen.GAN`, to be compiled.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Radford et al. (2016), Unsupervised Representation Learning with Deep Convolutional
    Generative Adversarial Networks, https://arxiv.org/abs/1511.06434; these layers: Géron (2019),
    Hands-On Machine Learning, 2nd edition, chapter 17.
    """
    codings = arguments.count("dcgan", "codings", codings)
    shape = arguments.integers("dcgan", "image_shape", image_shape)
    filters = arguments.integers("dcgan", "filters", filters)
    halvings = 2 ** len(filters)
    if len(shape) not in (2, 3) or any(n % halvings for n in shape[:2]):
        raise ValueError(
            "dcgan: image_shape must be (height, width) or (height, width, channels), height and "
            f"width multiples of {halvings} for {len(filters)} convolutions of stride 2. "
            f"Received: {tuple(image_shape)}"
        )
    parts = Layers("selu", seed)
    small = tuple(n // halvings for n in shape[:2])
    generator = _transposed_convolutions(parts, codings, shape, filters, small)
    discriminator = _convolutions(parts, shape, filters, dropout)
    return GAN(generator, discriminator, seed=seed, name=name)


def _transposed_convolutions(parts, codings, shape, filters, small):
    channels = shape[2] if len(shape) == 3 else 1
    how = {"strides": 2, "padding": "same"}
    stack = [
        keras.Input((codings,), name="codings"),
        parts.linear(layers.Dense, math.prod(small) * filters[-1]),
        layers.Reshape((*small, filters[-1])),
    ]
    for units in reversed(filters[:-1]):
        stack += [layers.BatchNormalization()]
        stack += [parts.hidden(layers.Conv2DTranspose, units, 5, **how)]
    stack += [layers.BatchNormalization()]
    stack += [parts.linear(layers.Conv2DTranspose, channels, 5, activation="tanh", **how)]
    stack += [layers.Reshape(shape)] if len(shape) == 2 else []
    return keras.Sequential(stack, name="generator")


def _convolutions(parts, shape, filters, dropout):
    stack = [keras.Input(shape, name="images")]
    stack += [layers.Reshape((*shape, 1))] if len(shape) == 2 else []
    for units in filters:
        stack += [parts.linear(layers.Conv2D, units, 5, strides=2, padding="same")]
        stack += [layers.LeakyReLU(negative_slope=0.2)]
        stack += [layers.Dropout(dropout, seed=parts.seed())]
    stack += [layers.Flatten(), parts.linear(layers.Dense, 1, activation="sigmoid")]
    return keras.Sequential(stack, name="discriminator")
