"""Cross-entropy of Bernoulli targets and logits, as kernels of Numba's.

What `fastgen.ops.sigmoid_cross_entropy` computes, to be read, and for where its own kernel is
missing.
"""

import functools

import tensorflow as tf

from fastgen.jit.elementwise import Elementwise
from fastgen.jit.math import sigmoid, softplus
from fastgen.jit.reduce import Reduction
from fastgen.ops import arguments
from fastgen.ops.sigmoid_cross_entropy import REDUCTIONS

AXES = {"row": -1, "mean": None}


def sigmoid_cross_entropy(targets, logits, label_smoothing=0.0, reduction="none"):
    """Cross-entropy between targets in [0, 1] and the sigmoid of logits.

    `loss = max(logits, 0) - logits * y + log(1 + exp(-abs(logits)))` with
    `y = targets * (1 - label_smoothing) + label_smoothing / 2`

    Example:
    >>> from fastgen import jit
    >>> jit.sigmoid_cross_entropy([[0.0, 1.0]], [[-200.0, 200.0]]).numpy()
    array([[0., 0.]], dtype=float32)

    Args:
        targets: `(..., features)` in [0, 1], of the dtype of `logits`; or uint8, divided by 255.
        logits: `(..., features)` float16, bfloat16, float32 or float64.
        label_smoothing: Python number in [0, 1]: how far targets are moved towards 1/2.
        reduction: `"none"`, `"row"` for the mean over the last axis, or `"mean"` over all axes.

    Returns:
        Tensor of the shape of `logits`, the same without its last axis, or a scalar: float64 for
        float64 logits, else float32. A mean of nothing is 0.

    Raises:
        ValueError: if shapes or dtypes do not fit, for a scalar, for another reduction.

    Source: section 6.2.2.2 of Goodfellow, Bengio & Courville (2016), Deep Learning.
    """
    op = "sigmoid_cross_entropy"
    targets, logits = arguments.cross_entropy(op, targets, logits)
    smoothing = arguments.number(op, "label_smoothing", label_smoothing, 0.0, 1.0)
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"{op}: reduction must be one of {REDUCTIONS}. Received: reduction={reduction!r}"
        )
    compute = arguments.wide(logits.dtype)
    most = 255 if targets.dtype == tf.uint8 else 1
    if targets.dtype != tf.uint8:
        targets = tf.cast(targets, compute)
    loss = _kernel((1 - smoothing) / most, smoothing / 2, reduction)
    total = loss(targets, tf.cast(logits, compute))
    if reduction == "none":
        return total
    count = tf.size(logits) if reduction == "mean" else tf.shape(logits)[-1]
    return total / tf.cast(tf.maximum(count, 1), total.dtype)


@functools.cache
def _kernel(scale, shift, reduction):
    """The kernel of targets that become `y = scale * target + shift`."""

    def loss(target, logit):
        y = scale * target + shift
        return max(logit, 0) - logit * y + softplus(-abs(logit))

    def slope(target, logit, d):
        return -scale * d * logit, d * (sigmoid(logit) - (scale * target + shift))

    def stock_loss(targets, logits):
        y = scale * tf.cast(targets, logits.dtype) + shift
        loss = tf.nn.sigmoid_cross_entropy_with_logits(y, logits)
        return loss if reduction == "none" else tf.reduce_sum(loss, AXES[reduction])

    def stock_slope(targets, logits, d):
        y = scale * tf.cast(targets, logits.dtype) + shift
        d_logits = d * (tf.sigmoid(logits) - y)
        return d_logits if targets.dtype == tf.uint8 else (-scale * d * logits, d_logits)

    name = "sigmoid_cross_entropy"
    gradient = Elementwise(slope, reference=stock_slope, name=f"{name}.gradient")
    if reduction == "none":
        return Elementwise(loss, gradient, stock_loss, name=name)
    options = {"gradient": gradient, "reference": stock_loss, "name": f"{name}_{reduction}"}
    return Reduction(loss, AXES[reduction], **options)
