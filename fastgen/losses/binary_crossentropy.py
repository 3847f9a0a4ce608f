"""Binary cross-entropy, the reconstruction loss of autoencoders and the loss of GANs."""

import warnings

import keras
import tensorflow as tf
from keras.src.losses.loss import squeeze_or_expand_to_same_rank

from fastgen import dispatch, ops

NAME = "BinaryCrossentropy"
NOT_A_SIGMOID = "clipped as in Keras: y_pred is not from a sigmoid"
# Reductions that are the mean of all elements where nothing is weighted.
MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


def _stands_in(cls):
    """Make `.keras` files with our loss open anywhere: where fastgen is imported, with ours again.

    A file names a class by its module and its name. With ours, `keras` and `losses.` + name, Keras
    finds its own class; where fastgen is imported, there is an entry under that very name. The bare
    name is not for us, because Keras has a metric of the same.
    """
    cls.__module__, cls.__name__ = "keras", f"losses.{NAME}"
    cls.__qualname__ = cls.__name__
    keras.saving.get_custom_objects()[cls.__name__] = cls
    return cls


@_stands_in
class BinaryCrossentropy(keras.losses.BinaryCrossentropy):
    """`keras.losses.BinaryCrossentropy`, loss and gradient in one pass over the logits.

    `loss = mean(max(l, 0) - l * y + log(1 + exp(-abs(l))))` for logits `l`

    Where Keras finds logits, so does this class: with `from_logits=True`, and behind a sigmoid that
    is the last operation of the model. Probabilities that come another way, through a `Reshape`
    after the sigmoid, say, are clipped to `[1e-7, 1 - 1e-7]` as Keras clips them, by stock ops.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> loss = fastgen.losses.BinaryCrossentropy(from_logits=True)
    >>> float(loss(np.array([[0.0, 1.0]]), np.array([[-200.0, 200.0]])))
    0.0

    Args:
        from_logits: whether `y_pred` is logits; else probabilities.
        label_smoothing: number in [0, 1]: how far labels are moved towards 1/2.
        axis: axis that is averaged before the reduction.
        reduction: `"sum_over_batch_size"`, `"mean"`, `"mean_with_sample_weight"`, `"sum"`,
            `"none"` or None.
        name: name of the loss.
        dtype: dtype, or policy, of the computation; None for `keras.config.floatx()`.

    Call arguments:
        y_true: `(batch, ..., features)` labels in [0, 1].
        y_pred: tensor of the same shape.
        sample_weight: None, or weights that broadcast to the loss of each sample.

    Returns:
        Scalar; with reduction None the mean over `axis`, `(batch, ...)`.

    Raises:
        ValueError: if the shapes differ, or `label_smoothing` is not in [0, 1].

    Source: Goodfellow, Bengio & Courville (2016), Deep Learning, section 6.2.2.2.
    """

    fused_ops = ("sigmoid_cross_entropy",)

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="binary_crossentropy",
        dtype=None,
    ):
        label_smoothing = ops.arguments.number(NAME, "label_smoothing", label_smoothing, 0.0, 1.0)
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)

    def __repr__(self):
        return f"<fastgen.losses.{NAME} {self.name!r}>"

    def __reduce__(self):
        # As Keras, but by a class that pickle finds under its name.
        return keras.losses.Loss._unpickle_model, super().__reduce__()[1]

    @property
    def compute_dtype(self):
        """Dtype of the computation, as layers call it."""
        return self.dtype

    @tf.autograph.experimental.do_not_convert
    def __call__(self, y_true, y_pred, sample_weight=None):
        """The loss of a batch, reduced."""
        if sample_weight is None and self._averages_all(y_pred):
            with tf.name_scope(self.name):
                labels, predictions = self._tensors(y_true, y_pred)
                logits = self._logits(predictions)
                if logits is not None and _elements(logits):
                    return self._cross_entropy(labels, logits, "mean")
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        """The loss of each sample."""
        labels, predictions = self._tensors(y_true, y_pred)
        logits = self._logits(predictions)
        if logits is None:
            return super().call(labels, predictions)
        if self.axis in (-1, len(logits.shape) - 1):
            return self._cross_entropy(labels, logits, "row")
        return keras.ops.mean(self._cross_entropy(labels, logits, "none"), axis=self.axis)

    def _averages_all(self, y_pred):
        plain = not isinstance(y_pred, (keras.KerasTensor, list, tuple, dict))
        alone = tf.distribute.get_strategy().num_replicas_in_sync == 1  # Keras scales the others
        masked = getattr(y_pred, "_keras_mask", None) is not None
        return plain and alone and not masked and self.reduction in MEANS

    def _tensors(self, y_true, y_pred):
        """Both in the loss's dtype, and of one rank where one has a last axis of 1."""
        y_true = keras.ops.convert_to_tensor(y_true, dtype=self.dtype)
        y_pred = keras.ops.convert_to_tensor(y_pred, dtype=self.dtype)
        return squeeze_or_expand_to_same_rank(y_true, y_pred)

    def why_stock(self, y_pred=None):
        """Why the loss of a prediction is computed as Keras computes it, for `fastgen.doctor`.

        Args:
            y_pred: tensor of a graph; None if it is not known yet.

        Returns:
            The reason, or None where the op computes it.
        """
        if self.from_logits:
            return None
        if y_pred is None:
            return "unless y_pred is from a sigmoid"
        y_pred = keras.ops.convert_to_tensor(y_pred, dtype=self.dtype)
        return NOT_A_SIGMOID if self._logits(y_pred) is None else None

    def _logits(self, y_pred):
        """The logits of predictions, or None where Keras has probabilities."""
        logits = getattr(y_pred, "_keras_logits", None)
        if logits is None and not tf.executing_eagerly() and isinstance(y_pred, tf.Tensor):
            op = y_pred.op
            logits = op.inputs[0] if op.type == "Sigmoid" else None
        if self.from_logits and logits is not None:
            warnings.warn(
                f"{NAME}: from_logits=True, but y_pred is what a sigmoid made. "
                "The logits before it are taken.",
                stacklevel=4,
            )
        return y_pred if logits is None and self.from_logits else logits

    def _cross_entropy(self, labels, logits, reduction):
        if not labels.shape.is_compatible_with(logits.shape):
            raise ValueError(
                f"{NAME}: y_true and y_pred must have the same shape. "
                f"Received: y_true.shape={labels.shape}, y_pred.shape={logits.shape}"
            )
        dispatch.note_xla(self)
        loss = ops.sigmoid_cross_entropy(labels, logits, self.label_smoothing, reduction)
        return tf.cast(loss, self.dtype)


def _elements(tensor):
    """Whether the tensor may have any: Keras does not reduce the loss of a batch known as empty."""
    return tensor.shape.rank is not None and 0 not in tensor.shape.as_list()
