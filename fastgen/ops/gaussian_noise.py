"""Gaussian noise added to a tensor."""

import tensorflow as tf

from fastgen import dispatch
from fastgen.ops import arguments
from fastgen.ops.noise import standard_normal


@tf.autograph.experimental.do_not_convert
def gaussian_noise(x, stddev, seed):
    """A tensor with Gaussian noise of a seed added.

    `y = x + stddev * tf.random.stateless_normal(shape, seed)`

    Example:
    >>> import fastgen
    >>> y = fastgen.ops.gaussian_noise([[5.0, -5.0]], stddev=0.0, seed=(1, 2))
    >>> y.numpy()
    array([[ 5., -5.]], dtype=float32)

    Args:
        x: `(...)` float16, bfloat16, float32 or float64, of rank 1 or more.
        stddev: Python number ≥ 0.
        seed: `(2,)` int32 or int64, or two Python integers. The same seed gives the same noise.

    Returns:
        Tensor of the shape and dtype of `x`. Inside XLA the noise is XLA's: of the same
        distribution, with other numbers.

    Raises:
        ValueError: for a scalar, another dtype or seed, a `stddev` that is negative or no number.

    Source: Vincent et al. (2010), Stacked Denoising Autoencoders, JMLR 11, section 3.3.
    """
    x = arguments.floats("gaussian_noise", "x", x)
    stddev = arguments.number("gaussian_noise", "stddev", stddev, 0.0, float("inf"))
    seed = arguments.seed("gaussian_noise", seed)
    fused = dispatch.fused_op("gaussian_noise", x.dtype)
    if fused is None:
        with dispatch.composite_scope("gaussian_noise"):
            return gaussian_noise_composite(x, stddev, seed)
    return fused(x=x, stddev=stddev, seed=seed, name="gaussian_noise")


def gaussian_noise_composite(x, stddev, seed, noise=None):
    """`gaussian_noise` in stock TensorFlow ops; `noise`, where it has been drawn already."""
    compute = arguments.wide(x.dtype)
    noise = standard_normal(tf.shape(x), seed, compute) if noise is None else noise
    scale = tf.cast(tf.convert_to_tensor(stddev, tf.float64), compute)
    return tf.cast(tf.cast(x, compute) + scale * noise, x.dtype)


@tf.RegisterGradient("FastgenGaussianNoise")
def _gradient(op, d_y):
    return d_y, None, None
