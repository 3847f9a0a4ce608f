"""Ops on the CPU and on the GPU, side by side."""

import numpy as np
import tensorflow as tf

DTYPES = ["float32", "float64", "float16", "bfloat16"]
SEED = (11, -(2**40))


def arrays(dtype, shape=(33, 24)):
    rng = np.random.default_rng(1)
    return [tf.cast(rng.standard_normal(shape), dtype) for _ in range(2)]


def on_both(gpu, function):
    """What a function of no arguments gives on the CPU and on the GPU."""
    with tf.device("/CPU:0"):
        expected = function()
    with tf.device(gpu):
        ours = function()
    for x in tf.nest.flatten(ours):
        assert "GPU" in x.device
    return zip(tf.nest.flatten(ours), tf.nest.flatten(expected), strict=True)


def assert_close(ours, expected):
    tolerance = {"float64": 1e-13, "float32": 2e-5}.get(ours.dtype.name, 2e-2)
    np.testing.assert_allclose(
        tf.cast(ours, "float64"), tf.cast(expected, "float64"), rtol=tolerance, atol=tolerance
    )


def with_gradient(function, x):
    """The value of a function and its gradient by x, something else than 1 arriving at it."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
        weights = tf.cast(tf.range(1, tf.size(value) + 1), value.dtype)
        total = tf.reduce_sum(tf.reshape(value, [-1]) * weights)
    return value, tape.gradient(total, x)
