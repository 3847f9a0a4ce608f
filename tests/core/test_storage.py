"""Half and bfloat16 in memory: every bit pattern read, every kind of rounding written.

gaussian_kl_grad's d_mean = d_kl * mean is a window on both: with d_kl = 1 it stores what it loaded,
with mean = 1 it rounds d_kl, a float32, to the storage dtype.
"""

import numpy as np
import pytest

from tests.core.cases import core, numpy_dtype

narrow_dtypes = pytest.mark.parametrize("dtype", ["float16", "bfloat16"])


def assert_same_numbers(actual, expected):
    """Equal bits, but for the payload of NaNs."""
    nan = np.isnan(expected.astype("float32"))
    np.testing.assert_array_equal(np.isnan(actual.astype("float32")), nan)
    np.testing.assert_array_equal(actual[~nan].view(np.uint16), expected[~nan].view(np.uint16))


@narrow_dtypes
def test_every_pattern_survives(isa, dtype):
    mean = np.arange(2**16, dtype=np.uint16).view(numpy_dtype(dtype))[:, None]
    d_kl = np.ones(len(mean), "float32")
    assert_same_numbers(core.gaussian_kl_grad(mean, np.zeros_like(mean), d_kl)[0], mean)


@narrow_dtypes
def test_rounds_to_nearest_even(isa, dtype):
    """All upper halves of a float32, with lower ones on, below and above each tie."""
    low = [0, 1, 0x0FFF, 0x1000, 0x1001, 0x2FFF, 0x3000, 0x7FFF, 0x8000, 0x8001, 0xFFFF]
    bits = (np.arange(2**16, dtype=np.uint32)[:, None] << 16) | np.uint32(low)
    d_kl = bits.ravel().view("float32")
    one = np.ones([len(d_kl), 1], numpy_dtype(dtype))
    with np.errstate(over="ignore", invalid="ignore"):
        expected = d_kl.astype(one.dtype)
    assert_same_numbers(core.gaussian_kl_grad(one, 0 * one, d_kl)[0][:, 0], expected)
