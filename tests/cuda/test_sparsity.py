import numpy as np
import pytest

from tests.core import reference
from tests.core.cases import assert_same_bits, assert_within, unit
from tests.core.test_sparsity import P, activities, kinds, upstream
from tests.cuda.cases import CODES, dtypes, kl_dtype, poisoned, shifted
from tests.cuda.memory import KernelError, Out
from tests.tolerances import assert_close

KINDS = {"kl": 1, "l1": 2, "mse": 3}
NAME = "fg_cuda_sparsity"
# Columns: one, odd, packs of every dtype, rows abreast, several tiles; rows: one, several pieces.
MATRICES = [
    *((1, 1), (7, 10), (33, 64), (3, 255), (70, 3), (3000, 3), (2100, 1), (40, 8)),
    *((2, 2048), (3, 1025), (90, 264), (600, 72)),
]


def forward(call, a, kind, place=lambda x: x, target=P):
    """The penalty and the mean activities."""
    outs = poisoned((), kl_dtype(a.dtype.name)), poisoned(a.shape[1], "float64")
    arrays = place(a), *(Out(x) for x in outs)
    return call(NAME, CODES[a.dtype.name], *a.shape, KINDS[kind], target, *arrays)


def backward(call, a, kind, q, arriving, place=lambda x: x):
    d_penalty, d_activity, d_passed = (*arriving, None, None)[:3]
    d_passed = d_passed if d_passed is None else place(d_passed)
    arrays = place(a), q, d_penalty, d_activity, d_passed
    out = Out(place(poisoned(a.shape, a.dtype.name)))
    return call(f"{NAME}_grad", CODES[a.dtype.name], *a.shape, KINDS[kind], P, *arrays, out)


def assert_activity(q, a, kind):
    dtype = a.dtype.name
    roundings = 400 + len(a) / 1024 if dtype == "float64" else 6
    bound = roundings * unit(dtype) * np.mean(np.abs(a.astype("float64")), axis=0)
    assert_within(q, reference.sparsity(a, P, kind)[1], bound, "float64")


@kinds
@dtypes
@pytest.mark.parametrize("shape", MATRICES, ids=str)
def test_errs_as_stated(call, dtype, shape, kind):
    a = activities(dtype, shape, kind)
    penalty, q = forward(call, a, kind)
    assert_activity(q, a, kind)
    expected, _ = reference.sparsity(a, P, kind)
    assert_close(penalty, expected, kl_dtype(dtype), n=shape[1])


@kinds
@dtypes
@pytest.mark.parametrize("shape", MATRICES, ids=str)
def test_gradient_errs_as_stated(call, dtype, shape, kind):
    a = activities(dtype, shape, kind)
    _, q = reference.sparsity(a, P, kind)
    d_penalty, d_activity, d_passed = upstream(dtype, shape)
    for arriving in [(), (d_activity,), (None, d_passed), (d_activity, d_passed)]:
        ours = backward(call, a, kind, q, (d_penalty, *arriving))
        terms = [0.0 if x is None else x for x in arriving]
        expected = reference.sparsity_grad(a, P, kind, q, d_penalty, *terms)
        sizes = [np.abs(d_penalty * reference.sparsity_slope(q, P, kind)) / shape[0]]
        sizes += [np.abs(np.asarray(x, "float64")) for x in terms]
        assert_within(ours, expected, 4 * unit(dtype) * sum(sizes), dtype)


@kinds
@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)], ids=str)
def test_empty(call, kind, shape):
    a = np.zeros(shape, "float32")
    penalty, q = forward(call, a, kind)
    assert penalty == 0 and (q == 0).all()
    assert backward(call, a, kind, q, (np.ones((), "float32"),)).shape == shape


@kinds
@dtypes
def test_arrays_that_16_bytes_do_not_divide(call, dtype, kind):
    a = activities(dtype, (90, 72), kind)
    penalty, q = forward(call, a, kind, shifted)
    assert_activity(q, a, kind)
    assert_close(penalty, reference.sparsity(a, P, kind)[0], kl_dtype(dtype), n=72)
    arriving = upstream(dtype, a.shape)
    odd = backward(call, a, kind, q, arriving, shifted)
    assert_same_bits(odd, backward(call, a, kind, q, arriving))


@kinds
@pytest.mark.parametrize("shape", [(2000, 3), (90, 72)], ids=str)
def test_the_same_bits_again(call, shape, kind):
    """Threads run in another order each time: see on_cpu/block.h."""
    a = activities("float64", shape, kind)
    results = {b"".join(x.tobytes() for x in forward(call, a, kind)) for _ in range(3)}
    assert len(results) == 1


@kinds
@dtypes
def test_gradient_in_place(call, dtype, kind):
    a = activities(dtype, (40, 24), kind)
    _, q = forward(call, a, kind)
    d_penalty, d_activity, d_passed = upstream(dtype, a.shape)
    expected = backward(call, a, kind, q, (d_penalty, d_activity, d_passed))
    for out in (a, d_passed):
        arrays = a, q, d_penalty, d_activity, d_passed, Out(out)
        ours = call(f"{NAME}_grad", CODES[dtype], *a.shape, KINDS[kind], P, *arrays)
        assert_same_bits(ours, expected)


@kinds
@dtypes
@pytest.mark.parametrize("cols", [1, 10, 72])
def test_nan_and_inf(call, dtype, cols, kind):
    """A NaN reaches the penalty and its own unit, and no other."""
    a = activities(dtype, (60, cols), kind)
    clean = forward(call, a, kind)[1]
    a[3, 0] = np.nan
    penalty, q = forward(call, a, kind)
    assert np.isnan(penalty) and np.isnan(q[0])
    assert_same_bits(q[1:], clean[1:])
    grad = backward(call, a, kind, q, (np.ones((), kl_dtype(dtype)),))
    assert np.isnan(np.asarray(grad[3, 0], "float32"))
    assert np.isfinite(grad[:, 1:].astype("float32")).all()
    a[3, 0] = np.inf
    penalty, q = forward(call, a, kind)
    assert q[0] == np.inf and (np.isfinite(penalty) if kind == "kl" else penalty == np.inf)


@kinds
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_targets_at_the_ends(call, kind, target):
    a = activities("float64", (40, 6))
    a[:, 0], a[:, 1] = 0, 1
    penalty, q = forward(call, a, kind, target=target)
    assert_close(penalty, reference.sparsity(a, target, kind)[0], "float64")
    grad = backward(call, a, kind, q, (np.ones(()),))
    assert np.isfinite(grad).all()
    if kind == "kl":
        assert (grad[:, :2] == 0).all()


def test_refuses_sizes_kinds_and_dtypes(call):
    none = [None] * 3
    for name, rest in ((NAME, none), (f"{NAME}_grad", none * 2)):
        with pytest.raises(KernelError, match="must not be negative"):
            call(name, 0, -1, 2, 1, P, *rest)
        with pytest.raises(KernelError, match="kind must be kl, l1 or mse.*Received: code 4"):
            call(name, 0, 1, 2, 4, P, *rest)
        with pytest.raises(KernelError, match="dtype must be float32.*Received: code 9"):
            call(name, 9, 1, 2, 1, P, *rest)
