"""The one pass must give what gaussian_sample and gaussian_kl give apart."""

import numpy as np
import pytest

from tests.core import reference
from tests.core.cases import (
    SEED,
    SHAPES,
    assert_same_bits,
    assert_within,
    core,
    draw,
    dtypes,
    guards_hold,
    kl_dtype,
    poisoned,
    stated,
    unaligned,
    unit,
)
from tests.tolerances import NUMERIC, NUMERIC_STEP, assert_as_exact_as, assert_close


def inputs(dtype, shape):
    """mean, log_var, d_z and d_kl."""
    return (*draw(dtype, shape, shape, shape), *draw(kl_dtype(dtype).name, shape[0]))


@dtypes
def test_matches_reference(isa, dtype):
    for shape in SHAPES:
        mean, log_var, _, _ = inputs(dtype, shape)
        out = poisoned(shape, dtype), poisoned(shape[0], kl_dtype(dtype))
        z, kl = core.gaussian_sample_kl(mean, log_var, SEED, out=out)
        assert z is out[0] and kl is out[1]
        expected = reference.sample_kl(mean, log_var, SEED)
        assert_close(z, expected[0], dtype)
        assert_close(kl, expected[1], kl_dtype(dtype), n=shape[1])


@dtypes
def test_gradient_matches_reference(isa, dtype):
    for shape in SHAPES:
        mean, log_var, d_z, d_kl = inputs(dtype, shape)
        out = poisoned(shape, dtype), poisoned(shape, dtype)
        core.gaussian_sample_kl_grad(mean, log_var, SEED, d_z, d_kl, out=out)
        expected = reference.sample_kl_grad(mean, log_var, SEED, d_z, d_kl)
        for ours, exact in zip(out, expected, strict=True):
            assert_close(ours, exact, dtype)


def test_header_states_the_error_asserted_here():
    error = stated("kernels/gaussian_sample_kl.h", "Error")
    assert "z and kl are gaussian_sample's and gaussian_kl's to the bit; gradients the sum" in error


@dtypes
def test_gradients_err_as_stated(isa, dtype):
    mean, log_var, d_z, d_kl = inputs(dtype, (10_001, 10))
    m, v, g, d = reference.wide(mean, log_var, d_z, d_kl[:, None])
    eps, u = reference.noise_like(mean, SEED), unit(dtype)
    ours = core.gaussian_sample_kl_grad(mean, log_var, SEED, d_z, d_kl)
    exact = reference.sample_kl_grad(mean, log_var, SEED, d_z, d_kl)
    sample = 8 * u * np.abs(g) * np.exp(v / 2) * (1 + np.abs(eps))
    kl = 8 * u * (1 + np.exp(v)) * np.abs(d)
    assert_within(ours[0], exact[0], 2 * u * np.abs(m * d) + u * np.abs(g), dtype)
    assert_within(ours[1], exact[1], sample + kl, dtype)


@dtypes
def test_equals_the_two_kernels_apart(isa, dtype):
    for shape in SHAPES:
        mean, log_var, _, _ = inputs(dtype, shape)
        z, kl = core.gaussian_sample_kl(mean, log_var, SEED)
        assert_same_bits(z, core.gaussian_sample(mean, log_var, SEED))
        assert_same_bits(kl, core.gaussian_kl(mean, log_var))


@dtypes
def test_as_exact_as_tensorflow(isa, dtype):
    tf = pytest.importorskip("tensorflow")
    mean, log_var, d_z, d_kl = inputs(dtype, (150, 64))
    noise = tf.random.stateless_normal([150, 64], tf.constant(SEED, tf.int64), dtype=mean.dtype)
    stock = [tf.constant(mean), tf.constant(log_var)]
    with tf.GradientTape() as tape:
        tape.watch(stock)
        m, v = stock
        z = m + tf.exp(v / 2) * noise
        kl = -0.5 * tf.reduce_sum(1 + v - tf.exp(v) - m**2, axis=-1)
    grads = tape.gradient([z, kl], stock, [tf.constant(d_z), tf.cast(d_kl, dtype)])
    ours = core.gaussian_sample_kl(mean, log_var, SEED)
    for a, b, c in zip(ours, (z, kl), reference.sample_kl(mean, log_var, SEED), strict=True):
        assert_as_exact_as(a, b, c, dtype)
    ours = core.gaussian_sample_kl_grad(mean, log_var, SEED, d_z, d_kl)
    exact = reference.sample_kl_grad(mean, log_var, SEED, d_z, d_kl)
    for a, b, c in zip(ours, grads, exact, strict=True):
        assert_as_exact_as(a, b, c, dtype)


@dtypes
def test_unaligned(isa, dtype):
    """Odd addresses give the same bits, and nothing is written beside the outputs."""
    for shape in [*((3, n) for n in range(70)), *SHAPES[-4:]]:
        mean, log_var, d_z, d_kl = inputs(dtype, shape)
        odd = [unaligned(a) for a in (mean, log_var, d_z, d_kl)]
        out = unaligned(poisoned(shape, dtype)), unaligned(poisoned(shape[0], kl_dtype(dtype)))
        grads = tuple(unaligned(poisoned(shape, dtype)) for _ in range(2))
        core.gaussian_sample_kl(odd[0], odd[1], SEED, out=out)
        core.gaussian_sample_kl_grad(odd[0], odd[1], SEED, odd[2], odd[3], out=grads)
        expected = core.gaussian_sample_kl(mean, log_var, SEED)
        expected += core.gaussian_sample_kl_grad(mean, log_var, SEED, d_z, d_kl)
        for ours, aligned in zip(out + grads, expected, strict=True):
            assert_same_bits(ours, aligned)
            assert guards_hold(ours)


