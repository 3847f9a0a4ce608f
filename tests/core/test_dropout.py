"""Elements dropped by the mask of a seed. test_corruption.py has the rest."""

import numpy as np
import pytest

from tests.core import reference
from tests.core.cases import (
    BEYOND_A_SHARE,
    SEED,
    assert_within,
    core,
    draw,
    dtypes,
    numpy_dtype,
    poisoned,
    stated,
    unit,
)
from tests.tolerances import SIGMAS

RATE = 0.3
CASES = [(shape, RATE) for shape in [(0,), (), (1,), (7, 10), (1023,), (BEYOND_A_SHARE,)]]
CASES += [((3, 1500), rate) for rate in (0.0, 0.5, 1.0)]


@dtypes
def test_matches_reference(isa, dtype):
    for shape, rate in CASES:
        (x,) = draw(dtype, shape)
        x = np.asarray(x)
        out = poisoned(shape, dtype)
        assert core.dropout(x, rate, SEED, out=out) is out
        exact = reference.dropout(x, rate, SEED)
        np.testing.assert_array_equal(out == 0, exact == 0)
        if out.size:
            bound = 2 * unit(dtype) * np.abs(x.astype("float64")) / (1 - rate or 1)
            assert_within(out, exact, bound, dtype)


def test_header_states_the_error_asserted_here():
    assert "y 2 u |x| / (1 - rate)" in stated("kernels/dropout.h", "Error")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rate_that_is_one_of_the_uniforms(isa, dtype):
    """U >= rate keeps equality, on either side of the roundings of rate."""
    u = reference.uniform(64, SEED, numpy_dtype(dtype))
    for rate in u[:16]:
        kept = core.dropout(np.ones(64, dtype), float(rate), SEED) != 0
        np.testing.assert_array_equal(kept, u >= rate)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_share_and_mean(isa, dtype):
    y = core.dropout(np.ones(100_000, dtype), RATE, SEED)
    assert abs(np.mean(y == 0) - RATE) < SIGMAS * np.sqrt(RATE * (1 - RATE) / y.size)


def test_nan_and_inf_stay_or_are_dropped(isa):
    kept = core.dropout(np.ones(64, "float32"), RATE, SEED) != 0
    for value in (np.nan, np.inf, -np.inf):
        y = core.dropout(np.full(64, value, "float32"), RATE, SEED)
        np.testing.assert_array_equal(y[kept], np.full(kept.sum(), value, "float32"))
        assert (y[~kept] == 0).all() and not kept.all()


@pytest.mark.parametrize("rate", [-0.1, 1.1, np.nan])
def test_rates_out_of_range(rate):
    with pytest.raises(ValueError, match=r"^dropout: rate must be in \[0, 1\]. Received: "):
        core.dropout(np.ones(3), rate, SEED)
