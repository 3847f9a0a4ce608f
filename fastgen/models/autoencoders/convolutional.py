"""The convolutional autoencoder."""

import math

from keras import layers

from fastgen.models.autoencoders.parts import Parts
from fastgen.ops import arguments


def convolutional_autoencoder(
    input_shape=(28, 28),
    codings=30,
    *,
    filters=(16, 32, 64),
    activation="relu",
    output_activation="linear",
    seed=None,
    name="convolutional_autoencoder",
):
    """Builds a convolutional `fastgen.models.Autoencoder` for images.

    Encoder: [convolution → max pooling, 2 × 2]... → convolution, `codings` filters → global average
    pooling. Decoder: dense, 3·3·16 → transposed convolutions of stride 2, each to the size before
    one of the poolings. All convolutions are 3 × 3.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> model = fastgen.models.convolutional_autoencoder((9, 8), 3, filters=(4, 8), seed=1)
    >>> model.compile()
    >>> x = np.random.default_rng(1).random((32, 9, 8))
    >>> history = model.fit(x, verbose=0)
    >>> model.encode(x).shape, model.predict(x, verbose=0).shape
    ((32, 3), (32, 9, 8))

    Args:
        input_shape: `(height, width, channels)`, or `(height, width)` for one channel. Each pooling
            halves height and width, rounded down.
        codings: integer ≥ 1.
        filters: of the encoder's convolutions before the poolings; the decoder has them in reverse.
        activation: as of `stacked_autoencoder`.
        output_activation: likewise.
        seed: likewise.
        name: Name of the model.

    Returns:
        A `fastgen.models.Autoencoder`, to be compiled.

    Raises:
        ValueError: if an argument is out of its range, or an image too small for the poolings.

    Source: Géron (2022), Hands-On Machine Learning, 3rd edition, chapter 17.
    """
    builder = "convolutional_autoencoder"
    parts = Parts(builder, input_shape, codings, activation, seed)
    filters = arguments.integers(builder, "filters", filters)
    least = 2 ** len(filters)
    if len(parts.shape) not in (2, 3) or min(parts.shape[:2]) < least:
        raise ValueError(
            f"{builder}: input_shape must be (height, width) or (height, width, channels), height "
            f"and width {least} at least for {len(filters)} poolings. Received: {input_shape!r}"
        )
    encoder, decoder = _encoder(parts, filters), _decoder(parts, filters)
    return parts.autoencoder(encoder, decoder, output_activation, name)


def _encoder(parts, filters):
    stack = [layers.Reshape((*parts.shape, 1))] if len(parts.shape) == 2 else []
    for units in filters:
        stack += [parts.hidden(layers.Conv2D, units, 3, padding="same"), layers.MaxPool2D(2)]
    last = parts.hidden(layers.Conv2D, parts.codings, 3, padding="same")
    return [*stack, last, layers.GlobalAvgPool2D()]


def _decoder(parts, filters):
    height, width, channels = (*parts.shape, 1)[:3]
    *sizes, small = [(height >> level, width >> level) for level in range(len(filters) + 1)]
    first = parts.linear(layers.Dense, math.prod(small) * filters[0])
    stack = [first, layers.Reshape((*small, filters[0]))]
    for level in reversed(range(len(filters))):
        make, units = (parts.hidden, filters[level - 1]) if level else (parts.linear, channels)
        odd = [n % 2 for n in sizes[level]]
        # n → 2n with padding "same", 2n + 1 with "valid".
        padding = "valid" if any(odd) else "same"
        stack += [make(layers.Conv2DTranspose, units, 3, strides=2, padding=padding)]
        if any(odd) and not all(odd):
            stack += [layers.Cropping2D([(0, 1 - n) for n in odd])]
    return stack
