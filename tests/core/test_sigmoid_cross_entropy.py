"""Cross-entropy of targets and logits, its slope, and its gradient by way of it and without."""

import numpy as np
import pytest

from tests.core import reference
from tests.core.cases import (
    BEYOND_A_SHARE,
    DTYPES,
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
from tests.tolerances import NUMERIC, NUMERIC_STEP, assert_close

targets_in = pytest.mark.parametrize("bytes_", [False, True], ids=["floats", "bytes"])


def inputs(dtype, shape, bytes_=False, scale=4):
    """Targets, logits and an upstream gradient."""
    rng = np.random.default_rng(shape[0])
    targets = rng.integers(0, 256, shape).astype("uint8")
    if not bytes_:
        targets = (targets / 255).astype(numpy_dtype(dtype))
    (logits,) = draw(dtype, shape)
    (d_loss,) = draw(kl_dtype(dtype).name, shape[0])
    return targets, (scale * logits).astype(logits.dtype), d_loss


@targets_in
@dtypes
def test_matches_reference(isa, dtype, bytes_):
    for shape in SHAPES:
        targets, logits, d_loss = inputs(dtype, shape, bytes_)
        expected, slope_of = reference.cross_entropy(targets, logits, 0.1)
        out, slope = poisoned(shape[0], kl_dtype(dtype)), poisoned(shape, dtype)
        loss = core.sigmoid_cross_entropy(targets, logits, 0.1, out=out, slope=slope)
        assert loss is out
        assert_close(loss, expected, kl_dtype(dtype))
        assert_close(slope, slope_of, dtype)
        assert_same_bits(core.sigmoid_cross_entropy(targets, logits, 0.1), loss)
        d_logits = core.sigmoid_cross_entropy_grad(
            targets, logits, d_loss, 0.1, out=poisoned(shape, dtype)
        )
        assert_close(d_logits, slope_of * d_loss[:, None].astype("float64"), dtype)
        from_slope = core.sigmoid_cross_entropy_from_slope_grad(
            slope, d_loss, out=poisoned(shape, dtype)
        )
        if dtype in ("float32", "float64"):
            assert_same_bits(from_slope, d_logits)
        else:
            assert_close(from_slope, d_logits, dtype)


def test_header_states_the_error_asserted_here():
    error = stated("kernels/sigmoid_cross_entropy.h", "Error")
    assert "loss 8 u mean_cols(1 + |l| (1 + |y|)), slope 8 u (sigmoid(l) + |y|) / cols" in error


@dtypes
@pytest.mark.parametrize(
    ("shape", "scale"),
    [((10_001, 10), 4), ((2, BEYOND_A_SHARE), 4), *(((97, 784), scale) for scale in (0.1, 4, 60))],
)
def test_error_is_as_stated(isa, dtype, shape, scale):
    targets, logits, _ = inputs(dtype, shape, scale=scale)
    targets[:, 0], targets[:, 1] = 0, 1
    y, x = reference.wide(targets, logits)
    loss, slope_of = reference.cross_entropy(targets, logits)
    slope, u = poisoned(shape, dtype), unit(dtype)
    bound = 8 * u * np.mean(1 + np.abs(x) * (1 + np.abs(y)), axis=-1)
    actual = core.sigmoid_cross_entropy(targets, logits, slope=slope)
    assert_within(actual, loss, bound, kl_dtype(dtype))
    small = np.exp(-np.abs(x))
    sigmoid = np.where(x < 0, small, 1) / (1 + small)
    normal = np.abs(slope_of) >= 2.0**-125 if dtype != "float64" else slope_of == slope_of
    bound = 8 * u * (sigmoid + np.abs(y)) / shape[1]
    assert_within(slope[normal], slope_of[normal], bound[normal], dtype)


@targets_in
@dtypes
def test_unaligned(isa, dtype, bytes_):
    """Odd addresses give the same bits, and nothing is written beside the outputs."""
    for shape in [*((3, n) for n in range(0, 70, 3)), (1500, 2), (3, 5000)]:
        targets, logits, d_loss = inputs(dtype, shape, bytes_)
        loss, slope = (
            unaligned(poisoned(shape[0], kl_dtype(dtype))),
            unaligned(poisoned(shape, dtype)),
        )
        d_logits, expected = unaligned(poisoned(shape, dtype)), poisoned(shape, dtype)
        odd = unaligned(targets), unaligned(logits)
        core.sigmoid_cross_entropy(*odd, out=loss, slope=slope)
        assert_same_bits(loss, core.sigmoid_cross_entropy(targets, logits, slope=expected))
        assert_same_bits(slope, expected)
        core.sigmoid_cross_entropy_grad(*odd, unaligned(d_loss), out=d_logits)
        assert_same_bits(d_logits, core.sigmoid_cross_entropy_grad(targets, logits, d_loss))
        assert all(map(guards_hold, (loss, slope, d_logits)))


@dtypes
@pytest.mark.parametrize("shape", [(10_001, 10), (100_003, 1), (1, 300_007)])
def test_threads_do_not_change_a_bit(isa, threads, dtype, shape):
    targets, logits, d_loss = inputs(dtype, shape)
    results = set()
    for n in threads:
        core.set_threads(n)
        slope = poisoned(shape, dtype)
        loss = core.sigmoid_cross_entropy(targets, logits, slope=slope)
        d_logits = core.sigmoid_cross_entropy_grad(targets, logits, d_loss)
        results.add(b"".join(x.tobytes() for x in (loss, slope, d_logits)))
    assert len(results) == 1


@dtypes
def test_in_place(isa, dtype):
    targets, logits, d_loss = inputs(dtype, (1023, 10))
    slope = poisoned(logits.shape, dtype)
    core.sigmoid_cross_entropy(targets, logits, slope=slope)
    for at in (0, 1):
        copies = targets.copy(), logits.copy()
        core.sigmoid_cross_entropy(*copies, slope=copies[at])
        assert_same_bits(copies[at], slope)
    d_logits = core.sigmoid_cross_entropy_from_slope_grad(slope, d_loss)
    assert core.sigmoid_cross_entropy_from_slope_grad(slope, d_loss, out=slope) is slope
    assert_same_bits(slope, d_logits)


@pytest.mark.parametrize(
    ("dtype", "cols"), [*((dtype, 10) for dtype in DTYPES), ("float32", 1), ("float32", 70)]
)
def test_nan_and_inf(isa, dtype, cols):
    """NaN stays in its row; extreme logits are finite but where the loss itself is not."""
    targets, logits, _ = inputs(dtype, (60, cols))
    clean = core.sigmoid_cross_entropy(targets, logits)
    targets[3, 0], logits[9, -1], logits[17, 0] = np.nan, np.nan, np.inf
    logits[20, 0], targets[20, 0] = -60000, 1
    slope = poisoned(logits.shape, dtype)
    loss = core.sigmoid_cross_entropy(targets, logits, slope=slope)
    assert np.isnan(loss[[3, 9]]).all() and not np.isfinite(loss[17]) and np.isfinite(loss[20])
    rows = np.delete(np.arange(60), [3, 9, 17, 20])
    assert_same_bits(loss[rows], clean[rows])
    assert np.isnan(slope.astype("float32")).sum() == 2
    assert np.isnan(slope[3, 0]) and np.isnan(slope[9, -1])


def test_slope_matches_differences(isa):
    targets, logits, _ = inputs("float64", (20, 5))
    slope, (rtol, atol) = np.empty_like(logits), NUMERIC
    core.sigmoid_cross_entropy(targets, logits, 0.1, slope=slope)
    for col in range(5):
        step = np.zeros(5)
        step[col] = NUMERIC_STEP
        above, below = (core.sigmoid_cross_entropy(targets, logits + s, 0.1) for s in (step, -step))
        np.testing.assert_allclose(slope[:, col], (above - below) / (2 * NUMERIC_STEP), rtol, atol)


def test_arguments_that_do_not_fit():
    x, y = np.zeros([3, 4], "float32"), np.zeros([3, 5], "float32")
    for wrong, message in [
        ((x, y), "targets and logits must have the same shape"),
        ((np.zeros([3, 5], "uint8"), x), "targets must have the shape of logits"),
        ((x.astype("float64"), x), "targets and logits must have the same dtype"),
        ((x, x.astype("uint8")), "logits must be float32"),
        ((np.float32(0), np.float32(0)), "logits must have rank >= 1"),
    ]:
        with pytest.raises(ValueError, match=f"sigmoid_cross_entropy: {message}.*Received"):
            core.sigmoid_cross_entropy(*wrong)
    for grad in (
        lambda d: core.sigmoid_cross_entropy_grad(x, x, d),
        lambda d: core.sigmoid_cross_entropy_from_slope_grad(x, d),
    ):
        with pytest.raises(ValueError, match="d_loss must have the shape of logits without its"):
            grad(np.zeros(4, "float32"))
        with pytest.raises(ValueError, match="d_loss must have the dtype of the loss"):
            grad(np.zeros(3))
