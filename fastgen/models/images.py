"""Checks of images before a training moves any weight."""

import numpy as np
import tensorflow as tf


def check_images(owner, name, images, shape, unit_range=None):
    """Refuses images that a model cannot learn from. Looks at arrays, not at datasets.

    Args:
        owner: Name of the caller, for the message.
        name: Name of the argument, for the message.
        images: `(n, *shape)` array or eager tensor; anything else is left alone.
        shape: Shape of one image.
        unit_range: What needs all values to be in [0, 1], or None.

    Raises:
        ValueError: Another shape or dtype, values out of range, NaN or infinity.
    """
    if isinstance(images, (list, tuple)) or tf.is_tensor(images):
        images = np.asarray(images)
    if not isinstance(images, np.ndarray):
        return
    if images.shape[1:] != tuple(shape) or images.ndim == 0:
        expected = ", ".join(map(str, ("n", *shape)))
        raise ValueError(
            f"{owner}: {name} must be images of shape ({expected}). Received: {images.shape}"
        )
    if images.dtype.kind not in "fuib":
        raise ValueError(f"{owner}: {name} must hold numbers. Received: {images.dtype}")
    if not images.size:
        return
    low, high = images.min(), images.max()  # NaN if any value is
    received = f"Received: {images.dtype} from {low} to {high}"
    if unit_range and not (low >= 0 and high <= 1):
        hint = "; divide by 255 first" if high > 1 and images.dtype == np.uint8 else ""
        raise ValueError(f"{owner}: {unit_range} needs {name} in [0, 1]{hint}. {received}")
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{owner}: {name} must be finite. {received}")
