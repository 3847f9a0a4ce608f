"""Sample and KL divergence of a diagonal Gaussian in one pass."""

import tensorflow as tf

from fastgen import dispatch
from fastgen.ops import arguments
from fastgen.ops.gaussian_kl import (
    gaussian_kl_composite,
    gaussian_kl_grad_composite,
    gaussian_kl_second_grad,
)
from fastgen.ops.gaussian_sample import (
    gaussian_sample_composite,
    gaussian_sample_grad,
    gaussian_sample_grad_composite,
    gaussian_sample_grad_from_z,
    refuse_other_noise,
)


@tf.autograph.experimental.do_not_convert
def gaussian_sample_kl(mean, log_var, seed):
    """Sample of a diagonal Gaussian and its KL divergence from the standard normal, in one pass.

    `z = mean + exp(log_var / 2) * tf.random.stateless_normal(shape, seed)` and
    `kl = -1/2 * sum(1 + log_var - exp(log_var) - mean**2, axis=-1)`

    Example:
    >>> import fastgen
    >>> z, kl = fastgen.ops.gaussian_sample_kl([[1.0, 2.0]], [[0.0, 0.0]], seed=(1, 2))
    >>> z.shape, kl.numpy()
    (TensorShape([1, 2]), array([2.5], dtype=float32))

    Args:
        mean: `(..., codings)` float16, bfloat16, float32 or float64.
        log_var: logarithm of the variance, of the shape and dtype of `mean`.
        seed: `(2,)` int32 or int64, or two Python integers. The same seed gives the same noise.

    Returns:
        z: `(..., codings)` tensor of the dtype of `mean`, as from `gaussian_sample`.
        kl: `(...)` tensor, as from `gaussian_kl`: float64 for float64 input, else float32.

    Raises:
        ValueError: if shapes or dtypes differ, for a scalar, for other dtypes or seeds.

    Source: Kingma & Welling (2014), Auto-Encoding Variational Bayes,
    https://arxiv.org/abs/1312.6114.
    """
    mean, log_var = arguments.gaussian("gaussian_sample_kl", mean, log_var)
    seed = arguments.seed("gaussian_sample_kl", seed)
    fused = dispatch.fused_op("gaussian_sample_kl", mean.dtype)
    if fused is None:
        with dispatch.composite_scope("gaussian_sample_kl"):
            mean = arguments.assert_same_shape("gaussian_sample_kl", mean, log_var)
            return gaussian_sample_kl_composite(mean, log_var, seed)
    kl_dtype = arguments.wide(mean.dtype)
    z, kl = fused(mean=mean, log_var=log_var, seed=seed, K=kl_dtype, name="gaussian_sample_kl")
    return z, kl


def gaussian_sample_kl_composite(mean, log_var, seed, noise=None):
    """`gaussian_sample_kl` in stock TensorFlow ops; `noise`, where it has been drawn already."""
    dtype, compute = mean.dtype, arguments.wide(mean.dtype)
    # Cast once for both, so that their gradients meet before they are rounded.
    mean, log_var = tf.cast(mean, compute), tf.cast(log_var, compute)
    z = gaussian_sample_composite(mean, log_var, seed, noise)
    return tf.cast(z, dtype), gaussian_kl_composite(mean, log_var)


def gaussian_sample_kl_grad(mean, log_var, seed, d_z, d_kl):
    """Gradient of `gaussian_sample_kl`: `d_mean, d_log_var`."""
    fused = dispatch.fused_op("gaussian_sample_kl_grad", mean.dtype)
    if fused is None:
        return gaussian_sample_kl_grad_composite(mean, log_var, seed, d_z, d_kl)
    return fused(
        mean=mean, log_var=log_var, seed=seed, d_z=d_z, d_kl=d_kl, name="gaussian_sample_kl_grad"
    )


def gaussian_sample_kl_grad_composite(mean, log_var, seed, d_z, d_kl, noise=None):
    """`gaussian_sample_kl_grad` in stock TensorFlow ops."""
    dtype, compute = mean.dtype, arguments.wide(mean.dtype)
    mean, log_var, d_z = (tf.cast(x, compute) for x in (mean, log_var, d_z))
    d_mean, d_log_var = gaussian_kl_grad_composite(mean, log_var, d_kl)
    d_mean += d_z
    d_log_var += gaussian_sample_grad_composite(log_var, seed, d_z, noise)
    return tf.cast(d_mean, dtype), tf.cast(d_log_var, dtype)


@tf.RegisterGradient("FastgenGaussianSampleKl")
@dispatch.on_device_of_op
def _gradient(op, d_z, d_kl):
    mean, log_var, seed = op.inputs
    d_z, d_kl = tf.convert_to_tensor(d_z), tf.convert_to_tensor(d_kl)
    if dispatch.noise_differs("gaussian_sample_kl_grad", mean.dtype):
        # z was sampled outside: XLA's noise of the seed would be another.
        d_mean, d_log_var = gaussian_kl_grad_composite(mean, log_var, d_kl)
        return d_mean + d_z, d_log_var + gaussian_sample_grad_from_z(mean, op.outputs[0], d_z), None
    return *gaussian_sample_kl_grad(mean, log_var, seed, d_z, d_kl), None


@tf.RegisterGradient("FastgenGaussianSampleKlGrad")
@dispatch.on_device_of_op
def _second_gradient(op, g_mean, g_log_var):
    # The op is the sum of the two gradients, and so is its own gradient.
    refuse_other_noise("gaussian_sample_grad", op)
    mean, log_var, seed, d_z, d_kl = op.inputs
    g_mean, g_log_var = tf.convert_to_tensor(g_mean), tf.convert_to_tensor(g_log_var)
    d_mean, d_log_var, d_d_kl = gaussian_kl_second_grad(mean, log_var, d_kl, g_mean, g_log_var)
    d_log_var += g_log_var * gaussian_sample_grad(log_var, seed, d_z) / 2
    return d_mean, d_log_var, None, g_mean + gaussian_sample_grad(log_var, seed, g_log_var), d_d_kl
