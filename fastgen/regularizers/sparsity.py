"""Sparsity penalties as activity regularizers, on every Keras the same at any batch size."""

import keras
import tensorflow as tf

from fastgen import ops
from fastgen.ops.activity_penalty import divides_by_batch_size

REDUCTIONS = (None, "mean", "sum")


class _SparsityRegularizer(keras.regularizers.Regularizer):
    """What the three have in common: `kind` says which penalty of `fastgen.ops.sparsity`."""

    fused_ops = ("sparsity",)
    kind = None
    target = None

    def __init__(self, weight, reduction):
        name = type(self).__name__
        self.weight = ops.arguments.number(name, "weight", weight, 0.0, float("inf"))
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"{name}: reduction must be one of {REDUCTIONS}. Received: reduction={reduction!r}"
            )
        self.reduction = reduction

    def __call__(self, x):
        """The penalty of activations `(batch, ..., units)`."""
        x = tf.convert_to_tensor(x)
        penalty = self.weight * ops.sparsity(x, self.target, self.kind)
        summed = self.reduction == "sum"
        if self.reduction is None:
            summed = divides_by_batch_size(keras.__version__)
        if summed:
            penalty *= tf.cast(tf.shape(x)[0], penalty.dtype)
        return tf.cast(penalty, keras.config.floatx())  # Keras adds up losses of one dtype only

    def get_config(self):
        """Arguments that make this regularizer anew."""
        target = {} if self.target is None else {"target": self.target}
        return {"weight": self.weight, **target, "reduction": self.reduction}


@keras.saving.register_keras_serializable(package="fastgen")
class KLSparsity(_SparsityRegularizer):
    """Penalty of mean activities that stray from a target, by Kullback and Leibler.

    `weight * sum_units(p * log(p / q) + (1 - p) * log((1 - p) / (1 - q)))`, with q the mean
    activity of a unit over the batch and p the target.

    The penalty is that of a mean, whatever the batch size. Keras divides what an activity
    regularizer returns by the batch size from 3.14 on; `reduction` makes up for it.

    Example:
    >>> import fastgen
    >>> import numpy as np
    >>> layer = fastgen.layers.FusedDense(
    ...     300, activation="sigmoid",
    ...     activity_regularizer=fastgen.regularizers.KLSparsity(weight=5e-3, target=0.1))
    >>> _ = layer(np.zeros((32, 30)))  # every activity is 1/2
    >>> round(float(layer.losses[0]), 4)
    0.5521

    Args:
        weight: number ≥ 0.
        target: number in [0, 1], the mean activity that every unit should have.
        reduction: None for what the installed Keras expects of an activity regularizer; `"mean"`
            for the penalty itself, as to call the regularizer directly; `"sum"` for the penalty
            times the batch size.

    Raises:
        ValueError: for a weight or a target out of its range, another reduction.

    Source: Géron, Hands-On Machine Learning with Scikit-Learn, Keras & TensorFlow, chapter 17,
    "Sparse Autoencoders".
    """

    kind = "kl"

    def __init__(self, weight, target, reduction=None):
        super().__init__(weight, reduction)
        self.target = ops.arguments.number("KLSparsity", "target", target, 0.0, 1.0)


@keras.saving.register_keras_serializable(package="fastgen")
class L1Sparsity(_SparsityRegularizer):
    """Penalty of activities by their mean magnitude.

    `weight * sum_units(mean(abs(activations)))`: with Keras' `L1` for an activity regularizer, of
    which Keras divides the sum over the batch by the batch size from 3.14 on only.

    Example:
    >>> import fastgen
    >>> float(fastgen.regularizers.L1Sparsity(0.5, reduction="mean")([[1.0, -2.0], [3.0, 0.0]]))
    1.5

    Args:
        weight: number ≥ 0.
        reduction: as for `KLSparsity`.

    Raises:
        ValueError: for a weight out of its range, another reduction.

    Source: Géron, Hands-On Machine Learning with Scikit-Learn, Keras & TensorFlow, chapter 17,
    "Sparse Autoencoders".
    """

    kind = "l1"

    def __init__(self, weight, reduction=None):
        super().__init__(weight, reduction)


@keras.saving.register_keras_serializable(package="fastgen")
class MSESparsity(_SparsityRegularizer):
    """Penalty of mean activities that stray from a target, by the squared distance.

    `weight * sum_units((q - target)**2)`, with q the mean activity of a unit over the batch.

    Example:
    >>> import fastgen
    >>> regularizer = fastgen.regularizers.MSESparsity(1.0, target=0.5, reduction="mean")
    >>> float(regularizer([[1.0, 0.5], [1.0, 0.5]]))
    0.25

    Args:
        weight: number ≥ 0.
        target: number, the mean activity that every unit should have.
        reduction: as for `KLSparsity`.

    Raises:
        ValueError: for a weight or a target that is no number, another reduction.

    Source: Géron, Hands-On Machine Learning with Scikit-Learn, Keras & TensorFlow, chapter 17,
    "Sparse Autoencoders".
    """

    kind = "mse"

    def __init__(self, weight, target, reduction=None):
        super().__init__(weight, reduction)
        infinity = float("inf")
        self.target = ops.arguments.number("MSESparsity", "target", target, -infinity, infinity)
