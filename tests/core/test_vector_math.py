"""The vector math: the ULP and range that kernels/elementary.h states, on every ISA."""

import functools

import numpy as np
import pytest

from tests.core.cases import CSRC, core, stated, unaligned
from tests.core.dense_layer import activated
from tests.core.reference import TWO_PI

STATED = {
    "float32": "exp 1.2, log 2, sin 4, log1p 2, sigmoid 3, softplus 3",
    "float64": "exp 1.2, log 1.2, sin 4, log1p 2, sigmoid 3, softplus 3",
    "Both": "reciprocal 1, inverse_sqrt 2, square_root 2, quotient 1",
}
ULP = {
    dtype: {name: float(ulp) for name, ulp in (entry.split() for entry in line.split(", "))}
    for dtype, line in STATED.items()
}
EXPM1_ULP = 3  # of x <= 0, as the kernels call it
COS_ULP_OF_1 = 2  # cos is nearly 0 at the ends of the range
NEWTON = [core.reciprocal, core.inverse_sqrt, core.square_root]
FUNCTIONS = [
    core.exp, core.log, core.log1p, core.sigmoid, core.softplus, *NEWTON, core.sincos2pi
]  # fmt: skip

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def test_header_states_the_error_asserted_here():
    line = stated("kernels/elementary.h", "Error")
    for dtype, ulps in STATED.items():
        assert f"{dtype}: {ulps}" in line
    newton = (CSRC / "core/newton.h").read_text()
    names = ("1 / x", "1 / sqrt(x)", "sqrt(x)", "a / b")
    for name, ulp in zip(names, ULP["Both"].values(), strict=True):
        assert f"// {name} to {ulp:g} ULP" in newton
    assert f"cos: {COS_ULP_OF_1} ULP of 1" in line


def ulps(y, exact):
    """Distance from exact (longdouble) in units of the last place at exact."""
    info = np.finfo(y.dtype)
    unit = np.spacing(np.maximum(np.abs(exact), info.tiny).astype(y.dtype))
    return np.abs(y - exact) / unit


@functools.cache
def every_exponent(dtype):
    """Positive normal numbers: each exponent, with mantissas even and random."""
    info = np.finfo(dtype)
    count = 8192 if dtype == "float32" else 1024
    mantissa = 1 + np.concatenate(
        [np.arange(count) / count, np.random.default_rng(0).random(count), [1 - 2.0**-info.nmant]]
    )
    exponent = np.arange(info.minexp, info.maxexp)
    return np.ldexp(mantissa.astype(dtype), exponent[:, None]).ravel()


@functools.cache
def exp_points(dtype):
    info = np.finfo(dtype)
    x = every_exponent(dtype)
    x = x[x <= np.log(info.max)]
    low, high = np.log(info.tiny), np.log(info.max)
    points = [x, -x, np.linspace(low, high, 500_000).astype(dtype)]
    points = np.concatenate(points)
    exact = np.exp(points.astype(np.longdouble))
    # Within a rounding of the smallest normal number a result may be it or 0.
    inside = (exact >= info.tiny * (1 + 4 * info.eps)) & (exact <= info.max)
    return points[inside], exact[inside]


@functools.cache
def log_points(dtype):
    near_one = 1 + np.linspace(-0.5, 1, 500_000).astype(dtype) ** 3
    points = np.concatenate([every_exponent(dtype), near_one.astype(dtype)])
    return points, np.log(points.astype(np.longdouble))


@functools.cache
def sincos_points(dtype):
    small = every_exponent(dtype)
    small = small[(small <= 0.25) & (small > 2.0**-100)]
    points = np.concatenate([small, -small, np.linspace(-0.25, 0.25, 500_000).astype(dtype)])
    angle = points.astype(np.longdouble) * TWO_PI
    return points, np.sin(angle), np.cos(angle)


@dtypes
def test_exp(isa, dtype):
    x, exact = exp_points(dtype)
    assert ulps(core.exp(x), exact).max() <= ULP[dtype]["exp"]


@dtypes
def test_log(isa, dtype):
    x, exact = log_points(dtype)
    assert ulps(core.log(x), exact).max() <= ULP[dtype]["log"]


