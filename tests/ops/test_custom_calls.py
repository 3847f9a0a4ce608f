"""The kernels that XLA calls: the values, gradients and noise of the fused ops, bit for bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import dispatch, native, ops
from fastgen.dispatch import COMPOSITE, CUSTOM_CALL
from tests.ops.cases import (
    OPS,
    array,
    draw,
    dtypes,
    each_shape_and_dtype,
    gradients,
    second_gradients,
    wide,
)
from tests.ops.gaussian import SEED, call, parameters, with_seed
from tests.ops.test_graphs import op_types
from tests.tolerances import TRAINING, assert_close

CALLED = [name for name, kernel in dispatch.KERNELS.items() if kernel.custom_call]
each_called = pytest.mark.parametrize("name", CALLED)


@pytest.fixture(autouse=True)
def needs_the_library(monkeypatch):
    """Whatever cannot be called fails, here where TensorFlow shows its XLA."""
    if why := native.why_no_custom_calls():
        pytest.skip(why)
    monkeypatch.setenv("FASTGEN_BACKEND", "fused")


def compiled(function):
    return tf.function(function, jit_compile=True, autograph=False)


def assert_same(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(array(one), array(other))


def taken(function, op):
    """The paths that an op takes inside a function of no arguments."""
    before = fastgen.stats().get(op, {})
    function()
    return {path for path, n in fastgen.stats()[op].items() if n > before.get(path, 0)}


def of_called(mark):
    """A mark of parameters of all ops, for those here."""
    names, cases = mark.args
    return pytest.mark.parametrize(names, [case for case in cases if case.values[0] in CALLED])


@of_called(each_shape_and_dtype)
def test_values_are_those_of_the_fused_op_and_of_float64(name, shape, dtype):
    op = OPS[name]
    inputs = op.make(shape, dtype)
    run = compiled(op.run)
    outputs = run(*inputs)
    assert any("Fastgen" in kind for kind in op_types(run, *inputs))
    assert_same(outputs, op.run(*inputs))
    for one, other in zip(outputs, op.exact(dtype)(*wide(inputs)), strict=True):
        assert_close(array(one), other, dtype, op.terms(shape, one))


@dtypes
@each_called
def test_gradients(name, dtype):
    """Of the last input, which all are differentiable in, by the kernel alone."""
    op = OPS[name]
    inputs = op.make((33, 65), dtype)

    def last(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs[-1])
            outputs = op.run(*inputs)
        ones = [tf.ones_like(out) for out in outputs]
        return (tape.gradient(outputs, inputs[-1], ones),)

    assert_same(compiled(last)(*inputs), tf.function(last)(*inputs))
    found = compiled(lambda *x: gradients(op.run, *x))(*inputs)
    expected = gradients(op.exact(dtype), *wide(inputs))
    for one, other in zip(found, expected, strict=True):
        assert_close(array(one), other, dtype, 65)


@each_called
def test_second_order(name):
    op = OPS[name]
    inputs = op.make(op.small, tf.float64)
    found = compiled(lambda *x: second_gradients(op.run, *x))(*inputs)
    for one, other in zip(found, second_gradients(op.exact(tf.float64), *inputs), strict=True):
        assert_close(one, other, tf.float64, 100)


@pytest.mark.parametrize("reduction", ["none", "row", "mean"])
@pytest.mark.parametrize("shape", [(12,), (5, 3, 7), (0, 4)], ids=str)
@pytest.mark.parametrize("target", [tf.float32, tf.uint8], ids=lambda d: d.name)
def test_cross_entropies(shape, reduction, target):
    targets = tf.cast(255 * tf.sigmoid(draw(shape, tf.float32, 1)), tf.uint8)
    targets = targets if target == tf.uint8 else tf.cast(targets, tf.float32) / 255
    logits = draw(shape, tf.float32, 2, 4.0)

    def run(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = ops.sigmoid_cross_entropy(targets, logits, 0.1, reduction)
        return loss, tape.gradient(loss, logits)

    assert_same(compiled(run)(logits), tf.function(run)(logits))


@each_called
def test_shapes_known_when_the_function_is_called(name):
    op = OPS[name]
    inputs = op.make((7, 10), tf.float32)
    run = tf.function(
        op.run, jit_compile=True, input_signature=[tf.TensorSpec([None, 10])] * len(inputs)
    )
    for rows in (7, 33, 0):
        inputs = op.make((rows, 10), tf.float32)
        assert_same(run(*inputs), op.run(*inputs))
    with pytest.raises(tf.errors.InvalidArgumentError):
        run(tf.zeros([3, 10]), tf.zeros([2, 10]))


KEPT = [0, 2, 3, 6, 8]


def of_kept_rows(op, axis=0):
    """Outputs and a gradient, from what XLA knows at run time alone how many of it there are."""

    def run(kept, *inputs):
        inputs = [tf.boolean_mask(x, kept, axis=axis) for x in inputs]
        with tf.GradientTape() as tape:
            tape.watch(inputs[-1])
            outputs = op(*inputs)
        return *outputs, tape.gradient(outputs, inputs[-1])

    return run


@dtypes
@each_called
def test_rows_counted_at_run_time(name, dtype):
    op = OPS[name]
    inputs = op.make((9, 65), dtype)
    run = compiled(of_kept_rows(op.run))
    for rows in KEPT, [4], [*range(9)], []:
        kept = tf.reduce_any(tf.range(9)[:, None] == tf.constant(rows, tf.int32), axis=1)
        found = run(kept, *inputs)
        expected = tf.function(of_kept_rows(op.run))(kept, *inputs)
        for one, other in zip(found, expected, strict=True):
            assert_close(array(one), array(other), dtype, 65)


@dtypes
@pytest.mark.parametrize("shape", [(9,), (9, 7), (9, 2, 3)], ids=str)
def test_means_of_rows_counted_at_run_time(shape, dtype):
    def run(targets, logits):
        return (ops.sigmoid_cross_entropy(targets, logits, 0.1, "mean"),)

    inputs = tf.sigmoid(draw(shape, dtype, 1)), draw(shape, dtype, 2, 4.0)
    mean = compiled(of_kept_rows(run))
    for least in (3, -1, 8):
        kept = tf.range(9) > least
        for one, other in zip(mean(kept, *inputs), of_kept_rows(run)(kept, *inputs), strict=True):
            assert_close(array(one), array(other), dtype, 7)


@pytest.mark.parametrize(
    "name, shape, axis", [("gaussian_sample", (3, 9), 1), ("gaussian_sample_kl", (9,), 0)]
)
def test_other_sizes_found_at_run_time_are_refused(name, shape, axis):
    run, inputs = of_kept_rows(OPS[name].run, axis), OPS[name].make(shape, tf.float32)
    with pytest.raises(tf.errors.UnimplementedError, match=r"Fastgen\w+: .* first axis.*Received"):
        compiled(run)(tf.range(9) > 3, *inputs)
    with fastgen.portable():
        compiled(lambda *x: run(*x)[-1])(tf.range(9) > 3, *inputs)


@with_seed
@pytest.mark.parametrize("kind", [tf.int32, tf.int64], ids=lambda d: d.name)
def test_seeds(name, kind):
    mean, log_var = parameters((33, 10), tf.float32)
    run = compiled(lambda seed: call(name, mean, log_var, seed + 1))
    seeds = [(5, -9)] if kind == tf.int32 else [(5, -9), SEED, (5 + (1 << 32), 9)]
    for seed in seeds:
        seed = tf.constant(seed, kind)
        assert_same(run(seed), call(name, mean, log_var, seed + 1))


@with_seed
def test_derivatives_inside_xla_of_a_sample_drawn_outside(name):
    mean, log_var = parameters((3, 4), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((mean, log_var))
        outputs = call(name, mean, log_var)
        with tf.GradientTape() as inner:
            inner.watch((mean, log_var))
            again = call(name, mean, log_var)
        first = inner.gradient(again, log_var)

    def all_gradients():
        return [tape.gradient(of, by) for of in (outputs, first) for by in (mean, log_var)]

    for one, other in zip(compiled(all_gradients)(), all_gradients(), strict=True):
        assert (one is None) == (other is None)
        if other is not None:
            assert_close(one, other, tf.float32, 10)


@with_seed
def test_loops_at_once_see_the_noise_of_the_kernel(name):
    mean, log_var = parameters((3, 4), tf.float32)

    def jacobian(mean, log_var):
        with tf.GradientTape() as tape:
            tape.watch(log_var)
            z = call(name, mean, log_var)[0]
        return tape.jacobian(z, log_var)

    found = compiled(jacobian)(mean, log_var)
    assert_close(found, jacobian(mean, log_var), tf.float32)


def test_noise_added_inside_xla_is_the_kernels(monkeypatch):
    monkeypatch.delenv("FASTGEN_BACKEND")
    x = draw((33, 65), tf.float32)
    run = compiled(lambda x: ops.gaussian_noise(x, 0.5, SEED))
    assert_close(run(x), ops.gaussian_noise(x, 0.5, SEED), tf.float32)


def test_stock_ops_where_they_are_asked_for(monkeypatch):
    mean, log_var = parameters((3, 4), tf.float32)

    def run():
        kinds = op_types(compiled(lambda: ops.gaussian_sample_kl(mean, log_var, SEED)))
        assert not any("Fastgen" in kind for kind in kinds)

    with fastgen.portable():
        assert taken(run, "gaussian_sample_kl") == {COMPOSITE}
    monkeypatch.setenv("FASTGEN_BACKEND", "composite")
    assert taken(run, "gaussian_sample_kl") == {COMPOSITE}


def test_without_the_library(stock_xla, monkeypatch):
    mean, log_var = parameters((3, 4), tf.float32)
    run = compiled(lambda: ops.gaussian_sample_kl(mean, log_var, SEED))
    with pytest.raises(RuntimeError, match="gaussian_sample_kl: .*not built.*Received"):
        run()
    monkeypatch.delenv("FASTGEN_BACKEND")
    assert taken(run, "gaussian_sample_kl") == {COMPOSITE}


LATE = """
import numpy as np, tensorflow as tf

