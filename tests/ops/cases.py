"""The ops as one table, and what their tests share: dtypes, tensors, gradients of any function."""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen import jit, ops
from tests.core import reference
from tests.ops import gaussian

DTYPES = [tf.float32, tf.float64, tf.float16, tf.bfloat16]
BEYOND_A_SHARE = 100_003
SIZES = [0, 1, 7, 63, 1023, 1500, BEYOND_A_SHARE]


def draw(shape, dtype, key=0, scale=1.0):
    """A tensor of normal numbers."""
    values = scale * np.random.default_rng([key, *np.atleast_1d(shape)]).standard_normal(shape)
    return tf.constant(values, dtype)


def array(tensor):
    """The float64 array of a tensor of any float dtype."""
    return tf.cast(tensor, tf.float64).numpy()


def wide(tensors):
    """The tensors in float64."""
    return [tf.cast(x, tf.float64) for x in tensors]


@dataclass(frozen=True)
class Op:
    """An op, as a function of the tensors that it is differentiable in.

    Attributes:
        run: `run(*inputs)`, a tuple of outputs, on the path that dispatch takes.
        composite: the same in stock ops.
        make: `make(shape, dtype)`, a tuple of inputs.
        shapes: what `make` takes: of every rank, empty, odd, beyond a tile and a thread's share.
        small: the shape where a test needs all derivatives, 12 elements or so.
        exact: `exact(dtype)`, the function of float64 inputs that `run` is at that dtype.
        terms: `terms(shape, out)`, how many terms each element of an output is a sum of.
        random: whether its noise is another inside XLA.
    """

    run: Callable
    composite: Callable
    make: Callable
    shapes: list
    exact: Callable
    small: tuple = (3, 4)
    terms: Callable = lambda shape, out: 1
    random: bool = False


def _gaussian(name, run=None):
    def exact(dtype):
        def function(mean, log_var):
            noise = gaussian.exact_noise(tf.zeros(mean.shape, dtype))
            return gaussian.call_exact(name, mean, log_var, noise)

        return function

    return Op(
        run or functools.partial(gaussian.call, name),
        functools.partial(gaussian.call_composite, name),
        gaussian.parameters,
        gaussian.SHAPES,
        exact,
        terms=lambda shape, out: shape[-1] if out.shape == shape[:-1] else 1,
        random=gaussian.GAUSSIAN[name][2],
    )


def _sparsity_alone():
    """The penalty of `_sparsity` by fastgen.jit."""
    whole = _sparsity()

    def of(function):
        return lambda a: (function(a)[1],)

    return dataclasses.replace(
        whole,
        run=lambda a: (jit.sparsity(a, 0.3, "kl"),),
        composite=of(whole.composite),
        exact=lambda dtype: of(whole.exact(dtype)),
        terms=lambda shape, out: int(np.prod(shape)),
    )


def _sparsity():
    """The Kullback-Leibler penalty; tests/ops/test_sparsity.py has the others."""

    def exact(dtype):
        def function(a):
            rows, p = a.shape[:-1].num_elements(), 0.3
            q = tf.reduce_sum(tf.reshape(a, [rows, a.shape[-1]]), axis=0) / max(rows, 1)
            r = tf.maximum(tf.minimum(q, 1 - 1e-7), 1e-7)
            terms = p * tf.math.log(p / r) + (1 - p) * tf.math.log((1 - p) / (1 - r))
            return a, tf.reduce_sum(terms) * min(rows, 1), q

        return function

    return Op(
        lambda a: ops.sparsity_passthrough(a, 0.3, "kl"),
        lambda a: (a, *ops.sparsity_composite(a, 0.3, "kl")),
        # Halves more, as a vectorised loop has them, are still below 1.
        lambda shape, dtype: (0.25 + 0.2 * tf.sin(draw(shape, dtype, 5, 2.0)),),
        [(5,), (0, 10), (7, 10), (33, 65), (2, 3, 4), (1001, 10), (3, 1500)],
        exact,
        terms=lambda shape, out: 1 if out.shape == shape else int(np.prod(shape)),
    )


NOISE_SEED = (5, -(2**40))


def _noise(op, composite, amount, exact):
    """An op of x alone, whose noise of a fixed seed is `exact(x, noise of its dtype)`."""

    def of_dtype(dtype):
        return lambda x: (exact(x, dtype),)

    return Op(
        lambda x: (op(x, amount, NOISE_SEED),),
        lambda x: (composite(x, amount, tf.constant(NOISE_SEED, tf.int64)),),
        lambda shape, dtype: (draw(shape, dtype, 5),),
        [(5,), (0, 10), (33, 65), (2, 3, 4), (10_001, 10)],
        of_dtype,
        random=True,
    )


def _noisy(x, dtype):
    return x + 0.5 * gaussian.exact_noise(tf.zeros(x.shape, dtype), NOISE_SEED)


