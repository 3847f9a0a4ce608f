"""Reads the gzipped IDX files of MNIST and its like without trusting them."""

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from fastgen.data.images import check_images, check_labels
from fastgen.data.npz import CHUNK, DEFLATE_RATIO, MAX_BYTES

UINT8 = 0x08  # the header's code of the one type that these files use
# As MNIST and Fashion-MNIST are published: part -> (images, labels).
FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
DAMAGE = (zlib.error, EOFError, gzip.BadGzipFile)


def read_idx(path):
    """Reads the uint8 array of one `.idx.gz` file that may be damaged or hostile.

    The file is unpacked in chunks, and never further than its header claims: memory grows with
    what it really yields.

    Args:
        path: A gzipped file: two zero bytes, the type 8, the number of dimensions, each of these
            as a big-endian uint32, then the values.

    Returns:
        A uint8 array of the header's shape.

    Raises:
        ValueError: Not such a file, truncated, damaged, or of another size than its header claims.
            The message names the file.
        OSError: The file cannot be opened.
    """
    with open(path, "rb") as packed:
        try:
            with gzip.open(packed) as file:
                return _read_array(file, os.fstat(packed.fileno()).st_size)
        except DAMAGE as error:
            raise ValueError(
                f"{path} is not a gzipped IDX file, or is truncated or damaged: {error}"
            ) from error
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def _read_array(file, packed):
    """The array in an open IDX file of `packed` compressed bytes."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0":
        raise ValueError(f"not an IDX file: it starts with the bytes {start.hex(' ') or '(none)'}")
    if start[2] != UINT8:
        raise ValueError(f"values must be uint8 (type 0x08). Received: type 0x{start[2]:02x}")
    sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise ValueError("truncated: it ends within its header")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    size = math.prod(shape)
    if size > packed * DEFLATE_RATIO:
        raise ValueError(f"damaged: claims {size} bytes {shape} and takes {packed} in the file")
    if size > MAX_BYTES:
        raise ValueError(f"has {size} bytes, more than the {MAX_BYTES} that are read")
    data = bytearray()
    # One byte more than claimed: it shows data beyond the claim, and at the end of the file it
    # makes gzip compare the checksum.
    while chunk := file.read(min(CHUNK, size + 1 - len(data))):
        data += chunk
    if len(data) != size:
        more = "more" if len(data) > size else len(data)
        raise ValueError(f"truncated or damaged: claims {size} bytes {shape} and has {more}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def read_idx_pair(images, labels=None):
    """Images of one IDX file, and labels of another; ValueError where they do not fit together."""
    x = read_idx(images)
    try:
        check_images(x)
    except ValueError as error:
        raise ValueError(f"{images}: {error}") from error
    if labels is None:
        return x, None
    y = read_idx(labels)
    try:
        check_labels(y, len(x))
    except ValueError as error:
        raise ValueError(f"{labels}: {error}") from error
    return x, y


def read_idx_folder(folder):
    """`(x_train, y_train), (x_test, y_test)` from the four files of MNIST in a folder.

    Raises:
        ValueError: A file is missing or cannot be used; see `read_idx`.
    """
    folder = Path(folder)
    missing = [name for part in FILES.values() for name in part if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder}: expected MNIST's four files. Missing: {', '.join(missing)}")
    return tuple(read_idx_pair(*(folder / name for name in part)) for part in FILES.values())
