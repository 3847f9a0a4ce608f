"""Images as they are shown: uint8 RGBA, enlarged or reduced by whole factors, side by side."""

import math

import numpy as np
from PIL import Image

# Pixels of a picture's longer side: smaller images are enlarged to about as much, larger ones
# reduced to at most so much. Of 28×28 pixels both sides become 56.
ENLARGED = 60
REDUCED = 128
GAP = 4
# What no image holds: a value that is not a number shows at once.
NOT_A_NUMBER = (255, 0, 255, 255)


def as_pictures(op, images, value_range=(0, 1)):
    """Images as uint8 RGBA `[n, height, width, 4]`, not yet enlarged.

    Args:
        op: Name of the caller, for errors.
        images: uint8, or float: `[n, height, width]`, `[n, height, width, channels]` with 1 (grey),
            3 (RGB) or 4 (RGBA) channels, or `[n, side * side]`.
        value_range: Floats that are shown black and white; what is beyond is shown as these are.
            uint8 is 0 to 255.

    Raises:
        ValueError: Another shape, another dtype, an empty range.
    """
    images = with_pixels(op, images)
    low, high = value_range
    if not low < high:
        raise ValueError(f"{op}: value_range must be (low, high). Received: {value_range}")
    if images.ndim == 3:
        images = images[..., None]
    if 0 in images.shape:
        raise ValueError(f"{op}: images must have pixels. Received: {images.shape[:3]}")
    if images.shape[-1] not in (1, 3, 4):
        raise ValueError(f"{op}: images must have 1, 3 or 4 channels. Received: {images.shape}")
    pictures = np.full((*images.shape[:3], 4), 255, np.uint8)
    if images.dtype == np.uint8:
        pictures[..., : max(3, images.shape[-1])] = images
        return pictures
    images = (images.astype("float64") - low) / (high - low)
    bad = np.isnan(images).any(-1)
    shown = np.rint(255 * np.clip(np.nan_to_num(images), 0, 1))
    pictures[..., : max(3, images.shape[-1])] = shown.astype(np.uint8)
    pictures[bad] = NOT_A_NUMBER
    return pictures


def with_pixels(op, images):
    """Images `[n, height, width(, channels)]` of a dtype that can be shown, from flat ones too."""
    images = np.asarray(images)
    # NumPy does not count bfloat16 among the floats.
    if images.dtype.kind != "f" and images.dtype.name not in ("uint8", "bfloat16"):
        raise ValueError(f"{op}: images must be uint8 or float. Received: {images.dtype}")
    side = math.isqrt(images.shape[-1]) if images.ndim == 2 else 0
    if side and side * side == images.shape[1]:
        images = images.reshape(-1, side, side)
    if images.ndim not in (3, 4) or not len(images):
        raise ValueError(
            f"{op}: images must be [n, height, width], [n, height, width, channels] or "
            f"[n, side * side], with n > 0. Received: {images.shape}"
        )
    return images


def shown_size(height, width):
    """`(factor, divisor)`: how often each pixel is repeated, or how many become one."""
    longest = max(height, width)
    return max(1, round(ENLARGED / longest)), math.ceil(longest / REDUCED)


def resized(picture):
    """A picture enlarged by repeating its pixels, or reduced by averaging them."""
    factor, divisor = shown_size(*picture.shape[:2])
    if divisor > 1:
        picture = np.asarray(Image.fromarray(picture).reduce(divisor))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def cell_size(rows):
    """Height and width that the pictures of some rows are shown with."""
    first = next(picture for row in rows for picture in row if picture is not None)
    factor, divisor = shown_size(*first.shape[:2])
    return tuple(-(-size // divisor) * factor for size in first.shape[:2])


def mosaic(rows):
    """All pictures of some rows in one, with gaps through which the page can be seen."""
    height, width = cell_size(rows)
    columns = max(len(row) for row in rows)
    shape = len(rows) * (height + GAP) - GAP, columns * (width + GAP) - GAP, 4
    canvas = np.zeros(shape, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            if picture is not None:
                top, left = i * (height + GAP), j * (width + GAP)
                canvas[top : top + height, left : left + width] = resized(picture)
    return canvas
