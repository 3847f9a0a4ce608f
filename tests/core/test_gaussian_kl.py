"""KL to the standard normal over the last axis, and its gradients."""

import numpy as np
import pytest

from tests.core import reference
from tests.core.cases import (
    BEYOND_A_SHARE,
    SHAPES,
    assert_same_bits,
    assert_within,
    core,
    draw,
    dtypes,
    guards_hold,
    kl_dtype,
    numpy_dtype,
    poisoned,
    stated,
    unaligned,
    unit,
)
from tests.tolerances import NUMERIC, NUMERIC_STEP, TOLERANCES, assert_as_exact_as, assert_close


@dtypes
def test_matches_reference(isa, dtype):
    for shape in SHAPES:
        mean, log_var = draw(dtype, shape, shape)
        kl = core.gaussian_kl(mean, log_var, out=poisoned(shape[0], kl_dtype(dtype)))
        assert_close(kl, reference.kl(mean, log_var), kl_dtype(dtype), n=shape[1])


@dtypes
def test_gradient_matches_reference(isa, dtype):
    for shape in SHAPES:
        mean, log_var = draw(dtype, shape, shape)
        (d_kl,) = draw(kl_dtype(dtype).name, shape[0])
        out = poisoned(shape, dtype), poisoned(shape, dtype)
        d_mean, d_log_var = core.gaussian_kl_grad(mean, log_var, d_kl, out=out)
        assert d_mean is out[0] and d_log_var is out[1]
        expected = reference.kl_grad(mean, log_var, d_kl)
        assert_close(d_mean, expected[0], dtype)
        assert_close(d_log_var, expected[1], dtype)


def test_header_states_the_error_asserted_here():
    error = stated("kernels/gaussian_kl.h", "Error")
    assert "kl 8 u sum_cols(1 + |log_var| + exp(log_var) + mean^2), d_mean 2 u |mean d_kl|" in error
    assert "d_log_var 8 u (1 + exp(log_var)) |d_kl|" in error


@dtypes
@pytest.mark.parametrize(
    ("shape", "constant"),
    [
        ((10_001, 10), False),
        ((97, 1024), False),
        *(((2, BEYOND_A_SHARE), c) for c in (False, True)),
    ],
)
def test_error_is_as_stated(isa, dtype, shape, constant):
    mean, log_var = draw(dtype, shape, shape)
    if constant:
        # Equal terms round alike, which is the worst for a long sum.
        mean[:], log_var[:] = mean[:, :1], log_var[:, :1]
    (d_kl,) = draw(kl_dtype(dtype).name, shape[0])
    m, v, d = reference.wide(mean, log_var, d_kl[:, None])
    u = unit(dtype)
    bound = 8 * u * np.sum(1 + np.abs(v) + np.exp(v) + m**2, axis=-1)
    kl = core.gaussian_kl(mean, log_var)
    assert_within(kl, reference.kl(mean, log_var), bound, kl_dtype(dtype))
    d_mean, d_log_var = core.gaussian_kl_grad(mean, log_var, d_kl)
    exact = reference.kl_grad(mean, log_var, d_kl)
    assert_within(d_mean, exact[0], 2 * u * np.abs(m * d), dtype)
    assert_within(d_log_var, exact[1], 8 * u * (1 + np.exp(v)) * np.abs(d), dtype)


@dtypes
def test_as_exact_as_tensorflow(isa, dtype):
    tf = pytest.importorskip("tensorflow")
    mean, log_var = draw(dtype, (150, 64), (150, 64))
    (d_kl,) = draw(kl_dtype(dtype).name, 150)
    stock = [tf.constant(mean), tf.constant(log_var)]
    with tf.GradientTape() as tape:
        tape.watch(stock)
        m, v = stock
        kl = -0.5 * tf.reduce_sum(1 + v - tf.exp(v) - m**2, axis=-1)
    grads = tape.gradient(kl, stock, tf.cast(d_kl, dtype))
    ours = core.gaussian_kl_grad(mean, log_var, d_kl)
    exact = reference.kl_grad(mean, log_var, d_kl)
    assert_as_exact_as(core.gaussian_kl(mean, log_var), kl, reference.kl(mean, log_var), dtype)
    for a, b, c in zip(ours, grads, exact, strict=True):
        assert_as_exact_as(a, b, c, dtype)


