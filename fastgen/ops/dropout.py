"""Dropout by the mask of a seed."""

import tensorflow as tf

from fastgen import dispatch
from fastgen.ops import arguments
from fastgen.ops.gaussian_sample import refuse_other_noise
from fastgen.ops.noise import standard_uniform


@tf.autograph.experimental.do_not_convert
def dropout(x, rate, seed):
    """A tensor with elements dropped at random and the others scaled up.

    `y = where(tf.random.stateless_uniform(shape, seed) >= rate, x / (1 - rate), 0)`

    The mask is never stored: the gradient draws it again from the seed.

    Example:
    >>> import fastgen
    >>> fastgen.ops.dropout([[1.0, 2.0, 3.0, 4.0]], rate=0.5, seed=(1, 2)).numpy()
    array([[2., 0., 6., 0.]], dtype=float32)

    Args:
        x: `(...)` float16, bfloat16, float32 or float64, of rank 1 or more.
        rate: Python number in [0, 1], the share that is dropped.
        seed: `(2,)` int32 or int64, or two Python integers. The same seed gives the same mask.

    Returns:
        Tensor of the shape and dtype of `x`. A dropped element is 0, whatever it was. Inside XLA
        the mask is XLA's: of the same distribution, with other elements.

    Raises:
        ValueError: for a scalar, another dtype or seed, a `rate` out of its range.

    Source: Srivastava et al. (2014), Dropout, JMLR 15, in the inverted form of Keras.
    """
    x = arguments.floats("dropout", "x", x)
    rate = arguments.number("dropout", "rate", rate, 0.0, 1.0)
    seed = arguments.seed("dropout", seed)
    return _run(x, rate, seed)


def _run(x, rate, seed):
    fused = dispatch.fused_op("dropout", x.dtype)
    if fused is None:
        with dispatch.composite_scope("dropout"):
            return dropout_composite(x, rate, seed)
    return fused(x=x, rate=rate, seed=seed, name="dropout")


def dropout_composite(x, rate, seed, noise=None):
    """`dropout` in stock TensorFlow ops; `noise`, where the uniforms have been drawn already."""
    compute, rate = arguments.wide(x.dtype), tf.convert_to_tensor(rate, tf.float64)
    noise = standard_uniform(tf.shape(x), seed, compute) if noise is None else noise
    scale = tf.math.divide_no_nan(tf.ones_like(rate), 1 - rate)
    scaled = tf.cast(x, compute) * tf.cast(scale, compute)
    kept = tf.where(noise >= tf.cast(rate, compute), scaled, tf.zeros_like(scaled))
    return tf.cast(kept, x.dtype)


@tf.RegisterGradient("FastgenDropout")
@dispatch.on_device_of_op
def _gradient(op, d_y):
    # Linear in x: its own gradient, of any order, by the same mask.
    refuse_other_noise("dropout", op)
    _, rate, seed = op.inputs
    return _run(tf.convert_to_tensor(d_y), rate, seed), None, None
