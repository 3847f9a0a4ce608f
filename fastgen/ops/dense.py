"""A dense layer: matrix product, bias and activation."""

import tensorflow as tf

from fastgen.ops import activations, arguments


@tf.autograph.experimental.do_not_convert
def dense(x, kernel, bias=None, activation=None):
    """A dense layer.

    `y = activation(x @ kernel + bias)`

    Example:
    >>> import fastgen
    >>> fastgen.ops.dense([[1.0, 2.0]], [[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]], activation="relu")
    <tf.Tensor: shape=(1, 3), dtype=float32, numpy=array([[1., 2., 0.]], dtype=float32)>

    Args:
        x: `(..., inputs)` float16, bfloat16, float32 or float64, of rank 2 or more.
        kernel: `(inputs, units)`, of the dtype of `x`.
        bias: None, or `(units,)` of the dtype of `x`.
        activation: None, the name of an activation or a function of one tensor. linear, relu,
            selu, elu, gelu, gelu_tanh, leaky_relu, sigmoid, tanh, softplus and silu (swish), by
            name or as Keras' function, are part of the kernel.

    Returns:
        `(..., units)` tensor of the dtype of `x`.

    Raises:
        ValueError: if shapes or dtypes do not fit, for other dtypes, for an unknown activation.

    Source: keras.layers.Dense.
    """
    x, kernel, bias = arguments.matmul("dense", x, kernel, bias, inputs_axis=0)
    _, function = activations.resolve("dense", activation)
    with tf.name_scope("dense"):
        return function(affine(x, kernel, bias))


def dense_composite(x, kernel, bias=None, activation=None):
    """`dense` in stock TensorFlow ops."""
    return activations.resolve("dense", activation)[1](affine(x, kernel, bias))


def affine(x, kernel, bias=None, transposed=False):
    """`x @ kernel + bias`, or `x @ kernel.T + bias`, in stock TensorFlow ops."""
    flat = x
    if x.shape.rank != 2:
        shape = tf.shape(x)
        flat = tf.reshape(x, [tf.reduce_prod(shape[:-1]), shape[-1]])
    z = tf.matmul(flat, kernel, transpose_b=transposed)
    if bias is not None:
        z = tf.nn.bias_add(z, bias)  # the form that TensorFlow fuses with the product
    if x.shape.rank == 2:
        return z
    z = tf.reshape(z, tf.concat([shape[:-1], tf.shape(z)[1:]], 0))
    units = kernel.shape[0 if transposed else 1] if kernel.shape.rank else None
    z.set_shape(x.shape[:-1].concatenate(units) if x.shape.rank else None)
    return z
