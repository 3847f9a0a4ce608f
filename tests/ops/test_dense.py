"""dense and dense_transpose: activations, arguments, what is skipped, which path is taken."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import native, ops
from fastgen.ops import activations
from tests.ops.cases import array, draw, gradients, wide
from tests.tolerances import TOLERANCES, assert_close

LAYERS = {
    "dense": (ops.dense, ops.dense_composite),
    "dense_transpose": (ops.dense_transpose, ops.dense_transpose_composite),
}
each_layer = pytest.mark.parametrize("name", LAYERS)
# In float64 Keras' own constants of these two are rounded to float32.
ROUNDED = {"leaky_relu", "gelu_tanh"}


def layer_inputs(name, rows, inputs, units, dtype=tf.float32):
    """x, kernel and bias of one scale."""
    shape = (units, inputs) if name == "dense_transpose" else (inputs, units)
    kernel = draw(shape, tf.float64, 2, 1 / np.sqrt(inputs))
    return draw((rows, inputs), dtype, 1), tf.cast(kernel, dtype), draw((units,), dtype, 3)


@each_layer
@pytest.mark.parametrize("activation", [*activations.NAMES, "gelu", "softsign"])
def test_every_activation(fused, name, activation):
    op, composite = LAYERS[name]
    for dtype in (tf.float32, tf.float64):
        inputs = layer_inputs(name, 37, 70, 45, dtype)
        exact = functools.partial(composite, activation=activation)
        table = tf.float32 if activation in ROUNDED else dtype
        assert_close(op(*inputs, activation), exact(*wide(inputs)), table)
        actual = gradients(lambda *x: [op(*x, activation)], *inputs)
        expected = gradients(lambda *x, exact=exact: [exact(*x)], *wide(inputs))
        for out, right in zip(actual, expected, strict=True):
            assert_close(array(out), right, table, 70 * 45)


@each_layer
def test_far_from_zero(fused, name):
    x = tf.constant([[-1e4], [-200.0], [-1e-30], [0.0], [1e-30], [200.0], [1e4]])
    for activation in activations.NAMES:
        op = functools.partial(LAYERS[name][0], activation=activation)
        grads = gradients(lambda x, op=op: [op(x, [[1.0]])], x)
        assert np.all(np.isfinite(op(x, [[1.0]]))) and np.all(np.isfinite(grads[0]))


@each_layer
@pytest.mark.parametrize(
    "sizes", [(1, 1, 1), (64, 150, 784), (300, 700, 100), (13, 257, 600)], ids=str
)
def test_sizes(fused, name, sizes):
    op, composite = LAYERS[name]
    inputs = layer_inputs(name, *sizes)
    terms = max(sizes)
    for bias in (inputs[2:], ()):
        run = [*inputs[:2], *bias]
        assert_close(op(*run), composite(*wide(run)), tf.float32, terms)
        actual = gradients(lambda *x: [op(*x)], *run)
        expected = gradients(lambda *x: [composite(*x)], *wide(run))
        for out, right in zip(actual, expected, strict=True):
            np.testing.assert_allclose(
                out, right, rtol=0, atol=TOLERANCES["float32"][0] * np.max(np.abs(right))
            )


@each_layer
def test_a_row_does_not_depend_on_the_others(fused, name):
    op = LAYERS[name][0]
    x, kernel, bias = layer_inputs(name, 100, 300, 70)
    whole = op(x, kernel, bias, "tanh").numpy()
    for rows in (1, 7, 64):
        np.testing.assert_array_equal(op(x[:rows], kernel, bias, "tanh"), whole[:rows])


@each_layer
def test_gradients_that_nobody_wants_are_not_computed(fused, name):
    op = LAYERS[name][0]
    x, kernel, bias = layer_inputs(name, 8, 6, 5)

    @tf.function
    def run(x, kernel, bias):
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            y = op(x, kernel, bias, "silu")
        return tape.gradient(y, kernel)

    graph = run.get_concrete_function(x, kernel, bias).graph
    (node,) = [node for node in graph.get_operations() if node.type.endswith("Grad")]
    assert (node.get_attr("need_x"), node.get_attr("need_kernel")) == (False, True)
    expected = gradients(lambda *x: [op(*x, "silu")], x, kernel, bias)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(op(x, kernel, bias, "silu"))
    assert tape.gradient(total, x).shape == expected[0].shape
    # A graph drops the output that no node takes, of a gradient of everything too.
    both = tf.function(lambda *v: tf.gradients(op(*v, activation="silu"), v)[1])
    assert_close(both(x, kernel, bias), run(x, kernel, bias), tf.float32)


@each_layer
def test_what_is_refused(name):
    op = LAYERS[name][0]
    x, kernel, bias = layer_inputs(name, 4, 3, 2)
    for message, *arguments in [
        ("x must have rank 2 or more", x[0], kernel),
        ("kernel must have rank 2", x, x[None]),
        ("the last axis of x must be as long as", x[:, :2], kernel),
        ("bias must be as long as", x, kernel, bias[:1]),
        ("must have the same dtype", x, tf.cast(kernel, tf.float64)),
        ("x must be float16", tf.cast(x, tf.int32), tf.cast(kernel, tf.int32)),
        ("activation must be None, a function", x, kernel, None, "no such"),
    ]:
        with pytest.raises(ValueError, match=f"{name}: .*{message}.*Received: "):
            op(*arguments)


@each_layer
def test_second_wall(name):
    x, kernel, bias = layer_inputs(name, 4, 3, 2)
    layer = getattr(native.load_ops(), f"fastgen_{name}")
    grad = getattr(native.load_ops(), f"fastgen_{name}_grad")
    y = tf.zeros([4, 2])
    for message, function, inputs in [
        ("x must have rank 2", layer, {"x": x[:, :2], "kernel": kernel, "bias": []}),
        ("bias must have shape", layer, {"x": x, "kernel": kernel, "bias": [bias[:1]]}),
        ("bias must be a list of one", layer, {"x": x, "kernel": kernel, "bias": [bias, bias]}),
        (
            "bias must be a list of one",
            grad,
            {"x": x, "kernel": kernel, "bias": [bias, bias], "saved": y, "d_y": y},
        ),
        (
            "saved and d_y must have the shape",
            grad,
            {"x": x, "kernel": kernel, "bias": [], "saved": y, "d_y": y[:1]},
        ),
    ]:
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name}.*{message}.*Received: "):
            function(**inputs)


@each_layer
def test_unknown_shapes(path, name):
    op = LAYERS[name][0]
    x, kernel, bias = layer_inputs(name, 4, 3, 2)
    for shape in ([None, 3], [None, None, 3], None):
        spec = tf.TensorSpec(shape, tf.float32)
        run = tf.function(lambda x: op(x, kernel, bias, "relu"), input_signature=[spec])
        value = x if shape is None or len(shape) == 2 else x[None]
        assert_close(run(value), op(value, kernel, bias, "relu"), tf.float32)
        out = run.get_concrete_function().outputs[0].shape
        assert out.rank is None if shape is None else out.as_list() == [*shape[:-1], 2]


def test_activations_by_name_and_function():
    for given, name in [
        (None, "linear"),
        ("swish", "silu"),
        (keras.activations.relu, "relu"),
        (functools.partial(keras.activations.gelu, approximate=True), "gelu_tanh"),
        ("gelu", None),
        (keras.layers.LeakyReLU(0.3), None),
        (lambda x: x, None),
    ]:
        assert activations.resolve("dense", given)[0] == name


def test_stock_ops_are_faster_in_16_bits(monkeypatch):
    monkeypatch.delenv("FASTGEN_BACKEND", raising=False)
    x, kernel, _ = layer_inputs("dense", 4, 3, 2, tf.bfloat16)
    before = fastgen.stats().get("dense", {}).get("composite", 0)
    ops.dense(x, kernel)
    assert fastgen.stats()["dense"]["composite"] == before + 1
