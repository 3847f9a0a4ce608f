"""What every op promises, on both paths: values, gradients, second order, edges."""

import numpy as np
import pytest
import tensorflow as tf

from tests.ops.cases import (
    OPS,
    array,
    dtypes,
    each_op,
    each_shape_and_dtype,
    each_storage,
    gradients,
    second_gradients,
    weighted_sum,
    wide,
)
from tests.tolerances import NUMERIC, NUMERIC_STEP, assert_as_exact_as, assert_close


def assert_gates(actual, stock, exact, dtype, n=1):
    assert_close(array(actual), array(exact), dtype, n)
    # Of a few elements plain TensorFlow may round none, and in float64 it rounds as `exact` does.
    if array(actual).size >= 1000 and dtype != tf.float64:
        assert_as_exact_as(array(actual), array(stock), array(exact), dtype)


@each_shape_and_dtype
def test_value(path, name, shape, dtype):
    op = OPS[name]
    inputs = op.make(shape, dtype)
    exact = op.exact(dtype)(*wide(inputs))
    for out, plain, right in zip(op.run(*inputs), op.composite(*inputs), exact, strict=True):
        assert out.dtype == plain.dtype and out.shape == plain.shape == right.shape
        assert_gates(out, plain, right, out.dtype, op.terms(shape, out))


@each_shape_and_dtype
def test_gradient(path, name, shape, dtype):
    op = OPS[name]
    inputs = op.make(shape, dtype)
    actual, stock = gradients(op.run, *inputs), gradients(op.composite, *inputs)
    right = gradients(op.exact(dtype), *wide(inputs))
    for x, out, plain, expected in zip(inputs, actual, stock, right, strict=True):
        assert out.dtype == dtype and out.shape == x.shape
        assert_gates(out, plain, expected, dtype, op.terms(shape, out))


@each_op
def test_gradient_against_differences(path, name):
    op = OPS[name]
    theoretical, numerical = tf.test.compute_gradient(
        lambda *x: weighted_sum(op.run(*x)), op.make(op.small, tf.float64), delta=NUMERIC_STEP
    )
    for actual, expected in zip(theoretical, numerical, strict=True):
        np.testing.assert_allclose(actual, expected, *NUMERIC)


@each_op
@dtypes
def test_second_order(path, name, dtype):
    op = OPS[name]
    inputs = op.make(op.small, dtype)
    right = second_gradients(op.exact(dtype), *wide(inputs))
    for out, expected in zip(second_gradients(op.run, *inputs), right, strict=True):
        assert_close(array(out), array(expected), dtype, 10)


@each_op
def test_third_order(path, name):
    op = OPS[name]
    inputs = op.make(op.small, tf.float64)

    def third(function):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = weighted_sum(second_gradients(function, *inputs))
        return tape.gradient(total, inputs, unconnected_gradients="zero")

    for out, expected in zip(third(op.run), third(op.exact(tf.float64)), strict=True):
        assert_close(out, expected, tf.float64, 10)


@each_op
def test_forward_mode(path, name):
    op = OPS[name]
    inputs = op.make(op.small, tf.float64)
    tangents = [tf.cos(x) for x in inputs]

    def jvp(function):
        with tf.autodiff.ForwardAccumulator(list(inputs), tangents) as forward:
            outputs = function(*inputs)
        return [forward.jvp(out) for out in outputs]

    for actual, expected in zip(jvp(op.run), jvp(op.exact(tf.float64)), strict=True):
        assert_close(actual, expected, tf.float64, 10)


@each_op
@each_storage
def test_same_bits_in_a_graph(path, name, dtype):
    op = OPS[name]
    inputs = op.make((33, 65), dtype)
    for eager, graph in [
        (op.run(*inputs), tf.function(op.run)(*inputs)),
        (gradients(op.run, *inputs), tf.function(lambda *x: gradients(op.run, *x))(*inputs)),
    ]:
        for one, other in zip(eager, graph, strict=True):
            if path == "fused" and name != "jit.sparsity":
                np.testing.assert_array_equal(array(one), array(other))
            else:  # Grappler rewrites stock ops
                assert_close(array(one), array(other), dtype, 65)


@each_op
def test_outputs_used_apart(path, name):
    # The gradient that an unused output sends is zeros, or a slice of rows.
    op = OPS[name]
    inputs = op.make((6, 4), tf.float64)
    for i, output in enumerate(op.run(*inputs)):

        def rows(function, i=i, output=output):
            at = [j % output.shape[0] for j in (4, 1, 4)] if output.shape.rank else []
            return lambda *x: [tf.gather(function(*x)[i], at) if at else function(*x)[i]]

        actual = gradients(rows(op.run), *inputs)
        expected = gradients(rows(op.exact(tf.float64)), *inputs)
        for out, right in zip(actual, expected, strict=True):
            assert_close(tf.convert_to_tensor(out), tf.convert_to_tensor(right), tf.float64)


@each_op
@dtypes
def test_not_a_number_in_not_a_number_out(path, name, dtype):
    op = OPS[name]
    inputs = op.make((7, 10), dtype)
    for i, x in enumerate(inputs):
        flat = array(x).ravel()
        flat[flat.size // 2] = np.nan
        poisoned = [*inputs]
        poisoned[i] = tf.constant(flat.reshape(x.shape), dtype)
        exact = op.exact(dtype)(*wide(poisoned))
        for out, right in zip(op.run(*poisoned), exact, strict=True):
            assert np.any(np.isnan(array(right)))
            np.testing.assert_array_equal(np.isnan(array(out)), np.isnan(array(right)))


@each_op
@each_storage
def test_inputs_are_left_alone(fused, name, dtype):
    # The kernels may write in place; TensorFlow must let them only where nobody looks.
    op = OPS[name]
    inputs = op.make((33, 65), dtype)
    before = [array(x) for x in inputs]

    @tf.function
    def run(*inputs):
        return gradients(op.run, *inputs), [x + 0 for x in inputs]

    for _ in range(2):
        _, then = run(*inputs)
        gradients(op.run, *inputs)
        for tensor, value in zip((*inputs, *then), 2 * before, strict=True):
            np.testing.assert_array_equal(array(tensor), value)


@pytest.mark.parametrize("name", [name for name, op in OPS.items() if op.random])
def test_recompute_grad(path, name):
    op = OPS[name]
    inputs = op.make((7, 10), tf.float32)
    plain, again = gradients(op.run, *inputs), gradients(tf.recompute_grad(op.run), *inputs)
    for one, other in zip(plain, again, strict=True):
        np.testing.assert_array_equal(one, other)
