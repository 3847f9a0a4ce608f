"""gaussian_noise: its noise, and what the op refuses."""

import numpy as np
import pytest
import tensorflow as tf

from fastgen import ops
from tests.ops.cases import array, draw, dtypes
from tests.ops.gaussian import SEED
from tests.tolerances import SIGMAS, assert_close


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64], ids=lambda d: d.name)
def test_noise_is_that_of_stateless_normal(path, dtype):
    noise = tf.random.stateless_normal([33, 65], SEED, dtype=dtype)
    assert_close(ops.gaussian_noise(tf.zeros([33, 65], dtype), 1.0, SEED), noise, dtype)


@dtypes
def test_no_noise(path, dtype):
    x = draw((33, 65), dtype)
    np.testing.assert_array_equal(array(ops.gaussian_noise(x, 0, SEED)), array(x))


def test_the_gradient_is_what_arrives(fused):
    def step(x, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = ops.gaussian_noise(x, 0.5, SEED)
        return tape.gradient(y, x, upstream)

    graph = tf.function(step).get_concrete_function(*2 * [tf.TensorSpec([None, 6])]).graph
    outputs = graph.outputs[0]
    while outputs.op.type == "Identity":
        outputs = outputs.op.inputs[0]
    assert outputs is graph.inputs[1]


def test_xla_draws_noise_of_its_own():
    run = tf.function(lambda x: ops.gaussian_noise(x, 2.0, SEED), jit_compile=True)
    noise = run(tf.zeros([1000])) / 2
    assert abs(np.mean(noise)) < SIGMAS / np.sqrt(1000)
    assert abs(np.std(noise) - 1) < SIGMAS / np.sqrt(2000)


@pytest.mark.parametrize(
    ("x", "stddev", "seed", "message"),
    [
        (0.5, 0.1, SEED, "x must have rank 1 or more"),
        (np.zeros([2], "int32"), 0.1, SEED, "x must be float16"),
        ([0.5], -0.1, SEED, "stddev must be a number in"),
        ([0.5], float("inf"), SEED, "stddev must be a number in"),
        ([0.5], tf.constant(0.1), SEED, "stddev must be a number in"),
        ([0.5], 0.1, 3, "seed must be"),
    ],
)
def test_refusals(x, stddev, seed, message):
    with pytest.raises(ValueError, match=f"^gaussian_noise: {message}.*Received: "):
        ops.gaussian_noise(x, stddev, seed)
