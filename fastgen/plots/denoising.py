"""Images, the same with noise, and what a denoising autoencoder makes of these."""

import numpy as np

from fastgen.plots.grid import RECONSTRUCTIONS, reconstruct
from fastgen.plots.model_output import as_input, layers_of
from fastgen.plots.page import Block, finish, page
from fastgen.plots.pictures import as_pictures

LABELS = ("image", "corrupted", "denoised")
# By name: this package does not import Keras.
CORRUPTIONS = ("Corruption", "Dropout", "GaussianDropout", "GaussianNoise")


def denoising(model, images, corrupted=None, path=None, *, seed=0):
    """Draws images, below each its corrupted like, and below that what the model makes of it.

    Example:
    >>> import fastgen.data
    >>> import fastgen.models
    >>> import fastgen.plots
    >>> _, (images, _) = fastgen.data.load("digits")
    >>> model = fastgen.models.denoising_autoencoder((28, 28), seed=0)
    >>> figure = fastgen.plots.denoising(model, images[:8], path="denoising.png")

    Args:
        model: Has `encode(images)` and `decode(codings)`, or is any Keras autoencoder.
        images: As the model takes them; the first 12 are drawn. uint8 is divided by 255.
        corrupted: The same with noise. By default the model's own first layer of noise or dropout
            makes them, as in training; its seed does not move on.
        path: `.png` to write.
        seed: Of that noise; the same seed draws the same page.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: Images that cannot be shown, corrupted ones of another shape, or none where the
            model has no layer that corrupts.

    Source: Vincent et al. (2008), Extracting and Composing Robust Features with Denoising
    Autoencoders.
    """
    return finish(page([denoising_block("denoising", model, images, corrupted, seed)]), path)


def denoising_block(op, model, images, corrupted=None, seed=0):
    """The triptych: inputs, corrupted inputs, outputs."""
    images = as_input(images[:RECONSTRUCTIONS])
    if corrupted is None:
        corrupted = _corrupt(op, model, images, seed)
    corrupted = as_input(corrupted[:RECONSTRUCTIONS])
    if corrupted.shape != images.shape:
        raise ValueError(
            f"{op}: corrupted images must have the shape of the images, {images.shape}. "
            f"Received: {corrupted.shape}"
        )
    outputs = reconstruct(op, model, corrupted)
    rows = [list(as_pictures(op, each)) for each in (images, corrupted, outputs)]
    return Block(rows, labels=list(LABELS))


def _corrupt(op, model, images, seed):
    """Images as the model's layer that corrupts them would leave them in training."""
    layer = _corruption(model)
    if layer is None:
        raise ValueError(
            f"{op}: corrupted images are needed for a model that does not begin with noise or "
            f"dropout. Received: {type(model).__name__} {getattr(model, 'name', '')!r}, "
            "corrupted=None"
        )
    again = type(layer).from_config({**layer.get_config(), "seed": seed})
    return np.asarray(again(images.astype("float32"), training=True))


def _corruption(model):
    """The layer of noise or dropout in front of all weights, or None."""
    for layer in layers_of(model):
        if type(layer).__name__ in CORRUPTIONS:
            return layer
        if layer.weights:
            return None
    return None
