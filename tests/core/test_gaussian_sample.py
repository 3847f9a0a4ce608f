"""z = mean + exp(log_var / 2) * eps and its gradient, against the float64 reference."""

import numpy as np
import pytest

from tests.core import reference
from tests.core.cases import (
    BEYOND_A_SHARE,
    SEED,
    SIZES,
    assert_same_bits,
    assert_within,
    core,
    draw,
    dtypes,
    guards_hold,
    numpy_dtype,
    poisoned,
    stated,
    unaligned,
    unit,
)
from tests.tolerances import NUMERIC, NUMERIC_STEP, SIGMAS, assert_as_exact_as, assert_close


@dtypes
def test_matches_reference(isa, dtype):
    for size in SIZES:
        mean, log_var = draw(dtype, size, size)
        out = poisoned(size, dtype)
        z = core.gaussian_sample(mean, log_var, SEED, out=out)
        assert z is out
        assert_close(z, reference.sample(mean, log_var, SEED), dtype)


@dtypes
def test_gradient_matches_reference(isa, dtype):
    for size in SIZES:
        log_var, d_z = draw(dtype, size, size)
        d_log_var = core.gaussian_sample_grad(log_var, SEED, d_z, out=poisoned(size, dtype))
        assert_close(d_log_var, reference.sample_grad(log_var, SEED, d_z), dtype)


def test_header_states_the_error_asserted_here():
    error = stated("kernels/gaussian_sample.h", "Error")
    assert "with s = exp(log_var/2) (1 + |eps|): z 8 u (|mean| + s), d_log_var 8 u |d_z| s" in error


@dtypes
def test_error_is_as_stated(isa, dtype):
    mean, log_var, d_z = draw(dtype, *[BEYOND_A_SHARE] * 3)
    log_var *= 4
    eps, u = reference.noise_like(mean, SEED), unit(dtype)
    spread = np.exp(log_var.astype("float64") / 2) * (1 + np.abs(eps))
    z, exact = core.gaussian_sample(mean, log_var, SEED), reference.sample(mean, log_var, SEED)
    assert_within(z, exact, 8 * u * (np.abs(mean.astype("float64")) + spread), dtype)
    d_log_var = core.gaussian_sample_grad(log_var, SEED, d_z)
    exact = reference.sample_grad(log_var, SEED, d_z)
    assert_within(d_log_var, exact, 8 * u * np.abs(d_z.astype("float64")) * spread, dtype)


@dtypes
def test_as_exact_as_tensorflow(isa, dtype):
    tf = pytest.importorskip("tensorflow")
    mean, log_var, d_z = draw(dtype, 1500, 1500, 1500)
    # TensorFlow rounds a seed's words alike for every dtype, so that the noise is the same.
    noise = tf.random.stateless_normal([1500], tf.constant(SEED, tf.int64), dtype=mean.dtype)
    stock_mean, stock_log_var = tf.constant(mean), tf.constant(log_var)
    with tf.GradientTape() as tape:
        tape.watch(stock_log_var)
        stock = stock_mean + tf.exp(stock_log_var / 2) * noise
    stock_grad = tape.gradient(stock, stock_log_var, tf.constant(d_z))
    z = core.gaussian_sample(mean, log_var, SEED)
    d_log_var = core.gaussian_sample_grad(log_var, SEED, d_z)
    assert_as_exact_as(z, stock, reference.sample(mean, log_var, SEED), dtype)
    assert_as_exact_as(d_log_var, stock_grad, reference.sample_grad(log_var, SEED, d_z), dtype)


@dtypes
def test_unaligned(isa, dtype):
    """Odd addresses give the same bits, and nothing is written beside the output."""
    for size in [*range(70), *SIZES[4:]]:
        mean, log_var = draw(dtype, size, size)
        z, d = (unaligned(poisoned(size, dtype)) for _ in range(2))
        core.gaussian_sample(unaligned(mean), unaligned(log_var), SEED, out=z)
        assert_same_bits(z, core.gaussian_sample(mean, log_var, SEED))
        core.gaussian_sample_grad(unaligned(log_var), SEED, unaligned(mean), out=d)
        assert_same_bits(d, core.gaussian_sample_grad(log_var, SEED, mean))
        assert guards_hold(z) and guards_hold(d)


@dtypes
@pytest.mark.parametrize("size", [63, BEYOND_A_SHARE])
def test_in_place(isa, dtype, size):
    mean, log_var = draw(dtype, size, size)
    z = core.gaussian_sample(mean, log_var, SEED)
    d_log_var = core.gaussian_sample_grad(log_var, SEED, mean)
    for place in (0, 1):
        x = [mean.copy(), log_var.copy()]
        assert_same_bits(core.gaussian_sample(*x, SEED, out=x[place]), z)
        x = [log_var.copy(), mean.copy()]
        assert_same_bits(core.gaussian_sample_grad(x[0], SEED, x[1], out=x[place]), d_log_var)
    same = core.gaussian_sample(mean, mean, SEED)
    assert_same_bits(core.gaussian_sample(mean, mean, SEED, out=mean), same)