@dtypes
def test_unaligned(isa, dtype):
    """Odd addresses give the same bits, and nothing is written beside the outputs."""
    for shape in [*((3, n) for n in range(70)), *SHAPES[-4:]]:
        mean, log_var = draw(dtype, shape, shape)
        (d_kl,) = draw(kl_dtype(dtype).name, shape[0])
        kl = unaligned(poisoned(shape[0], kl_dtype(dtype)))
        grads = tuple(unaligned(poisoned(shape, dtype)) for _ in range(2))
        core.gaussian_kl(unaligned(mean), unaligned(log_var), out=kl)
        assert_same_bits(kl, core.gaussian_kl(mean, log_var))
        core.gaussian_kl_grad(unaligned(mean), unaligned(log_var), unaligned(d_kl), out=grads)
        for ours, expected in zip(grads, core.gaussian_kl_grad(mean, log_var, d_kl), strict=True):
            assert_same_bits(ours, expected)
        assert all(map(guards_hold, (kl, *grads)))


@dtypes
@pytest.mark.parametrize("shape", [(63, 10), (10_001, 10)])
def test_gradients_in_place(isa, dtype, shape):
    mean, log_var = draw(dtype, shape, shape)
    (d_kl,) = draw(kl_dtype(dtype).name, shape[0])
    expected = core.gaussian_kl_grad(mean, log_var, d_kl)
    for swap in (1, -1):
        m, v = mean.copy(), log_var.copy()
        grads = core.gaussian_kl_grad(m, v, d_kl, out=(m, v)[::swap])
        for ours, apart in zip(grads, expected, strict=True):
            assert_same_bits(ours, apart)


@dtypes
@pytest.mark.parametrize("shape", [(10_001, 10), (100_003, 1), (3, 100_003), (1, 300_007)])
def test_threads_do_not_change_a_bit(isa, threads, dtype, shape):
    mean, log_var = draw(dtype, shape, shape)
    (d_kl,) = draw(kl_dtype(dtype).name, shape[0])
    results = set()
    for n in threads:
        core.set_threads(n)
        grads = core.gaussian_kl_grad(mean, log_var, d_kl)
        arrays = (core.gaussian_kl(mean, log_var), *grads)
        results.add(b"".join(a.tobytes() for a in arrays))
    assert len(results) == 1


@dtypes
def test_a_row_does_not_depend_on_its_batch(isa, dtype):
    for cols in (1, 2, 3, 10, 16, 64, 100):
        mean, log_var = draw(dtype, (256, cols), (256, cols))
        kl = core.gaussian_kl(mean, log_var)
        for rows in (7, 32, 33):
            for start in (0, 1, 32, 256 - rows):
                some = slice(start, start + rows)
                assert_same_bits(core.gaussian_kl(mean[some], log_var[some]), kl[some])
        alone = [core.gaussian_kl(m, v) for m, v in zip(mean, log_var, strict=True)]
        assert_same_bits(np.array(alone, kl.dtype), kl)


@dtypes
def test_not_negative_and_zero_at_the_prior(isa, dtype):
    near = np.concatenate([[0.0], np.geomspace(1e-30, 1, 500), -np.geomspace(1e-30, 1, 500)])
    mean, log_var = (a.ravel() for a in np.meshgrid(near[::10], near))
    # One column, so that no other term hides a negative one.
    mean, log_var = (a[:, None].astype(numpy_dtype(dtype)) for a in (mean, log_var))
    kl = core.gaussian_kl(mean, log_var)
    assert kl.min() >= 0
    for cols in (1, 10, 64):
        zero = np.zeros([9, cols], numpy_dtype(dtype))
        assert (core.gaussian_kl(zero, zero) == 0).all()
        for grad in core.gaussian_kl_grad(zero, zero, np.ones(9, kl_dtype(dtype))):
            assert (grad == 0).all()


