"""Sparsity penalties: how far the mean activity of each unit is from a target."""

import tensorflow as tf

from fastgen import dispatch
from fastgen.ops import arguments

KINDS = ("kl", "l1", "mse")
# Mean activities are clipped to [EPSILON, 1 - EPSILON] in the logarithms, as Keras clips them.
EPSILON = 1e-7


@tf.autograph.experimental.do_not_convert
def sparsity(activations, target, kind):
    """Sparsity penalty of a batch of activations, of any batch size alike.

    With q the mean activity of a unit, over all axes but the last, and p the target:

    - `"kl"`: `sum_units(p * log(p / q) + (1 - p) * log((1 - p) / (1 - q)))`, the divergence of a
      Bernoulli variable of mean q from one of mean p; q is clipped to `[1e-7, 1 - 1e-7]`, and has
      no gradient where it is clipped, as in Keras;
    - `"l1"`: `sum_units(mean(abs(activations)))`;
    - `"mse"`: `sum_units((q - p)**2)`.

    Example:
    >>> import fastgen
    >>> activations = [[0.0, 0.5], [0.2, 0.7]]
    >>> float(fastgen.ops.sparsity(activations, target=0.1, kind="mse"))
    0.25

    Args:
        activations: `(..., units)` float16, bfloat16, float32 or float64; for `"kl"` in [0, 1].
        target: Python number, the mean activity p that every unit should have; for `"kl"` in
            [0, 1]. `"l1"` has none: None or 0.
        kind: `"kl"`, `"l1"` or `"mse"`.

    Returns:
        Scalar: float64 for float64 input, else float32. Of an empty batch it is 0.

    Raises:
        ValueError: for another kind or dtype, a scalar, a target out of its range.

    Source: Géron, Hands-On Machine Learning with Scikit-Learn, Keras & TensorFlow, chapter 17,
    "Sparse Autoencoders"; Ng, Sparse autoencoder, CS294A lecture notes, 2011.
    """
    activations, target = _arguments("sparsity", activations, target, kind)
    return _run("sparsity", activations, target, kind, 0)[0]


@tf.autograph.experimental.do_not_convert
def sparsity_passthrough(activations, target, kind):
    """`sparsity`, and the activations themselves, for a layer to pass on.

    The gradient that arrives at the activations passed on and that of the penalty are added in the
    same pass: a use of `activations` beside the op would cost one more.

    Example:
    >>> import fastgen
    >>> same, penalty, activity = fastgen.ops.sparsity_passthrough(
    ...     [[0.0, 0.5], [0.2, 0.7]], target=0.1, kind="mse")
    >>> activity.numpy()
    array([0.1, 0.6], dtype=float32)

    Args:
        activations: as for `sparsity`.
        target: likewise.
        kind: likewise.

    Returns:
        The activations; the penalty; and `(units,)` the mean activity of each unit, for `"l1"` that
        of the magnitudes, in the dtype of the penalty.

    Raises:
        ValueError: as `sparsity`.
    """
    activations, target = _arguments("sparsity_passthrough", activations, target, kind)
    penalty, activity, same = _run("sparsity_passthrough", activations, target, kind, 1)
    return same, penalty, tf.cast(activity, penalty.dtype)


def _run(name, activations, target, kind, passed):
    """Penalty, activity and, `passed` times, the activations."""
    fused = dispatch.fused_op("sparsity", activations.dtype)
    if fused is None:
        with dispatch.composite_scope("sparsity"):
            penalty, activity = sparsity_composite(activations, target, kind)
            return penalty, activity, *passed * [tf.identity(activations)]
    penalty, activity, same = fused(
        activations=activations,
        target=target,
        kind=kind,
        N=passed,
        K=arguments.wide(activations.dtype),
        name=name,
    )
    return penalty, activity, *same


def sparsity_composite(activations, target, kind, loops=0):
    """Penalty and mean activities in stock TensorFlow ops.

    The first `loops` axes number separate batches, as vectorised loops stack them.
    """
    x = tf.cast(_rows(activations, loops), arguments.wide(activations.dtype))
    count = tf.shape(x)[-2]
    total = tf.reduce_sum(tf.abs(x) if kind == "l1" else x, axis=-2)
    activity = total / tf.cast(tf.maximum(count, 1), x.dtype)
    target = tf.cast(tf.convert_to_tensor(target, tf.float64), x.dtype)
    penalty = tf.reduce_sum(_terms(activity, target, kind), axis=-1)
    return tf.where(count > 0, penalty, tf.zeros_like(penalty)), activity


def sparsity_of_loops(activations, target, kind, N):
    """What the op gives, `(penalty, activity, *passed)`, for the iterations of a loop at once."""
    penalty, activity = sparsity_composite(activations, target, kind, loops=1)
    return penalty, tf.cast(activity, tf.float64), *N * [activations]


def sparsity_grad(activations, target, activity, d_penalty, d_activity, *d_passed, kind):
    """Gradient of `sparsity` from the mean activities, `d_passed` added."""
    fused = dispatch.fused_op("sparsity_grad", activations.dtype)
    inputs = activations, target, activity, d_penalty, d_activity
    if fused is None:
        return sparsity_grad_composite(*inputs, *d_passed, kind=kind)
    return fused(*inputs, d_passed, kind=kind, name="sparsity_grad")