twice = tf.function(lambda x: x + x, jit_compile=True)
twice(tf.ones([3]))  # XLA has compiled before it hears of our kernels
from fastgen import ops

shape = [3001, 77]
x = tf.reshape(tf.cos(tf.range(3001 * 77, dtype=tf.float32)), shape)

def run(x):
    z, kl = ops.gaussian_sample_kl(x, x, (1, 2))
    return z, kl, ops.sigmoid_cross_entropy(tf.sigmoid(x), z, reduction="row")

for out in tf.function(run, jit_compile=True)(x):
    print(hash(out.numpy().tobytes()))
"""


def test_any_number_of_threads_gives_the_same_bits(run_python):
    same = {"FASTGEN_BACKEND": "fused", "PYTHONHASHSEED": "0"}
    threads = {"TF_NUM_INTRAOP_THREADS": "1"}, {"TF_NUM_INTRAOP_THREADS": "5"}
    one, five = (run_python(LATE, **same, **some) for some in threads)
    assert one == five and len(set(one.split())) == 3


def trained(jit_compile):
    """A small variational autoencoder after two epochs, and its losses."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input([12])
    mean, log_var = keras.layers.Dense(3)(inputs), keras.layers.Dense(3)(inputs)
    z = fastgen.layers.GaussianLatent(seed=5)([mean, log_var])
    model = keras.Model(inputs, keras.layers.Dense(12, activation="sigmoid")(z))
    loss = fastgen.losses.BinaryCrossentropy()
    model.compile("nadam", loss, jit_compile=jit_compile)
    images = np.random.default_rng(0).uniform(size=(70, 12)).astype("float32")
    history = model.fit(images, images, batch_size=32, epochs=2, shuffle=False, verbose=0)
    return model, history.history["loss"]


def test_fit_with_xla_is_fit_without(monkeypatch):
    monkeypatch.delenv("FASTGEN_BACKEND")
    before = {op: fastgen.stats().get(op, {}).get(CUSTOM_CALL, 0) for op in CALLED}
    model, losses = trained(True)
    after = {op: fastgen.stats().get(op, {}).get(CUSTOM_CALL, 0) for op in CALLED}
    assert all(after[op] > before[op] for op in ("gaussian_sample_kl", "sigmoid_cross_entropy"))
    assert {row["path"] for row in fastgen.doctor(model) if row["op"]} == {CUSTOM_CALL}
    other, expected = trained(False)
    np.testing.assert_allclose(losses, expected, rtol=TRAINING)
    for one, two in zip(model.weights, other.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=TRAINING, atol=TRAINING)
