"""Which layers of Keras, and which of ours, put a sparsity penalty on activations."""

import re
from typing import Any, NamedTuple

# Keras is imported where it is needed: it imports TensorFlow, and that imports fastgen.ops.


class ActivityPenalty(NamedTuple):
    """`weight` times the penalty of `fastgen.ops.sparsity`."""

    kind: str
    weight: float
    target: float
    layer: Any  # that adds it to the losses
    tracker: Any = None  # keras.metrics.Mean of the activity, or None


def passes_on(layer):
    """Whether a layer gives what it gets, and penalises it."""
    import keras

    return type(layer) is keras.layers.ActivityRegularization or _is_ours(layer)


def penalty_of(layer):
    """The penalty that a layer puts on its outputs, rows of a batch; None for another, or none."""
    regularizer = layer.activity_regularizer
    if regularizer is None:
        own = _is_ours(layer) and (layer.kind, layer.weight, layer.target)
        return ActivityPenalty(*own, layer, layer.activity_tracker) if own else None
    found = None if _is_ours(layer) else _of_regularizer(regularizer)
    return found and ActivityPenalty(*found, layer)


def divides_by_batch_size(version):
    """Whether that Keras divides what an activity regularizer returns by the batch size."""
    return tuple(int(n) for n in re.findall(r"\d+", version)[:2]) >= (3, 14)


def _is_ours(layer):
    return vars(type(layer)).get("fused_ops") == ("sparsity",)  # a subclass may do anything


def _of_regularizer(regularizer):
    import keras

    own = vars(type(regularizer))
    if getattr(regularizer, "fused_ops", ()) == ("sparsity",) and "kind" in own:
        if regularizer.reduction is not None:
            return None
        return regularizer.kind, regularizer.weight, regularizer.target or 0.0
    stock = keras.regularizers
    plain = type(regularizer) is stock.L1 or (
        type(regularizer) is stock.L1L2 and regularizer.l2 == 0
    )
    # A sum over the batch, which is a mean where Keras divides.
    if plain and divides_by_batch_size(keras.__version__):
        return "l1", float(regularizer.l1), 0.0
    return None
