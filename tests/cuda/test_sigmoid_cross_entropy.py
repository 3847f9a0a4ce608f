import numpy as np
import pytest

from tests.core import reference
from tests.core.cases import assert_same_bits, assert_within, unit
from tests.core.test_sigmoid_cross_entropy import inputs, targets_in
from tests.cuda.cases import CODES, MATRICES, dtypes, kl_dtype, poisoned, shifted
from tests.cuda.memory import KernelError, Out

UINT8 = 4
NAME = "fg_cuda_sigmoid_cross_entropy"


def codes(targets, logits):
    bytes_ = targets.dtype == np.uint8
    dtype = CODES[logits.dtype.name]
    return dtype, UINT8 if bytes_ else dtype


def forward(call, targets, logits, smoothing=0.0, place=lambda x: x):
    """Loss and slope."""
    dtype = logits.dtype.name
    outs = poisoned(len(logits), kl_dtype(dtype)), poisoned(logits.shape, dtype)
    arrays = place(targets), place(logits), smoothing, *(Out(place(x)) for x in outs)
    return call(NAME, *codes(targets, logits), *logits.shape, *arrays)


def backward(call, targets, logits, d_loss, smoothing=0.0, place=lambda x: x):
    out = Out(place(poisoned(logits.shape, logits.dtype.name)))
    arrays = place(targets), place(logits), smoothing, place(d_loss), out
    return call(f"{NAME}_grad", *codes(targets, logits), *logits.shape, *arrays)


def from_slope(call, slope, d_loss, place=lambda x: x):
    dtype = slope.dtype.name
    arrays = place(slope), place(d_loss), Out(place(poisoned(slope.shape, dtype)))
    return call(f"{NAME}_from_slope_grad", CODES[dtype], *slope.shape, *arrays)


def bounds(targets, logits, smoothing):
    """Of loss and slope, as the header states them."""
    y, x = reference.wide(targets, logits)
    y = (y / 255 if targets.dtype == np.uint8 else y) * (1 - smoothing) + smoothing / 2
    small, cols = np.exp(-np.abs(x)), max(x.shape[1], 1)
    sigmoid = np.where(x < 0, small, 1) / (1 + small)
    u = 8 * unit(logits.dtype.name)
    loss = u * np.sum(1 + np.abs(x) * (1 + np.abs(y)), axis=-1) / cols + 1e-300
    return loss, u * (sigmoid + np.abs(y)) / cols


COLUMNS = [(0, 1), (7, 1), (64, 1), (4099, 1)]  # not averaged: elements one after the other


@targets_in
@dtypes
@pytest.mark.parametrize("shape", [*MATRICES, *COLUMNS], ids=str)
def test_errs_as_stated(call, dtype, shape, bytes_):
    targets, logits, d_loss = inputs(dtype, shape, bytes_)
    exact, exact_slope = reference.cross_entropy(targets, logits, 0.1)
    of_loss, of_slope = bounds(targets, logits, 0.1)
    loss, slope = forward(call, targets, logits, 0.1)
    assert_within(loss, exact, of_loss, kl_dtype(dtype))
    assert_within(slope, exact_slope, of_slope, dtype)
    d = d_loss[:, None].astype("float64")
    d_logits = backward(call, targets, logits, d_loss, 0.1)
    assert_within(d_logits, exact_slope * d, of_slope * np.abs(d), dtype)
    (slope_as_read,) = reference.wide(slope)
    u = unit(dtype) * np.abs(slope_as_read * d)
    assert_within(from_slope(call, slope, d_loss), slope_as_read * d, u, dtype)


@dtypes
@pytest.mark.parametrize("scale", [0.1, 60])
def test_small_and_large_logits_err_as_stated(call, dtype, scale):
    targets, logits, _ = inputs(dtype, (5, 40), scale=scale)
    targets[:, 0], targets[:, 1] = 0, 1
    of_loss, of_slope = bounds(targets, logits, 0)
    loss, slope = forward(call, targets, logits)
    exact, exact_slope = reference.cross_entropy(targets, logits)
    assert_within(loss, exact, of_loss, kl_dtype(dtype))
    normal = np.abs(exact_slope) >= 2.0**-125
    assert_within(slope[normal], exact_slope[normal], of_slope[normal], dtype)


@targets_in
@dtypes
@pytest.mark.parametrize("shape", [(9, 16), (3, 1040), (1027, 1)], ids=str)
def test_arrays_that_16_bytes_do_not_divide(call, dtype, shape, bytes_):
    targets, logits, d_loss = inputs(dtype, shape, bytes_)
    loss, slope = forward(call, targets, logits, place=shifted)
    exact = reference.cross_entropy(targets, logits)[0]
    assert_within(loss, exact, bounds(targets, logits, 0)[0], kl_dtype(dtype))
    assert_same_bits(slope, forward(call, targets, logits)[1])
    odd = backward(call, targets, logits, d_loss, place=shifted)
    assert_same_bits(odd, backward(call, targets, logits, d_loss))
    assert_same_bits(from_slope(call, slope, d_loss, shifted), from_slope(call, slope, d_loss))


