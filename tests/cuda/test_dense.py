"""dense and dense_transpose on CUDA: error, edges, refusals."""

import ctypes

import numpy as np
import pytest

from tests.core.cases import assert_same_bits, assert_within, draw, numpy_dtype, stated, unit
from tests.core.dense_layer import ACTIVATIONS, Layer, activation_of
from tests.core.reference import wide
from tests.cuda.cases import CODES, shifted
from tests.cuda.conftest import ON_GPU
from tests.cuda.dense_layer import (
    STRICT,
    TF32,
    WAYS,
    WITH_INPUT,
    CudaLayer,
    relative_error,
    slope_of,
)
from tests.cuda.memory import KernelError

layers = pytest.mark.parametrize("name", ["dense", "dense_transpose"])
ways = pytest.mark.parametrize(("dtype", "precision"), WAYS)
# One number; odd; a step of depth and more; more rows than a block's; 16 bytes everywhere; depth in
# parts of the gradients, where rows are many.
SIZES = [(1, 1, 1), (5, 3, 2), (15, 35, 34), (140, 24, 33), (9, 304, 40), (1100, 5, 8)]
TINY = 1e-300  # a bound of no terms is 0, and so is what errs


@layers
@ways
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_errs_as_stated(call, name, dtype, precision, size):
    layer = CudaLayer(call, name, precision)
    x, kernel, bias, d_y = layer.make(dtype, *size)
    y = layer.forward(x, kernel, bias)
    assert_within(y, layer.affine(x, kernel, bias), layer.affine_bounds(x, kernel, bias), dtype)
    assert_gradients(layer, x, kernel, layer.backward(x, kernel, y, d_y), d_y)


def assert_gradients(layer, x, kernel, found, d_z, more=0.0):
    """more: the error of d_z, relative to its largest number."""
    dtype = x.dtype.name
    d_x, d_kernel, d_bias = layer.gradients(x, kernel, d_z)
    size, ones = np.abs(np.asarray(d_z, "float64")), np.ones((1, len(x)))
    spread = np.full_like(size, more * size.max(initial=0))
    w, v = (np.abs(a) for a in wide(layer.flat(kernel), x))
    assert_within(
        found[0], d_x, layer.bounds(dtype, d_z, layer.flat(kernel).T) + spread @ w.T + TINY, dtype
    )
    weights = layer.bounds(dtype, np.asarray(x).T, d_z) + v.T @ spread
    assert_within(found[1], d_kernel, layer.flat(weights) + TINY, dtype)
    exact = unit(dtype) * (len(x) + 2) * size.sum(0) + (ones @ spread)[0]
    assert_within(found[2], d_bias, exact + TINY, dtype)


@layers
def test_header_states_what_is_asserted_here(name):
    text = stated(f"kernels/{name}.h", "Error")
    assert (
        "on a GPU, with FG_CUDA_TF32" in text and "2^-10 sum |a b| + 2 u (n + 2) sum |a b|" in text
    )


@layers
@ways
def test_norm_of_the_error(call, name, dtype, precision):
    """The lab's bars, on a decoder's depth."""
    layer = CudaLayer(call, name, precision)
    x, kernel, bias, d_y = layer.make(dtype, 40, 100, 48)
    most = {("float32", STRICT): 1e-6, ("float32", TF32): 1e-3}
    most = most.get((dtype, precision), {"float64": 1e-14}.get(dtype, 1e-2))
    y = layer.forward(x, kernel, bias)
    assert relative_error(y, layer.affine(x, kernel, bias)) < most
    found = layer.backward(x, kernel, y, d_y)
    for ours, exact in zip(found, layer.gradients(x, kernel, d_y), strict=True):
        assert relative_error(ours, exact) < most


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", CODES)
def test_activations_err_as_stated(call, dtype, activation):
    """By a layer of one input, one product, which is exact; slopes by its d_bias of one row."""
    layer = CudaLayer(call, "dense_transpose")
    far = np.linspace(-100, 100, 401)
    z = np.concatenate([far, far / 16, np.sign(far) * 10.0 ** (-np.abs(far) / 8)])
    z = z.astype(numpy_dtype(dtype))
    x = np.ones((1, 1), z.dtype)
    y, kept = layer.forward(x, z[:, None], None, activation, with_z=True)
    np.testing.assert_array_equal(*wide(kept[0], z))
    bound = 4 * unit(dtype) * (1 + np.abs(wide(z)[0]))
    assert_within(y[0], activation_of(activation, z), bound, dtype)
    saved = kept if activation in WITH_INPUT else y
    ones = np.ones_like(y)
    d_bias = layer.backward(x, z[:, None], saved, ones, activation, (False, False, True))
    exact = slope_of(activation, z)
    step = 2.0**-10 if dtype == "float16" else 2.0**-7 if dtype == "bfloat16" else 0  # of y
    bound = (16 * unit(dtype) + 2 * step) * (1 + np.abs(wide(z)[0]) * (activation in WITH_INPUT))
    smooth = np.abs(wide(z)[0]) > 0
    assert_within(d_bias[smooth], exact[smooth], bound[smooth], dtype)


