"""sparsity: values that the penalties are known to take, and what the op refuses."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen import ops
from tests.ops.cases import DTYPES, array, draw, dtypes, gradients, second_gradients
from tests.tolerances import SAME_FORMULA, assert_close

KINDS = ("kl", "l1", "mse")
kinds = pytest.mark.parametrize("kind", KINDS)


def target_of(kind):
    return None if kind == "l1" else 0.1


def activities(batch, units=6, dtype="float32"):
    return tf.sigmoid(draw((batch, units), dtype, batch))


def test_equals_the_books_regularizer(path):
    a = activities(64)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(a)
        q = tf.reduce_mean(a, axis=0)
        book = keras.losses.kl_divergence(0.1, q) + keras.losses.kl_divergence(1 - 0.1, 1 - q)
        ours = ops.sparsity(a, 0.1, "kl")
    np.testing.assert_allclose(ours, book, rtol=SAME_FORMULA)
    assert_close(tape.gradient(ours, a), tape.gradient(book, a), "float32")


def test_l1_is_that_of_keras_over_the_batch(path):
    a = activities(64) - 0.5
    book = keras.regularizers.L1(1.0)(a) / 64
    np.testing.assert_allclose(ops.sparsity(a, None, "l1"), book, rtol=SAME_FORMULA)


@kinds
def test_same_penalty_at_any_batch_size(path, kind):
    a = activities(32)
    one = ops.sparsity(a, target_of(kind), kind)
    for copies in (2, 4):
        many = ops.sparsity(tf.tile(a, [copies, 1]), target_of(kind), kind)
        np.testing.assert_allclose(many, one, rtol=SAME_FORMULA)
    folded = ops.sparsity(tf.reshape(a, [4, 8, 6]), target_of(kind), kind)
    np.testing.assert_allclose(folded, one, rtol=SAME_FORMULA)


@dtypes
@pytest.mark.parametrize("value", [0.0, 1e-8, 1e-3, 0.5, 1.0, 2.0, -1.0])
def test_finite_everywhere(path, dtype, value):
    a = tf.fill([4, 3], tf.cast(value, dtype))
    for kind in KINDS:
        with tf.GradientTape() as tape:
            tape.watch(a)
            penalty = ops.sparsity(a, target_of(kind), kind)
        assert np.isfinite(penalty) and np.all(np.isfinite(array(tape.gradient(penalty, a))))


@pytest.mark.parametrize("target", [0, 1])
def test_targets_at_the_ends(path, target):
    a = tf.constant([[0.25], [0.75]])
    np.testing.assert_allclose(ops.sparsity(a, target, "kl"), np.log(2), rtol=SAME_FORMULA)


@kinds
def test_empty_batch(path, kind):
    a = tf.zeros([0, 3])
    with tf.GradientTape() as tape:
        tape.watch(a)
        same, penalty, activity = ops.sparsity_passthrough(a, target_of(kind), kind)
    assert penalty == 0 and np.all(activity == 0) and same.shape == (0, 3)
    assert tape.gradient(penalty, a).shape == (0, 3)


@kinds
def test_passthrough(path, kind):
    a, upstream = activities(33), draw((33, 6), "float32", 9)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(a)
        penalty = ops.sparsity(a, target_of(kind), kind)
        same, again, activity = ops.sparsity_passthrough(a, target_of(kind), kind)
    np.testing.assert_array_equal(same, a)
    np.testing.assert_array_equal(again, penalty)
    assert_close(activity, np.mean(a, axis=0), "float32")
    both = tape.gradient([same, again], a, [upstream, tf.constant(3.0)])
    assert_close(both, upstream + 3 * tape.gradient(penalty, a), "float32")


def test_one_op_forward_and_one_backward(fused):
    def step(a, upstream):
        with tf.GradientTape() as tape:
            tape.watch(a)
            same, penalty, _ = ops.sparsity_passthrough(a, 0.1, "kl")
        return tape.gradient([same, penalty], a, [upstream, tf.constant(1.0)])

    graph = tf.function(step).get_concrete_function(*2 * [tf.TensorSpec([None, 6])]).graph
    types = [op.type for op in graph.get_operations()]
    assert types.count("FastgenSparsity") == types.count("FastgenSparsityGrad") == 1
    assert not {"AddN", "AddV2", "Mul"} & set(types)


@kinds
def test_gradients_of_every_order(path, kind):
    a = tf.sigmoid(draw((3, 4), tf.float64)) - (0.5 if kind == "l1" else 0)

    def exact(a):
        q = tf.reduce_mean(tf.abs(a) if kind == "l1" else a, axis=0)
        if kind != "kl":
            return a, tf.reduce_sum(q if kind == "l1" else (q - 0.1) ** 2), q
        return a, tf.reduce_sum(0.1 * tf.math.log(0.1 / q) + 0.9 * tf.math.log(0.9 / (1 - q))), q

    def run(a):
        return ops.sparsity_passthrough(a, target_of(kind), kind)

    for derivatives in (gradients, second_gradients):
        assert_close(derivatives(run, a)[0], derivatives(exact, a)[0], tf.float64)
    loops = [
        tf.vectorized_map(functools.partial(lambda f, x: second_gradients(f, x)[0], f), a[:, None])
        for f in (run, exact)
    ]
    assert_close(*loops, tf.float64)


def test_dtypes_and_shapes(path):
    for dtype in DTYPES:
        a = tf.cast(activities(5), dtype)
        same, penalty, activity = ops.sparsity_passthrough(a, 0.1, "kl")
        wide = tf.float64 if dtype == tf.float64 else tf.float32
        assert same.dtype == dtype and penalty.dtype == activity.dtype == wide
        assert ops.sparsity(a, 0.1, "kl").dtype == wide and penalty.shape == ()
    for shape in [[None, 6], [None, None, 6], None]:
        spec = tf.TensorSpec(shape, tf.float32)
        run = tf.function(lambda a: ops.sparsity_passthrough(a, 0.1, "mse"), input_signature=[spec])
        a = activities(8)
        inputs = tf.reshape(a, [2, 4, 6]) if shape and len(shape) == 3 else a
        expected = ops.sparsity_passthrough(a, 0.1, "mse")
        for one, other in zip(run(inputs)[1:], expected[1:], strict=True):
            assert_close(one, other, "float32")


def test_numbers_become_float32(path):
    assert float(ops.sparsity([[0, 1], [1, 1]], 0.5, "mse")) == 0.25
    assert ops.sparsity(np.ones([2, 3]), 0, "mse").dtype == tf.float64


@pytest.mark.parametrize(
    ("activations", "target", "kind", "message"),
    [
        (0.5, 0.1, "kl", "activations must have rank 1 or more"),
        (np.zeros([2, 3], "int32"), 0.1, "kl", "activations must be float16"),
        ("text", 0.1, "kl", "activations must be"),
        ([[0.5]], 0.1, "l2", "kind must be one of"),
        ([[0.5]], 0.1, ["kl"], "kind must be one of"),
        ([[0.5]], 1.1, "kl", "target must be a number in"),
        ([[0.5]], -0.1, "kl", "target must be a number in"),
        ([[0.5]], None, "mse", "target must be a number in"),
        ([[0.5]], float("nan"), "mse", "target must be a number in"),
        ([[0.5]], float("inf"), "mse", "target must be a number in"),
        ([[0.5]], True, "kl", "target must be a number in"),
        ([[0.5]], "0.1", "kl", "target must be a number in"),
        ([[0.5]], 0.1, "l1", "target must be None for kind='l1'"),
    ],
)
def test_refusals(activations, target, kind, message):
    for op in (ops.sparsity, ops.sparsity_passthrough):
        with pytest.raises(ValueError, match=f"^{op.__name__}: {message}.*Received: "):
            op(activations, target, kind)
