"""dropout: its mask, and what the op refuses."""

import numpy as np
import pytest
import tensorflow as tf

from fastgen import ops
from tests.ops.cases import array, draw, dtypes
from tests.ops.gaussian import SEED
from tests.tolerances import SIGMAS


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64], ids=lambda d: d.name)
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_same_bits_as_keras_stateless_dropout(path, dtype, rate):
    x = draw((33, 65), dtype)
    stock = tf.nn.experimental.stateless_dropout(x, rate, SEED)
    np.testing.assert_array_equal(ops.dropout(x, rate, SEED), stock)


@dtypes
def test_nothing_and_everything_dropped(path, dtype):
    x = draw((33, 65), dtype)
    np.testing.assert_array_equal(array(ops.dropout(x, 0, SEED)), array(x))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.dropout(x, 1, SEED)
    assert np.all(array(y) == 0) and np.all(array(tape.gradient(y, x)) == 0)


@dtypes
def test_gradient_has_the_mask_of_the_value(path, dtype):
    x = tf.ones((33, 65), dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.dropout(x, 0.3, SEED)
    np.testing.assert_array_equal(array(tape.gradient(y, x)), array(y))


def test_xla_drops_elements_of_its_own():
    @tf.function(jit_compile=True)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = ops.dropout(x, 0.3, SEED)
        return y, tape.gradient(y, x)

    y, gradient = run(tf.ones([1000]))
    np.testing.assert_array_equal(y, gradient)
    assert abs(np.mean(y == 0) - 0.3) < SIGMAS * np.sqrt(0.21 / 1000)


def test_gradient_inside_xla_of_a_mask_drawn_outside(fused):
    x = tf.ones([33])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.dropout(x, 0.3, SEED)
    with pytest.raises(NotImplementedError, match=r"inside XLA.*Received"):
        tf.function(lambda: tape.gradient(y, x), jit_compile=True)()


@pytest.mark.parametrize(
    ("x", "rate", "seed", "message"),
    [
        (0.5, 0.1, SEED, "x must have rank 1 or more"),
        (np.zeros([2], "int32"), 0.1, SEED, "x must be float16"),
        ([0.5], -0.1, SEED, "rate must be a number in"),
        ([0.5], 1.1, SEED, "rate must be a number in"),
        ([0.5], float("nan"), SEED, "rate must be a number in"),
        ([0.5], tf.constant(0.1), SEED, "rate must be a number in"),
        ([0.5], 0.1, 3, "seed must be"),
    ],
)
def test_refusals(x, rate, seed, message):
    with pytest.raises(ValueError, match=f"^dropout: {message}.*Received: "):
        ops.dropout(x, rate, seed)