@dtypes
def test_threads_do_not_change_a_bit(isa, threads, dtype):
    mean, log_var = draw(dtype, BEYOND_A_SHARE, BEYOND_A_SHARE)
    z, d = set(), set()
    for n in threads:
        core.set_threads(n)
        z.add(core.gaussian_sample(mean, log_var, SEED).tobytes())
        d.add(core.gaussian_sample_grad(log_var, SEED, mean).tobytes())
    assert len(z) == len(d) == 1


@dtypes
def test_a_smaller_batch_is_the_start_of_a_larger(isa, dtype):
    mean, log_var = draw(dtype, (256, 10), (256, 10))
    z = core.gaussian_sample(mean, log_var, SEED)
    d = core.gaussian_sample_grad(log_var, SEED, mean)
    for rows in (0, 1, 7, 32, 33):
        m, v = mean[:rows], log_var[:rows]
        assert_same_bits(core.gaussian_sample(m, v, SEED), z[:rows])
        assert_same_bits(core.gaussian_sample_grad(v, SEED, m), d[:rows])


def test_strided_and_shaped(isa):
    mean, log_var = draw("float32", (6, 20), (6, 20))
    every_other = core.gaussian_sample(mean[::2, ::2], log_var[::2, ::2], SEED)
    packed = core.gaussian_sample(mean[::2, ::2].copy(), log_var[::2, ::2].copy(), SEED)
    assert_same_bits(every_other, packed)
    assert_same_bits(
        core.gaussian_sample(mean.T, log_var.T, SEED).ravel().reshape(20, 6),
        core.gaussian_sample(mean.T.copy(), log_var.T.copy(), SEED),
    )
    scalar = core.gaussian_sample(mean[0, 0], log_var[0, 0], SEED)
    assert scalar.shape == ()
    deep = core.gaussian_sample(mean.reshape(2, 3, 4, 5), log_var.reshape(2, 3, 4, 5), SEED)
    assert_same_bits(deep.reshape(6, 20), core.gaussian_sample(mean, log_var, SEED))


@dtypes
def test_nan_and_inf(isa, dtype):
    """A NaN or inf reaches its own element and no other."""
    mean, log_var = draw(dtype, 200, 200)
    clean = core.gaussian_sample(mean, log_var, SEED)
    mean[3], mean[50], log_var[64], log_var[101], log_var[199] = (
        np.nan,
        np.inf,
        np.nan,
        -np.inf,
        np.inf,
    )
    z = core.gaussian_sample(mean, log_var, SEED)
    assert np.isnan(z[[3, 64]]).all()
    assert z[50] == np.inf and z[101] == mean[101] and np.isinf(z[199])
    others = np.delete(np.arange(200), [3, 50, 64, 101, 199])
    assert_same_bits(z[others], clean[others])
    d = core.gaussian_sample_grad(log_var, SEED, np.ones_like(mean))
    assert np.isnan(d[64]) and d[101] == 0 and np.isinf(d[199])
    d = core.gaussian_sample_grad(np.zeros_like(mean), SEED, mean)
    assert np.isnan(d[3]) and np.isinf(d[50])
    assert np.isfinite(np.delete(d, [3, 50]).astype("float32")).all()


@dtypes
def test_extreme_log_var(isa, dtype):
    """Finite and right at -80 and 80; half, whose range is 6e-5 to 65504, at -10 and 20."""
    low_high = [-10.0, 20.0] if dtype == "float16" else [-80.0, 80.0]
    ends = np.repeat(low_high, 100).astype(numpy_dtype(dtype))
    zero = np.zeros_like(ends)
    z = core.gaussian_sample(zero, ends, SEED)
    d = core.gaussian_sample_grad(ends, SEED, zero + 1)
    exact, exact_d = reference.sample(zero, ends, SEED), reference.sample_grad(ends, SEED, zero + 1)
    scale = np.exp(ends.astype("float64") / 2)
    assert np.isfinite(z.astype("float64")).all()
    assert_close(z / scale, exact / scale, dtype)
    assert_close(d / scale, exact_d / scale, dtype)


def test_gradient_matches_differences(isa):
    mean, log_var, d_z = draw("float64", 100, 100, 100)
    step = NUMERIC_STEP
    up, down = (core.gaussian_sample(mean, log_var + s, SEED) for s in (step, -step))
    rtol, atol = NUMERIC
    np.testing.assert_allclose(
        core.gaussian_sample_grad(log_var, SEED, d_z), d_z * (up - down) / (2 * step), rtol, atol
    )


def test_moments(isa):
    n = 1_000_000
    mean, log_var = np.full(n, 2.0, "float32"), np.full(n, np.log(9.0), "float32")
    z = core.gaussian_sample(mean, log_var, SEED).astype("float64")
    assert abs(z.mean() - 2) < SIGMAS * 3 / np.sqrt(n)
    assert abs(z.std() - 3) < SIGMAS * 3 / np.sqrt(2 * n)