@functools.cache
def log1p_points(dtype):
    small = every_exponent(dtype)
    points = np.concatenate([small[small <= 1], np.linspace(0, 1, 500_000).astype(dtype)])
    return points, np.log1p(points.astype(np.longdouble))


@functools.cache
def logistic_points(dtype):
    """x; and the exact sigmoid and softplus, where they are normal numbers."""
    info = np.finfo(dtype)
    low = np.log(info.tiny) * 0.999
    x = every_exponent(dtype)[::7]
    x = np.concatenate([x[x < info.max / 2], -x, np.linspace(low, 40, 300_000).astype(dtype)])
    x = x[x > low]
    wide = x.astype(np.longdouble)
    e = np.exp(-np.abs(wide))
    sigmoid = np.where(x < 0, e, 1) / (1 + e)
    return x, sigmoid, np.maximum(wide, 0) + np.log1p(e)


@dtypes
def test_log1p(isa, dtype):
    x, exact = log1p_points(dtype)
    assert ulps(core.log1p(x), exact).max() <= ULP[dtype]["log1p"]


@dtypes
def test_expm1(isa, dtype):
    """What elu is below 0."""
    assert f"// e^x - 1, x <= 0, to {EXPM1_ULP} ULP" in (CSRC / "core/vector_math.h").read_text()
    small = every_exponent(dtype)[::3]
    near = np.linspace(0, 40, 300_000).astype(dtype)
    x = -np.concatenate([small[small <= 1e4], near[1:], np.array([np.inf], dtype)])
    exact = np.expm1(x.astype(np.longdouble))
    assert ulps(activated("elu", x), exact).max() <= EXPM1_ULP


@dtypes
def test_sigmoid_and_softplus(isa, dtype):
    x, sigmoid, softplus = logistic_points(dtype)
    assert ulps(core.sigmoid(x), sigmoid).max() <= ULP[dtype]["sigmoid"]
    assert ulps(core.softplus(x), softplus).max() <= ULP[dtype]["softplus"]


@dtypes
def test_sigmoid_and_softplus_edges(isa, dtype):
    info = np.finfo(dtype)
    x = np.array([0, -0.0, np.inf, -np.inf, info.max, -info.max, 1e4, -1e4, np.nan, -np.nan], dtype)
    np.testing.assert_array_equal(core.sigmoid(x), [0.5, 0.5, 1, 0, 1, 0, 1, 0, np.nan, np.nan])
    ln2 = np.log(np.array(2, np.longdouble)).astype(dtype)
    expected = [ln2, ln2, np.inf, 0, info.max, 0, 1e4, 0, np.nan, np.nan]
    np.testing.assert_array_equal(core.softplus(x), np.array(expected, dtype))
    assert core.log1p(np.array([0, 1, np.nan], dtype)).tolist()[:1] == [0]
    assert np.isnan(core.log1p(np.array([np.nan], dtype))).all()


@dtypes
def test_sincos2pi(isa, dtype):
    x, sin, cos = sincos_points(dtype)
    s, c = core.sincos2pi(x)
    assert ulps(s, sin).max() <= ULP[dtype]["sin"]
    assert np.abs(c - cos).max() <= COS_ULP_OF_1 * np.finfo(dtype).eps


@functools.cache
def newton_points(dtype):
    """x, 1 / x of normal numbers both; and the exact 1 / x, 1 / sqrt(x) and sqrt(x)."""
    x = every_exponent(dtype)
    x = x[x <= 1 / np.finfo(dtype).tiny]
    wide = x.astype(np.longdouble)
    return x, 1 / wide, 1 / np.sqrt(wide), np.sqrt(wide)


@functools.cache
def quotient_points(dtype):
    """a, b, and exact a / b, over the range that core/newton.h names."""
    info = np.finfo(dtype)
    b = newton_points(dtype)[0]
    a = np.random.default_rng(2).permutation(b)
    a, b = np.concatenate([a, -a, b]), np.concatenate([b, b, b[::-1]])
    exact = a.astype(np.longdouble) / b
    size = np.abs(exact)
    inside = (size >= info.tiny) & (size < info.max / 2) & (np.abs(a) >= 2.0**24 * info.tiny)
    return a[inside], b[inside], exact[inside]


