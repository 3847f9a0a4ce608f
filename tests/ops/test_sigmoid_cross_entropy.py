"""sigmoid_cross_entropy: extreme logits, images as targets, reductions, when it keeps what."""

import numpy as np
import pytest
import tensorflow as tf

from fastgen import native, ops
from tests.ops.cases import array, draw, dtypes, gradients, second_gradients, wide
from tests.tolerances import TOLERANCES, assert_close

OP = ops.sigmoid_cross_entropy
EXTREMES = [-1e4, -200.0, -50.0, 0.0, -0.0, 50.0, 200.0, 1e4]

reductions = pytest.mark.parametrize("reduction", ["none", "row", "mean"])


def inputs(shape, dtype):
    return tf.sigmoid(draw(shape, dtype, 1)), draw(shape, dtype, 2, 4.0)


def exact(targets, logits, reduction, label_smoothing=0.0):
    y = targets * (1 - label_smoothing) + label_smoothing / 2
    loss = tf.nn.softplus(logits) - logits * y
    return {"none": loss, "row": tf.reduce_mean(loss, -1), "mean": tf.reduce_mean(loss)}[reduction]


@reductions
@dtypes
def test_reductions(path, reduction, dtype):
    both = inputs((7, 33), dtype)

    def ours(*x):
        return [OP(*x, label_smoothing=0.2, reduction=reduction)]

    def right(*x):
        return [exact(*x, reduction, 0.2)]

    (loss,), (expected,) = ours(*both), right(*wide(both))
    assert loss.dtype == (tf.float64 if dtype == tf.float64 else tf.float32)
    assert_close(array(loss), array(expected), loss.dtype)
    graph = tf.function(lambda *x: gradients(ours, *x))
    for out, other, wanted in zip(
        gradients(ours, *both), graph(*both), gradients(right, *wide(both)), strict=True
    ):
        assert out.dtype == dtype
        assert_close(array(out), array(wanted), dtype)
        assert_close(array(other), array(wanted), dtype)


@reductions
@pytest.mark.parametrize("graph", [True, False])
def test_second_order(path, reduction, graph):
    both = inputs((3, 4), tf.float64)

    def ours(*x):
        return [OP(*x, reduction=reduction)]

    run = (lambda *x: second_gradients(ours, *x)) if not graph else None
    run = run or tf.function(lambda *x: second_gradients(ours, *x))
    right = second_gradients(lambda *x: [exact(*x, reduction)], *both)
    for out, expected in zip(run(*both), right, strict=True):
        assert_close(out, expected, tf.float64)


@reductions
def test_vectorised_loops(path, reduction):
    targets, logits = inputs((5, 3, 4), tf.float64)

    def both(i):
        x = tf.gather(targets, i), tf.gather(logits, i)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = OP(*x, reduction=reduction)
        return loss, *tape.gradient(loss, x)

    rows = [both(i) for i in range(5)]
    actual = tf.vectorized_map(both, tf.range(5), fallback_to_while_loop=False)
    for out, expected in zip(actual, zip(*rows, strict=True), strict=True):
        assert_close(out, np.stack(expected), tf.float64)


@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_extreme_logits(path, target):
    logits = tf.constant([EXTREMES])
    targets = tf.fill(logits.shape, target)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = OP(targets, logits)
    wide_logits = np.array([EXTREMES], np.longdouble)
    small = np.exp(-np.abs(wide_logits))
    right = np.maximum(wide_logits, 0) - wide_logits * np.float32(target) + np.log1p(small)
    np.testing.assert_allclose(loss, right.astype(float), rtol=TOLERANCES["float32"][0], atol=1e-30)
    small /= 1 + small
    y = np.longdouble(np.float32(target))
    slope = np.where(wide_logits < 0, small - y, (1 - y) - small)
    # The smaller of sigmoid and 1 - sigmoid keeps its digits.
    rtol = TOLERANCES["float32"][0]
    np.testing.assert_allclose(
        tape.gradient(loss, logits),
        slope.astype(float),
        rtol=rtol,
        atol=1e-30 + 1e-7 * (path != "fused"),
    )


@reductions
def test_images_as_targets(path, reduction):
    targets, logits = (
        tf.constant(np.arange(256).reshape(8, 32), tf.uint8),
        draw((8, 32), tf.float32),
    )

    def run(targets):
        with tf.GradientTape() as tape:
            tape.watch([targets, logits])
            loss = OP(targets, logits, reduction=reduction)
        return loss, tape.gradient(loss, [targets, logits])

    loss, (d_targets, d_logits) = run(targets)
    expected, (_, right) = run(tf.cast(targets, tf.float32) / 255)
    assert d_targets is None
    assert_close(loss, expected, tf.float32)
    assert_close(d_logits, right, tf.float32)
    black_and_white = tf.constant([[0, 255]], tf.uint8)
    np.testing.assert_array_equal(OP(black_and_white, [[-200.0, 200.0]]), [[0, 0]])


