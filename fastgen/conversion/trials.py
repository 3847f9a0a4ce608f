"""Trials of layers that are not Keras' own: do they compute what one of ours does?

A trial runs the layer's `call` on values of its own and leaves the layer's state as it is.
"""

import inspect

import keras
import numpy as np
import tensorflow as tf

OWN_CODE = "code of its own"
NUMBERS = 2**16  # of noise, so that a factor of 1.03 in its scale is seen
# Each statistic of true normal noise is beyond this many standard errors once in 5e8 trials.
ERRORS = 6
ROUNDING = {"float32": 1e-4, "float64": 1e-9}


def is_dense_transpose(layer):
    """Whether it is the book's `DenseTranspose`: `activation(x @ dense.kernel.T + bias)`.

    Args:
        layer: built layer; its attributes `dense` and, if there is one, `activation` are looked at.
    """
    dense = getattr(layer, "dense", None)
    if not isinstance(dense, keras.layers.Dense) or not (dense.built and layer.built):
        return False
    theirs = {id(v) for v in dense.variables}
    own = [v for v in layer.variables if id(v) not in theirs]
    kernel, tolerance = dense.kernel, ROUNDING.get(layer.compute_dtype)
    if not isinstance(kernel, keras.Variable) or tolerance is None:
        return False
    if len(own) > 1 or any(v.shape != (kernel.shape[0],) for v in own):
        return False
    numbers = np.random.default_rng(0)
    values = {id(v): numbers.normal(size=v.shape).astype(v.dtype) for v in layer.variables}
    x = numbers.normal(size=(5, kernel.shape[1])).astype(layer.compute_dtype)
    z = x @ values.get(id(kernel), kernel.numpy()).T + sum(values[id(v)] for v in own)
    activation = getattr(layer, "activation", None) or keras.activations.linear
    expected = np.array(activation(tf.constant(z)))
    found = [_call(layer, x, values, training) for training in (False, True)]
    return all(
        y is not None and y.shape == expected.shape and np.allclose(y, expected, tolerance)
        for y in found
    )


def why_not_sampling(layer):
    """Why it is not the book's `Sampling`: `mean + exp(log_var / 2) * noise`.

    Args:
        layer: layer that has been put into a graph.

    Returns:
        The reason, or None if it does that on `[mean, log_var]`, in training and at inference.
    """
    shapes = _shapes_of_pairs(layer)
    if layer.weights or not shapes:
        return OWN_CODE
    for shape in shapes:
        for training in (True, False):
            noise = _noise(layer, shape, training)
            if noise is None:
                return OWN_CODE
            if not noise:
                return "its results are not mean + exp(log_var / 2) * normal noise"
    return None


def _shapes_of_pairs(layer):
    """Shapes of one of the two alike inputs of every call, or None where they are others."""
    shapes = set()
    for node in layer._inbound_nodes:
        arguments = node.arguments.args
        pair = arguments[0] if len(arguments) == 1 and not node.arguments.kwargs else None
        alike = (
            isinstance(pair, (list, tuple)) and len(pair) == 2 and pair[0].shape == pair[1].shape
        )
        if not alike or None in pair[0].shape[1:] or len(pair[0].shape) < 2:
            return None
        shapes.add(tuple(pair[0].shape[1:]))
    return shapes


def _noise(layer, shape, training):
    """Whether what the layer adds to the mean is normal noise; None where it cannot be called."""
    size = int(np.prod(shape))
    count = max(NUMBERS // size, 64)
    numbers = np.random.default_rng(0)
    mean = 3 * numbers.normal(size=(count, *shape))
    log_var = numbers.uniform(-3, 3, size=(count, *shape))
    inputs = [x.astype(layer.compute_dtype) for x in (mean, log_var)]
    z = _call(layer, inputs, {}, training)
    if z is None or z.shape != mean.shape:
        return None
    mean, log_var = (np.asarray(x, "float64").reshape(count, size) for x in inputs)
    noise = (np.asarray(z, "float64").reshape(count, size) - mean) / np.exp(log_var / 2)
    return bool(np.all(np.isfinite(noise))) and _is_normal(noise, [mean, log_var])


def _is_normal(noise, others):
    """Whether all of it is standard normal, independent of the rest and of `others`."""
    n = noise.size
    # Each of mean 0, with the standard error beside it, for independent standard normal numbers.
    found = [
        (np.mean(noise), 1 / n),
        (np.mean(noise**2) - 1, 2 / n),
        (np.mean(noise**3), 15 / n),
        (np.mean(noise**4) - 3, 96 / n),
        *[(np.mean(noise * x), np.mean(x**2) / n) for x in others],
        *[(np.mean((noise**2 - 1) * x), 2 * np.mean(x**2) / n) for x in others],
    ]
    # One number for many elements shows in the sums of rows and of columns.
    for axis in (0, 1):
        sums = np.sum(noise, axis=axis) / np.sqrt(noise.shape[axis])
        found.append((np.mean(sums**2) - 1, 2 / sums.size))
    return all(abs(value) < ERRORS * np.sqrt(variance) for value, variance in found)


def _call(layer, inputs, values, training=False):
    """Result of the layer as an array, or None where it fails or has losses of its own.

    Args:
        layer: built layer.
        inputs: arrays.
        values: dict, id of a variable → array in its place.
        training: Boolean.
    """
    kwargs = {"training": training} if _takes_training(layer) else {}

    @tf.function  # whose random ops leave the state of the eager ones alone
    def run():
        state = [
            [values.get(id(v), v.value) for v in variables]
            for variables in (layer.trainable_variables, layer.non_trainable_variables)
        ]
        tensors = keras.tree.map_structure(tf.constant, inputs)
        return layer.stateless_call(*state, tensors, return_losses=True, **kwargs)

    regularized = sum(v.regularizer is not None for v in layer.trainable_variables)
    try:
        outputs, _, losses = run()
        return np.array(outputs) if len(losses) == regularized else None
    except Exception:  # whatever a stranger's code raises on inputs that it does not expect
        return None


def _takes_training(layer):
    return "training" in inspect.signature(layer.call).parameters
