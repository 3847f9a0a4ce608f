"""From the name or the path of a data set to its training and validation parts."""

import os
from pathlib import Path

from fastgen.data.idx import read_idx_pair
from fastgen.data.images import as_dtype, split
from fastgen.data.sources import SOURCES, find_local, read_parts

VALIDATION_SPLIT = 0.1


def load(source="digits", *, validation_split=None, seed=0, dtype="float32"):
    """Loads images and labels, split into a training and a validation part.

    Example:
    >>> import fastgen.data
    >>> (x_train, y_train), (x_valid, y_valid) = fastgen.data.load("digits")
    >>> x_train.shape, x_valid.shape
    ((1617, 28, 28), (180, 28, 28))

    Args:
        source: `"digits"` (scikit-learn's, offline); `"mnist"`, `"fashion_mnist"` or another name
            for what the folder FASTGEN_DATA holds under it (see `find_local`; the first two are
            fetched by `keras.datasets` where it holds nothing); or a path: of an `.npz` file (see
            `read_npz`), of a folder with MNIST's four `.gz` files, or of one such file of images,
            with the labels of the file beside it, if any.
        validation_split: Fraction of the images to hold out, in [0, 1). None: the source's own test
            part, or a tenth where it has none. A fraction is held out of the training part, and
            leaves the test part unread.
        seed: Chooses which images are held out; the same seed always chooses the same. A test part
            needs no choice.
        dtype: `"uint8"` for values 0 to 255, or a float dtype for values in [0, 1].

    Returns:
        `(x_train, y_train), (x_valid, y_valid)`. Images are `[n, height, width]` or
        `[n, height, width, channels]`; labels are `[n]`, or None where the file has none.

    Raises:
        ValueError: An unknown name, a file that cannot be used, an argument out of range.
        FileNotFoundError: No such file.
        ConnectionError: A source that is not at hand could not be fetched.
    """
    train, *test = _parts(source)
    if validation_split is None and test:
        return tuple((as_dtype(x, dtype), y) for x, y in (train, *test))
    x, y = train
    held_out = VALIDATION_SPLIT if validation_split is None else validation_split
    parts = split(len(x), held_out, seed)
    x = as_dtype(x, dtype)
    return tuple((x[rows], None if y is None else y[rows]) for rows in parts)


def _parts(source):
    """The parts of a source, each `(x, y)` as read: one, or a training part and a test part."""
    if isinstance(source, str) and source in SOURCES:
        return SOURCES[source]()
    if isinstance(source, os.PathLike) or (isinstance(source, str) and _is_path(source)):
        if str(source).endswith(".gz"):
            return (_images_and_labels(Path(source)),)
        return read_parts(source)
    if isinstance(source, str) and source and (local := find_local(source)):
        return read_parts(local)
    names = ", ".join(repr(name) for name in SOURCES)
    raise ValueError(
        f"load: source must be one of {names}, a name in the folder FASTGEN_DATA, or the path of "
        f"an .npz file, an IDX .gz file or a folder of them. Received: {source!r}"
    )


def _is_path(source):
    return source.endswith((".npz", ".gz")) or os.sep in source or os.path.exists(source)


def _images_and_labels(path):
    """One IDX file of images with the labels that MNIST's naming puts beside it."""
    labels = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
    return read_idx_pair(path, labels if labels != path and labels.is_file() else None)
