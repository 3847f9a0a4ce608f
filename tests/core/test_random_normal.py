"""Noise against TensorFlow's stateless_normal, the reference, and the normal distribution."""

import numpy as np
import pytest

from tests.core import reference
from tests.core.cases import BEYOND_A_SHARE, core, poisoned, stated, unaligned
from tests.tolerances import NOISE, P_VALUE, SIGMAS

SEEDS = [(0, 0), (1, 2), (-1, -2), (2**33 + 5, -(2**63)), (2**63 - 1, 2**32)]
SIZES = [0, 1, 3, 7, 31, 33, 63, 1023, 1500, BEYOND_A_SHARE]
# What kernels/random_normal.h states, as |eps - exact| / (1 + |exact|).
ERROR = {"float32": 4e-7, "float64": 2e-15}
STATED = "float32 4e-7 (1 + |eps|), float64 2e-15 (1 + |eps|)"

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def error(eps, expected):
    return np.max(np.abs(eps - expected) / (1 + np.abs(expected)), initial=0)


def test_header_states_the_error_asserted_here():
    assert STATED in stated("kernels/random_normal.h", "Error")


@dtypes
@pytest.mark.parametrize(
    ("size", "seed"), [*((size, SEEDS[1]) for size in SIZES), *((1023, seed) for seed in SEEDS)]
)
def test_matches_reference(isa, dtype, seed, size):
    eps = core.random_normal(size, seed, dtype, out=poisoned([size], dtype))
    assert eps.dtype == dtype
    assert error(eps, reference.normal(size, seed, dtype)) <= ERROR[dtype]


@dtypes
@pytest.mark.parametrize("seed", SEEDS)
def test_matches_tensorflow(isa, dtype, seed):
    tf = pytest.importorskip("tensorflow")
    expected = tf.random.stateless_normal([1023], tf.constant(seed, tf.int64), dtype=dtype)
    assert error(core.random_normal(1023, seed, dtype), expected.numpy()) <= NOISE


@dtypes
def test_element_depends_on_its_index_alone(isa, dtype):
    longer = core.random_normal(BEYOND_A_SHARE + 100, (3, 4), dtype)
    for size in [*range(70), 1023, BEYOND_A_SHARE]:
        out = unaligned(np.full(size, np.nan, dtype))
        core.random_normal([size], (3, 4), dtype, out=out)
        np.testing.assert_array_equal(out, longer[:size])


@dtypes
def test_threads_do_not_change_a_bit(isa, threads, dtype):
    results = []
    for n in (1, 2, 3, 8):
        core.set_threads(n)
        results.append(core.random_normal([BEYOND_A_SHARE], (5, 6), dtype).tobytes())
    assert len(set(results)) == 1


@dtypes
def test_is_normal(isa, dtype):
    stats = pytest.importorskip("scipy.stats")
    n = 1_000_000
    eps = core.random_normal(n, (7, 8), dtype).astype(np.float64)
    assert abs(eps.mean()) < SIGMAS / np.sqrt(n)
    assert abs(eps.var() - 1) < SIGMAS * np.sqrt(2 / n)
    assert abs(np.mean(eps**3)) < SIGMAS * np.sqrt(15 / n)
    assert abs(np.mean(eps**4) - 3) < SIGMAS * np.sqrt(96 / n)
    assert stats.kstest(eps, "norm").pvalue > P_VALUE
    # The two halves of a Box-Muller pair, and neighbours across pairs and groups.
    for lag in (1, 2, 4):
        assert abs(np.mean(eps[:-lag] * eps[lag:])) < SIGMAS / np.sqrt(n)


def test_seeds_differ():
    draws = {core.random_normal([16], seed).tobytes() for seed in SEEDS}
    draws |= {core.random_normal([16], (b, a)).tobytes() for a, b in SEEDS if a != b}
    assert len(draws) == len(SEEDS) + len(SEEDS) - 1


def test_shape_is_flat_order():
    flat = core.random_normal(24, (1, 2))
    np.testing.assert_array_equal(core.random_normal((2, 3, 4), (1, 2)).ravel(), flat)
    assert core.random_normal((), (1, 2)) == flat[0]
