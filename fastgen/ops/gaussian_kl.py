"""KL divergence of a diagonal Gaussian from the standard normal."""

import tensorflow as tf

from fastgen import dispatch
from fastgen.ops import arguments


@tf.autograph.experimental.do_not_convert
def gaussian_kl(mean, log_var):
    """KL divergence of a diagonal Gaussian from the standard normal, over the last axis.

    `kl = -1/2 * sum(1 + log_var - exp(log_var) - mean**2, axis=-1)`

    Example:
    >>> import fastgen
    >>> kl = fastgen.ops.gaussian_kl(mean=[[0.0, 0.0], [1.0, 2.0]], log_var=[[0.0, 0.0]] * 2)
    >>> kl.numpy()
    array([0. , 2.5], dtype=float32)

    Args:
        mean: `(..., codings)` float16, bfloat16, float32 or float64.
        log_var: logarithm of the variance, of the shape and dtype of `mean`.

    Returns:
        `(...)` tensor: float64 for float64 input, else float32.

    Raises:
        ValueError: if shapes or dtypes differ, for a scalar, for other dtypes.

    Source: appendix B of Kingma & Welling (2014), Auto-Encoding Variational Bayes,
    https://arxiv.org/abs/1312.6114.
    """
    mean, log_var = arguments.gaussian("gaussian_kl", mean, log_var)
    fused = dispatch.fused_op("gaussian_kl", mean.dtype)
    if fused is None:
        with dispatch.composite_scope("gaussian_kl"):
            mean = arguments.assert_same_shape("gaussian_kl", mean, log_var)
            return gaussian_kl_composite(mean, log_var)
    return fused(mean=mean, log_var=log_var, K=arguments.wide(mean.dtype), name="gaussian_kl")


def gaussian_kl_composite(mean, log_var):
    """`gaussian_kl` in stock TensorFlow ops."""
    dtype = arguments.wide(mean.dtype)
    mean, log_var = tf.cast(mean, dtype), tf.cast(log_var, dtype)
    return 0.5 * tf.reduce_sum(tf.exp(log_var) + tf.square(mean) - 1 - log_var, axis=-1)


def gaussian_kl_grad(mean, log_var, d_kl):
    """Gradient of `gaussian_kl`: `d_mean, d_log_var`."""
    fused = dispatch.fused_op("gaussian_kl_grad", mean.dtype)
    if fused is None:
        return gaussian_kl_grad_composite(mean, log_var, d_kl)
    return fused(mean=mean, log_var=log_var, d_kl=d_kl, name="gaussian_kl_grad")


def gaussian_kl_grad_composite(mean, log_var, d_kl):
    """`gaussian_kl_grad` in stock TensorFlow ops."""
    dtype, d_kl = mean.dtype, d_kl[..., tf.newaxis]
    d_mean = d_kl * tf.cast(mean, d_kl.dtype)
    d_log_var = d_kl * tf.math.expm1(tf.cast(log_var, d_kl.dtype)) / 2
    return tf.cast(d_mean, dtype), tf.cast(d_log_var, dtype)


@tf.RegisterGradient("FastgenGaussianKl")
@dispatch.on_device_of_op
def _gradient(op, d_kl):
    mean, log_var = op.inputs
    return gaussian_kl_grad(mean, log_var, tf.convert_to_tensor(d_kl))


@tf.RegisterGradient("FastgenGaussianKlGrad")
@dispatch.on_device_of_op
def _second_gradient(op, g_mean, g_log_var):
    g_mean, g_log_var = tf.convert_to_tensor(g_mean), tf.convert_to_tensor(g_log_var)
    return gaussian_kl_second_grad(*op.inputs, g_mean, g_log_var)


def gaussian_kl_second_grad(mean, log_var, d_kl, g_mean, g_log_var):
    """Gradient of `gaussian_kl_grad`: `d_mean, d_log_var, d_d_kl`, in stock TensorFlow ops."""
    dtype, rows = mean.dtype, d_kl[..., tf.newaxis]
    mean, log_var = tf.cast(mean, rows.dtype), tf.cast(log_var, rows.dtype)
    g_mean, g_log_var = tf.cast(g_mean, rows.dtype), tf.cast(g_log_var, rows.dtype)
    d_mean = g_mean * rows
    d_log_var = g_log_var * rows * tf.exp(log_var) / 2
    d_d_kl = tf.reduce_sum(g_mean * mean + g_log_var * tf.math.expm1(log_var) / 2, axis=-1)
    return tf.cast(d_mean, dtype), tf.cast(d_log_var, dtype), d_d_kl
