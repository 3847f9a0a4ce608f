"""How work is cut for CUDA kernels, and what they take by value: csrc/cuda, in Python."""

from typing import NamedTuple

import numpy as np

THREADS = 256  # of a block
MOST_BLOCKS = 16384
WIDE_FROM, PIECE = 1025, 16384  # columns: csrc/cuda/rows.h
BLOCKS, PIECES, ROWS = 1024, 256, 8  # csrc/cuda/columns.h
L1 = 2  # the kind: csrc/kernels/sparsity.h

# The structs that kernels take by value.
LINES = np.dtype(
    [*((name, np.int64) for name in ("count", "cols", "pieces", "piece")), ("lanes", np.int32)],
    align=True,
)
COLUMN_CUT = np.dtype(
    [
        *((name, np.int64) for name in ("rows", "cols", "rows_of_piece")),
        *((name, np.int32) for name in ("packs", "abreast", "tiles")),
    ],
    align=True,
)
ROW_SUMS = np.dtype([("of_rows", np.uint64), ("of_pieces", np.uint64), ("scale", np.float64)])
NOISE_SEED = np.dtype([("stream", np.uint32, 4), ("words", np.uint64)])


class Storage(NamedTuple):
    """A dtype as the kernels know it."""

    name: str  # in C++
    real: str  # what it is computed in
    size: int  # bytes

    @property
    def number(self):
        """The type of scalars in NumPy."""
        return np.float64 if self.real == "double" else np.float32


# By fg_dtype.
STORAGE = (
    Storage("float", "float", 4),
    Storage("double", "double", 8),
    Storage("fastgen::cuda::bfloat16", "float", 2),
    Storage("fastgen::cuda::float16", "float", 2),
    Storage("uint8_t", "", 1),
)
BYTES = 4


class Cut(NamedTuple):
    """How a matrix is cut: the template arguments of its kernel, and its lines."""

    template: str
    lines: dict
    real: str

    @property
    def blocks(self):
        """Of a grid over all lines."""
        return grid(-(-self.lines["count"] // (THREADS // self.lines["lanes"])))


def cut_rows(dtype, rows, cols, arrays, targets_dtype=None):
    """lines_of and for_width_of_rows of csrc/cuda/rows.h."""
    storage, wide = STORAGE[dtype], cols >= WIDE_FROM
    n = width_of_columns(storage, cols, arrays)
    if wide:
        pieces = -(-cols // PIECE)
        lines = {"count": rows * pieces, "pieces": pieces, "piece": PIECE, "lanes": THREADS}
    else:
        lanes = 1
        while lanes < 32 and lanes * n < cols:
            lanes *= 2
        lines = {"count": rows, "pieces": 1, "piece": cols, "lanes": lanes}
    types = [storage.name] if targets_dtype is None else [storage.name, STORAGE[targets_dtype].name]
    template = f"{', '.join(types)}, {n}, {str(wide).lower()}, {storage.real}"
    return Cut(template, {**lines, "cols": cols}, storage.real)


def cut_columns(rows, cols, n):
    """columns_of of csrc/cuda/columns.h."""
    packs_of_row = -(-cols // n)
    packs, abreast = min(packs_of_row, THREADS), 1
    while 2 * abreast * packs <= THREADS:
        abreast *= 2
    tiles = -(-packs_of_row // packs)
    pieces = min(BLOCKS // tiles, PIECES, rows // (ROWS * abreast))
    of_piece = -(-rows // pieces) if pieces > 1 else rows
    cut = {"rows": rows, "cols": cols, "rows_of_piece": of_piece}
    return {**cut, "packs": packs, "abreast": abreast, "tiles": tiles}


def width_of_columns(storage, cols, arrays):
    """for_width of csrc/cuda/launch.h."""
    return width(storage, arrays) if cols % width(storage) == 0 else 1


def width(storage, arrays=()):
    """Elements that a thread loads at once: 16 bytes, where 16 divides all addresses."""
    return 16 // storage.size if all(array % 16 == 0 for array in arrays) else 1


def grid(blocks):
    """grid_of of csrc/cuda/launch.h."""
    return min(blocks, MOST_BLOCKS)


def struct(dtype, values):
    """A struct as CuPy passes it by value."""
    return np.array([tuple(values[name] for name in dtype.names)], dtype)


def pointers(*addresses):
    """Addresses as kernels take them."""
    return [np.uint64(address) for address in addresses]
