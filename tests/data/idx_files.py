"""Writes MNIST's file format, honest or not."""

import gzip
import struct

import numpy as np

from fastgen.data.idx import FILES

RANDOM = np.random.RandomState(0)
PARTS = {
    part: (RANDOM.randint(0, 256, (n, 5, 4)).astype(np.uint8), np.arange(n, dtype=np.uint8))
    for part, n in (("train", 12), ("test", 6))
}


def idx_bytes(array, shape=None):
    """The bytes of an IDX file, whose header claims `shape`."""
    shape = array.shape if shape is None else shape
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + array.tobytes()


def write_idx(path, array, shape=None):
    path.write_bytes(gzip.compress(idx_bytes(array, shape), mtime=0))
    return path


def write_folder(folder):
    """MNIST's four files with PARTS in them."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, names in FILES.items():
        for name, array in zip(names, PARTS[part], strict=True):
            write_idx(folder / name, array)
    return folder
