"""fastgen.jit.math: the ULP that its docstrings state, edges, and that it becomes vectors."""

import re

import numpy as np
import pytest

from fastgen import jit
from fastgen.jit import loops, math
from tests.core.reference import TWO_PI
from tests.core.test_vector_math import every_exponent, ulps

ULP = {"exp": 1.2, "log": 2, "log1p": 2, "sigmoid": 3, "softplus": 3, "tanh": 3, "sincospi": 4}
COS_ULP_OF_1 = 2
INSTRUCTIONS = ("fma", "fabs", "copysign", "roundeven")  # what a processor has for them
KERNELS = {
    name: jit.elementwise(eval(f"lambda x: math.{name}(x)", {"math": math}), name=name)
    for name in ULP
}

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
names = pytest.mark.parametrize("name", ULP)


def every_size(dtype):
    return every_exponent(dtype)[::7]


def points(name, dtype):
    """Where a function is tried, and its exact values."""
    x, one = every_size(dtype), np.ones((), dtype)
    near = np.linspace(-100, 100, 100_000).astype(dtype) / (1 if name != "log1p" else 101)
    # Sizes of which exp(x) and exp(-x) are normal.
    even = x[x < -np.log(np.finfo(dtype).tiny)]
    even = np.concatenate([even, -even, near[np.abs(near) < even.max()]])
    if name == "log":
        x = np.concatenate([x, one + near[near > -0.99][::2] / 100])
    elif name == "log1p":
        x = np.concatenate([x, even[even > -one]])
    else:
        x = even
    wide = x.astype(np.longdouble)
    exact = {
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "softplus": lambda x: np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0),
    }
    return x, exact.get(name, getattr(np, name, None))(wide)


@names
def test_the_docstring_states_the_error_asserted_here(name):
    assert f"to {ULP[name]} ULP" in getattr(math, name).__doc__
    assert f"to {COS_ULP_OF_1} ULP of 1" in math.sincospi.__doc__


@dtypes
@pytest.mark.parametrize("name", [name for name in ULP if name != "sincospi"])
def test_error(name, dtype):
    x, exact = points(name, dtype)
    inside = np.abs(exact) < np.finfo(dtype).max / 2
    assert ulps(KERNELS[name](x).numpy(), exact)[inside].max() <= ULP[name]


@dtypes
def test_error_of_sine_and_cosine(dtype):
    small = every_size(dtype)
    small = small[(small > 1e-30) & (small < 1000)]
    x = np.concatenate([small, -small, np.linspace(-3, 3, 100_001).astype(dtype)])
    n = np.rint(x.astype(np.longdouble))
    angle, sign = (x - n) * TWO_PI / 2, 1 - 2 * (n % 2)
    sin, cos = (y.numpy() for y in KERNELS["sincospi"](x))
    # At whole numbers the sine is 0, of the sign of nothing.
    assert ulps(sin, sign * np.sin(angle))[x != n].max() <= ULP["sincospi"]
    assert not sin[x == n].any()
    assert np.abs(cos - sign * np.cos(angle)).max() <= COS_ULP_OF_1 * np.finfo(dtype).eps


EDGES = {  # at 0, inf, -inf, -1
    "exp": (1, np.inf, 0, np.exp(-1)),
    "log": (-np.inf, np.inf, np.nan, np.nan),
    "log1p": (0, np.inf, np.nan, -np.inf),
    "sigmoid": (0.5, 1, 0, 1 / (1 + np.e)),
    "softplus": (np.log(2), np.inf, 0, np.log1p(np.exp(-1))),
    "tanh": (0, 1, -1, np.tanh(-1)),
}


@dtypes
@pytest.mark.parametrize("name", EDGES)
def test_edges(name, dtype):
    y = KERNELS[name](np.array([0, np.inf, -np.inf, -1, np.nan], dtype)).numpy()
    expected = [*EDGES[name], np.nan]
    np.testing.assert_allclose(y, np.array(expected, dtype), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", ["exp", "log", "log1p"])
def test_fastmath_of_a_kernel_leaves_it_exact(name):
    fast = jit.elementwise(KERNELS[name].py_func, fastmath=True, name=f"fast_{name}")
    x, _ = points(name, "float32")
    y = KERNELS[name](x).numpy()
    np.testing.assert_array_equal(fast(x).numpy()[np.isfinite(y)], y[np.isfinite(y)])


@dtypes
def test_small_numbers(dtype):
    """Those that are less than normal, and the sign of 0."""
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([tiny, -0.0, -tiny], dtype)
    for name in ("log1p", "tanh"):
        np.testing.assert_array_equal(np.signbit(KERNELS[name](x)), [False, True, True])
        np.testing.assert_array_equal(KERNELS[name](x), x)
    np.testing.assert_allclose(KERNELS["log"](x[:1]), np.log(x[:1].astype(np.longdouble)), 1e-6)


def test_half_and_whole_numbers():
    assert KERNELS["exp"](np.array([1.0], "float16")).dtype == "float16"
    assert KERNELS["exp"](np.array([0, 1])).dtype == "float64"
    for value in (np.nan, np.inf):
        sin, cos = KERNELS["sincospi"](np.array([value]))
        assert np.isnan(sin) and np.isnan(cos)


@dtypes
@names
def test_becomes_vectors_without_calls(name, dtype, nothing_on_the_disk):
    kernel = jit.elementwise(KERNELS[name].py_func, name=name)
    text = kernel.compiled(loops.Scalars((dtype,))).machine.library.get_llvm_str()
    lanes = {"float32": r"<(4|8|16) x float>", "float64": r"<(2|4|8) x double>"}[dtype]
    assert re.search(rf"call {lanes} @llvm\.fma\.v", text)
    called = set(re.findall(r"call [^@]*(?:float|double)>? @([\w.]+)\(", text))
    assert {call.rpartition(".")[0] for call in called} <= {f"llvm.{x}" for x in INSTRUCTIONS}