@dtypes
@pytest.mark.parametrize("shape", [(63, 10), (10_001, 10)])
def test_in_place(isa, dtype, shape):
    mean, log_var, d_z, d_kl = inputs(dtype, shape)
    z, kl = core.gaussian_sample_kl(mean, log_var, SEED)
    grads = core.gaussian_sample_kl_grad(mean, log_var, SEED, d_z, d_kl)
    for place in (0, 1):
        x = [mean.copy(), log_var.copy()]
        ours = core.gaussian_sample_kl(*x, SEED, out=(x[place], np.empty_like(kl)))
        assert_same_bits(ours[0], z)
        assert_same_bits(ours[1], kl)
    for to_mean, to_log_var in [(0, 1), (1, 0), (2, 0), (0, 2), (1, 2), (2, 1)]:
        x = [mean.copy(), log_var.copy(), d_z.copy()]
        out = x[to_mean], x[to_log_var]
        core.gaussian_sample_kl_grad(x[0], x[1], SEED, x[2], d_kl, out=out)
        assert_same_bits(out[0], grads[0])
        assert_same_bits(out[1], grads[1])


@dtypes
@pytest.mark.parametrize("shape", [(10_001, 10), (100_003, 1), (3, 100_003)])
def test_threads_do_not_change_a_bit(isa, threads, dtype, shape):
    mean, log_var, d_z, d_kl = inputs(dtype, shape)
    results = set()
    for n in threads:
        core.set_threads(n)
        arrays = core.gaussian_sample_kl(mean, log_var, SEED)
        arrays += core.gaussian_sample_kl_grad(mean, log_var, SEED, d_z, d_kl)
        results.add(b"".join(a.tobytes() for a in arrays))
    assert len(results) == 1


@dtypes
def test_a_smaller_batch_is_the_start_of_a_larger(isa, dtype):
    for cols in (1, 2, 3, 10, 16, 64, 100):
        mean, log_var, d_z, d_kl = inputs(dtype, (256, cols))
        whole = core.gaussian_sample_kl(mean, log_var, SEED)
        whole += core.gaussian_sample_kl_grad(mean, log_var, SEED, d_z, d_kl)
        for n in (0, 1, 7, 32, 33):
            some = core.gaussian_sample_kl(mean[:n], log_var[:n], SEED)
            some += core.gaussian_sample_kl_grad(mean[:n], log_var[:n], SEED, d_z[:n], d_kl[:n])
            for ours, all_rows in zip(some, whole, strict=True):
                assert_same_bits(ours, all_rows[:n])


@dtypes
def test_nan_reaches_its_row_alone(isa, dtype):
    mean, log_var, d_z, d_kl = inputs(dtype, (60, 10))
    clean = core.gaussian_sample_kl(mean, log_var, SEED)
    mean[3, 0], log_var[20, -1] = np.nan, np.nan
    d_z[30, 4], d_kl[40] = np.nan, np.nan
    z, kl = core.gaussian_sample_kl(mean, log_var, SEED)
    assert np.isnan(z[[3, 20], [0, 9]]).all() and np.isnan(z.astype("float32")).sum() == 2
    assert np.isnan(kl[[3, 20]]).all() and np.isnan(kl).sum() == 2
    assert_same_bits(np.delete(kl, [3, 20]), np.delete(clean[1], [3, 20]))
    grads = core.gaussian_sample_kl_grad(mean, log_var, SEED, d_z, d_kl)
    for grad, here in zip(grads, [(3, 0), (20, 9)], strict=True):
        assert np.isnan(grad[here]) and np.isnan(grad[30, 4]) and np.isnan(grad[40]).all()
        assert np.isnan(grad.astype("float32")).sum() == 12


def test_gradients_match_differences(isa):
    mean, log_var, d_z, d_kl = inputs("float64", (20, 10))
    d_mean, d_log_var = core.gaussian_sample_kl_grad(mean, log_var, SEED, d_z, d_kl)
    rtol, atol = NUMERIC

    def loss(m, v):
        z, kl = core.gaussian_sample_kl(m, v, SEED)
        return (d_z * z).sum(-1) + d_kl * kl

    for col in range(10):
        step = np.zeros(10)
        step[col] = NUMERIC_STEP
        by_mean = loss(mean + step, log_var) - loss(mean - step, log_var)
        by_var = loss(mean, log_var + step) - loss(mean, log_var - step)
        np.testing.assert_allclose(d_mean[:, col], by_mean / (2 * NUMERIC_STEP), rtol, atol)
        np.testing.assert_allclose(d_log_var[:, col], by_var / (2 * NUMERIC_STEP), rtol, atol)
