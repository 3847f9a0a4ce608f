"""Wrong arguments raise ValueError ending in what was received; nothing crashes or is written."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.core.cases import DTYPES, core, kl_dtype, numpy_dtype

KERNELS = [
    core.gaussian_sample,
    core.gaussian_sample_grad,
    core.gaussian_kl,
    core.gaussian_kl_grad,
    core.gaussian_sample_kl,
    core.gaussian_sample_kl_grad,
]
SEEDED = [k for k in KERNELS if "sample" in k.__name__]
BAD_SEEDS = [
    None, 1, (1,), (1, 2, 3), (1.0, 2.0), "12", ("1", "2"), {1, 2}, {1: 2, 3: 4}, (2**63, 0),
    (0, -(2**63) - 1), (None, 1), np.zeros([2]), np.zeros([2, 2], int), np.zeros([0], int),
    np.array([2**63, 0], np.uint64),
]  # fmt: skip

dims = st.lists(st.integers(0, 5), max_size=4).map(tuple)
real = st.sampled_from(DTYPES)
any_dtype = st.sampled_from(
    [*DTYPES, "int32", "int64", "uint8", "bool", "complex64", "longdouble", ">f4", ">f8", "O", "U3"]
)


def refused(op, *args, **kwargs):
    with pytest.raises(ValueError, match=rf"^{op.__name__}: .*\. Received: .+"):
        op(*args, **kwargs)


def zeros(shape, dtype):
    return np.zeros(shape, numpy_dtype(dtype) if dtype in DTYPES else np.dtype(dtype))


def arguments(op, shape, dtype):
    """Good arguments by name."""
    x, rows = zeros(shape, dtype), np.zeros(shape[:-1], kl_dtype(dtype))
    every = {"mean": x, "log_var": x + 1, "seed": (1, 2), "d_z": x + 2, "d_kl": rows}
    return {name: every[name] for name in every if f"{name}: object" in op.__doc__.split("\n")[0]}


@given(st.sampled_from(KERNELS), dims, real)
def test_good_arguments(op, shape, dtype):
    assume(shape or "kl" not in op.__name__)
    results = op(**arguments(op, shape, dtype))
    for result in results if isinstance(results, tuple) else (results,):
        assert result.shape in (shape, shape[:-1])


@given(st.sampled_from(KERNELS), dims, dims, real, st.data())
def test_mismatched_shapes(op, shape, other, dtype, data):
    assume(shape and shape != other)
    args = arguments(op, shape, dtype)
    name = data.draw(st.sampled_from([n for n in args if n != "seed"]))
    assume(args[name].shape != other)
    refused(op, **args | {name: zeros(other, args[name].dtype.name)})


@given(st.sampled_from(KERNELS), any_dtype, real, st.data())
def test_mismatched_dtypes(op, wrong, dtype, data):
    args = arguments(op, (2, 3), dtype)
    name = data.draw(st.sampled_from([n for n in args if n != "seed"]))
    assume(np.dtype(args[name].dtype).name != wrong)
    refused(op, **args | {name: zeros(args[name].shape, wrong)})


@pytest.mark.parametrize("op", KERNELS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", ["int64", "bool", "complex128", ">f4", "O", "U3", "longdouble"])
def test_dtypes_without_a_kernel(op, dtype):
    args = arguments(op, (2, 3), "float32")
    refused(
        op, **{k: v if k in ("seed", "d_kl") else zeros((2, 3), dtype) for k, v in args.items()}
    )


@pytest.mark.parametrize("op", SEEDED, ids=lambda f: f.__name__)
@pytest.mark.parametrize("seed", BAD_SEEDS, ids=repr)
def test_bad_seeds(op, seed):
    refused(op, **arguments(op, (2, 3), "float32") | {"seed": seed})
    refused(core.random_normal, 3, seed)


@pytest.mark.parametrize(
    "seed", [[1, -2], (np.int64(1), np.int32(-2)), np.array([1, -2]), np.array([1, -2], np.int32)]
)
def test_seeds_of_any_integers(seed):
    expected = core.random_normal(9, (1, -2))
    np.testing.assert_array_equal(core.random_normal(9, seed), expected)


@pytest.mark.parametrize("op", KERNELS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("value", [None, "text", object(), [[1.0], [1.0, 2.0]], {}, np])
def test_what_is_no_array(op, value):
    args = arguments(op, (2, 3), "float32")
    for name in args:
        refused(op, **args | {name: value})


@pytest.mark.parametrize("op", [k for k in KERNELS if "kl" in k.__name__], ids=lambda f: f.__name__)
def test_kl_of_a_scalar(op):
    args = arguments(op, (), "float32")
    refused(op, **args)


def good_out(op, args):
    results = op(**args)
    return tuple(map(np.zeros_like, results)) if isinstance(results, tuple) else results


@given(st.sampled_from(KERNELS), real, st.data())
@settings(max_examples=200)
def test_bad_out(op, dtype, data):
    """The wrong shape, dtype, layout or kind of output is refused, and stays as it was."""
    args = arguments(op, (4, 6), dtype)
    out = good_out(op, args)
    several = isinstance(out, tuple)
    place = data.draw(st.integers(0, len(out) - 1)) if several else 0
    good = out[place] if several else out
    wider = np.zeros((*good.shape[:-1], 2 * good.shape[-1]), good.dtype)
    frozen = good.copy()
    frozen.flags.writeable = False
    bad = data.draw(
        st.sampled_from(
            [wider[..., ::2], wider, good[:-1], good[None], frozen, good.astype("int16"), [1], "x"]
        )
    )
    before = np.array(bad, copy=True)
    refused(op, **args, out=(*out[:place], bad, *out[place + 1 :]) if several else bad)
    np.testing.assert_array_equal(bad, before)
    if several:
        refused(op, **args, out=list(out))
        refused(op, **args, out=out[:1])


def test_outputs_that_overlap():
    memory = np.zeros(41, "float32")
    x, shifted = memory[:40], memory[1:]
    refused(core.gaussian_sample, x, x, (1, 2), out=shifted)
    refused(core.gaussian_sample_grad, x, (1, 2), x, out=shifted)
    m = x.reshape(4, 10)
    refused(core.gaussian_kl, m, m, out=memory[:4])
    refused(core.gaussian_kl_grad, m, m, np.ones(4, "float32"), out=(m, m))
    refused(core.gaussian_sample_kl, m, m, (1, 2), out=(m, memory[4:8]))
    refused(core.exp, x, out=shifted)
    refused(core.sincos2pi, x, out=(x, shifted))
    refused(core.triad, x, x, np.ones(40, "float32"), 2.0)
    refused(core.triad, x, shifted, shifted, 2.0)


@pytest.mark.parametrize("shape", [-1, (2, -3), 1.5, "ab", (1, "a"), None, (2**63,), [[1]]])
def test_bad_shape_of_noise(shape):
    refused(core.random_normal, shape, (1, 2))


@pytest.mark.parametrize("dtype", ["float16", "int32", "no such dtype", None, 7, object, ">f4"])
def test_bad_dtype_of_noise(dtype):
    refused(core.random_normal, 3, (1, 2), dtype)


def test_sizes_beyond_memory_and_numbers():
    with pytest.raises(OverflowError, match=r"random_normal: .* Received: shape="):
        core.random_normal((2**40, 2**40), (1, 2))
    with pytest.raises((MemoryError, ValueError)):
        core.random_normal(2**60, (1, 2))
    with pytest.raises(MemoryError):
        core.random_normal(2**48, (1, 2))


@pytest.mark.parametrize("op", [core.exp, core.log, core.sincos2pi], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32", ">f8"])
def test_dtypes_of_vector_math(op, dtype):
    refused(op, zeros(3, dtype))


def test_runtime_settings():
    with pytest.raises(ValueError, match="Received: sse9"):
        core.set_isa("sse9")
    for n in (0, -1, 1025):
        with pytest.raises(ValueError, match=f"Received: {n}"):
            core.set_threads(n)
    for bad in ((-1, 1), (1, -1)):
        refused(core.fma_peak, *bad)
    refused(core.triad, np.zeros(3), np.zeros(3), np.zeros(3), 1.0)
    refused(core.triad, None, np.zeros(3, "f4"), np.zeros(3, "f4"), 1.0)