@dtypes
@pytest.mark.parametrize("log_var", [-80, 80])
def test_extreme_log_var(isa, dtype, log_var):
    v = np.full([5, 10], log_var, numpy_dtype(dtype))
    zero = np.zeros_like(v)
    kl = core.gaussian_kl(zero, v)
    assert np.isfinite(kl).all()
    np.testing.assert_allclose(kl, reference.kl(zero, v), rtol=TOLERANCES["float32"][0])
    d_mean, d_log_var = core.gaussian_kl_grad(zero, v, np.ones(5, kl_dtype(dtype)))
    assert (d_mean == 0).all()
    expected = reference.kl_grad(zero, v, np.ones(5))[1]
    if dtype == "float16" and log_var > 0:
        assert (d_log_var == np.inf).all()
    else:
        assert np.isfinite(d_log_var.astype("float64")).all()
        assert_close(d_log_var / expected, np.ones_like(expected), dtype)


@dtypes
@pytest.mark.parametrize("cols", [1, 10, 70])
def test_nan_and_inf(isa, dtype, cols):
    """A NaN or inf reaches its own row and no other."""
    mean, log_var = draw(dtype, (60, cols), (60, cols))
    clean = core.gaussian_kl(mean, log_var)
    mean[3, 0], mean[17, -1], log_var[20, -1], log_var[40, 0], log_var[59, -1] = (
        np.nan,
        np.inf,
        np.nan,
        -np.inf,
        np.inf,
    )
    kl = core.gaussian_kl(mean, log_var)
    assert np.isnan(kl[[3, 20]]).all()
    assert (kl[[17, 40]] == np.inf).all() and not np.isfinite(kl[59])
    rows = np.delete(np.arange(60), [3, 17, 20, 40, 59])
    assert_same_bits(kl[rows], clean[rows])
    d_mean, d_log_var = core.gaussian_kl_grad(mean, log_var, np.ones(60, kl_dtype(dtype)))
    assert np.isnan(d_mean[3, 0]) and d_mean[17, -1] == np.inf
    assert np.isnan(d_log_var[20, -1]) and d_log_var[59, -1] == np.inf and d_log_var[40, 0] == -0.5
    for grad in (d_mean, d_log_var):
        assert np.isnan(grad.astype("float32")).sum() == 1


@pytest.mark.parametrize("cols", [1, 10, 33])
def test_gradients_match_differences(isa, cols):
    mean, log_var = draw("float64", (20, cols), (20, cols))
    (d_kl,) = draw("float64", 20)
    d_mean, d_log_var = core.gaussian_kl_grad(mean, log_var, d_kl)
    rtol, atol = NUMERIC
    per_step = d_kl / (2 * NUMERIC_STEP)
    for col in range(cols):
        step = np.zeros(cols)
        step[col] = NUMERIC_STEP
        by_mean = core.gaussian_kl(mean + step, log_var) - core.gaussian_kl(mean - step, log_var)
        by_var = core.gaussian_kl(mean, log_var + step) - core.gaussian_kl(mean, log_var - step)
        np.testing.assert_allclose(d_mean[:, col], per_step * by_mean, rtol, atol)
        np.testing.assert_allclose(d_log_var[:, col], per_step * by_var, rtol, atol)


@dtypes
def test_one_huge_row(isa, dtype):
    n = 1_000_003
    mean, log_var = draw(dtype, n, n)
    kl = core.gaussian_kl(mean, log_var)
    assert kl.shape == () and kl.dtype == kl_dtype(dtype)
    assert_close(kl, reference.kl(mean, log_var), kl_dtype(dtype), n=n)
    one = np.ones((), kl_dtype(dtype))
    expected = reference.kl_grad(mean, log_var, one)
    for ours, exact in zip(core.gaussian_kl_grad(mean, log_var, one), expected, strict=True):
        assert_close(ours, exact, dtype)


def test_any_rank(isa):
    mean, log_var = draw("float32", (2, 3, 4, 5), (2, 3, 4, 5))
    kl = core.gaussian_kl(mean, log_var)
    assert kl.shape == (2, 3, 4)
    flat = core.gaussian_kl(mean.reshape(24, 5), log_var.reshape(24, 5))
    assert_same_bits(kl.ravel(), flat)
    transposed = core.gaussian_kl(mean.T.copy(), log_var.T.copy())
    assert_same_bits(core.gaussian_kl(mean.T, log_var.T), transposed)
