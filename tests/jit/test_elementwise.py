"""@elementwise: values, dtypes, shapes, gradients, and the places it runs in."""

import copy
import doctest
import pickle

import hypothesis.extra.numpy as hnp
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import fastgen
from fastgen import jit
from tests.jit.kernels import activation, count_up, mix, mix_in_stock_ops, several
from tests.tolerances import assert_close

FLOATS = ["float16", "bfloat16", "float32", "float64"]
WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FACTOR = 2.0
dtypes = pytest.mark.parametrize("dtype", FLOATS)


def draw(*shape, dtype="float32", seed=0):
    return tf.constant(np.random.default_rng(seed + len(shape)).normal(size=shape), dtype)


def three(dtype="float32", shapes=((7, 1, 5), (3, 5), ())):
    return [draw(*shape, dtype=dtype, seed=i) for i, shape in enumerate(shapes)]


def in_float64(inputs):
    return mix_in_stock_ops(*(tf.cast(x, tf.float64) for x in inputs))


@pytest.mark.parametrize("name", jit.__all__)
def test_example(name):
    (test,) = doctest.DocTestFinder(recurse=False).find(getattr(jit, name), name, globs={})
    assert test.examples and not doctest.DocTestRunner().run(test).failed


@dtypes
def test_values(fused, dtype):
    inputs = three(dtype)
    y = mix(*inputs)
    assert y.dtype == dtype and y.shape == (7, 3, 5)
    assert_close(tf.cast(y, "float64"), in_float64(inputs), dtype)


@pytest.mark.parametrize("size", [0, 1, 7, 63, 1023, 1024, 1500, 16384, 70_001])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_sizes(fused, dtype, size):
    """Tiles and panels, whole and not, the last of them beyond a thread's share."""
    inputs = three(dtype, [(size,), (size,), (1,)])
    assert_close(tf.cast(mix(*inputs), "float64"), in_float64(inputs), dtype)