@dtypes
@pytest.mark.parametrize("shape", [(9, 10), (3, 16384 + 24), (75, 1)], ids=str)
def test_the_same_bits_again_and_without_slope(call, dtype, shape):
    """Threads run in another order each time: see on_cpu/block.h."""
    targets, logits, _ = inputs(dtype, shape)
    losses = {forward(call, targets, logits)[0].tobytes() for _ in range(3)}
    out = Out(poisoned(len(logits), kl_dtype(dtype)))
    arrays = targets, logits, 0.0, out, None
    losses.add(call(NAME, *codes(targets, logits), *shape, *arrays).tobytes())
    assert len(losses) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradient_by_way_of_the_slope(call, dtype):
    targets, logits, d_loss = inputs(dtype, (9, 40))
    _, slope = forward(call, targets, logits)
    by_slope = from_slope(call, slope, d_loss)
    assert_same_bits(by_slope, backward(call, targets, logits, d_loss))


@targets_in
@dtypes
@pytest.mark.parametrize("shape", [(9, 16), (40, 1), (2, 1040)], ids=str)
def test_a_label_smoothing_on_the_device_gives_the_same_bits(call, dtype, shape, bytes_):
    targets, logits, d_loss = inputs(dtype, shape, bytes_)
    there, first = np.array([0.1]), (*codes(targets, logits), *shape, targets, logits)
    outs = Out(poisoned(shape[0], kl_dtype(dtype))), Out(poisoned(shape, dtype))
    ours = call(f"{NAME}_device_smoothing", *first, there, *outs)
    for one, other in zip(ours, forward(call, targets, logits, 0.1), strict=True):
        assert_same_bits(one, other)
    ours = call(f"{NAME}_grad_device_smoothing", *first, there, d_loss, outs[1])
    assert_same_bits(ours, backward(call, targets, logits, d_loss, 0.1))
    for name, rest in (("", outs), ("_grad", (d_loss, outs[1]))):
        with pytest.raises(KernelError, match="label_smoothing must be on the device"):
            call(f"{NAME}{name}_device_smoothing", *first, None, *rest)


@dtypes
@pytest.mark.parametrize("shape", [(9, 16), (75, 1)], ids=str)
def test_in_place(call, dtype, shape):
    targets, logits, d_loss = inputs(dtype, shape)
    loss, slope = forward(call, targets, logits)
    first = *codes(targets, logits), *shape
    for out in (targets, logits):
        arrays = targets, logits, 0.0, Out(poisoned(shape[0], kl_dtype(dtype))), Out(out)
        for one, other in zip(call(NAME, *first, *arrays), (loss, slope), strict=True):
            assert_same_bits(one, other)
        d_logits = call(f"{NAME}_grad", *first, targets, logits, 0.0, d_loss, Out(out))
        assert_same_bits(d_logits, backward(call, targets, logits, d_loss))
    arrays = slope, d_loss, Out(slope)
    ours = call(f"{NAME}_from_slope_grad", first[0], *shape, *arrays)
    assert_same_bits(ours, from_slope(call, slope, d_loss))


@dtypes
@pytest.mark.parametrize("cols", [1, 10, 72])
def test_nan_and_inf(call, dtype, cols):
    """NaN stays in its row; extreme logits are finite but where the loss itself is not."""
    targets, logits, _ = inputs(dtype, (30, cols))
    targets[3, 0], logits[9, -1], logits[17, 0] = np.nan, np.nan, np.inf
    logits[20, 0], targets[20, 0] = -60000, 1
    loss, slope = forward(call, targets, logits)
    assert np.isnan(loss[[3, 9]]).all() and not np.isfinite(loss[17]) and np.isfinite(loss[20])
    assert np.isfinite(np.delete(loss, [3, 9, 17])).all()
    nan = np.argwhere(np.isnan(slope.astype("float64"))).tolist()
    assert nan == [[3, 0], [9, cols - 1]] and np.isfinite(float(slope[17, 0]))


def test_refuses_sizes_and_dtypes(call):
    none = [None] * 2
    for name, rest in ((NAME, none), (f"{NAME}_grad", none)):
        with pytest.raises(KernelError, match="must not be negative"):
            call(name, 0, 0, -1, 2, *none, 0.0, *rest)
        with pytest.raises(KernelError, match="dtype must be float32.*Received: code 9"):
            call(name, 9, 9, 1, 2, *none, 0.0, *rest)
        with pytest.raises(KernelError, match="targets must be uint8 or have the dtype"):
            call(name, 0, 1, 1, 2, *none, 0.0, *rest)
    with pytest.raises(KernelError, match="dtype must be float32.*Received: code 9"):
        call(f"{NAME}_from_slope_grad", 9, 1, 2, *none, None)
