"""Sample of a diagonal Gaussian and its KL divergence, as kernels of Numba's.

What `fastgen.ops.gaussian_sample_kl` computes, to be read, and for where its own kernel is missing.
"""

import tensorflow as tf

from fastgen.jit.array_kernel import kernel
from fastgen.jit.math import exp
from fastgen.ops import arguments
from fastgen.ops.gaussian_sample_kl import gaussian_sample_kl_composite

ANY_ORDER = {"reassoc", "nsz", "contract"}  # of sums, so that they become vectors


def gaussian_sample_kl(mean, log_var, seed):
    """Sample of a diagonal Gaussian and its KL divergence from the standard normal, in one pass.

    `z = mean + exp(log_var / 2) * noise`,
    `kl = 1/2 * sum(mean**2 + exp(log_var) - 1 - log_var, axis=-1)`

    Example:
    >>> from fastgen import jit
    >>> z, kl = jit.gaussian_sample_kl([[1.0, 2.0]], [[0.0, 0.0]], seed=(1, 2))
    >>> z.shape, kl.numpy()
    (TensorShape([1, 2]), array([2.5], dtype=float32))

    Args:
        mean: `(..., codings)` float16, bfloat16, float32 or float64.
        log_var: of the shape and dtype of `mean`.
        seed: `(2,)` int32 or int64, or two Python integers.

    Returns:
        z: `(..., codings)` tensor of the dtype of `mean`.
        kl: `(...)` tensor: float64 for float64 input, else float32.

    Raises:
        ValueError: if shapes or dtypes differ, for a scalar, for other dtypes or seeds.

    Source: Kingma & Welling (2014), Auto-Encoding Variational Bayes,
    https://arxiv.org/abs/1312.6114.
    """
    mean, log_var = arguments.gaussian("gaussian_sample_kl", mean, log_var)
    dtype, compute = mean.dtype, arguments.wide(mean.dtype)
    z, kl = _forward(tf.cast(mean, compute), tf.cast(log_var, compute), seed=seed)
    return tf.cast(z, dtype), kl


def _gradient(mean, log_var, d_z, d_kl, d_mean, d_log_var, noise):
    for i in range(mean.shape[0]):
        deviation = exp(0.5 * log_var[i])
        d_mean[i] = d_z[i] + d_kl * mean[i]
        d_variance = d_kl * (deviation * deviation - 1)
        d_log_var[i] = 0.5 * (d_z[i] * deviation * noise[i] + d_variance)


@kernel(
    "(n),(n)->(n),()",
    gradient=_gradient,
    reference=lambda mean, log_var, noise: gaussian_sample_kl_composite(mean, log_var, None, noise),
    noise="normal",
    fastmath=ANY_ORDER,
    name="gaussian_sample_kl",
)
def _forward(mean, log_var, z, kl, noise):
    total = 0.0
    for i in range(mean.shape[0]):
        deviation = exp(0.5 * log_var[i])
        z[i] = mean[i] + deviation * noise[i]
        total += mean[i] * mean[i] + deviation * deviation - 1 - log_var[i]
    kl[0] = 0.5 * total
