"""Shapes and arrays that the tests of CUDA kernels share; small, for each thread is a fiber."""

import numpy as np

from tests.core.cases import SEED, draw, dtypes, kl_dtype, poisoned
from tests.cuda.memory import Host

__all__ = ["CODES", "MATRICES", "SEED", "SIZES", "draw", "dtypes", "kl_dtype", "poisoned", "seed"]

CODES = {"float32": 0, "float64": 1, "bfloat16": 2, "float16": 3}
SIZES = [0, 1, 3, 8, 63, 1024, 4099]
# Columns: none, one, odd, packs of every dtype, a warp's end, a wide line, pieces of one.
MATRICES = [
    *((3, 0), (0, 8), (1, 1), (70, 2), (9, 10), (33, 8), (5, 64), (2, 129)),
    *((3, 256), (2, 1024), (3, 1032), (1, 1025), (2, 16384 + 24), (1, 3 * 16384 + 1)),
]


def seed(words=SEED):
    """A seed as kernels read it."""
    return Host(np.array(words, np.int64))


def shifted(array, elements=1):
    """A copy whose address is that many elements past one that 16 divides."""
    memory = np.empty(array.size + elements, array.dtype)
    copy = memory[elements:].reshape(array.shape)
    copy[...] = array
    return copy
