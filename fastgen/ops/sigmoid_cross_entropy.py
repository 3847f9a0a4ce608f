"""Cross-entropy of Bernoulli targets and logits, its gradient found in the same pass."""

import tensorflow as tf

from fastgen import dispatch
from fastgen.ops import arguments

try:
    from tensorflow.python.eager.record import could_possibly_record
except ImportError:  # the slope is kept without need
    could_possibly_record = True.__bool__

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
    fused = dispatch.fused_op(op, logits.dtype)
    if fused is None:
        with dispatch.composite_scope(op):
            logits = arguments.assert_same_shape(op, logits, targets, ("logits", "targets"))
            return sigmoid_cross_entropy_composite(targets, logits, label_smoothing, reduction)
    return fused(
        targets=targets,
        logits=logits,
        label_smoothing=tf.constant(label_smoothing, tf.float64),
        reduction=reduction,
        slopes=int(_keeps_slope(logits.dtype)),
        K=arguments.wide(logits.dtype),
        name=op,
    ).loss


def _keeps_slope(dtype):
    """Whether the forward op leaves the slope for the backward op, which else computes it anew.

    In 16 bits it would be rounded once more. A tape outside a graph sends zeros to outputs that are
    not used, for which it fills a tensor.
    """
    return dtype not in arguments.WIDE and not tf.executing_eagerly() and could_possibly_record()


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
    count = tf.maximum(_count(x, reduction, loops), 1)
    return _sum(x, reduction, loops) / tf.cast(count, x.dtype)


def _sum(x, reduction, loops=0):
    if reduction == "none":
        return x
    axes = tf.range(loops, tf.rank(x)) if x.shape.rank is None else range(loops, x.shape.rank)
    return tf.reduce_sum(x, axis=-1 if reduction == "row" else axes)


def _count(x, reduction, loops=0):
    """How many elements are averaged."""
    axes = {"none": slice(0), "row": slice(-1, None), "mean": slice(loops, None)}[reduction]
    return tf.reduce_prod(tf.shape(x)[axes])


def sigmoid_cross_entropy_grad(targets, logits, label_smoothing, d_loss, reduction):
    """Gradient of `sigmoid_cross_entropy` by the logits."""
    fused = dispatch.fused_op("sigmoid_cross_entropy_grad", logits.dtype)
    if fused is None:
        return sigmoid_cross_entropy_grad_composite(
            targets, logits, label_smoothing, d_loss, reduction
        )
    return fused(
        targets=targets,
        logits=logits,
        label_smoothing=label_smoothing,
        d_loss=d_loss,
        reduction=reduction,
        name="sigmoid_cross_entropy_grad",
    )


def sigmoid_cross_entropy_grad_composite(
    targets, logits, label_smoothing, d_loss, reduction, loops=0
):
    """`sigmoid_cross_entropy_grad` in stock TensorFlow ops."""
    y, x = smoothed(targets, label_smoothing, d_loss.dtype), tf.cast(logits, d_loss.dtype)
    d_logits = _spread(d_loss, x, reduction, loops) * (tf.sigmoid(x) - y)
    return tf.cast(d_logits, logits.dtype)


def sigmoid_cross_entropy_from_slope_grad(slope, d_loss, reduction):
    """The same, where the forward op has left its slope."""
    fused = dispatch.fused_op("sigmoid_cross_entropy_from_slope_grad", slope.dtype)
    if fused is None:
        return _expand(d_loss, slope, reduction) * slope
    return fused(slope=slope, d_loss=d_loss, reduction=reduction, name="sigmoid_cross_entropy_grad")


def _expand(d_loss, like, reduction, loops=0):
    """`d_loss` with axes of 1 in place of those of `like` that were averaged."""
    if reduction == "none":
        return d_loss
    if reduction == "row":
        return d_loss[..., tf.newaxis]
    ones = tf.ones(tf.rank(like) - loops, tf.int32)
    return tf.reshape(d_loss, tf.concat([tf.shape(like)[:loops], ones], axis=0))


def _spread(d_loss, like, reduction, loops=0):
    """What arrives at each element of `like` of what arrives at its mean."""
    count = tf.cast(_count(like, reduction, loops), d_loss.dtype)
    return _expand(d_loss, like, reduction, loops) / count