@layers
@ways
def test_gradients_of_an_activation(call, name, dtype, precision):
    layer = CudaLayer(call, name, precision)
    x, kernel, bias, d_y = layer.make(dtype, 20, 19, 24)
    _, z = layer.forward(x, kernel, bias, "silu", with_z=True)
    found = layer.backward(x, kernel, z, d_y, "silu")
    d_z = np.asarray(slope_of("silu", z) * wide(d_y)[0], "float64")
    step = {"float16": 2.0**-11, "bfloat16": 2.0**-8}.get(dtype, 0)  # d_z is rounded
    assert_gradients(layer, x, kernel, found, d_z, step + 16 * unit(dtype))


@layers
@ways
def test_arrays_that_16_bytes_do_not_divide(call, name, dtype, precision):
    aligned, moved = (
        CudaLayer(call, name, precision, place) for place in (np.ascontiguousarray, shifted)
    )
    x, kernel, bias, d_y = aligned.make(dtype, 33, 32, 48)
    y, z = aligned.forward(x, kernel, bias, "gelu_tanh", with_z=True)
    for one, other in zip((y, z), moved.forward(x, kernel, bias, "gelu_tanh", True), strict=True):
        assert_same_bits(one, other)
    arguments = x, kernel, z, d_y, "gelu_tanh"
    for one, other in zip(aligned.backward(*arguments), moved.backward(*arguments), strict=True):
        if one.ndim == 2:  # d_bias adds up rows by as many threads as packs leave
            assert_same_bits(one, other)


@layers
@ways
def test_the_same_bits_again(call, name, dtype, precision):
    """Threads run in another order each time: see on_cpu/block.h."""
    layer = CudaLayer(call, name, precision)
    x, kernel, bias, d_y = layer.make(dtype, 150, 40, 24)
    found = set()
    for _ in range(3):
        y = layer.forward(x, kernel, bias, "elu")
        arrays = y, *layer.backward(x, kernel, y, d_y, "elu")
        found.add(b"".join(a.tobytes() for a in arrays))
    assert len(found) == 1


@layers
@ways
def test_what_is_left_out(call, name, dtype, precision):
    layer = CudaLayer(call, name, precision)
    x, kernel, bias, d_y = layer.make(dtype, 10, 16, 8)
    y = layer.forward(x, kernel, np.zeros_like(bias))
    assert_same_bits(layer.forward(x, kernel, None), y)
    whole = layer.backward(x, kernel, y, d_y, "tanh")
    for i in range(3):
        wanted = tuple(j == i for j in range(3))
        assert_same_bits(layer.backward(x, kernel, y, d_y, "tanh", wanted), whole[i])


@layers
@ways
def test_empty(call, name, dtype, precision):
    layer = CudaLayer(call, name, precision)
    for size in [(0, 3, 4), (3, 0, 4), (3, 4, 0)]:
        x, kernel, bias, d_y = layer.make(dtype, *size)
        y = layer.forward(x, kernel, bias)
        np.testing.assert_array_equal(*wide(y, layer.affine(x, kernel, bias)))
        found = layer.backward(x, kernel, y, d_y)
        assert_gradients(layer, x, kernel, found, d_y)
    x, kernel, _, d_y = layer.make(dtype, 0, 3, 4)
    for gradient in layer.backward(x, kernel, d_y, d_y, "relu")[1:]:
        assert not np.any(np.asarray(gradient, "float64"))


@ways
@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid", "softplus"])
def test_nan_and_inf_stay_in_their_row(call, dtype, precision, activation):
    layer = CudaLayer(call, "dense_transpose", precision)
    x, kernel, bias, _ = layer.make(dtype, 12, 20, 18)
    whole = layer.forward(x, kernel, bias, activation)
    x[7, 3], x[4, 1] = np.nan, np.inf
    y = layer.forward(x, kernel, bias, activation)
    assert np.isnan(y[7].astype("float64")).all()
    others = np.delete(y, [4, 7], 0), np.delete(whole, [4, 7], 0)
    assert_same_bits(*others)
    if activation == "linear":
        assert np.isinf(y[4].astype("float64")).all()


