"""Grids of images: any, from the prior, or inputs above their reconstructions."""

import math

from fastgen.plots.model_output import as_input, decode, encode, generate, require, value_range
from fastgen.plots.page import Block, finish, page
from fastgen.plots.pictures import as_pictures

RECONSTRUCTIONS = 12


def image_grid(images, columns=None, path=None, *, value_range=(0, 1)):
    """Draws images row by row.

    Each pixel of an image becomes a square of whole pixels, and no grey value is stretched: black
    and white are the same in every picture. A value that is not a number is drawn magenta.

    Example:
    >>> import fastgen.data
    >>> import fastgen.plots
    >>> _, (images, _) = fastgen.data.load("digits")
    >>> figure = fastgen.plots.image_grid(images[:20], columns=5, path="digits.png")

    Args:
        images: `[n, height, width]`, `[n, height, width, channels]` with 1, 3 or 4 channels, or
            `[n, side * side]`; uint8, or float in `value_range`, beyond which they are clipped.
        columns: Images in a row; by default the grid is about square.
        path: `.png` to write.
        value_range: Floats that are black and white, such as `(-1, 1)` behind a tanh.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: Images of another shape or dtype, or columns below 1.
    """
    pictures = as_pictures("image_grid", images, value_range)
    if columns is None:
        columns = math.ceil(math.sqrt(len(pictures)))
    if columns < 1:
        raise ValueError(f"image_grid: columns must be at least 1. Received: {columns}")
    return finish(page([Block(rows_of(pictures, columns))]), path)


def rows_of(pictures, columns):
    """Pictures in rows of so many, the last of which may be shorter."""
    return [list(pictures[i : i + columns]) for i in range(0, len(pictures), columns)]


def samples(model, count=64, seed=None, path=None):
    """Draws new images, decoded from codings of the model's prior.

    Example:
    >>> import fastgen.models
    >>> import fastgen.plots
    >>> vae = fastgen.models.variational_autoencoder((28, 28), seed=0)
    >>> figure = fastgen.plots.samples(vae, count=16, seed=42, path="samples.png")

    Args:
        model: Has `generate(n, seed)`, such as `fastgen.models.VariationalAutoencoder`.
        count: Number of images.
        seed: Of the codings; None takes others each time.
        path: `.png` to write.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: A model without `generate`, or a count below 1.
    """
    images = generate("samples", model, count, seed)
    return image_grid(images, path=path, value_range=value_range(model))


def reconstructions(model, images, path=None):
    """Draws images and below each what the model makes of it.

    The reconstruction is the decoded mean of the codings, without noise. A model that has no
    `encode` and `decode` is asked to `predict`.

    Example:
    >>> import fastgen.data
    >>> import fastgen.models
    >>> import fastgen.plots
    >>> _, (images, _) = fastgen.data.load("digits")
    >>> vae = fastgen.models.variational_autoencoder((28, 28), seed=0)
    >>> figure = fastgen.plots.reconstructions(vae, images[:8], path="reconstructions.png")

    Args:
        model: Has `encode(images)` and `decode(codings)`, or is any Keras autoencoder.
        images: As the model takes them; the first 12 are drawn. uint8 is divided by 255.
        path: `.png` to write.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: Images that cannot be shown.
    """
    return finish(page([reconstruction_block("reconstructions", model, images)]), path)


def reconstruction_block(op, model, images):
    """Inputs above reconstructions."""
    inputs = as_pictures(op, images[:RECONSTRUCTIONS])
    outputs = as_pictures(op, reconstruct(op, model, images[:RECONSTRUCTIONS]))
    return Block([list(inputs), list(outputs)], labels=["input", "reconstruction"])


def reconstruct(op, model, images):
    """Images as the model gives them back, without the noise of its latent layer."""
    if hasattr(model, "encode") and hasattr(model, "decode"):
        return decode(op, model, encode(op, model, images))
    # The inputs of a model that draws from a prior, a GAN's say, are codings.
    require(op, model, *(("encode", "decode") if hasattr(model, "generate") else ("predict",)))
    return model.predict(as_input(images), verbose=0)