@pytest.mark.parametrize("cols", [1, 37, 1023, 1024, 1025])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_rows_and_columns_that_are_repeated(fused, dtype, cols):
    """Tiles and panels begin anywhere in a row."""
    inputs = three(dtype, [(40_000 // cols, cols), (cols,), (40_000 // cols, 1)])
    assert_close(tf.cast(mix(*inputs), "float64"), in_float64(inputs), dtype)


@settings(max_examples=40)
@given(
    hnp.mutually_broadcastable_shapes(num_shapes=3, min_dims=0, max_dims=5, min_side=0, max_side=7),
    st.sampled_from(FLOATS),
)
def test_any_shapes(shapes, dtype):
    inputs = three(dtype, shapes.input_shapes)
    y = mix(*inputs)
    assert y.shape == shapes.result_shape
    assert_close(tf.cast(y, "float64"), in_float64(inputs), dtype)


@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers(dtype):
    a, b = np.array([1, 2, 3], dtype), np.array([[4], [5]], dtype)
    y = count_up(a, b)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, a + b)


def test_dtypes_of_outputs():
    high, low, count, above = several(tf.constant([-1.0, 0.5, 2.0], tf.float16))
    assert (high.dtype, low.dtype, count.dtype, above.dtype) == (
        "float16",
        "float16",
        "int64",
        "bool",
    )
    assert count.numpy().tolist() == [1, 2, 2] and above.numpy().tolist() == [False, False, True]
    assert count_up(tf.constant(1.0, tf.float16), tf.constant(1.0)).dtype == "float32"
    assert count_up(tf.constant(1.0), tf.constant(1.0, tf.float64)).dtype == "float64"
    assert count_up(tf.constant(1, tf.int8), tf.constant(1, tf.int32)).dtype == "int32"
    assert count_up([True, False], tf.constant(2.0)).numpy().tolist() == [3, 2]


def test_numbers_are_as_wide_as_the_inputs():
    """In float64 the sum would keep 1e-8."""
    tiny = jit.elementwise(lambda x: (x + 0.00000001) * 16777216 - 16777216, name="tiny")
    assert tiny([1.0]).numpy().tolist() == [0] and tiny(tf.constant([1.0], tf.float64)) > 0


def test_nan_stays_nan():
    for dtype in FLOATS:
        x = tf.constant([np.nan, 1], dtype)
        assert np.isnan(tf.cast(mix(x, x, x), "float32")).tolist() == [True, False]


@dtypes
def test_gradients(fused, dtype):
    """Those of broadcast inputs are sums over the axes along which they are repeated."""
    inputs = three(dtype)
    upstream = draw(7, 3, 5, dtype=dtype, seed=9)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        wide = [tf.cast(x, tf.float64) for x in inputs]
        ours, stock = mix(*inputs), mix_in_stock_ops(*wide)
    found = tape.gradient(ours, inputs, upstream)
    expected = tape.gradient(stock, wide, tf.cast(upstream, tf.float64))
    for x, one, other in zip(inputs, found, expected, strict=True):
        assert one.dtype == dtype and one.shape == x.shape
        assert_close(tf.cast(one, "float64"), other, dtype, 105 / max(1, int(tf.size(x))))


def test_gradients_of_the_second_order():
    inputs = three("float64")

    def second(function):
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                total = tf.reduce_sum(function(*inputs) ** 2)
            total = sum(tf.reduce_sum(tf.sin(d)) for d in inner.gradient(total, inputs))
        return outer.gradient(total, inputs)

    for one, other in zip(second(mix), second(mix_in_stock_ops), strict=True):
        assert_close(one, other, "float64", 105)


def test_gradient_of_one_output_of_several():
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = several(x)[1]
    assert tape.gradient(y, x).numpy().tolist() == [3, 3]


def test_gradients_that_nobody_asks_for_are_not_computed():
    kernel = jit.elementwise(lambda x, y: x * y, gradient=lambda x, y, d: (y * d, x * d))
    x, y = tf.constant(2.0), tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        z = kernel(x, y)
    assert tape.gradient(z, x) == 3
    (compiled,) = kernel.gradient._calls.values()
    assert compiled.outputs == ["float32"]


def test_check_gradient():
    mix.check_gradient([[1.0, -2.0]], [[0.5], [-3.0]], [2.0, 3.0])
    wrong = jit.elementwise(lambda x: x * x * x, gradient=lambda x, d: 3 * x * d, name="cube")
    with pytest.raises(
        ValueError, match=r"cube: the gradient of input 0 .* Received: inputs \[2.0\]"
    ):
        wrong.check_gradient([1.0, 2.0])


def test_debug_mode_checks_gradients_at_the_first_call(monkeypatch):
    monkeypatch.setenv("FASTGEN_DEBUG", "1")
    wrong = jit.elementwise(lambda x: 5 * x, gradient=lambda x, d: 4 * d, name="wrong")
    with pytest.raises(ValueError, match="wrong: the gradient of input 0 is 4"):
        tf.function(lambda x: wrong(x))(tf.ones([2]))
    with pytest.raises(ValueError, match="wrong: the gradient of input 0 is 4"):
        wrong([1.0])
    right = jit.elementwise(lambda x: 7 * x, gradient=lambda x, d: 7 * d, name="right")
    assert right([1.0]).numpy() == 7


def test_kernels_call_kernels():
    twice = jit.elementwise(lambda x: activation(activation(x)), name="twice")
    assert twice([-16.0, 2.0]).numpy().tolist() == [-1, 2]


def test_names_that_are_defined_later_and_inside():
    def quadruples(x):
        def doubled(y):
            return y * FACTOR

        return doubled(later(x))

    kernel = jit.elementwise(quadruples)
    with pytest.raises(ValueError, match="quadruples: .*: later is not defined"):
        kernel([1.0])

    def later(x):
        return 2 * x

    assert kernel([1.0]).numpy() == 4


def test_functions_with_defaults():
    def scaled(x, by):
        return x * by

    for scaled.__defaults__ in ((2.0,), (3.0,)):
        kernel = jit.elementwise(lambda x: scaled(x), name="scaled")
        assert kernel([1.0]).numpy() == scaled.__defaults__[0]


def test_kernels_of_one_name():
    double = jit.elementwise(lambda x: 2 * x, gradient=lambda x, d: 2 * d)
    total = jit.reduce(lambda x: x, gradient=lambda x, d: d)
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = total(double(x))
    assert y.numpy() == 6 and tape.gradient(y, x).numpy().tolist() == [2, 2]


def test_copies():
    assert copy.deepcopy(activation) is pickle.loads(pickle.dumps(activation)) is activation


def test_defined_anew_with_another_gradient():
    def slope_of(gradient):
        kernel = jit.elementwise(lambda x: 2 * x, gradient=gradient, name="anew")
        x = tf.constant(1.0)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = kernel(x)
        return float(tape.gradient(y, x))

    assert slope_of(lambda x, d: 3 * d) == 3
    assert slope_of(lambda x, d: 2 * d) == 2


def test_without_a_gradient_that_of_the_reference():
    def kernel(factor):
        return jit.elementwise(
            lambda x, y: 7 * x * x * y, reference=lambda x, y: factor * x * x * y, name="referred"
        )

    for factor in (7, 8):  # defined anew with another reference
        x, y = tf.constant([1.0, 2.0]), tf.constant(3.0)
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            z = kernel(factor)(x, y)
        d_x, d_y = tape.gradient(z, [x, y])
        assert d_x.numpy().tolist() == [6.0 * factor, 12.0 * factor] and d_y == 5 * factor


def test_second_order_of_some_inputs_is_that_of_the_reference():
    kernel = jit.elementwise(
        lambda x, y: x * x * y,
        gradient=lambda x, y, d: (2 * d * x * y, d * x * x),
        reference=lambda x, y: x * x * y,
        name="cubic",
    )
    x, y = tf.constant([1.0, 2.0]), tf.constant([[3.0], [4.0]])

    def second(function):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)  # y is nobody's
                total = tf.reduce_sum(function(x, y))
            d = inner.gradient(total, x)
        return outer.gradient(d, x)

    assert second(kernel).numpy().tolist() == second(kernel.reference).numpy().tolist() == [14, 14]


def test_gradient_inside_xla_of_what_was_computed_outside():
    x = tf.constant([1.0, -2.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = mix(x, 0.0, 3.0)
    inside = tf.function(lambda: tape.gradient(y, x), jit_compile=True)()
    np.testing.assert_allclose(inside, tape.gradient(y, x), rtol=1e-6)


def test_in_a_function_of_unknown_shapes():
    signature = [tf.TensorSpec(None), tf.TensorSpec([None, 5]), tf.TensorSpec([])]
    inputs = three()

    @tf.function(input_signature=signature)
    def step(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = mix(*inputs)
        return y, tape.gradient(y, inputs)

    y, gradients = step(*inputs)
    assert_close(y, in_float64(inputs), "float32")
    assert [d.shape for d in gradients] == [x.shape for x in inputs]


def test_as_the_argument_of_a_function():
    """TensorFlow hands functions on in place of what wraps them."""
    given = tf.function(lambda kernel, x: kernel(x))
    graph = given.get_concrete_function(activation, tf.ones(3)).graph
    assert "FastgenElementwise" in {op.type for op in graph.get_operations()}


def test_in_a_vectorized_map():
    x, y = draw(6, 3, 1), draw(4)
    expected = tf.stack([mix(each, y, 0.5) for each in x])
    np.testing.assert_array_equal(tf.vectorized_map(lambda each: mix(each, y, 0.5), x), expected)


def test_under_xla_its_reference_runs(monkeypatch):
    inputs = three()
    compiled = tf.function(mix, jit_compile=True)
    assert_close(compiled(*inputs), in_float64(inputs), "float32")
    with fastgen.portable():
        graph = tf.function(mix).get_concrete_function(*inputs).graph
    assert not [op for op in graph.get_operations() if "Fastgen" in op.type]


def test_without_a_reference_there_is_a_plain_refusal():
    with pytest.raises(
        RuntimeError, match=r"count_up: .*inside XLA.*give @elementwise a reference"
    ):
        tf.function(count_up, jit_compile=True)(tf.ones(2), tf.ones(2))
    with fastgen.portable(), pytest.raises(RuntimeError, match=r"count_up: .*portable\(\)"):
        count_up(1.0, 2.0)


def test_in_a_keras_model(monkeypatch):
    class Mixed(keras.layers.Layer):
        def build(self, shape):
            self.share = self.add_weight(shape=shape[-1:], initializer="ones")

        def call(self, x):
            return mix(x, 0.0, self.share)

    model = keras.Sequential([keras.Input((4,)), Mixed(), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False)
    x = np.random.default_rng(0).normal(size=(64, 4))
    losses = model.fit(x, x[:, :1], epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0] and not np.allclose(model.layers[0].share, 1)


def test_as_the_activation_of_a_saved_model(tmp_path):
    layer = keras.layers.Dense(3, activation=activation)
    model = keras.Sequential([keras.Input((4,)), layer])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.layers[0].activation is activation
    with pytest.raises(ValueError, match="needs the kernel nowhere:it: import its module first"):
        jit.Elementwise.from_config({"kernel": "nowhere:it"})


def test_doctor_and_stats_list_it(capsys):
    count_up(1.0, 2.0)
    rows = [row for row in fastgen.doctor() if row["op"] == "jit.count_up"]
    assert [row["path"] for row in rows] == ["fused"] * len(FLOATS)
    assert "jit.count_up" in capsys.readouterr().out
    assert fastgen.stats()["jit.count_up"]["fused"] >= 1
