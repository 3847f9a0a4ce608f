"""A dense layer whose product, bias and activation are one op."""

import keras
import tensorflow as tf

from fastgen import dispatch, ops


@keras.saving.register_keras_serializable(package="fastgen")
class FusedDense(keras.layers.Dense):
    """`keras.layers.Dense`, with the same arguments and weights, on `fastgen.ops.dense`.

    `y = activation(x @ kernel + bias)`

    An activation that `fastgen.ops.dense` has no kernel for is applied to its result. Sigmoid and
    softmax are too, and leave their logits for the cross-entropy losses to find, as Keras' layer
    does. Quantized layers and sparse inputs take Keras' own code.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> layer = fastgen.layers.FusedDense(3, activation="relu")
    >>> layer(np.ones((2, 4))).shape
    TensorShape([2, 3])

    Args:
        units: integer ≥ 1.
        *args: all that `keras.layers.Dense` takes, in its order.
        **kwargs: likewise.

    Call arguments:
        inputs: `(batch, ..., inputs)` tensor.

    Returns:
        `(batch, ..., units)` tensor of the layer's compute dtype.

    Raises:
        ValueError: as `keras.layers.Dense` does.

    Source: keras.layers.Dense.
    """

    fused_ops = ("dense",)

    def call(self, inputs, training=None):
        """Apply the layer."""
        if isinstance(inputs, tf.SparseTensor):
            return super().call(inputs, training=training)
        dispatch.note_xla(self)
        return with_logits(ops.dense, inputs, self.kernel, self.bias, self.activation)


def with_logits(op, inputs, kernel, bias, activation):
    """The dense op; sigmoid and softmax by Keras, whose losses look for the logits of their result.

    A loss that finds the logits leaves the sigmoid itself unused, so that a graph drops it.

    Args:
        op: `fastgen.ops.dense` or `dense_transpose`.
        inputs: tensor.
        kernel: tensor or variable.
        bias: likewise, or None.
        activation: function.
    """
    kernel = tf.convert_to_tensor(kernel)  # a variable, in the compute dtype
    if not inputs.dtype.is_floating:  # Keras promotes integers
        inputs = tf.cast(inputs, kernel.dtype)
    bias = None if bias is None else tf.convert_to_tensor(bias)
    if activation in (keras.activations.sigmoid, keras.activations.softmax):
        return activation(op(inputs, kernel, bias))
    return op(inputs, kernel, bias, activation)
