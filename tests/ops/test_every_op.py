"""What every op promises, on both paths: values, gradients, second order, edges."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.ops.cases import (
    OPS,
    array,
    call,
    call_composite,
    call_exact,
    dtypes,
    each_op,
    exact_noise,
    gradients,
    parameters,
    second_gradients,
    shapes,
    weighted_sum,
)
from tests.tolerances import NUMERIC, NUMERIC_STEP, assert_as_exact_as, assert_close


def assert_gates(actual, stock, exact, dtype, n=1):
    assert_close(array(actual), array(exact), dtype, n)
    # Of a few elements plain TensorFlow may round none, and in float64 it rounds as `exact` does.
    if array(actual).size >= 1000 and dtype != tf.float64:
        assert_as_exact_as(array(actual), array(stock), array(exact), dtype)


@each_op
@shapes
@dtypes
def test_value(path, name, shape, dtype):
    mean, log_var = parameters(shape, dtype)
    outputs = call(name, mean, log_var)
    stock = call_composite(name, mean, log_var)
    exact = call_exact(name, mean, log_var, exact_noise(mean))
    for out, plain, right in zip(outputs, stock, exact, strict=True):
        n = shape[-1] if out.shape == shape[:-1] else 1
        assert out.dtype == plain.dtype and out.shape == plain.shape == right.shape
        assert_gates(out, plain, right, out.dtype, n)


@each_op
@shapes
@dtypes
def test_gradient(path, name, shape, dtype):
    mean, log_var = parameters(shape, dtype)
    actual = gradients(functools.partial(call, name), mean, log_var)
    stock = gradients(functools.partial(call_composite, name), mean, log_var)
    exact = functools.partial(call_exact, name, noise=exact_noise(mean))
    right = gradients(exact, tf.cast(mean, tf.float64), tf.cast(log_var, tf.float64))
    for out, plain, expected in zip(actual, stock, right, strict=True):
        assert out.dtype == dtype and out.shape == shape
        assert_gates(out, plain, expected, dtype)


@each_op
def test_gradient_against_differences(path, name):
    mean, log_var = parameters((3, 4), tf.float64)
    theoretical, numerical = tf.test.compute_gradient(
        lambda m, v: weighted_sum(call(name, m, v)), [mean, log_var], delta=NUMERIC_STEP
    )
    for actual, expected in zip(theoretical, numerical, strict=True):
        np.testing.assert_allclose(actual, expected, *NUMERIC)


@each_op
@dtypes
def test_second_order(path, name, dtype):
    mean, log_var = parameters((7, 10), dtype)
    actual = second_gradients(functools.partial(call, name), mean, log_var)
    exact = functools.partial(call_exact, name, noise=exact_noise(mean))
    right = second_gradients(exact, tf.cast(mean, tf.float64), tf.cast(log_var, tf.float64))
    for out, expected in zip(actual, right, strict=True):
        assert_close(array(out), array(expected), dtype)


@each_op
def test_third_order(path, name):
    mean, log_var = parameters((2, 3), tf.float64)
    noise = exact_noise(mean)

    def third(function):
        with tf.GradientTape() as tape:
            tape.watch(log_var)
            total = weighted_sum(second_gradients(function, mean, log_var))
        return tape.gradient(total, log_var)

    actual = third(functools.partial(call, name))
    assert_close(actual, third(functools.partial(call_exact, name, noise=noise)), tf.float64)


@each_op
def test_forward_mode(path, name):
    mean, log_var = parameters((7, 10), tf.float64)
    tangents = parameters((7, 10), tf.float64)

    def jvp(function):
        with tf.autodiff.ForwardAccumulator([mean, log_var], list(tangents)) as forward:
            outputs = function(mean, log_var)
        return [forward.jvp(out) for out in outputs]

    exact = functools.partial(call_exact, name, noise=exact_noise(mean))
    for actual, expected in zip(jvp(functools.partial(call, name)), jvp(exact), strict=True):
        assert_close(actual, expected, tf.float64, 10)


@each_op
@dtypes
def test_same_bits_in_a_graph(path, name, dtype):
    mean, log_var = parameters((33, 65), dtype)
    function = functools.partial(call, name)
    for eager, graph in [
        (function(mean, log_var), tf.function(function)(mean, log_var)),
        (
            gradients(function, mean, log_var),
            tf.function(functools.partial(gradients, function))(mean, log_var),
        ),
    ]:
        for one, other in zip(eager, graph, strict=True):
            if path == "fused":
                np.testing.assert_array_equal(array(one), array(other))
            else:  # Grappler rewrites stock ops
                assert_close(array(one), array(other), dtype, 65)


@each_op
def test_outputs_used_apart(path, name):
    # The gradient that an unused output sends is zeros, or a slice of rows.
    mean, log_var = parameters((6, 4), tf.float64)
    exact = functools.partial(call_exact, name, noise=exact_noise(mean))
    for i in range(len(call(name, mean, log_var))):

        def rows(function, mean, log_var, i=i):
            return [tf.gather(function(mean, log_var)[i], [4, 1, 4])]

        actual = gradients(functools.partial(rows, functools.partial(call, name)), mean, log_var)
        expected = gradients(functools.partial(rows, exact), mean, log_var)
        for out, right in zip(actual, expected, strict=True):
            assert_close(tf.convert_to_tensor(out), tf.convert_to_tensor(right), tf.float64)


@each_op
@dtypes
def test_not_finite_in_not_finite_out(path, name, dtype):
    mean = tf.constant([[np.nan, 0], [0, 0], [np.inf, 0], [0, 0], [0, 0]], dtype)
    log_var = tf.constant([[0, 0], [np.nan, 0], [0, 0], [np.inf, 0], [-np.inf, 0]], dtype)
    exact = call_exact(name, mean, log_var, exact_noise(mean))
    for out, right in zip(call(name, mean, log_var), exact, strict=True):
        np.testing.assert_array_equal(np.isnan(array(out)), np.isnan(array(right)))
        np.testing.assert_array_equal(np.isinf(array(out)), np.isinf(array(right)))
    grads = gradients(functools.partial(call, name), mean, log_var)
    if "kl" in name:
        assert np.isnan(array(grads[0])[0, 0])
    assert np.isnan(array(grads[1])[1, 0])
    assert np.all(np.isfinite(array(grads[0])[1:2, 1])) and np.all(array(grads[1])[:, 1] < np.inf)


@each_op
@dtypes
def test_inputs_are_left_alone(path, name, dtype):
    # The kernels may write in place; TensorFlow must let them only where nobody looks.
    mean, log_var = parameters((33, 65), dtype)
    before = array(mean), array(log_var)

    @tf.function
    def run(mean, log_var):
        return gradients(functools.partial(call, name), mean, log_var), mean + 0, log_var + 0

    for _ in range(2):
        _, mean_then, log_var_then = run(mean, log_var)
        gradients(functools.partial(call, name), mean, log_var)
        for tensor, value in zip((mean, log_var, mean_then, log_var_then), 2 * before, strict=True):
            np.testing.assert_array_equal(array(tensor), value)


@pytest.mark.parametrize("name", [name for name in OPS if OPS[name][2]])
def test_recompute_grad(path, name):
    mean, log_var = parameters((7, 10), tf.float32)
    function = functools.partial(call, name)
    plain = gradients(function, mean, log_var)
    again = gradients(tf.recompute_grad(function), mean, log_var)
    for one, other in zip(plain, again, strict=True):
        np.testing.assert_array_equal(one, other)
