"""A dense layer that shares its kernel with another one: the product with the transpose."""

import tensorflow as tf

from fastgen.ops import activations
from fastgen.ops.dense import affine, layer, layer_grad, register_gradients


@tf.autograph.experimental.do_not_convert
def dense_transpose(x, kernel, bias=None, activation=None):
    """A dense layer with the kernel of another one, transposed: the decoder of tied weights.

    `y = activation(x @ kernel.T + bias)`

    On a GPU products are those of `dense`.

    Example:
    >>> import fastgen
    >>> fastgen.ops.dense_transpose([[1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    <tf.Tensor: shape=(1, 3), dtype=float32, numpy=array([[ 1.,  2., -3.]], dtype=float32)>

    Args:
        x: `(..., inputs)` float16, bfloat16, float32 or float64, of rank 2 or more.
        kernel: `(units, inputs)`, as the layer that it is shared with has it, whose inputs are
            the units here; of the dtype of `x`.
        bias: None, or `(units,)` of the dtype of `x`.
        activation: None, the name of an activation or a function of one tensor, as for `dense`.

    Returns:
        `(..., units)` tensor of the dtype of `x`.

    Raises:
        ValueError: if shapes or dtypes do not fit, for other dtypes, for an unknown activation.

    Source: tied weights, chapter 17 of Géron (2019), Hands-On Machine Learning.
    """
    return layer("dense_transpose", x, kernel, bias, activation)


def dense_transpose_composite(x, kernel, bias=None, activation=None):
    """`dense_transpose` in stock TensorFlow ops."""
    function = activations.resolve("dense_transpose", activation)[1]
    return function(affine(x, kernel, bias, transposed=True))


def dense_transpose_grad(x, kernel, bias, saved, d_y, activation, skip=()):
    """Gradients of `dense_transpose`, as `dense_grad` has them."""
    return layer_grad("dense_transpose", x, kernel, bias, saved, d_y, activation, skip)


register_gradients("dense_transpose", "FastgenDenseTranspose")