def test_a_mean_of_nothing_is_zero(path):
    for shape, reduction in [((0, 3), "mean"), ((2, 0), "row"), ((2, 0), "mean")]:
        empty = tf.zeros(shape)
        with tf.GradientTape() as tape:
            tape.watch(empty)
            loss = OP(empty, empty, reduction=reduction)
        assert not np.any(loss)
        assert tape.gradient(loss, empty).shape == shape


def op_types(function, *tensors):
    graph = tf.function(function).get_concrete_function(*tensors).graph
    return [op.type for op in graph.get_operations() if op.type.startswith("Fastgen")]


def test_slope_is_kept_where_a_tape_may_want_it(fused):
    both = inputs((7, 10), tf.float32)
    forward, again = "FastgenSigmoidCrossEntropy", "FastgenSigmoidCrossEntropyGrad"
    slope = "FastgenSigmoidCrossEntropyFromSlopeGrad"

    def loss(*x):
        return OP(*x, reduction="mean")

    def under_a_tape(*x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(*x)
        return tape.gradient(value, x[1])

    halves = tuple(tf.cast(x, tf.float16) for x in both)
    assert op_types(under_a_tape, *both) == [forward, slope]
    assert op_types(under_a_tape, *halves) == [forward, again]
    assert op_types(lambda *x: tf.gradients(loss(*x), x[1]), *both) == [forward, again]
    (node,) = [
        op
        for op in tf.function(loss).get_concrete_function(*both).graph.get_operations()
        if op.type == forward
    ]
    assert len(node.outputs) == 1
    # The tape's zeros for the slope, which nobody used, cost nothing.
    graph = tf.function(under_a_tape).get_concrete_function(*both).graph
    assert "Sigmoid" not in [op.type for op in graph.get_operations()]


def test_gradient_arrives_whatever_the_upstream(path):
    both = inputs((33, 65), tf.float32)

    @tf.function
    def run(upstream, *x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = OP(*x, reduction="row")
        return tape.gradient(loss, x[1], upstream), x[1] + 0

    one = run(tf.ones([33]), *both)[0]
    for scale in (0.7, -3.0, 0.0):
        scaled, logits = run(tf.fill([33], scale), *both)
        assert_close(scaled, scale * one, tf.float32)
        np.testing.assert_array_equal(logits, both[1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((tf.zeros([2, 3]), tf.zeros([3, 2])), "targets and logits must have the same shape"),
        ((tf.zeros([2], tf.float64), tf.zeros([2])), "targets must be uint8 or have the dtype of"),
        ((tf.zeros([2], tf.int32), tf.zeros([2])), "targets must be uint8 or have the dtype of"),
        ((tf.zeros([2], tf.uint8), tf.zeros([2], tf.uint8)), "logits must be float16"),
        ((0.0, 0.0), "logits must have rank 1 or more"),
        ((None, [0.0]), "targets must be convertible"),
        (([0.0], [0.0], 1.5), "label_smoothing must be a number in"),
        (([0.0], [0.0], 0.0, "sum"), "reduction must be one of"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_is_refused(path, wrong, message):
    with pytest.raises(ValueError, match=f"sigmoid_cross_entropy: {message}.*Received: "):
        OP(*wrong)


def test_shapes_that_differ_when_they_are_known(path):
    spec = tf.TensorSpec(None, tf.float32)
    run = tf.function(OP, input_signature=[spec, spec])
    with pytest.raises(tf.errors.InvalidArgumentError, match="must have the same shape"):
        run(tf.zeros([4, 3]), tf.zeros([1, 3]))


def test_second_wall():
    grad = native.load_ops().fastgen_sigmoid_cross_entropy_grad
    x, smoothing = tf.zeros([2, 3]), tf.constant(0.0, tf.float64)
    for message, arguments in [
        ("targets and logits must have the same shape", (x, tf.zeros([2, 4]), smoothing, 0.0)),
        ("logits must have rank 1 or more", (tf.zeros([]), tf.zeros([]), smoothing, 0.0)),
        ("label_smoothing must be a scalar", (x, x, tf.zeros([2], tf.float64), 0.0)),
        ("d_loss must have the shape of the loss", (x, x, smoothing, [0.0])),
    ]:
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?s){message}.*Received: "):
            grad(*arguments, reduction="mean")
