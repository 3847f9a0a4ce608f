"""Of dropout and gaussian_noise, which map one array by the noise of a seed: places, threads."""

import pytest

from tests.core.cases import (
    BEYOND_A_SHARE,
    SEED,
    assert_same_bits,
    core,
    draw,
    dtypes,
    guards_hold,
    poisoned,
    unaligned,
)

kernels = pytest.mark.parametrize(
    "kernel", [core.dropout, core.gaussian_noise], ids=lambda kernel: kernel.__name__
)
STRENGTH = 0.3  # rate of the one, standard deviation of the other


@kernels
@dtypes
def test_unaligned_and_in_place(isa, dtype, kernel):
    for size in (1, 3, 15, 17, 63, 1025, 20_011):
        (x,) = draw(dtype, size)
        expected = kernel(x, STRENGTH, SEED)
        out = unaligned(poisoned(size, dtype))
        assert_same_bits(kernel(unaligned(x), STRENGTH, SEED, out=out), expected)
        assert guards_hold(out)
        assert_same_bits(kernel(x, STRENGTH, SEED, out=x), expected)


@kernels
@dtypes
def test_threads_do_not_change_a_bit(isa, threads, dtype, kernel):
    (x,) = draw(dtype, BEYOND_A_SHARE)
    results = set()
    for n in threads:
        core.set_threads(n)
        results.add(kernel(x, STRENGTH, SEED).tobytes())
    assert len(results) == 1