def sparsity_grad_composite(
    activations, target, activity, d_penalty, d_activity, *d_passed, kind, loops=0
):
    """`sparsity_grad` in stock TensorFlow ops; `loops` as in `sparsity_composite`."""
    compute = arguments.wide(activations.dtype)
    rows = tf.cast(_rows(activations, loops), compute)
    slope = _slope(activity, target, kind) * tf.cast(d_penalty, tf.float64)[..., tf.newaxis]
    each = (slope + d_activity) / tf.cast(tf.maximum(tf.shape(rows)[-2], 1), tf.float64)
    each = tf.cast(each, compute)[..., tf.newaxis, :]
    total = each * (tf.sign(rows) if kind == "l1" else tf.ones_like(rows))
    for passed in d_passed:
        total += tf.cast(_rows(passed, loops), compute)
    return tf.cast(tf.reshape(total, tf.shape(activations)), activations.dtype)


def sparsity_second_grad(activations, target, activity, d_penalty, d_activity, g, kind):
    """Gradient of `sparsity_grad` but for d_passed, whose is g: as many as it has inputs here."""
    rows, g_rows = _rows(activations, 0), tf.cast(_rows(g, 0), tf.float64)
    if kind == "l1":
        g_rows *= tf.cast(tf.sign(rows), tf.float64)
    count = tf.cast(tf.maximum(tf.shape(rows)[-2], 1), tf.float64)
    each = tf.reduce_sum(g_rows, axis=-2) / count
    slope = _slope(activity, target, kind)
    d_d_penalty = tf.cast(tf.reduce_sum(each * slope), d_penalty.dtype)
    curvature = _curvature(activity, target, kind) * tf.cast(d_penalty, tf.float64)
    return None, None, each * curvature, d_d_penalty, each


@tf.RegisterGradient("FastgenSparsity")
@dispatch.on_device_of_op
def _gradient(op, d_penalty, d_activity, *d_passed):
    activations, target = op.inputs
    upstream = [tf.convert_to_tensor(x) for x in (d_penalty, d_activity, *d_passed)]
    kind = op.get_attr("kind").decode()
    return sparsity_grad(activations, target, op.outputs[1], *upstream, kind=kind), None


@tf.RegisterGradient("FastgenSparsityGrad")
@dispatch.on_device_of_op
def _second_gradient(op, g):
    g = tf.convert_to_tensor(g)
    kind = op.get_attr("kind").decode()
    return *sparsity_second_grad(*op.inputs[:5], g, kind), *([g] * (len(op.inputs) - 5))


def _terms(activity, target, kind):
    if kind == "l1":
        return activity
    if kind == "mse":
        return tf.square(activity - target)
    q = tf.clip_by_value(activity, EPSILON, 1 - EPSILON)
    return tf.math.xlogy(target, target / q) + tf.math.xlogy(1 - target, (1 - target) / (1 - q))


def _slope(q, target, kind):
    """Derivative of `_terms`."""
    if kind == "l1":
        return tf.ones_like(q)
    if kind == "mse":
        return 2 * (q - target)
    inside = tf.clip_by_value(q, EPSILON, 1 - EPSILON)
    slope = (inside - target) / (inside * (1 - inside))
    return tf.where(_clipped(q), tf.zeros_like(q), slope)


def _curvature(q, target, kind):
    """Derivative of `_slope`."""
    if kind != "kl":
        return (2.0 if kind == "mse" else 0.0) * tf.ones_like(q)
    inside = tf.clip_by_value(q, EPSILON, 1 - EPSILON)
    curvature = target / tf.square(inside) + (1 - target) / tf.square(1 - inside)
    return tf.where(_clipped(q), tf.zeros_like(q), curvature)


def _clipped(q):
    return (q < EPSILON) | (q > 1 - EPSILON)


def _rows(x, loops):
    """All axes between the first `loops` and the last as one."""
    if x.shape.rank == loops + 2:
        return x
    shape = tf.shape(x)
    rows = tf.reduce_prod(shape[loops:-1], keepdims=True)
    return tf.reshape(x, tf.concat([shape[:loops], rows, shape[-1:]], axis=0))


def _arguments(op, activations, target, kind):
    target = sparsity_target(op, target, kind)
    return arguments.floats(op, "activations", activations), target


def sparsity_target(op, target, kind):
    """Check a kind of penalty and its target; the target as a float, 0 for `"l1"`."""
    if kind not in KINDS:
        raise ValueError(f"{op}: kind must be one of {KINDS}. Received: kind={kind!r}")
    if kind == "l1":
        if target not in (None, 0):
            raise ValueError(
                f"{op}: target must be None for kind='l1', which has none. "
                f"Received: target={target!r}"
            )
        return 0.0
    low, high = (0.0, 1.0) if kind == "kl" else (-float("inf"), float("inf"))
    return arguments.number(op, "target", target, low, high)
