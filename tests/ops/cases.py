"""Dtypes, shapes and tensors that the op tests share, and the ops as one table."""

import numpy as np
import pytest
import tensorflow as tf

from fastgen import ops
from tests.core import reference

DTYPES = [tf.float32, tf.float64, tf.float16, tf.bfloat16]
BEYOND_A_SHARE = 100_003
SIZES = [0, 1, 7, 63, 1023, 1500, BEYOND_A_SHARE]
# Any rank; rows and columns of none, one, a few, more than a vector, more than a tile.
SHAPES = [
    (5,),
    (0, 10),
    (7, 0),
    (7, 10),
    (33, 65),
    (2, 3, 4),
    (3, 1, 2, 5),
    (10_001, 10),
    (3, 1500),
]
SEED = (11, -(2**40) + 3)

# name: (op, its composite, takes a seed)
OPS = {
    "gaussian_sample": (ops.gaussian_sample, ops.gaussian_sample_composite, True),
    "gaussian_kl": (ops.gaussian_kl, ops.gaussian_kl_composite, False),
    "gaussian_sample_kl": (ops.gaussian_sample_kl, ops.gaussian_sample_kl_composite, True),
}

dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
sizes = pytest.mark.parametrize("size", SIZES)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
each_op = pytest.mark.parametrize("name", OPS)


def draw(shape, dtype, key=0, scale=1.0):
    """A tensor of normal numbers."""
    values = scale * np.random.default_rng([key, *np.atleast_1d(shape)]).standard_normal(shape)
    return tf.constant(values, dtype)


def parameters(shape, dtype):
    """A mean and a log_var."""
    return draw(shape, dtype, 1), draw(shape, dtype, 2)


def array(tensor):
    """The float64 array of a tensor of any float dtype."""
    return tf.cast(tensor, tf.float64).numpy()


def call(name, mean, log_var, seed=SEED):
    """The op; always a tuple of outputs."""
    op, _, takes_seed = OPS[name]
    out = op(mean, log_var, seed) if takes_seed else op(mean, log_var)
    return out if isinstance(out, tuple) else (out,)


def call_composite(name, mean, log_var, seed=SEED):
    """Plain TensorFlow at the dtype of mean."""
    _, composite, takes_seed = OPS[name]
    seed = [tf.constant(seed, tf.int64)] if takes_seed else []
    out = composite(mean, log_var, *seed)
    return out if isinstance(out, tuple) else (out,)


def call_exact(name, mean, log_var, noise):
    """The formulas in float64, with the exact noise of the dtype under test."""
    mean, log_var = tf.cast(mean, tf.float64), tf.cast(log_var, tf.float64)
    z = mean + tf.exp(log_var / 2) * noise
    kl = -0.5 * tf.reduce_sum(1 + log_var - tf.exp(log_var) - mean**2, -1)
    return {"gaussian_sample": (z,), "gaussian_kl": (kl,), "gaussian_sample_kl": (z, kl)}[name]


def exact_noise(x, seed=SEED):
    """The noise of a seed, for a tensor of the shape and dtype of x, in float64."""
    return reference.normal(np.prod(x.shape, dtype=int), seed, x.dtype.as_numpy_dtype).reshape(
        x.shape
    )


def weighted_sum(outputs):
    """A float64 scalar of all outputs; weights differ and are exact in every dtype."""
    total = tf.constant(0.0, tf.float64)
    for i, out in enumerate(outputs):
        weights = tf.cos(tf.cast(tf.range(tf.size(out)), tf.float64))
        weights = tf.round(8 * tf.reshape(weights, tf.shape(out))) / 8 + i
        total += tf.reduce_sum(weights * tf.cast(out, tf.float64))
    return total


def gradients(function, mean, log_var):
    """Gradients of the weighted sum of function(mean, log_var)."""
    with tf.GradientTape() as tape:
        tape.watch([mean, log_var])
        total = weighted_sum(function(mean, log_var))
    return tape.gradient(total, [mean, log_var], unconnected_gradients="zero")


def second_gradients(function, mean, log_var):
    """Gradients of a function of the gradients, as a gradient penalty has them."""
    with tf.GradientTape() as tape:
        tape.watch([mean, log_var])
        d_mean, d_log_var = gradients(function, mean, log_var)
        total = weighted_sum([tf.cast(x, tf.float64) ** 2 for x in (d_mean, d_log_var)])
    return tape.gradient(total, [mean, log_var], unconnected_gradients="zero")
