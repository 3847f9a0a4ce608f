"""What the units of a layer look for in images, or draw into them: their weights as pictures."""

import math

import numpy as np

from fastgen.plots.grid import image_grid
from fastgen.plots.model_output import layers_of

COUNT = 64


def filters(model, layer=None, count=COUNT, columns=None, path=None):
    """Draws the weights between a layer's units and the pixels, a picture for each unit.

    `grey = 1/2 + w / (2 max|w|)`, the maximum that of the unit: a weight of 0 is mid-grey, the
    unit's largest is black or white. A unit of weights that are no numbers is drawn magenta.

    Example:
    >>> import fastgen.models
    >>> import fastgen.plots
    >>> vae = fastgen.models.variational_autoencoder((28, 28), seed=0)
    >>> figure = fastgen.plots.filters(vae, count=16, path="filters.png")

    Args:
        model: Keras model of images, best a trained one.
        layer: Name of a layer; by default the first one that has weights of pixels. Such are dense
            layers with as many inputs as the images have pixels and channels, those with as many
            outputs, and convolutions, transposed or not, of images of 1, 3 or 4 channels. Weights
            of opacity are not drawn.
        count: Pictures at most: those of the layer's first units.
        columns: Pictures in a row; by default the grid is about square.
        path: `.png` to write.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: No layer of that name, or none with weights of pixels; a count below 1.

    Source: Bengio et al. (2007), Greedy Layer-Wise Training of Deep Networks; Géron (2022),
    Hands-On Machine Learning, 3rd edition, chapter 17.
    """
    if count < 1:
        raise ValueError(f"filters: count must be at least 1. Received: {count}")
    shape = _image_shape(model)
    layers = [*layers_of(model)]
    found = (_of_pixels(each, shape) for each in layers if layer in (None, each.name))
    weights = next((weights for weights in found if weights is not None), None)
    if weights is None:
        names = [each.name for each in layers if _of_pixels(each, shape) is not None]
        which = f"be one of {', '.join(names)}" if names else "this model has none"
        raise ValueError(
            f"filters: layer must have weights of pixels of images {shape}, and {which}. "
            f"Received: {layer!r}"
        )
    weights = weights[:count]
    if weights.ndim == 4 and weights.shape[3] == 4:  # RGBA
        weights = weights[..., :3]
    largest = np.abs(weights).max(axis=tuple(range(1, weights.ndim)), keepdims=True)
    scaled = np.divide(weights, largest, out=np.zeros_like(weights), where=largest != 0)
    return image_grid(scaled, columns, path, value_range=(-1, 1))


def _image_shape(model):
    """Of the model's inputs; of a GAN's images."""
    shape = getattr(model, "image_shape", None) or getattr(model, "input_shape", (None,))[1:]
    if not shape or None in shape:
        raise ValueError(f"filters: model must take images of a known shape. Received: {model!r}")
    return tuple(shape)


def _of_pixels(layer, shape):
    """Weights `[units, *image or patch]` of a layer, or None."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None or not getattr(layer, "built", False):
        return None
    kernel = kernel.numpy().astype("float32")
    if kernel.ndim == 2:  # of a transposed one, too, the units are in the columns
        pixels = math.prod(shape)
        if kernel.shape[0] != pixels:
            kernel = kernel.T
        return kernel.T.reshape(-1, *shape) if kernel.shape[0] == pixels else None
    channels = shape[2] if len(shape) == 3 else 1
    if kernel.ndim == 4 and kernel.shape[2] == channels in (1, 3, 4):
        patches = np.moveaxis(kernel, 3, 0)
        return patches[..., 0] if channels == 1 else patches
    return None
