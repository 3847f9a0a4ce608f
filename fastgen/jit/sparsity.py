"""Sparsity penalties, as kernels of Numba's.

What `fastgen.ops.sparsity` computes, to be read, and for where its own kernel is missing.
"""

import functools

import tensorflow as tf

from fastgen.jit.elementwise import Elementwise
from fastgen.jit.math import log
from fastgen.jit.reduce import Reduction
from fastgen.ops import arguments
from fastgen.ops.sparsity import EPSILON, sparsity_target


def sparsity(activations, target, kind):
    """Sparsity penalty of a batch of activations, of any batch size alike.

    With q the mean activity of a unit, over all axes but the last, and p the target: `"kl"` is
    `sum_units(p * log(p / q) + (1 - p) * log((1 - p) / (1 - q)))` with q in `[1e-7, 1 - 1e-7]`,
    `"mse"` is `sum_units((q - p)**2)`, `"l1"` is `sum_units(mean(abs(activations)))`.

    Example:
    >>> from fastgen import jit
    >>> float(jit.sparsity([[0.0, 0.5], [0.2, 0.7]], target=0.1, kind="mse"))
    0.25

    Args:
        activations: `(..., units)` float16, bfloat16, float32 or float64; for `"kl"` in [0, 1].
        target: Python number, p; for `"kl"` in [0, 1], for `"l1"` None or 0.
        kind: `"kl"`, `"l1"` or `"mse"`.

    Returns:
        Scalar: float64 for float64 input, else float32. Of an empty batch it is 0.

    Raises:
        ValueError: for another kind or dtype, a scalar, a target out of its range.

    Source: Géron, Hands-On Machine Learning with Scikit-Learn, Keras & TensorFlow, chapter 17,
    "Sparse Autoencoders"; Ng, Sparse autoencoder, CS294A lecture notes, 2011.
    """
    target = sparsity_target("sparsity", target, kind)
    activations = arguments.floats("sparsity", "activations", activations)
    x = tf.cast(activations, arguments.wide(activations.dtype))
    rows = tf.reshape(x, [tf.reduce_prod(tf.shape(x)[:-1]), x.shape[-1] or tf.shape(x)[-1]])
    count = tf.shape(rows)[0]
    activity = _total(kind == "l1")(rows) / tf.cast(tf.maximum(count, 1), x.dtype)
    penalty = tf.reduce_sum(activity if kind == "l1" else _penalty(target, kind)(activity))
    return tf.where(count > 0, penalty, tf.zeros_like(penalty))


@functools.cache
def _total(of_magnitudes):
    """The sum over rows, of activations or their magnitudes."""

    def sign(x):
        return (1 if x > 0 else -1 if x < 0 else x) if of_magnitudes else 1

    gradient = Elementwise(
        lambda x, d: d * sign(x),
        reference=lambda x, d: d * tf.sign(x) if of_magnitudes else d + tf.zeros_like(x),
        name="sparsity.activity.gradient",
    )
    return Reduction(
        (lambda x: abs(x)) if of_magnitudes else (lambda x: x),
        axis=0,
        gradient=gradient,
        reference=lambda x: tf.reduce_sum(tf.abs(x) if of_magnitudes else x, 0),
        name="sparsity.activity",
    )


@functools.cache
def _penalty(p, kind):
    """The penalty of each unit by its mean activity q."""

    def divergence(q):
        q = min(max(q, EPSILON), 1 - EPSILON)
        positive = p * log(p / q) if p > 0 else 0.0
        return positive + ((1 - p) * log((1 - p) / (1 - q)) if p < 1 else 0.0)

    def d_divergence(q, d):
        inside = EPSILON <= q <= 1 - EPSILON
        return d * (q - p) / (q * (1 - q)) if inside or q != q else 0.0 * d

    def stock_divergence(q):
        q, of_p = tf.clip_by_value(q, EPSILON, 1 - EPSILON), tf.constant(p, q.dtype)
        return tf.math.xlogy(of_p, p / q) + tf.math.xlogy(1 - of_p, (1 - p) / (1 - q))

    name = f"sparsity.{kind}"
    if kind == "kl":
        return Elementwise(divergence, d_divergence, stock_divergence, name=name)
    return Elementwise(
        lambda q: (q - p) ** 2,
        gradient=lambda q, d: 2 * d * (q - p),
        reference=lambda q: (q - p) ** 2,
        name=name,
    )
