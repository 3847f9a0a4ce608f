"""Activations whose slope jumps, and models that take it from one side of the jump."""

import keras
import ml_dtypes
import tensorflow as tf

JUMPING = (keras.activations.selu, keras.activations.relu, keras.activations.leaky_relu)
# How far apart two sums of the same products may be, in units of epsilon times a layer's largest.
ROUNDINGS = 4


def lean(layer, side):
    """Has a layer's activation jump a few roundings before 0, or behind it.

    Its values stay as they are. An activation without a jump stays, too.

    Args:
        layer: Keras layer.
        side: 1 for the slope that inputs next to 0 have above it, -1 for that below.
    """
    if getattr(layer, "activation", None) in JUMPING:
        layer.activation = _leaning(layer.activation, side)


def _leaning(activation, side):
    @tf.custom_gradient
    def leaning(x):
        rounding = float(ml_dtypes.finfo(x.dtype.as_numpy_dtype).eps) * tf.reduce_max(tf.abs(x))
        reach = side * ROUNDINGS * rounding

        def gradient(d_y):
            beside = x + reach
            with tf.GradientTape() as tape:
                tape.watch(beside)
                y = activation(beside)
            return tape.gradient(y, beside, d_y)

        return activation(x), gradient

    return leaning
