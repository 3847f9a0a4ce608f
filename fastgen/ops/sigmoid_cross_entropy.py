"""Cross-entropy of Bernoulli targets and logits, its gradient found in the same pass."""

import tensorflow as tf

from fastgen.ops import arguments

REDUCTIONS = ("none", "row", "mean")


@tf.autograph.experimental.do_not_convert
def sigmoid_cross_entropy(targets, logits, label_smoothing=0.0, reduction="none"):
    """Cross-entropy between targets in [0, 1] and the sigmoid of logits.

    `loss = max(logits, 0) - logits * y + log(1 + exp(-abs(logits)))` with
    `y = targets * (1 - label_smoothing) + label_smoothing / 2`

    The gradient with respect to the logits, `sigmoid(logits) - y`, is found in the same pass where
    one may be asked for: in a `tf.function`, under a tape.

    Example:
    >>> import fastgen
    >>> loss = fastgen.ops.sigmoid_cross_entropy([[0.0, 1.0]], [[-200.0, 200.0]])
    >>> loss.numpy()
    array([[0., 0.]], dtype=float32)

    Args:
        targets: `(..., features)` in [0, 1], of the dtype of `logits`; or uint8, which is divided
            by 255, for images.
        logits: `(..., features)` float16, bfloat16, float32 or float64.
        label_smoothing: Python number in [0, 1]: how far targets are moved towards 1/2.
        reduction: `"none"`, `"row"` for the mean over the last axis, or `"mean"` over all axes.

    Returns:
        Tensor of the shape of `logits`, the same without its last axis, or a scalar: float64 for
        float64 logits, else float32. A mean of nothing is 0.

    Raises:
        ValueError: if shapes or dtypes do not fit, for a scalar, for another reduction.

    Source: section 6.2.2.2 of Goodfellow, Bengio & Courville (2016), Deep Learning; the form that
    cannot overflow is that of `tf.nn.sigmoid_cross_entropy_with_logits`.
    """
    op = "sigmoid_cross_entropy"
    targets, logits = arguments.cross_entropy(op, targets, logits)
    label_smoothing = arguments.number(op, "label_smoothing", label_smoothing, 0.0, 1.0)
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"{op}: reduction must be one of {REDUCTIONS}. Received: reduction={reduction!r}"
        )
    with tf.name_scope(op):
        logits = arguments.assert_same_shape(op, logits, targets, ("logits", "targets"))
        return sigmoid_cross_entropy_composite(targets, logits, label_smoothing, reduction)


def sigmoid_cross_entropy_composite(
    targets, logits, label_smoothing=0.0, reduction="none", loops=0
):
    """`sigmoid_cross_entropy` in stock TensorFlow ops.

    The first `loops` axes number separate calls, as vectorised loops stack them.
    """
    dtype = arguments.wide(logits.dtype)
    loss = tf.nn.sigmoid_cross_entropy_with_logits(
        smoothed(targets, label_smoothing, dtype), tf.cast(logits, dtype)
    )
    return _mean(loss, reduction, loops)


def smoothed(targets, label_smoothing, dtype):
    """Targets as the loss takes them."""
    y = tf.cast(targets, dtype)
    if targets.dtype == tf.uint8:
        y = y / 255
    if isinstance(label_smoothing, float) and label_smoothing == 0:
        return y
    label_smoothing = tf.cast(label_smoothing, dtype)
    return y * (1 - label_smoothing) + label_smoothing / 2


def _mean(x, reduction, loops=0):
    if reduction == "none":
        return x
    if reduction == "row":
        axes, count = -1, tf.shape(x)[-1]
    else:
        axes = tf.range(loops, tf.rank(x)) if x.shape.rank is None else range(loops, x.shape.rank)
        count = tf.reduce_prod(tf.shape(x)[loops:])
    return tf.reduce_sum(x, axis=axes) / tf.cast(tf.maximum(count, 1), x.dtype)
