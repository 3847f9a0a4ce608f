"""What is done to images: checks, dtypes, sizes, and which of them are held out."""

import numpy as np


def split(n, validation_split=0.1, seed=0):
    """Row numbers of the training part and of the validation part, shuffled by `seed`.

    Unless `validation_split` is 0, the validation part has at least one row and leaves one.
    """
    if not 0 <= validation_split < 1:
        raise ValueError(f"split: validation_split must be in [0, 1). Received: {validation_split}")
    # RandomState, not default_rng: NumPy promises that its stream never changes between versions.
    rows = np.random.RandomState(seed).permutation(n)
    held_out = 0 if validation_split == 0 else min(max(1, round(n * validation_split)), n - 1)
    return rows[held_out:], rows[:held_out]


def resize(x, height, width):
    """Bilinear resize of float images `[n, h, w]` with the conventions of `tf.image.resize`."""
    rows, columns = _interpolation(x.shape[1], height), _interpolation(x.shape[2], width)
    return rows @ x @ columns.T


def _interpolation(size_in, size_out):
    """The `[size_out, size_in]` matrix of the two bilinear weights of each output pixel."""
    centre = np.clip((np.arange(size_out) + 0.5) * size_in / size_out - 0.5, 0, size_in - 1)
    low = np.minimum(centre.astype(int), max(size_in - 2, 0))
    weights = np.zeros((size_out, size_in))
    pixel = np.arange(size_out)
    weights[pixel, low] = 1 - (centre - low)
    weights[pixel, np.minimum(low + 1, size_in - 1)] += centre - low
    return weights


def as_dtype(x, dtype):
    """Images as uint8 in 0..255 or as floats in [0, 1], from either."""
    dtype = np.dtype(dtype)
    if dtype != np.uint8 and dtype.kind != "f":
        raise ValueError(f"as_dtype: dtype must be uint8 or a float. Received: {dtype}")
    if x.dtype == np.uint8:
        return (
            x
            if dtype == np.uint8
            else np.divide(x, 255, dtype=np.promote_types(dtype, "float32")).astype(dtype)
        )
    return np.rint(x * 255.0).astype(np.uint8) if dtype == np.uint8 else x.astype(dtype)


def check_images(x):
    """Raises ValueError unless x is a stack of images as `read_npz` describes it."""
    if x.ndim not in (3, 4):
        raise ValueError(
            f"x must be [n, height, width] or [n, height, width, channels]. Received: {x.shape}"
        )
    if x.size == 0:
        raise ValueError(f"x holds no pixels. Received: shape {x.shape}")
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(f"x must be uint8, or float in [0, 1]. Received: {x.dtype}")
    # Written so that a NaN fails it too.
    if x.dtype.kind == "f" and not (x.min() >= 0 and x.max() <= 1):
        raise ValueError(f"float x must be in [0, 1]. Received: values from {x.min()} to {x.max()}")


def check_labels(y, n):
    """Raises ValueError unless y is None or one integer for each of n images."""
    if y is None:
        return
    if y.shape != (n,):
        raise ValueError(
            f"y must have one label for each of the {n} images. Received: shape {y.shape}"
        )
    if y.dtype.kind not in "ui":
        raise ValueError(f"y must be integers. Received: {y.dtype}")
