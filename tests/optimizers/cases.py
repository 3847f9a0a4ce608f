"""Optimizers, their stock twins, and the variables of the book's GAN."""

import keras
import numpy as np
import tensorflow as tf

import fastgen

# Dense 30-100-150-784 and 784-150-100-1, kernels and biases.
WIDTHS = [(30, 100), (100, 150), (150, 784), (784, 150), (150, 100), (100, 1)]
GAN = [shape for rows, cols in WIDTHS for shape in ((rows, cols), (cols,))]
SMALL = [(3, 4), (4,), (2, 3)]

# Name: (class, arguments). The first five are the classes as they come.
OPTIMIZERS = {
    "sgd": ("SGD", {}),
    "rmsprop": ("RMSprop", {}),
    "adam": ("Adam", {}),
    "nadam": ("Nadam", {}),
    "adamw": ("AdamW", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "rmsprop_momentum": ("RMSprop", {"momentum": 0.9}),
    "centered": ("RMSprop", {"centered": True, "momentum": 0.9, "epsilon": 1e-5}),
    "amsgrad": ("Adam", {"amsgrad": True}),
}
CLASSES = [cls for cls, arguments in OPTIMIZERS.values() if not arguments]


def make(package, name, **more):
    """An optimizer of `fastgen.optimizers` or `keras.optimizers`."""
    cls, arguments = OPTIMIZERS[name]
    return getattr(package, cls)(**{**arguments, **more})


def drawn(shapes, dtype="float32", scale=0.1):
    """Keras variables of normal numbers."""
    rng = np.random.default_rng(len(shapes))
    return [keras.Variable(scale * rng.standard_normal(s), dtype=dtype) for s in shapes]


def gradients(shapes, step, dtype="float32"):
    """Tensors of numbers of either sign, other ones at every step."""
    angle = tf.cast(step, dtype)
    return [
        tf.cos(angle) * first + tf.sin(1.7 * angle) * second
        for first, second in bases(shapes, dtype)
    ]


def bases(shapes, dtype):
    """Two arrays for each shape."""
    rng = np.random.default_rng(1)
    return [
        tuple(0.1 * rng.standard_normal(shape).astype(dtype) for _ in range(2)) for shape in shapes
    ]


def pair(name, shapes, dtype="float32", **more):
    """(optimizer, variables), ours and stock, alike."""
    made = []
    for package in (fastgen.optimizers, keras.optimizers):
        optimizer, variables = make(package, name, **more), drawn(shapes, dtype)
        optimizer.build(variables)
        made.append((optimizer, variables))
    return made


def state(optimizer, variables):
    """All numbers that a step writes, as `tf.Variable`s."""
    return [v.value for v in (*variables, *optimizer.variables)]


def path_of(function):
    """The paths that optimizer updates take in a call."""
    before = fastgen.stats().get("optimizer_update", {})
    function()
    after = fastgen.stats().get("optimizer_update", {})
    return {path for path, n in after.items() if n > before.get(path, 0)}
