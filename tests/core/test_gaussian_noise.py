"""Gaussian noise added to an array. test_corruption.py has the rest."""

import numpy as np

from tests.core import reference
from tests.core.cases import (
    BEYOND_A_SHARE,
    SEED,
    assert_same_bits,
    assert_within,
    core,
    draw,
    dtypes,
    poisoned,
    stated,
    unit,
)

STDDEV = 0.3


def bound_of(x):
    eps = np.abs(reference.noise_like(x, SEED))
    return 8 * unit(x.dtype.name) * (np.abs(x.astype("float64")) + STDDEV * (1 + eps))


@dtypes
def test_matches_reference(isa, dtype):
    for shape in [(0,), (), (1,), (7, 10), (1023,), (3, 1500), (BEYOND_A_SHARE,)]:
        (x,) = draw(dtype, shape)
        x = np.asarray(x)
        out = poisoned(shape, dtype)
        assert core.gaussian_noise(x, STDDEV, SEED, out=out) is out
        exact = x.astype("float64") + STDDEV * reference.noise_like(x, SEED)
        if out.size:
            assert_within(out, exact, bound_of(x), dtype)


def test_header_states_the_error_asserted_here():
    assert "y 8 u (|x| + stddev (1 + |eps|))" in stated("kernels/gaussian_noise.h", "Error")


def test_equals_random_normal_scaled(isa):
    zeros = np.zeros([1000])
    assert_same_bits(
        core.gaussian_noise(zeros, 2.0, SEED), 2 * core.random_normal(1000, SEED, "float64")
    )


def test_nan_and_inf_stay(isa):
    x = np.array([np.nan, np.inf, -np.inf, 0], "float32")
    np.testing.assert_array_equal(core.gaussian_noise(x, STDDEV, SEED)[:3], x[:3])
