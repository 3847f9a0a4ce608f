"""Images: scikit-learn's digits, offline, MNIST's files and .npz files, none of them trusted."""

from fastgen.data.idx import read_idx, read_idx_folder, read_idx_pair
from fastgen.data.images import as_dtype, resize, split
from fastgen.data.loading import load
from fastgen.data.npz import read_npz
from fastgen.data.sources import SOURCES, digits, fashion_mnist, mnist

__all__ = [
    "SOURCES",
    "as_dtype",
    "digits",
    "fashion_mnist",
    "load",
    "mnist",
    "read_idx",
    "read_idx_folder",
    "read_idx_pair",
    "read_npz",
    "resize",
    "split",
]
