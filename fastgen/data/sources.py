"""The data sets that have a name: digits, offline; others from FASTGEN_DATA or keras.datasets."""

import os
from pathlib import Path

import numpy as np

from fastgen.data.idx import FILES, read_idx_folder
from fastgen.data.images import as_dtype, resize
from fastgen.data.npz import read_npz


def digits(size=28):
    """scikit-learn's 1797 handwritten digits, 8×8, resized: uint8 `[1797, size, size]`, labels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = resize(bunch.images / 16.0, size, size)
    return as_dtype(x, "uint8"), bunch.target.astype(np.uint8)


def mnist():
    """MNIST's parts, each `(x, y)`: 70,000 handwritten digits, uint8 `[n, 28, 28]`.

    From the folder that the variable FASTGEN_DATA names (see `find_local`), else through
    `keras.datasets`, which needs the network once.

    Raises:
        ValueError: A local file cannot be used.
        ConnectionError: No local file, and the network does not yield one.
    """
    return _parts("mnist")


def fashion_mnist():
    """Fashion-MNIST's parts: 70,000 pieces of clothing, in the manner of `mnist`."""
    return _parts("fashion_mnist")


# Name -> function that returns the source's parts: one, or a training part and a test part.
SOURCES = {"digits": lambda: (digits(),), "mnist": mnist, "fashion_mnist": fashion_mnist}


def _parts(name):
    local = find_local(name)
    return read_parts(local) if local else _download(name)


def find_local(name):
    """The path of the data set `name` in the folder FASTGEN_DATA, or None.

    The first that exists of `<name>.npz`, the folder `<name>` with MNIST's four `.gz` files, and,
    for a name in `SOURCES`, these files in FASTGEN_DATA itself.
    """
    folder = os.environ.get("FASTGEN_DATA")
    if not folder:
        return None
    if (path := Path(folder, f"{name}.npz")).is_file():
        return path
    holders = [Path(folder, name), *([Path(folder)] if name in SOURCES else [])]
    return next((path for path in holders if (path / FILES["train"][0]).is_file()), None)


def read_parts(path):
    """The parts of the data set at a local path: an `.npz` file or a folder of MNIST's files."""
    return read_idx_folder(path) if Path(path).is_dir() else (read_npz(path),)


def _download(name):
    try:
        import keras

        return getattr(keras.datasets, name).load_data()
    except ImportError:
        raise
    # Keras raises bare Exception for a failed download, and what gzip or NumPy raise for a file
    # that it has kept damaged.
    except Exception as error:
        folder = os.environ.get("FASTGEN_DATA") or "(not set)"
        raise ConnectionError(
            f"load: {name!r} could not be had through keras.datasets ({error}). Without a network, "
            f"put {name}.npz (keys x, y) or MNIST's four .gz files into the folder that "
            f"FASTGEN_DATA names. Received: FASTGEN_DATA={folder}"
        ) from error
