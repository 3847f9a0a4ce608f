"""Gradients of 16 MiB and more are written past the caches where aligned: the same bits arrive."""

import numpy as np
import pytest

from tests.core.cases import core, unaligned

SHAPES = {"float32": [(65536, 64), (64777, 65)], "float64": [(32768, 65)]}


def aligned(shape, dtype):
    """NaNs at an address that every vector width divides."""
    count = int(np.prod(shape))
    raw = np.full(count + 64 // np.dtype(dtype).itemsize, np.nan, dtype)
    start = -raw.ctypes.data % 64 // raw.itemsize
    return raw[start : start + count].reshape(shape)


@pytest.mark.parametrize(
    ("dtype", "shape"), [(dtype, shape) for dtype, shapes in SHAPES.items() for shape in shapes]
)
def test_streamed_gradients_have_the_bits_of_stored_ones(isa, threads, dtype, shape):
    rng = np.random.default_rng(0)
    mean, log_var, d_z = (rng.standard_normal(shape, dtype) for _ in range(3))
    d_kl = rng.standard_normal(shape[:1], dtype)
    calls = {
        core.gaussian_kl_grad: (mean, log_var, d_kl),
        core.gaussian_sample_kl_grad: (mean, log_var, (1, 2), d_z, d_kl),
    }
    for gradient, arguments in calls.items():
        # An odd address is never aligned: these are stored.
        expected = tuple(unaligned(np.full(shape, np.nan, dtype)) for _ in range(2))
        gradient(*arguments, out=expected)
        for count in threads[:2]:
            core.set_threads(count)
            out = aligned(shape, dtype), aligned(shape, dtype)
            gradient(*arguments, out=out)
            for value, wanted in zip(out, expected, strict=True):
                assert value.tobytes() == wanted.tobytes()
    d_log_var = core.gaussian_sample_grad(log_var, (1, 2), d_z, out=aligned(shape, dtype))
    wanted = core.gaussian_sample_grad(log_var, (1, 2), d_z, out=unaligned(d_z * np.nan))
    assert d_log_var.tobytes() == wanted.tobytes()