@tf.RegisterGradient("FastgenSigmoidCrossEntropy")
@dispatch.on_device_of_op
def _gradient(op, d_loss, *d_slope):
    targets, logits, label_smoothing = op.inputs
    reduction, d_loss = tf.compat.as_str(op.get_attr("reduction")), tf.convert_to_tensor(d_loss)
    if d_slope:
        d_logits = sigmoid_cross_entropy_from_slope_grad(op.outputs[1], d_loss, reduction)
    else:
        d_logits = sigmoid_cross_entropy_grad(targets, logits, label_smoothing, d_loss, reduction)
    d_targets = None
    # A tape says which inputs nobody asks after. In a graph, what is not used does not run.
    if targets.dtype != tf.uint8 and 0 not in (getattr(op, "skip_input_indices", None) or ()):
        # One factor for all, first: so that a graph rounds as eager ops do.
        factor = (label_smoothing - 1) / tf.cast(_count(logits, reduction), tf.float64)
        factor = _expand(d_loss * tf.cast(factor, d_loss.dtype), logits, reduction)
        d_targets = tf.cast(factor * tf.cast(logits, d_loss.dtype), logits.dtype)
    if d_slope and not _zeros(d_slope[0]):  # in second derivatives
        weighted = d_slope[0] / tf.cast(_count(logits, reduction), logits.dtype)
        d_logits += weighted * _sigmoid_slope(logits)
        if d_targets is not None:
            d_targets += _d_targets(label_smoothing, weighted, logits.dtype)
    return d_targets, d_logits, None


def _zeros(tensor):
    """Whether a tape made the tensor, for an output that nobody used."""
    if tf.executing_eagerly():
        return False
    kind = tensor.op.type
    return kind in ("ZerosLike", "Fill") or (
        kind == "Const" and not tf.get_static_value(tensor).any()
    )


def _d_targets(label_smoothing, weighted, dtype):
    return tf.cast(tf.cast(label_smoothing - 1, weighted.dtype) * weighted, dtype)


def _sigmoid_slope(x):
    return tf.sigmoid(x) * tf.sigmoid(-x)


@tf.RegisterGradient("FastgenSigmoidCrossEntropyGrad")
@dispatch.on_device_of_op
def _second_gradient(op, g_logits):
    targets, logits, label_smoothing, d_loss = op.inputs
    reduction, dtype = tf.compat.as_str(op.get_attr("reduction")), d_loss.dtype
    g, x = tf.cast(tf.convert_to_tensor(g_logits), dtype), tf.cast(logits, dtype)
    weighted = g * _spread(d_loss, x, reduction)
    d_targets = None
    if targets.dtype != tf.uint8:
        d_targets = _d_targets(label_smoothing, weighted, targets.dtype)
    d_logits = tf.cast(weighted * _sigmoid_slope(x), logits.dtype)
    d_d_loss = _mean(g * (tf.sigmoid(x) - smoothed(targets, label_smoothing, dtype)), reduction)
    return d_targets, d_logits, None, d_d_loss


@tf.RegisterGradient("FastgenSigmoidCrossEntropyFromSlopeGrad")
@dispatch.on_device_of_op
def _from_slope_second_gradient(op, g_logits):
    slope, d_loss = op.inputs
    reduction, g = tf.compat.as_str(op.get_attr("reduction")), tf.convert_to_tensor(g_logits)
    d_slope = g * _expand(d_loss, slope, reduction)
    return d_slope, _sum(g * slope, reduction)


def looped(targets, logits, label_smoothing, reduction, slopes):
    """Outputs of the forward op for stacked inputs, as `fastgen.ops.vectorize` wants them."""
    loss = sigmoid_cross_entropy_composite(targets, logits, label_smoothing, reduction, loops=1)
    if slopes == 0:
        return loss
    return loss, looped_grad(targets, logits, label_smoothing, tf.ones_like(loss), reduction)


def looped_grad(targets, logits, label_smoothing, d_loss, reduction):
    """The same for the gradient op."""
    return sigmoid_cross_entropy_grad_composite(
        targets, logits, label_smoothing, d_loss, reduction, loops=1
    )


def looped_from_slope_grad(slope, d_loss, reduction):
    """The same for the gradient op that is given the slope."""
    return slope * _expand(d_loss, slope, reduction, loops=1)
