"""dense_transpose with the cross-entropy of its logits. test_dense.py has the layer itself."""

import numpy as np
import pytest

from tests.core import reference
from tests.core.cases import assert_same_bits, assert_within, kl_dtype, stated, unit
from tests.core.reference import wide
from tests.cuda.cases import CODES, poisoned, shifted
from tests.cuda.dense_layer import WAYS, CudaLayer, same
from tests.cuda.memory import KernelError, Out

ways = pytest.mark.parametrize(("dtype", "precision"), WAYS)
targets_in = pytest.mark.parametrize("bytes_", [False, True], ids=["floats", "bytes"])
UINT8 = 4
# One number; odd; whole packs in several slices; wider than a slice; more rows than a block's.
SIZES = [(1, 1, 1), (5, 3, 7), (20, 33, 64), (9, 20, 200), (140, 5, 18)]


def targets_of(dtype, shape, bytes_):
    """In [0, 1], with both ends."""
    rng = np.random.default_rng(shape)
    images = rng.integers(0, 256, shape).astype("uint8")
    images.flat[:2] = (0, 255)[: images.size]
    return images if bytes_ else (images / 255).astype(dtype)


def cross_entropy(layer, x, kernel, bias, targets, smoothing=0.0, with_slope=True):
    """The loss, or loss and slope."""
    dtype, units = x.dtype.name, len(kernel)
    codes = CODES[dtype], UINT8 if targets.dtype == np.uint8 else CODES[dtype]
    head = *codes, len(x), x.shape[1], units, layer.precision
    loss = Out(layer.place(poisoned(len(x), kl_dtype(dtype))))
    slope = Out(layer.place(poisoned((len(x), units), x.dtype))) if with_slope else None
    arrays = *map(layer.place, (x, kernel, bias, targets)), float(smoothing), loss, slope
    return layer.call("fg_cuda_dense_transpose_cross_entropy", *head, *arrays)


def assert_cross_entropy(layer, found, x, kernel, bias, targets, smoothing):
    dtype, logits = x.dtype.name, layer.affine(x, kernel, bias)
    loss, slope = reference.cross_entropy(targets, logits, smoothing)
    affine, u = layer.affine_bounds(x, kernel, bias), unit(dtype)
    y = np.abs(wide(targets)[0]) / (255 if targets.dtype == np.uint8 else 1)
    terms = 8 * u * (1 + np.abs(logits) * (1 + y)) + affine * (1 + y)
    assert_within(found[0], loss, terms.mean(-1), kl_dtype(dtype))
    cols = logits.shape[1]
    sigmoid = np.exp(np.minimum(logits, 0)) / (1 + np.exp(-np.abs(logits)))
    assert_within(found[1], slope, (8 * u * (sigmoid + y) + affine / 4) / cols, dtype)


@ways
@targets_in
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_cross_entropy_errs_as_stated(call, dtype, precision, bytes_, size):
    for place, smoothing in [(same, 0.0), (shifted, 0.1)]:
        layer = CudaLayer(call, "dense_transpose", precision, place)
        x, kernel, bias, _ = layer.make(dtype, *size)
        targets = targets_of(x.dtype, (size[0], size[2]), bytes_)
        found = cross_entropy(layer, x, kernel, bias, targets, smoothing)
        assert_cross_entropy(layer, found, x, kernel, bias, targets, smoothing)
        assert_same_bits(
            cross_entropy(layer, x, kernel, bias, targets, smoothing, with_slope=False), found[0]
        )


def test_header_states_what_is_asserted_here():
    error = stated("kernels/sigmoid_cross_entropy.h", "Error")
    assert "loss 8 u mean_cols(1 + |l| (1 + |y|)), slope 8 u (sigmoid(l) + |y|) / cols" in error


@ways
def test_far_logits(call, dtype, precision):
    """Up to +-400 a loss is finite, and its slope that of the target's side."""
    layer = CudaLayer(call, "dense_transpose", precision)
    x, kernel, bias, _ = layer.make(dtype, 6, 8, 24)
    x, targets = (x * 64).astype(x.dtype), targets_of(x.dtype, (6, 24), False)
    found = cross_entropy(layer, x, kernel, bias, targets)
    assert_cross_entropy(layer, found, x, kernel, bias, targets, 0.0)


@ways
def test_slope_in_place_of_targets(call, dtype, precision):
    layer = CudaLayer(call, "dense_transpose", precision)
    x, kernel, bias, _ = layer.make(dtype, 17, 12, 40)
    targets = targets_of(x.dtype, (17, 40), False)
    loss, slope = cross_entropy(layer, x, kernel, bias, targets)
    head = CODES[dtype], CODES[dtype], 17, 12, 40, precision
    outs = Out(poisoned(17, kl_dtype(dtype))), Out(targets)
    arrays = x, kernel, bias, targets, 0.0, *outs
    ours = call("fg_cuda_dense_transpose_cross_entropy", *head, *arrays)
    assert_same_bits(ours[0], loss), assert_same_bits(ours[1], slope)


@ways
def test_the_same_bits_again(call, dtype, precision):
    layer = CudaLayer(call, "dense_transpose", precision)
    x, kernel, bias, _ = layer.make(dtype, 150, 20, 72)
    targets = targets_of(x.dtype, (150, 72), True)
    found = [cross_entropy(layer, x, kernel, bias, targets) for _ in range(3)]
    assert len({a.tobytes() + b.tobytes() for a, b in found}) == 1


def test_nan_reaches_its_row_alone(call):
    layer = CudaLayer(call, "dense_transpose", 1)
    x, kernel, bias, _ = layer.make("float32", 12, 20, 18)
    x[7, 3] = np.nan
    loss, slope = cross_entropy(layer, x, kernel, bias, targets_of("float32", (12, 18), False))
    assert list(np.flatnonzero(np.isnan(loss))) == [7]
    assert np.isnan(slope[7]).all() and not np.isnan(np.delete(slope, 7, 0)).any()


@ways
def test_empty(call, dtype, precision):
    layer = CudaLayer(call, "dense_transpose", precision)
    for size in [(0, 3, 4), (3, 4, 0), (3, 0, 4)]:
        x, kernel, bias, _ = layer.make(dtype, *size)
        targets = np.zeros((size[0], size[2]), x.dtype)
        found = cross_entropy(layer, x, kernel, bias, targets)
        expected = reference.cross_entropy(targets, layer.affine(x, kernel, bias))
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
        assert found[1].shape == targets.shape and not np.isnan(found[1].astype("float64")).any()


def test_refuses_codes(call):
    nothing = *[None] * 4, 0.0, None, None
    for head, message in [
        ((0, 2, 1, 2, 2, 0), "targets must be uint8 or have the dtype of logits"),
        ((0, 0, 1, 2, 2, 7), "precision must be FG_CUDA_STRICT or FG_CUDA_TF32. Received: 7"),
        ((0, 0, 1, -2, 2, 0), "must not be negative"),
        ((9, 9, 1, 2, 2, 0), "dtype must be float32.*Received: code 9"),
    ]:
        with pytest.raises(KernelError, match=f"dense_transpose_cross_entropy: .*{message}"):
            call("fg_cuda_dense_transpose_cross_entropy", *head, *nothing)