def _dropped(x, dtype):
    size = x.shape.num_elements()
    u = reference.uniform(size, NOISE_SEED, dtype.as_numpy_dtype).reshape(x.shape)
    return tf.where(u >= 0.25, x / 0.75, 0.0)


UNITS = 5


def _dense(op, composite, transposed, activation):
    """A layer whose activation keeps its input; tests/ops/test_dense.py has the others."""

    def make(shape, dtype):
        inputs = shape[-1]
        kernel = draw((UNITS, inputs) if transposed else (inputs, UNITS), dtype, 2)
        scale = tf.cast(2 * np.sqrt(max(inputs, 1)), dtype)  # gentle: 16 bits round each step
        return draw(shape, dtype, 1, 0.25), kernel / scale, draw((UNITS,), dtype, 3, 0.25)

    def exact(dtype):
        def function(x, kernel, bias):
            rows = tf.reshape(x, [x.shape[:-1].num_elements(), x.shape[-1]])
            z = tf.reshape(
                tf.matmul(rows, kernel, transpose_b=transposed) + bias, (*x.shape[:-1], UNITS)
            )
            return (keras.activations.get(activation)(z),)

        return function

    return Op(
        lambda *x: (op(*x, activation),),
        lambda *x: (composite(*x, activation),),
        make,
        [(0, 10), (7, 0), (7, 10), (33, 65), (2, 3, 4), (1001, 10), (3, 1500)],
        exact,
        terms=lambda shape, out: int(np.prod(shape)) + 1,
    )


def _cross_entropy():
    def make(shape, dtype):
        return tf.sigmoid(draw(shape, dtype, 1)), draw(shape, dtype, 2, 4.0)

    def call(op, targets, logits):
        return (op(targets, logits, 0.1, "row"),)

    def exact(targets, logits):
        loss = tf.nn.softplus(logits) - logits * (0.9 * targets + 0.05)
        return (tf.reduce_sum(loss, -1) / max(loss.shape[-1], 1),)

    return Op(
        functools.partial(call, ops.sigmoid_cross_entropy),
        functools.partial(call, ops.sigmoid_cross_entropy_composite),
        make,
        gaussian.SHAPES,
        lambda dtype: exact,
    )


OPS = {
    "gaussian_noise": _noise(ops.gaussian_noise, ops.gaussian_noise_composite, 0.5, _noisy),
    "dropout": _noise(ops.dropout, ops.dropout_composite, 0.25, _dropped),
    "sparsity": _sparsity(),
    "sigmoid_cross_entropy": _cross_entropy(),
    "dense": _dense(ops.dense, ops.dense_composite, False, "silu"),
    "dense_transpose": _dense(ops.dense_transpose, ops.dense_transpose_composite, True, "tanh"),
}
OPS |= {name: _gaussian(name) for name in gaussian.GAUSSIAN}


# Those of fastgen.jit that do as others.
OPS |= {
    "jit.gaussian_sample_kl": _gaussian(
        "gaussian_sample_kl", lambda *x: jit.gaussian_sample_kl(*x, gaussian.SEED)
    ),
    "jit.sigmoid_cross_entropy": dataclasses.replace(
        OPS["sigmoid_cross_entropy"],
        run=lambda *x: (jit.sigmoid_cross_entropy(*x, 0.1, "row"),),
    ),
    "jit.sparsity": _sparsity_alone(),
}

dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
sizes = pytest.mark.parametrize("size", SIZES)
each_op = pytest.mark.parametrize("name", OPS)
# Every shape in float32, every dtype in one shape: tests/core has them all together.
each_shape_and_dtype = pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        pytest.param(name, shape, dtype, id=f"{name}-{'x'.join(map(str, shape))}-{dtype.name}")
        for name, op in OPS.items()
        for shape in op.shapes
        for dtype in DTYPES
        if dtype == tf.float32 or shape == (33, 65)
    ],
)
each_storage = pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16], ids=lambda d: d.name)


def weighted_sum(outputs):
    """A float64 scalar of all outputs; weights differ and are exact in every dtype."""
    total = tf.constant(0.0, tf.float64)
    for i, out in enumerate(outputs):
        weights = tf.cos(tf.cast(tf.range(tf.size(out)), tf.float64))
        weights = tf.round(8 * tf.reshape(weights, tf.shape(out))) / 8 + i
        total += tf.reduce_sum(weights * tf.cast(out, tf.float64))
    return total


def gradients(function, *inputs):
    """Gradients of the weighted sum of function(*inputs)."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = weighted_sum(function(*inputs))
    return tape.gradient(total, inputs, unconnected_gradients="zero")


def second_gradients(function, *inputs):
    """Gradients of a function of the gradients, as a gradient penalty has them."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        first = gradients(function, *inputs)
        total = weighted_sum([tf.cast(x, tf.float64) ** 2 for x in first])
    return tape.gradient(total, inputs, unconnected_gradients="zero")