@dtypes
def test_reciprocal_and_roots(isa, dtype):
    x, *exact = newton_points(dtype)
    for function, y in zip(NEWTON, exact, strict=True):
        assert ulps(function(x), y).max() <= ULP["Both"][function.__name__]


@dtypes
def test_quotient(isa, dtype):
    a, b, exact = quotient_points(dtype)
    assert ulps(core.quotient(a, b), exact).max() <= ULP["Both"]["quotient"]


@dtypes
def test_roots_and_quotients_of_zero_inf_and_nan(isa, dtype):
    x = np.array([0, np.inf, np.nan], dtype)
    np.testing.assert_array_equal(core.inverse_sqrt(x), [np.inf, 0, np.nan])
    np.testing.assert_array_equal(core.square_root(x), x)
    a, b = np.repeat(np.array([0, 3, -3, np.inf, np.nan], dtype), 3), np.tile(x, 5)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(core.quotient(a, b), a / b)


@dtypes
def test_exp_edges(isa, dtype):
    info = np.finfo(dtype)
    low, high = np.log(info.tiny), np.log(info.max)
    tiny = info.smallest_subnormal
    x = [0, -0.0, tiny, -tiny, np.inf, -np.inf, high * 1.001, info.max, low * 1.3, -info.max]
    expected = [1, 1, 1, 1, np.inf, 0, np.inf, np.inf, 0, 0]
    np.testing.assert_array_equal(core.exp(np.array(x, dtype)), np.array(expected, dtype))
    assert np.isnan(core.exp(np.array([np.nan, -np.nan], dtype))).all()
    y = core.exp(np.array([high * 0.99999, low * 0.99999], dtype))
    assert np.isfinite(y).all() and (y > 0).all()


@dtypes
def test_exp_at_its_thresholds(isa, dtype):
    """Around overflow and underflow: right, or the neighbour that rounding allows.

    Subnormal results lose bits as subnormals do, or are 0 where the thread flushes them.
    """
    info = np.finfo(dtype)
    for end in (info.max, info.tiny):
        threshold = np.log(end.astype(np.longdouble))
        x = np.array([threshold], dtype).view(f"i{info.bits // 8}")
        x = (x + np.arange(-200, 201, dtype=x.dtype)).view(dtype)
        exact, y = np.exp(x.astype(np.longdouble)), core.exp(x)
        assert not np.isnan(y).any()
        assert (y[exact > info.max * (1 + 2 * np.longdouble(info.eps))] == np.inf).all()
        below = (exact < info.tiny) & (y != 0)
        assert (ulps(y[below], exact[below]) <= ULP[dtype]["exp"] + 0.5).all()
        sure = (exact <= info.max) & (exact >= info.tiny * (1 + 2 * np.longdouble(info.eps)))
        assert ulps(y[sure], exact[sure]).max() <= ULP[dtype]["exp"]


@dtypes
def test_log_edges(isa, dtype):
    info = np.finfo(dtype)
    assert core.log(np.ones(1, dtype)).tolist() == [0]
    ends = np.array([info.tiny, info.max], dtype)
    assert ulps(core.log(ends), np.log(ends.astype(np.longdouble))).max() <= ULP[dtype]["log"]


@dtypes
def test_sincos2pi_is_exact_at_zero(isa, dtype):
    s, c = core.sincos2pi(np.array([0, -0.0], dtype))
    assert s.tolist() == [0, 0] and np.signbit(s).tolist() == [False, True]
    assert c.tolist() == [1, 1]


@dtypes
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_every_partial_vector(isa, dtype, function):
    """Each length below four vectors, unaligned, gives the same bits as within a long array."""
    x = np.random.default_rng(1).uniform(0.01, 0.25, 67).astype(dtype)
    whole = np.asarray(function(x))
    for n in range(68):
        np.testing.assert_array_equal(np.asarray(function(unaligned(x[:n]))), whole[..., :n])


@dtypes
@pytest.mark.parametrize("function", FUNCTIONS[:-1], ids=lambda f: f.__name__)
def test_in_place(isa, dtype, function):
    x = np.linspace(0.5, 1, 103).astype(dtype)
    expected = function(x)
    assert function(x, out=x) is x
    np.testing.assert_array_equal(x, expected)
