"""Samples of a diagonal Gaussian by the reparameterisation trick."""

import tensorflow as tf

from fastgen import dispatch
from fastgen.ops import arguments
from fastgen.ops.noise import standard_normal


@tf.autograph.experimental.do_not_convert
def gaussian_sample(mean, log_var, seed):
    """Sample of a diagonal Gaussian, differentiable in its parameters.

    `z = mean + exp(log_var / 2) * tf.random.stateless_normal(shape, seed)`

    The noise is never stored: the gradient draws it again from the seed.

    Example:
    >>> import fastgen
    >>> z = fastgen.ops.gaussian_sample(mean=[[5.0, -5.0]], log_var=[[-80.0, -80.0]], seed=(1, 2))
    >>> z.numpy()
    array([[ 5., -5.]], dtype=float32)

    Args:
        mean: `(..., codings)` float16, bfloat16, float32 or float64.
        log_var: logarithm of the variance, of the shape and dtype of `mean`.
        seed: `(2,)` int32 or int64, or two Python integers. The same seed gives the same noise.

    Returns:
        `(..., codings)` tensor of the dtype of `mean`. Inside XLA, where it cannot call the
        kernel, the noise is XLA's: of the same distribution, with other numbers.

    Raises:
        ValueError: if shapes or dtypes differ, for a scalar, for other dtypes or seeds.

    Source: Kingma & Welling (2014), Auto-Encoding Variational Bayes,
    https://arxiv.org/abs/1312.6114.
    """
    mean, log_var = arguments.gaussian("gaussian_sample", mean, log_var)
    seed = arguments.seed("gaussian_sample", seed)
    fused = dispatch.fused_op("gaussian_sample", mean.dtype)
    if fused is None:
        with dispatch.composite_scope("gaussian_sample"):
            mean = arguments.assert_same_shape("gaussian_sample", mean, log_var)
            return gaussian_sample_composite(mean, log_var, seed)
    return fused(mean=mean, log_var=log_var, seed=seed, name="gaussian_sample")


def gaussian_sample_composite(mean, log_var, seed, noise=None):
    """`gaussian_sample` in stock TensorFlow ops; `noise`, where it has been drawn already."""
    dtype, compute = mean.dtype, arguments.wide(mean.dtype)
    mean, log_var = tf.cast(mean, compute), tf.cast(log_var, compute)
    noise = standard_normal(tf.shape(mean), seed, compute) if noise is None else noise
    return tf.cast(mean + tf.exp(log_var / 2) * noise, dtype)


def gaussian_sample_grad(log_var, seed, d_z):
    """Gradient of `gaussian_sample` with respect to log_var; with respect to mean it is d_z."""
    fused = dispatch.fused_op("gaussian_sample_grad", log_var.dtype)
    if fused is None:
        return gaussian_sample_grad_composite(log_var, seed, d_z)
    return fused(log_var=log_var, seed=seed, d_z=d_z, name="gaussian_sample_grad")


def gaussian_sample_grad_composite(log_var, seed, d_z, noise=None):
    """`gaussian_sample_grad` in stock TensorFlow ops."""
    dtype, compute = log_var.dtype, arguments.wide(log_var.dtype)
    log_var, d_z = tf.cast(log_var, compute), tf.cast(d_z, compute)
    noise = standard_normal(tf.shape(log_var), seed, compute) if noise is None else noise
    return tf.cast(d_z * tf.exp(log_var / 2) * noise / 2, dtype)


def gaussian_sample_grad_from_z(mean, z, d_z):
    """`gaussian_sample_grad` from the sample itself, as exact as z - mean is."""
    dtype, compute = mean.dtype, arguments.wide(mean.dtype)
    mean, z, d_z = (tf.cast(x, compute) for x in (mean, z, d_z))
    return tf.cast(d_z * (z - mean) / 2, dtype)


@tf.RegisterGradient("FastgenGaussianSample")
@dispatch.on_device_of_op
def _gradient(op, d_z):
    mean, log_var, seed = op.inputs
    d_z = tf.convert_to_tensor(d_z)
    if dispatch.noise_differs("gaussian_sample_grad", mean.dtype):
        # z was sampled outside: XLA's noise of the seed would be another.
        return d_z, gaussian_sample_grad_from_z(mean, op.outputs[0], d_z), None
    return d_z, gaussian_sample_grad(log_var, seed, d_z), None


@tf.RegisterGradient("FastgenGaussianSampleGrad")
@dispatch.on_device_of_op
def _second_gradient(op, g):
    # The output is d_z * exp(log_var / 2) * noise / 2: linear in d_z, and half of it again
    # when differentiated by log_var.
    log_var, seed, _ = op.inputs
    g = tf.convert_to_tensor(g)
    refuse_other_noise("gaussian_sample_grad", op)
    compute = arguments.wide(g.dtype)
    d_log_var = tf.cast(g, compute) * tf.cast(op.outputs[0], compute) / 2
    return tf.cast(d_log_var, g.dtype), None, gaussian_sample_grad(log_var, seed, g)


def refuse_other_noise(kernel, op):
    """Raise where a derivative of an op would need noise that only the kernel can draw."""
    if dispatch.noise_differs(kernel, op.outputs[0].dtype):
        raise NotImplementedError(
            f"{op.type}: its gradient cannot be taken inside XLA, where the noise of its seed is "
            "another. Take all derivatives inside the jitted function, or none. "
            f"Received: an op of shape {op.outputs[0].shape}, run outside"
        )
