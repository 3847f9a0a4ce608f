"""Sparsity penalties: how far the mean activity of each unit is from a target."""

import tensorflow as tf

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
    with tf.name_scope("sparsity"):
        return sparsity_composite(activations, target, kind)[0]


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
    with tf.name_scope("sparsity_passthrough"):
        return activations, *sparsity_composite(activations, target, kind)


def sparsity_composite(activations, target, kind, loops=0):
    """Penalty and mean activities in stock TensorFlow ops.

    The first `loops` axes number separate batches, as vectorised loops stack them.
    """
    x = tf.cast(_rows(activations, loops), arguments.wide(activations.dtype))
    count = tf.shape(x)[-2]
    total = tf.reduce_sum(tf.abs(x) if kind == "l1" else x, axis=-2)
    activity = total / tf.cast(tf.maximum(count, 1), x.dtype)
    penalty = tf.reduce_sum(_terms(activity, tf.cast(target, x.dtype), kind), axis=-1)
    return tf.where(count > 0, penalty, tf.zeros_like(penalty)), activity


def _terms(activity, target, kind):
    if kind == "l1":
        return activity
    if kind == "mse":
        return tf.square(activity - target)
    q = tf.clip_by_value(activity, EPSILON, 1 - EPSILON)
    return tf.math.xlogy(target, target / q) + tf.math.xlogy(1 - target, (1 - target) / (1 - q))


def _rows(x, loops):
    """All axes between the first `loops` and the last as one."""
    if x.shape.rank == loops + 2:
        return x
    shape = tf.shape(x)
    rows = tf.reduce_prod(shape[loops:-1], keepdims=True)
    return tf.reshape(x, tf.concat([shape[:loops], rows, shape[-1:]], axis=0))


def _arguments(op, activations, target, kind):
    if kind not in KINDS:
        raise ValueError(f"{op}: kind must be one of {KINDS}. Received: kind={kind!r}")
    activations = arguments.floats(op, "activations", activations)
    target = 0 if kind == "l1" and target is None else target
    limit = {"kl": 1.0, "l1": 0.0}.get(kind)
    low = -float("inf") if limit is None else 0.0
    high = float("inf") if limit is None else limit
    return activations, arguments.number(op, "target", target, low, high)