@layers
def test_refuses_sizes_codes_and_dtypes(call, name):
    nothing = [None] * 5
    for head, message in [
        ((0, -1, 2, 2, 0, 0), "must not be negative"),
        ((9, 1, 2, 2, 0, 0), "dtype must be float32.*Received: code 9"),
        ((0, 1, 2, 2, 10, 0), "activation must be 0 to 9. Received: 10"),
        ((0, 1, 2, 2, 0, 2), "precision must be FG_CUDA_STRICT or FG_CUDA_TF32. Received: 2"),
    ]:
        with pytest.raises(KernelError, match=f"{name}: .*{message}"):
            call(f"fg_cuda_{name}", *head, *nothing)
        with pytest.raises(KernelError, match=f"{name}_grad: .*{message}"):
            call(f"fg_cuda_{name}_grad", *head, *nothing, None, None)


def test_kernel_layouts_agree(call):
    """Strict products of both layouts are one, to the bit."""
    plain, tied = CudaLayer(call, "dense"), CudaLayer(call, "dense_transpose")
    x, kernel, bias, d_y = plain.make("float32", 37, 30, 45)
    y = plain.forward(x, kernel, bias, "sigmoid")
    assert_same_bits(tied.forward(x, kernel.T.copy(), bias, "sigmoid"), y)
    one = plain.backward(x, kernel, y, d_y, "sigmoid")
    other = tied.backward(x, kernel.T.copy(), y, d_y, "sigmoid")
    for ours, theirs in zip((one[0], one[1].T.copy(), one[2]), other, strict=True):
        assert_same_bits(ours, theirs)


@layers
def test_tf32_rounds_to_nearest(call, name):
    """Factors have 11 bits: either is rounded, ties away from 0, wherever it is read from."""
    layer = CudaLayer(call, name, TF32)
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((40, 1)).astype("float32")
    bits = numbers.view(np.uint32) + np.uint32(0x1000)
    exact = (bits & ~np.uint32(0x1FFF)).view(np.float32)
    one = np.ones((1, 1), "float32")
    flat = numbers if layer.transposed else numbers.T.copy()
    np.testing.assert_array_equal(layer.forward(one, flat, None), exact.T)
    np.testing.assert_array_equal(layer.forward(numbers, one, None), exact)


PARTS = {  # rows, cols, depth: parts, and their depth
    (8, 5, 1100): (2, 1024),
    (128, 128, 512): (1, 512),  # no part has less than this
    (784, 100, 65536): (32, 2048),
    (1664, 1664, 4096): (1, 4096),  # tiles for all multiprocessors
    (5, 5, 0): (1, 1),
}


@pytest.mark.skipif(ON_GPU, reason="the library for a GPU has no functions for tests")
@pytest.mark.parametrize("size", PARTS)
def test_depth_is_cut_by_the_shape(cuda, size):
    """Where there are fewer tiles than multiprocessors, and the result is a plain product."""
    assert cuda.run(parts_of, *size, 1) == PARTS[size]
    assert cuda.run(parts_of, *size, 0) == (1, max(size[2], 1))


def parts_of(library, memory, rows, cols, depth, in_parts):
    """Of a strict product of float32."""
    found = ctypes.c_int64(), ctypes.c_int64()
    sizes = map(ctypes.c_int64, (0, rows, cols, depth, STRICT, in_parts))
    assert library.on_cpu_parts(*sizes, *map(ctypes.byref, found)) == 0
    return found[0].value, found[1].value


@layers
@ways
def test_slopes_at_0(call, name, dtype, precision):
    """Where two pieces meet, that of the CPU."""
    one = np.ones((1, 1), numpy_dtype(dtype))
    for activation in ACTIVATIONS:
        arguments = one, one, one * 0, one, activation
        *_, found = CudaLayer(call, name, precision).backward(*arguments)
        *_, expected = Layer(name).grad(*arguments)
        np.testing.assert_allclose(*wide(found, expected), rtol=1e-6)


def test_strict_sums_are_cut(call):
    """One running sum of 4,096 numbers above 0 would lose more than twice as much."""
    layer = CudaLayer(call, "dense_transpose")
    (x,) = draw("float32", (2, 4096))
    kernel = np.abs(draw("float32", (3, 4096))[0])
    y = layer.forward(np.abs(x), kernel, None)
    assert relative_error(y, layer.affine(np.abs(x), kernel, np.zeros(3))) < 2e-7
