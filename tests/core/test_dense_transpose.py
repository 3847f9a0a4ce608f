"""dense_transpose is dense with the kernel transposed, to the bit; a cross-entropy behind it.

test_dense.py has the rest.
"""

import numpy as np
import pytest

from tests.core.cases import assert_same_bits, core, dtypes, kl_dtype
from tests.core.dense_layer import Layer


@dtypes
def test_bits_of_dense(isa, dtype):
    plain, tied = Layer("dense"), Layer("dense_transpose")
    x, kernel, bias, d_y = plain.make(dtype, 37, 300, 45)
    y = plain.run(x, kernel, bias, "sigmoid")
    assert_same_bits(tied.run(x, kernel.T.copy(), bias, "sigmoid"), y)
    d_x, d_kernel, d_bias = plain.grad(x, kernel, y, d_y, "sigmoid")
    other = tied.grad(x, kernel.T.copy(), y, d_y, "sigmoid")
    for one, two in zip((d_x, d_kernel.T.copy(), d_bias), other, strict=True):
        assert_same_bits(one, two)


def decoder(dtype, of="floats"):
    """x, kernel, bias and targets."""
    *inputs, targets = Layer("dense_transpose").make(dtype, 6, 5, 9)
    if of == "bytes":
        return *inputs, np.arange(54, dtype="uint8").reshape(6, 9)
    return *inputs, (np.abs(targets.astype("float64")) % 1).astype(targets.dtype)


@dtypes
@pytest.mark.parametrize("of", ["floats", "bytes"])
@pytest.mark.parametrize("precision", ["float32", "tf32"])  # a GPU's alone
def test_cross_entropy_has_the_bits_of_both_kernels(dtype, of, precision):
    x, kernel, bias, targets = decoder(dtype, of)
    for with_bias in (bias, None):
        logits = core.dense_transpose(x, kernel, with_bias)
        slope, ours = (np.full_like(logits, np.nan) for _ in range(2))
        expected = core.sigmoid_cross_entropy(targets, logits, 0.1, slope=slope)
        given = x, kernel, with_bias, targets, 0.1
        loss = core.dense_transpose_cross_entropy(*given, precision=precision, slope=ours)
        assert_same_bits(loss, expected), assert_same_bits(ours, slope)
        out = np.full(6, np.nan, kl_dtype(dtype))
        assert core.dense_transpose_cross_entropy(*given, out=out) is out
        assert_same_bits(out, expected)
        whole = [a if a is None else a.reshape(2, 3, -1) for a in (x, targets)]
        loss = core.dense_transpose_cross_entropy(whole[0], kernel, with_bias, whole[1], 0.1)
        assert_same_bits(loss, expected.reshape(2, 3))
    if of == "floats":
        core.dense_transpose_cross_entropy(x, kernel, None, targets, 0.1, slope=targets)
        assert_same_bits(targets, slope)


def test_cross_entropy_refuses():
    x, kernel, bias, targets = decoder("float32")
    call = core.dense_transpose_cross_entropy
    square, wide = (np.zeros((6, 5), "float32"), kernel[:5]), targets.astype("float64")
    for arguments, options, message in [
        ((x, kernel[:, :4], bias, targets), {}, "kernel must have rank 2.*Received: x.shape"),
        ((x, kernel, bias[:3], targets), {}, "bias must have one number.*Received: "),
        ((x, kernel, bias, targets[:, :3]), {}, "targets must have the shape.*Received: "),
        ((x, kernel, bias, wide), {}, "targets must have the dtype .*Received: "),
        ((x, kernel, bias, targets), {"precision": "half"}, "float32 or tf32. Received: half"),
        ((x, kernel, bias, targets), {"slope": targets[:3]}, "out for slope must be.*Received: "),
        ((*square, None, square[0] + 1), {"slope": square[0]}, "slope must not overlap that for x"),
        ((x, kernel, bias, targets), {"out": bias[:6]}, "loss must not overlap that for bias"),
    ]:
        with pytest.raises(ValueError, match=f"^dense_transpose_cross_entropy: .*{message}"):
            call(*arguments, **options)
