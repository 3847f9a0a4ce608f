"""The recurrent autoencoder."""

import keras
from keras import layers

from fastgen.models.autoencoders.parts import Parts
from fastgen.ops import arguments


def recurrent_autoencoder(
    input_shape=(28, 28),
    codings=30,
    *,
    hidden=(100,),
    output_activation="linear",
    seed=None,
    name="recurrent_autoencoder",
):
    """Builds a `fastgen.models.Autoencoder` of LSTM layers for sequences, or images row by row.

    By default LSTM 100-30, the last step's outputs are the codings; they are repeated at each step
    for LSTM 100, then dense 28.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> model = fastgen.models.recurrent_autoencoder((12, 1), 2, hidden=(8,), seed=1)
    >>> model.compile()
    >>> phases = np.random.default_rng(1).random((32, 1, 1))
    >>> x = np.sin(6 * (phases + np.arange(12)[:, None] / 12))
    >>> history = model.fit(x, verbose=0)
    >>> model.encode(x).shape, model.predict(x, verbose=0).shape
    ((32, 2), (32, 12, 1))

    Args:
        input_shape: `(steps, features)`, or `(height, width, channels)` of images whose rows are
            the steps.
        codings: integer ≥ 1.
        hidden: units of the encoder's layers before that of the codings; the decoder has them in
            reverse.
        output_activation: as of `stacked_autoencoder`.
        seed: likewise.
        name: Name of the model.

    Returns:
        A `fastgen.models.Autoencoder`, to be compiled.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Srivastava et al. (2015), Unsupervised Learning of Video Representations using LSTMs,
    https://arxiv.org/abs/1502.04681; Géron (2022), Hands-On Machine Learning, 3rd edition, chapter
    17.
    """
    builder = "recurrent_autoencoder"
    parts = Parts(builder, input_shape, codings, seed=seed)
    hidden = arguments.integers(builder, "hidden", hidden)
    if len(parts.shape) not in (2, 3):
        raise ValueError(
            f"{builder}: input_shape must be (steps, features) or (height, width, channels). "
            f"Received: {input_shape!r}"
        )
    steps = parts.shape[0]
    features = parts.inputs // steps
    rows = [layers.Reshape((steps, features))] if len(parts.shape) == 3 else []
    down = [_lstm(parts, units) for units in hidden]
    encoder = [*rows, *down, _lstm(parts, parts.codings, sequences=False)]
    up = [_lstm(parts, units) for units in reversed(hidden)]
    decoder = [layers.RepeatVector(steps), *up, parts.linear(layers.Dense, features)]
    return parts.autoencoder(encoder, decoder, output_activation, name)


def _lstm(parts, units, sequences=True):
    recurrent = keras.initializers.Orthogonal(seed=parts.seed())
    how = {"recurrent_initializer": recurrent, "return_sequences": sequences}
    return parts.linear(layers.LSTM, units, **how)
