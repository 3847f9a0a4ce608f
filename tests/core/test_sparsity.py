"""Penalties of the mean activity of each unit, and their gradient."""

import numpy as np
import pytest

from tests.core import reference
from tests.core.cases import (
    BEYOND_A_SHARE,
    DTYPES,
    assert_same_bits,
    assert_within,
    core,
    dtypes,
    guards_hold,
    kl_dtype,
    numpy_dtype,
    poisoned,
    stated,
    unaligned,
    unit,
)
from tests.tolerances import NUMERIC, NUMERIC_STEP, assert_as_exact_as, assert_close

P = 0.1
# Rows that fold, that do not, that are blocks of columns; a few, and more than a panel.
SHAPES = [
    (0, 10),
    (7, 0),
    (1, 1),
    (7, 10),
    (5, 255),
    (259, 300),
    (3, 1025),
    (10_001, 10),
    (5, 30_011),
    (40_003, 3),
]
# The kinds share their sums and loops but for |a| in l1's: mse, on some shapes.
CASES = [(s, k) for s in SHAPES for k in ("kl", "l1", "mse") if k != "mse" or s[0] < 1000]
kinds = pytest.mark.parametrize("kind", ["kl", "l1", "mse"])


def activities(dtype, shape, kind="kl", key=0):
    """Numbers in (0.05, 0.95); for l1 of either sign."""
    rng = np.random.default_rng(key)
    values = rng.uniform(0.05, 0.95, shape)
    if kind == "l1":
        values *= rng.choice([-1, 1], shape)
    return values.astype(numpy_dtype(dtype))


def upstream(dtype, shape, key=1):
    """d_penalty, d_activity and d_passed."""
    rng = np.random.default_rng(key)
    d_penalty = np.array(rng.standard_normal(), kl_dtype(dtype))
    passed = rng.standard_normal(shape).astype(numpy_dtype(dtype))
    return d_penalty, rng.standard_normal(shape[-1:]), passed


@dtypes
def test_matches_reference(isa, dtype):
    for shape, kind in CASES:
        a = activities(dtype, shape, kind)
        out = poisoned((), kl_dtype(dtype)), poisoned(shape[1], "float64")
        penalty, activity = core.sparsity(a, P, kind, out=out)
        assert penalty is out[0] and activity is out[1]
        expected, q = reference.sparsity(a, P, kind)
        assert_close(penalty, expected, kl_dtype(dtype), n=max(shape[1], 1))
        if a.size == 0:
            assert (activity == 0).all() and penalty == 0
            continue
        roundings = 400 + shape[0] / 1024 if dtype == "float64" else 6
        bound = roundings * unit(dtype) * np.mean(np.abs(a.astype("float64")), axis=0)
        assert_within(activity, q, bound, "float64")


@dtypes
def test_gradient_matches_reference(isa, dtype):
    for shape, kind in CASES:
        a = activities(dtype, shape, kind)
        _, q = reference.sparsity(a, P, kind)
        d_penalty, d_activity, d_passed = upstream(dtype, shape)
        for arriving in [(), (d_activity,), (None, d_passed), (d_activity, d_passed)]:
            out = poisoned(shape, dtype)
            assert core.sparsity_grad(a, P, kind, q, d_penalty, *arriving, out=out) is out
            terms = [0.0 if x is None else x for x in arriving]
            expected = reference.sparsity_grad(a, P, kind, q, d_penalty, *terms)
            sizes = [np.abs(d_penalty * reference.sparsity_slope(q, P, kind)) / max(shape[0], 1)]
            sizes += [np.abs(np.asarray(x, "float64")) for x in terms]
            if out.size:
                assert_within(out, expected, 4 * unit(dtype) * sum(sizes), dtype)


def test_header_states_what_is_asserted_here():
    error = stated("kernels/sparsity.h", "Error")
    assert "activity 6 u mean(|a|), in float64 (400 + rows / 1024) u mean(|a|)" in error
    assert "d_a 4 u of the sum of the magnitudes of its terms" in error
    assert "[1e-7, 1 - 1e-7], where it has no gradient" in stated("kernels/sparsity.h", "Edges")


