"""The ops on the mean and log_var of a Gaussian: tensors, noise, and a way to call them alike."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from fastgen import ops
from tests.core import reference

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
GAUSSIAN = {
    "gaussian_sample": (ops.gaussian_sample, ops.gaussian_sample_composite, True),
    "gaussian_kl": (ops.gaussian_kl, ops.gaussian_kl_composite, False),
    "gaussian_sample_kl": (ops.gaussian_sample_kl, ops.gaussian_sample_kl_composite, True),
}
SEEDED = [name for name in GAUSSIAN if GAUSSIAN[name][2]]

shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
each_gaussian = pytest.mark.parametrize("name", GAUSSIAN)
with_seed = pytest.mark.parametrize("name", SEEDED)


def parameters(shape, dtype):
    """A mean and a log_var."""
    draws = (
        np.random.default_rng([key, *np.atleast_1d(shape)]).standard_normal(shape) for key in (1, 2)
    )
    return tuple(tf.constant(x, dtype) for x in draws)


def call(name, mean, log_var, seed=SEED):
    """The op; always a tuple of outputs."""
    op, _, takes_seed = GAUSSIAN[name]
    out = op(mean, log_var, seed) if takes_seed else op(mean, log_var)
    return out if isinstance(out, tuple) else (out,)


def call_composite(name, mean, log_var, seed=SEED):
    """Plain TensorFlow at the dtype of mean."""
    _, composite, takes_seed = GAUSSIAN[name]
    seed = [tf.constant(seed, tf.int64)] if takes_seed else []
    out = composite(mean, log_var, *seed)
    return out if isinstance(out, tuple) else (out,)


def call_exact(name, mean, log_var, noise):
    """The formulas in float64, with the exact noise of the dtype under test."""
    mean, log_var = tf.cast(mean, tf.float64), tf.cast(log_var, tf.float64)
    z = mean + tf.exp(log_var / 2) * noise
    kl = -0.5 * tf.reduce_sum(1 + log_var - tf.exp(log_var) - mean**2, -1)
    return {"gaussian_sample": (z,), "gaussian_kl": (kl,), "gaussian_sample_kl": (z, kl)}[name]


@functools.lru_cache(maxsize=8)
def _noise(shape, seed, dtype):
    return reference.normal(np.prod(shape, dtype=int), seed, dtype).reshape(shape)


def exact_noise(x, seed=SEED):
    """The noise of a seed, for a tensor of the shape and dtype of x, in float64."""
    return _noise(tuple(x.shape), seed, x.dtype.as_numpy_dtype)
