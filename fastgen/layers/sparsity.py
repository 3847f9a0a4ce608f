"""A layer that keeps the units before it sparse."""

import keras
import tensorflow as tf

from fastgen import dispatch, ops
from fastgen.ops.sparsity import sparsity_target


@keras.saving.register_keras_serializable(package="fastgen")
class Sparsity(keras.layers.Layer):
    """Passes activations on and adds a sparsity penalty of them to the losses.

    `weight * penalty`, the penalty that of `fastgen.ops.sparsity`: of the mean activity of each
    unit, so that it does not depend on the batch size. Each replica of a `tf.distribute` strategy
    has the penalty of its own part of the batch.

    What an `activity_regularizer=` of `fastgen.regularizers` does, in one pass less over the
    gradient. The mean activity of all units is logged as `activity` by the first layer, which Keras
    names `sparsity`, and as `NAME_activity` by one of another name; for `"l1"` it is that of the
    magnitudes.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> layer = fastgen.layers.Sparsity(weight=0.5, target=0.1, kind="mse")
    >>> same = layer(np.array([[0.0, 0.5], [0.2, 0.7]], "float32"))
    >>> float(layer.losses[0])
    0.125

    Args:
        weight: number ≥ 0.
        target: number, the mean activity that every unit should have; for `"kl"` in [0, 1]. `"l1"`
            has none.
        kind: `"kl"`, `"l1"` or `"mse"`.

    Call arguments:
        inputs: `(batch, ..., units)` tensor of floats.

    Returns:
        The inputs.

    Raises:
        ValueError: for a weight or a target out of its range, another kind, inputs of integers.

    Source: Géron, Hands-On Machine Learning with Scikit-Learn, Keras & TensorFlow, chapter 17,
    "Sparse Autoencoders".
    """

    fused_ops = ("sparsity",)

    def __init__(self, weight, target=None, kind="kl", **kwargs):
        super().__init__(**kwargs)
        self.weight = ops.arguments.number("Sparsity", "weight", weight, 0.0, float("inf"))
        self.target = sparsity_target("Sparsity", target, kind)
        self.kind = kind
        self.supports_masking = True
        # A model's logs have one entry a name, so a second layer's must differ.
        sole = self.name == "sparsity"
        self.activity_tracker = keras.metrics.Mean("activity" if sole else f"{self.name}_activity")

    def call(self, inputs):
        """Pass the inputs on, and add the loss."""
        dispatch.note_xla(self)
        inputs = ops.arguments.floats("Sparsity", "inputs", inputs)
        same, penalty, activity = ops.sparsity_passthrough(inputs, self.target, self.kind)
        # Keras adds up losses of its default dtype only.
        self.add_loss(tf.cast(self.weight * penalty, keras.config.floatx()))
        self.activity_tracker.update_state(tf.reduce_mean(activity), tf.shape(inputs)[0])
        return same

    def rematerialized_call(self, layer_call, *args, **kwargs):
        """Run as it is: a loss added inside a rematerialised call would lose its gradient."""
        return layer_call

    def compute_output_shape(self, input_shape):
        """Shape of the inputs."""
        return tuple(input_shape)

    def get_config(self):
        """Arguments that make this layer anew."""
        target = None if self.kind == "l1" else self.target
        own = {"weight": self.weight, "target": target, "kind": self.kind}
        return {**super().get_config(), **own}
