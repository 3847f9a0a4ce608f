"""Sizes, dtypes and arrays that the kernels' tests share."""

import importlib.machinery
import importlib.util
import re
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

if not isinstance(
    importlib.util.find_spec("fastgen.core").loader, importlib.machinery.ExtensionFileLoader
):
    pytest.skip("fastgen.core is not built", allow_module_level=True)

from fastgen import core as core
from tests.tolerances import ulp

CSRC = Path(__file__).resolve().parents[2] / "csrc"

DTYPES = ["float32", "float64", "float16", "bfloat16"]
BEYOND_A_SHARE = 100_003
SIZES = [0, 1, 7, 63, 1023, 1500, BEYOND_A_SHARE]
# Rows x columns: columns around vector lengths, none, one, more than a panel; rows likewise.
SHAPES = [
    (0, 10),
    (7, 0),
    (1, 1),
    (63, 1),
    (1500, 2),
    (7, 10),
    (1023, 10),
    (33, 64),
    (5, 63),
    (256, 65),
    (10_001, 10),
    (2, BEYOND_A_SHARE),
]
SEED = (11, -(2**40))

dtypes = pytest.mark.parametrize("dtype", DTYPES)


def numpy_dtype(name):
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def kl_dtype(name):
    return np.dtype("float64" if name == "float64" else "float32")


def draw(dtype, *shapes):
    """An array of normal numbers for each shape."""
    rng = np.random.default_rng(len(shapes))
    return [rng.standard_normal(shape).astype(numpy_dtype(dtype)) for shape in shapes]


def poisoned(shape, dtype):
    """An output whose every unwritten element is NaN."""
    return np.full(shape, np.nan, numpy_dtype(str(dtype)))


GUARD = 64


def unaligned(array):
    """A copy that starts at an odd address, between guard bytes."""
    raw = np.full(array.nbytes + 2 * GUARD + 1, 0xA5, np.uint8)
    start = GUARD + (raw.ctypes.data + 1) % 2
    copy = raw[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def guards_hold(array):
    """Whether nothing was written beside an unaligned() array."""
    raw = array.base
    start = array.ctypes.data - raw.ctypes.data if array.size else GUARD
    return bool((raw[:start] == 0xA5).all() and (raw[start + array.nbytes :] == 0xA5).all())


def unit(dtype):
    """The u of the headers' error bounds: half the precision that dtype is computed in."""
    return 2.0**-53 if dtype == "float64" else 2.0**-24


def assert_within(actual, exact, bound, dtype):
    """|actual - exact| <= bound + half an ulp of dtype; shows the worst element if not."""
    assert np.shape(actual) == np.shape(exact)
    if not np.size(exact):
        return
    bound = bound + ulp(exact, dtype) / 2
    ratio = np.abs(np.asarray(actual, "float64") - exact) / bound
    at = f"at {ratio.argmax()} of {ratio.shape}"
    assert ratio.max() <= 1, f"{ratio.max():.3f} of the error stated, {at}"


def assert_same_bits(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape
    if a.tobytes() != b.tobytes():
        np.testing.assert_array_equal(a, b)
        raise AssertionError("equal numbers of different bits: signs of zeros, or NaNs")


def stated(header, label):
    """What a header of csrc says after `label:` in its opening comment, as one line."""
    comment = re.match(r"(?:// ?.*\n)+", (CSRC / header).read_text(encoding="utf-8")).group()
    comment = re.sub(r"(?m)^// ?", "", comment)
    found = re.search(rf"(?ms)^{label}: (.*?)(?=^\w+: |\Z)", comment)
    return re.sub(r"\s+", " ", found.group(1)) if found else ""
