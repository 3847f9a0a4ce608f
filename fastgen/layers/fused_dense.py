"""A dense layer whose product, bias and activation are one op."""

import keras
import tensorflow as tf

from fastgen import dispatch, ops


@keras.saving.register_keras_serializable(package="fastgen")
class FusedDense(keras.layers.Dense):
    """`keras.layers.Dense`, with the same arguments and weights, on `fastgen.ops.dense`.

    `y = activation(x @ kernel + bias)`

    An activation that `fastgen.ops.dense` has no kernel for, such as gelu, is applied to its result
    by stock ops. Sigmoid and softmax are too, and leave their logits for the cross-entropy losses
    to find, as Keras' layer does. Quantized layers and sparse inputs take Keras' own code.

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

    @property
    def beside_kernel(self):
        """What of the layer stock ops do where the kernel runs, for `fastgen.doctor`."""
        return beside_kernel(self.activation)

    def call(self, inputs, training=None):
        """Apply the layer."""
        if isinstance(inputs, tf.SparseTensor):
            return super().call(inputs, training=training)
        dispatch.note_xla(self)
        return with_logits(ops.dense, inputs, self.kernel, self.bias, self.activation)


# Their logits are for the losses to find.
BY_KERAS = (keras.activations.sigmoid, keras.activations.softmax)


def beside_kernel(activation):
    """Which activation stock ops apply to the result of a dense kernel; `""` if none."""
    if activation not in BY_KERAS and ops.activations.resolve("dense", activation)[0]:
        return ""
    return f"; {getattr(activation, '__name__', type(activation).__name__)} by stock ops"


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
    if activation in BY_KERAS:
        return activation(op(inputs, kernel, bias))
    return op(inputs, kernel, bias, activation)
