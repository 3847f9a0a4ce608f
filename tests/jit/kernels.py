"""Kernels that several tests use, and what they compute in NumPy and TensorFlow."""

import tensorflow as tf

from fastgen import jit

SHARE = 0.25


def scaled(a):
    return SHARE * a


def mix_in_stock_ops(x, y, z):
    return tf.where(x > y, 2 * x * z, x**2 + SHARE * y - 1)


@jit.elementwise
def d_mix_gradient(x, y, z, d, g_x, g_y, g_z):
    """The gradient of the gradient, for the second order."""
    above = x > y
    return (
        2 * d * g_z if above else 2 * d * g_x,
        0.0,
        2 * d * g_x if above else 0.0,
        2 * z * g_x + 2 * x * g_z if above else 2 * x * g_x + scaled(g_y),
    )


def d_mix(x, y, z, d):
    above = x > y
    return (
        2 * z * d if above else 2 * x * d,
        0.0 if above else scaled(d),
        2 * x * d if above else 0.0,
    )


@jit.elementwise(
    gradient=jit.elementwise(d_mix, gradient=d_mix_gradient.py_func),
    reference=mix_in_stock_ops,
)
def mix(x, y, z):
    """Numbers of all sorts, a branch, a call of a plain function, a global."""
    if x > y:
        return 2 * x * z
    return x**2 + scaled(y) - 1


@jit.elementwise(gradient=lambda x, d_high, d_low: d_high + 3 * d_low)
def several(x):
    """Two floating outputs, a whole one and a comparison."""
    return x + 1, 3 * x, int(x > 0) + 1, x > 1


@jit.elementwise
def count_up(x, n):
    return x + n


@jit.elementwise(gradient=lambda x, d: d if x > 0 else SHARE * d)
def activation(x):
    return x if x > 0 else SHARE * x