@kinds
@pytest.mark.parametrize("target", [0, 0.3, 1])
def test_closed_forms(isa, kind, target):
    q = np.array([0.05, 0.2, 0.3, 0.9])
    a = np.stack([q - 0.05, q + 0.05]).astype("float32")
    penalty, _ = core.sparsity(a, target, kind)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [target * np.log(target / q), (1 - target) * np.log((1 - target) / (1 - q))]
    kl = np.sum(np.nan_to_num(terms, nan=0.0))
    expected = {"kl": kl, "l1": np.sum(q), "mse": np.sum((q - target) ** 2)}[kind]
    np.testing.assert_allclose(penalty, expected, rtol=1e-6)


@kinds
def test_as_exact_as_tensorflow(isa, kind):
    tf = pytest.importorskip("tensorflow")
    a = activities("float32", (4096, 64), kind)
    _, q = core.sparsity(a, P, kind)
    stock = tf.reduce_mean(np.abs(a) if kind == "l1" else a, axis=0)
    assert_as_exact_as(q, stock, reference.sparsity(a, P, kind)[1], "float32")


@dtypes
def test_finite_where_activities_are_all_or_nothing(isa, dtype):
    """The penalty is that of 1e-7 from either end; beyond it there is no gradient."""
    d_penalty = np.ones((), kl_dtype(dtype))
    for value in (0.0, 1e-8, 1.0, -3.0, 5.0):
        a = np.full([4, 3], value, numpy_dtype(dtype))
        penalty, q = core.sparsity(a, P, "kl")
        low = P * np.log(P / 1e-7) + (1 - P) * np.log((1 - P) / (1 - 1e-7))
        high = P * np.log(P / (1 - 1e-7)) + (1 - P) * np.log((1 - P) / 1e-7)
        np.testing.assert_allclose(penalty, 3 * (low if value < 0.5 else high), rtol=1e-6)
        assert (core.sparsity_grad(a, P, "kl", q, d_penalty) == 0).all()
    for value in (2e-7, 1e-5, 1 - 1e-5):
        a = np.full([4, 3], value, "float64")
        _, q = core.sparsity(a, P, "kl")
        grad = core.sparsity_grad(a, P, "kl", q, np.ones(()))
        np.testing.assert_allclose(grad, ((1 - P) / (1 - value) - P / value) / 4, rtol=1e-6)


@kinds
@dtypes
def test_unaligned(isa, dtype, kind):
    for shape in [*((5, n) for n in range(1, 36)), (259, 300), (3, 1025)]:
        a = activities(dtype, shape, kind)
        penalty, q = core.sparsity(a, P, kind)
        out = unaligned(poisoned((), kl_dtype(dtype))), unaligned(poisoned(shape[1], "float64"))
        core.sparsity(unaligned(a), P, kind, out=out)
        for ours, expected in zip(out, (penalty, q), strict=True):
            assert_same_bits(ours, expected)
        arriving = upstream(dtype, shape)
        grad = unaligned(poisoned(shape, dtype))
        core.sparsity_grad(unaligned(a), P, kind, unaligned(q), *map(unaligned, arriving), out=grad)
        assert_same_bits(grad, core.sparsity_grad(a, P, kind, q, *arriving))
        assert all(map(guards_hold, (*out, grad)))


@kinds
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gradient_in_place(isa, dtype, kind):
    a = activities(dtype, (259, 300), kind)
    _, q = core.sparsity(a, P, kind)
    d_penalty, d_activity, d_passed = upstream(dtype, a.shape)
    expected = core.sparsity_grad(a, P, kind, q, d_penalty, d_activity, d_passed)
    for at in (0, 1):
        arrays = a.copy(), d_passed.copy()
        ours = core.sparsity_grad(
            arrays[0], P, kind, q, d_penalty, d_activity, arrays[1], out=arrays[at]
        )
        assert_same_bits(ours, expected)


