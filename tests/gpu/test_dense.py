"""Dense layers on the GPU: products against float64, the rest against the CPU."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import native, ops
from tests.core.cases import assert_within, unit
from tests.cuda.dense_layer import STRICT, TF32, WAYS, CudaLayer
from tests.gpu.both import assert_close, on_both

layers = pytest.mark.parametrize("name", ["dense", "dense_transpose"])
ways = pytest.mark.parametrize(("dtype", "precision"), WAYS)
in_graph = pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])


@pytest.fixture(autouse=True)
def multiply():
    """TensorFlow's switch of how float32 is multiplied; STRICT to start with."""

    def switch(precision):
        tf.config.experimental.enable_tensor_float_32_execution(precision == TF32)

    switch(STRICT)
    yield switch
    switch(TF32)  # TensorFlow's default


def with_gradients(name, inputs, d_y, activation=None):
    """What the layer gives, and the gradients of its inputs."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = getattr(ops, name)(*inputs, activation=activation)
    return y, *tape.gradient(y, inputs, d_y)


def on_gpu(gpu, graph, function):
    with tf.device(gpu):
        return (tf.function(function, autograph=False) if graph else function)()


@layers
@ways
@in_graph
@pytest.mark.parametrize("size", [(5, 3, 2), (33, 48, 20), (140, 9, 34)], ids=str)
def test_products_err_as_stated(gpu, multiply, name, dtype, precision, graph, size):
    multiply(precision)
    layer = CudaLayer(None, name, precision)
    x, kernel, bias, d_y = layer.make(dtype, *size)
    inputs = [tf.constant(a) for a in (x, kernel, bias)]
    y, *found = on_gpu(gpu, graph, lambda: with_gradients(name, inputs, tf.constant(d_y)))
    assert_within(y, layer.affine(x, kernel, bias), layer.affine_bounds(x, kernel, bias), dtype)
    d_x, d_kernel, d_bias = layer.gradients(x, kernel, d_y)
    assert_within(found[0], d_x, layer.bounds(dtype, d_y, layer.flat(kernel).T), dtype)
    bound = layer.flat(layer.bounds(dtype, x.T.astype("float64"), d_y))
    assert_within(found[1], d_kernel, bound, dtype)
    sums = np.abs(d_y.astype("float64")).sum(0)
    assert_within(found[2], d_bias, unit(dtype) * (len(x) + 2) * sums, dtype)


@layers
@in_graph
def test_float32_follows_tensorflows_switch(gpu, multiply, name, graph):
    """As it stands when an op runs, not when it was traced; factors have 11 bits, or all 24."""
    numbers = np.random.default_rng(0).standard_normal((40, 1)).astype("float32")
    bits = numbers.view(np.uint32) + np.uint32(0x1000)
    rounded = (bits & ~np.uint32(0x1FFF)).view(np.float32)
    one = tf.ones([1, 1])

    def products():
        y, d_x, d_kernel = with_gradients(name, [tf.constant(numbers), one], tf.constant(numbers))
        return y, d_x, d_kernel

    run = tf.function(products, autograph=False) if graph else products
    squares = np.sum(numbers.astype("float64") ** 2)
    for precision, factors in [(STRICT, numbers), (TF32, rounded), (STRICT, numbers)]:
        multiply(precision)
        with tf.device(gpu):
            y, d_x, d_kernel = run()
        np.testing.assert_array_equal(y, factors)
        np.testing.assert_array_equal(d_x, factors)
        error = abs(float(d_kernel[0, 0]) - squares)
        assert (error > 1e-6 * squares) == (precision == TF32) and error < 1e-3 * squares


@layers
@pytest.mark.parametrize("activation", ops.activations.NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_activations(gpu, name, activation, dtype):
    """Also those whose slope follows from what the op keeps beside y."""
    *inputs, d_y = (tf.constant(a) for a in CudaLayer(None, name).make(dtype, 19, 24, 16))
    for ours, expected in on_both(gpu, lambda: with_gradients(name, inputs, d_y, activation)):
        assert_close(ours / 64, expected / 64)


@layers
@ways
def test_gradients_of_second_order(gpu, multiply, monkeypatch, name, dtype, precision):
    """They are of stock ops, by way of the kernels' gradients."""
    monkeypatch.setenv("FASTGEN_BACKEND", "auto")
    multiply(precision)
    *inputs, d_y = (tf.constant(a) for a in CudaLayer(None, name).make(dtype, 7, 6, 5))

    def second():
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            first = with_gradients(name, inputs, d_y, "silu")[1:]
            total = sum(tf.reduce_sum(g * g) for g in first)
        return first, outer.gradient(total, inputs)

    with tf.device("/CPU:0"):
        expected = tf.nest.flatten(second())
    with tf.device(gpu):
        found = tf.nest.flatten(second())
    for one, other in zip(found, expected, strict=True):
        if precision == TF32:
            scale = np.abs(other).max()
            np.testing.assert_allclose(one, other, rtol=0, atol=4e-3 * scale)
        else:
            assert_close(one / 64, other / 64)


