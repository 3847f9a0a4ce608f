"""Arrays of more elements than 32 bits can number."""

from pathlib import Path

import numpy as np
import pytest

from tests.core import reference
from tests.core.cases import SEED, core
from tests.tolerances import assert_close

COLS = 64
ROWS = 2**31 // COLS + 3
SPAN = 2 * COLS  # of elements that are looked at
STARTS = [0, 2**30 - COLS, 2**31 - COLS, ROWS * COLS - SPAN]
NEEDED = 8 * 2**30


def available_bytes():
    """What Linux could give without swapping; none where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))


def noise(start):
    """The noise of `SPAN` elements from `start` on."""
    words = reference.words(SEED, SPAN // 4, start // 4) & 0x7FFFFF
    u, v = words[:, ::2] * 2.0**-23, words[:, 1::2] * 2.0**-23
    return reference.box_muller(np.maximum(u, float(np.float32(1e-7))), v).ravel()


def test_noise_from_the_middle():
    np.testing.assert_array_equal(noise(SPAN), reference.normal(2 * SPAN, SEED, "float16")[SPAN:])


@pytest.mark.slow
def test_sample_and_kl_beyond_32_bits():
    if available_bytes() < NEEDED:
        pytest.skip(f"{NEEDED / 2**30:.0f} GiB of memory are not available")
    # One array is mean, log_var and, in the end, z: 4.3 GB.
    x = np.zeros([ROWS, COLS], np.float16)
    flat = x.reshape(-1)
    rng = np.random.default_rng(1)
    drawn = [rng.standard_normal(SPAN).astype(np.float16) for _ in STARTS]
    for start, values in zip(STARTS, drawn, strict=True):
        flat[start : start + SPAN] = values
    z, kl = core.gaussian_sample_kl(x, x, SEED, out=(x, np.full(ROWS, np.nan, np.float32)))
    assert z is x
    for start, values in zip(STARTS, drawn, strict=True):
        value = values.astype(np.float64)
        expected = value + np.exp(value / 2) * noise(start)
        assert_close(flat[start : start + SPAN], expected, "float16")
        rows = slice(start // COLS, (start + SPAN) // COLS)
        matrix = values.reshape(-1, COLS)
        assert_close(kl[rows], reference.kl(matrix, matrix), "float32", n=COLS)
    # The rest was zeros, whose KL divergence is 0: every row was written, and no other drawn.
    assert np.count_nonzero(kl) == len(STARTS) * SPAN // COLS