@kinds
@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("float32", (BEYOND_A_SHARE, 3)), ("bfloat16", (1027, 300)), ("float32", (7, 30_011))],
)
def test_threads_do_not_change_a_bit(isa, threads, dtype, shape, kind):
    a = activities(dtype, shape, kind)
    results = set()
    for n in threads:
        core.set_threads(n)
        penalty, q = core.sparsity(a, P, kind)
        grad = core.sparsity_grad(a, P, kind, q, *upstream(dtype, shape))
        results.add(b"".join(x.tobytes() for x in (penalty, q, grad)))
    assert len(results) == 1


@kinds
@pytest.mark.parametrize(
    ("dtype", "cols"), [*((dtype, 10) for dtype in DTYPES), ("float32", 1), ("float32", 70)]
)
def test_nan_and_inf(isa, dtype, cols, kind):
    """A NaN reaches the penalty and its own unit, and no other."""
    a = activities(dtype, (60, cols), kind)
    clean = core.sparsity(a, P, kind)[1]
    a[3, 0] = np.nan
    penalty, q = core.sparsity(a, P, kind)
    assert np.isnan(penalty) and np.isnan(q[0])
    assert_same_bits(q[1:], clean[1:])
    grad = core.sparsity_grad(a, P, kind, q, np.ones((), kl_dtype(dtype)))
    assert np.isnan(np.asarray(grad[3, 0], "float32"))
    assert np.isfinite(grad[:, 1:].astype("float32")).all()
    a[3, 0] = np.inf
    penalty, q = core.sparsity(a, P, kind)
    assert q[0] == np.inf and (np.isfinite(penalty) if kind == "kl" else penalty == np.inf)


@kinds
def test_gradient_matches_differences(isa, kind):
    a = activities("float64", (4, 5), kind)
    _, q = core.sparsity(a, P, kind)
    grad = core.sparsity_grad(a, P, kind, q, np.ones(()))
    rtol, atol = NUMERIC
    for i in range(a.size):
        step = np.zeros(a.size)
        step[i] = NUMERIC_STEP
        step = step.reshape(a.shape)
        up, down = core.sparsity(a + step, P, kind)[0], core.sparsity(a - step, P, kind)[0]
        np.testing.assert_allclose(grad.flat[i], (up - down) / (2 * NUMERIC_STEP), rtol, atol)


@kinds
def test_any_rank(isa, kind):
    a = activities("float32", (2, 3, 4, 5), kind)
    penalty, q = core.sparsity(a, P, kind)
    flat = core.sparsity(a.reshape(24, 5), P, kind)
    assert_same_bits(penalty, flat[0])
    assert_same_bits(q, flat[1])
    assert core.sparsity(a[0, 0, 0], P, kind)[1].shape == (5,)
    assert core.sparsity_grad(a, P, kind, q, np.ones((), "float32")).shape == a.shape


def test_refusals():
    a, q, one = np.zeros([4, 3], "float32"), np.zeros(3), np.ones((), "float32")
    for message, call in [
        ("sparsity: kind must be kl, l1 or mse", lambda: core.sparsity(a, P, "entropy")),
        ("sparsity: activations", lambda: core.sparsity(one, P, "kl")),
        ("sparsity_grad: kind must be", lambda: core.sparsity_grad(a, P, "", q, one)),
        ("sparsity_grad: activity", lambda: core.sparsity_grad(a, P, "kl", q[:2], one)),
        ("sparsity_grad: d_penalty", lambda: core.sparsity_grad(a, P, "kl", q, q)),
        ("sparsity_grad: d_activity", lambda: core.sparsity_grad(a, P, "kl", q, one, a)),
        ("sparsity_grad: .*d_passed", lambda: core.sparsity_grad(a, P, "kl", q, one, q, a[1:])),
    ]:
        with pytest.raises(ValueError, match=rf"^{message}.*Received: "):
            call()