@layers
@pytest.mark.parametrize("wanted", range(3), ids=["x", "kernel", "bias"])
def test_what_nobody_wants_is_left_out(gpu, name, wanted):
    *inputs, d_y = (tf.constant(a) for a in CudaLayer(None, name).make("float32", 9, 8, 4))

    def some():
        with tf.GradientTape() as tape:
            tape.watch(inputs[wanted])
            y = getattr(ops, name)(*inputs, activation="tanh")
        return tape.gradient(y, inputs[wanted], d_y)

    for ours, expected in on_both(gpu, some):
        assert_close(ours, expected)
    for ours, expected in on_both(gpu, tf.function(some, autograph=False)):
        assert_close(ours, expected)


@layers
@pytest.mark.parametrize("sizes", [(0, 3, 4), (3, 0, 4), (3, 4, 0)], ids=str)
@pytest.mark.parametrize("outer", [(), (1, 2)], ids=["matrix", "of rank 4"])
def test_empty_and_of_any_rank(gpu, name, sizes, outer):
    x, *rest, d_y = CudaLayer(None, name).make("float32", *sizes)
    x, d_y = (np.broadcast_to(a, (*outer, *a.shape)) for a in (x, d_y))
    inputs = [tf.constant(a) for a in (x, *rest)]
    for ours, expected in on_both(gpu, lambda: with_gradients(name, inputs, tf.constant(d_y))):
        assert ours.shape == expected.shape
        assert_close(ours, expected)


@layers
def test_without_a_bias(gpu, name):
    x, kernel, _, d_y = (tf.constant(a) for a in CudaLayer(None, name).make("float32", 7, 6, 5))
    for ours, expected in on_both(gpu, lambda: with_gradients(name, [x, kernel], d_y, "elu")):
        assert_close(ours, expected)


@layers
def test_wrong_shapes_are_refused_there_too(gpu, name):
    raw = getattr(native.load_ops(), f"fastgen_{name}_grad")
    x, kernel, _, d_y = (tf.constant(a) for a in CudaLayer(None, name).make("float32", 7, 6, 5))
    with tf.device(gpu), pytest.raises(tf.errors.InvalidArgumentError, match="shape of y, .7,5."):
        raw(x=x, kernel=kernel, bias=[], saved=d_y, d_y=d_y[:3], activation="linear")


@layers
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_any_size_and_dtype_takes_the_kernel(gpu, monkeypatch, name, dtype):
    """The CPU's measured bounds are not a GPU's."""
    monkeypatch.setenv("FASTGEN_BACKEND", "auto")
    *inputs, d_y = (tf.constant(a) for a in CudaLayer(None, name).make(dtype, 2, 4, 3))
    before = paths(name)
    for device, path in [("/CPU:0", "composite"), (gpu, "fused")]:
        with tf.device(device):
            with_gradients(name, inputs, d_y)
        after = paths(name)
        assert {key for key in after if after[key] > before.get(key, 0)} >= {(name, path)}
        before = after
    assert before[f"{name}_grad", "fused"]
    rows = [row for row in fastgen.doctor() if (row["op"], row["dtype"]) == (name, dtype)]
    assert {row["device"]: row["path"] for row in rows}["GPU"] == "fused"
    assert {row["device"]: row["why"] for row in rows}["GPU"] == "kernel, unmeasured on a GPU"


def paths(name):
    counts = fastgen.stats()
    return {
        (op, path): counts.get(op, {}).get(path, 0)
        for op, path in itertools.product([name, f"{name}_grad"], ["fused", "composite"])
    }


@layers
def test_what_a_launch_needs_is_tensorflows_memory(gpu, name):
    x, kernel, bias, d_y = CudaLayer(None, name).make("float32", 64, 32, 48)
    raw = getattr(native.load_ops(), f"fastgen_{name}_grad")
    with tf.device(gpu):
        arrays = [tf.identity(a) for a in (x, kernel, bias, d_y)]
        info = tf.config.experimental.get_memory_info(gpu)
        tf.config.experimental.reset_memory_stats(gpu)
        found = raw(
            x=arrays[0], kernel=arrays[1], bias=[arrays[2]], saved=arrays[3], d_y=arrays[3],
            activation="tanh",
        )  # fmt: skip
        taken = tf.config.experimental.get_memory_info(gpu)["peak"] - info["current"]
    outputs = sum(4 * int(tf.size(gradient)) for gradient in tf.nest.flatten(found))
    assert taken >= outputs + d_y.nbytes  # d_z
