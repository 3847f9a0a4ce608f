"""dense and dense_transpose on NumPy arrays: error, bits, edges."""

import numpy as np
import pytest

from tests.core.cases import (
    assert_same_bits,
    assert_within,
    core,
    dtypes,
    numpy_dtype,
    stated,
    unaligned,
    unit,
)
from tests.core.dense_layer import ACTIVATIONS, LARGE, SIZES, Layer, activated, activation_of
from tests.core.reference import wide
from tests.tolerances import NUMERIC, NUMERIC_STEP

layers = pytest.mark.parametrize("name", ["dense", "dense_transpose"])


@layers
@dtypes
def test_within_the_stated_error(isa, dtype, name):
    for size in SIZES:
        assert_within_the_stated_error(Layer(name), dtype, size)


@layers
def test_large_operands(isa, name):
    assert_within_the_stated_error(Layer(name), "float32", LARGE)


def assert_within_the_stated_error(layer, dtype, size):
    x, kernel, bias, d_y = layer.make(dtype, *size)
    bound = layer.bounds(dtype, x, layer.flat(kernel))
    bound += 2 * unit(dtype) * np.abs(np.asarray(bias, "float64"))
    y = layer.run(x, kernel, bias)
    assert_within(y, layer.affine(x, kernel, bias), bound, dtype)
    d_x, d_kernel, d_bias = layer.grad(x, kernel, y, d_y)
    exact = layer.gradients(x, kernel, d_y)
    assert_within(d_x, exact[0], layer.bounds(dtype, d_y, layer.flat(kernel).T), dtype)
    weights = layer.bounds(dtype, np.asarray(x).T, d_y)
    assert_within(d_kernel, exact[1], layer.flat(weights), dtype)
    ones = np.ones((1, size[0]), d_y.dtype)
    assert_within(d_bias, exact[2], layer.bounds(dtype, ones, d_y)[0], dtype)


@pytest.mark.parametrize("header", ["dense", "dense_transpose"])
def test_header_states_what_is_asserted_here(header):
    error = stated(f"kernels/{header}.h", "Error")
    assert "u (n + 2) sum |a b| over n terms" in error
    assert "of act 4 u (1 + |z|) more" in error


@dtypes
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_err_as_stated(isa, dtype, activation):
    far = np.linspace(-100, 100, 20_001)
    z = np.concatenate([far, far / 16, np.sign(far) * 10.0 ** (-np.abs(far) / 8)])
    z = z.astype(numpy_dtype(dtype))
    bound = 4 * unit(dtype) * (1 + np.abs(wide(z)[0]))
    assert_within(activated(activation, z), activation_of(activation, z), bound, dtype)


@layers
@dtypes
@pytest.mark.parametrize("activation", ["linear", "selu", "silu"])
def test_threads_do_not_change_a_bit(isa, threads, dtype, activation, name):
    layer = Layer(name)
    for size in [(130, 150, 200), (600, 300, 70)]:
        x, kernel, bias, d_y = layer.make(dtype, *size)
        found = []
        for count in threads:
            core.set_threads(count)
            y = layer.run(x, kernel, bias, activation)
            found.append([y, *layer.grad(x, kernel, y, d_y, activation)])
        for other in found[1:]:
            for one, two in zip(found[0], other, strict=True):
                assert_same_bits(one, two)


@layers
@dtypes
def test_a_row_does_not_depend_on_the_others(isa, dtype, name):
    layer = Layer(name)
    x, kernel, bias, d_y = layer.make(dtype, 600, 300, 70)
    y = layer.run(x, kernel, bias, "elu")
    d_x = layer.grad(x, kernel, y, d_y, "elu")[0]
    for rows in (7, 32, 33, 256):
        assert_same_bits(layer.run(x[:rows], kernel, bias, "elu"), y[:rows])
        part = layer.grad(x[:rows], kernel, y[:rows], d_y[:rows], "elu")[0]
        assert_same_bits(part, d_x[:rows])


@layers
@dtypes
def test_unaligned(isa, dtype, name):
    layer = Layer(name)
    x, kernel, bias, d_y = layer.make(dtype, 15, 33, 34)
    y = layer.run(x, kernel, bias, "tanh")
    moved = [unaligned(a) for a in (x, kernel, bias)]
    assert_same_bits(layer.run(*moved, "tanh"), y)
    got = layer.grad(*moved[:2], unaligned(y), unaligned(d_y), "tanh")
    for one, two in zip(got, layer.grad(x, kernel, y, d_y, "tanh"), strict=True):
        assert_same_bits(one, two)


@layers
@dtypes
def test_empty(isa, dtype, name):
    layer = Layer(name)
    for size in [(0, 3, 4), (3, 0, 4), (3, 4, 0)]:
        x, kernel, bias, d_y = layer.make(dtype, *size)
        y = layer.run(x, kernel, bias)
        np.testing.assert_array_equal(*wide(y, np.zeros_like(y) + bias))
        grads = layer.grad(x, kernel, y, d_y)
        for grad, exact in zip(grads, layer.gradients(x, kernel, d_y), strict=True):
            assert grad.shape == exact.shape
        if 0 in size[:1]:
            assert not np.any(grads[1]) and not np.any(grads[2])


@layers
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nan_and_inf_stay_in_their_row(isa, activation, name):
    layer = Layer(name)
    x, kernel, bias, _ = layer.make("float32", 20, 40, 50)
    whole = layer.run(x, kernel, bias, activation)
    x[7, 3] = np.nan
    y = layer.run(x, kernel, bias, activation)
    assert np.all(np.isnan(y[7]))
    assert_same_bits(np.delete(y, 7, 0), np.delete(whole, 7, 0))


@layers
def test_gradient_against_differences(isa, name):
    layer = Layer(name)
    x, kernel, bias, d_y = layer.make("float64", 4, 3, 5)
    for activation in ACTIVATIONS:
        y = layer.run(x, kernel, bias, activation)
        from_z = activation in ("silu", "gelu_tanh")
        saved = layer.run(x, kernel, bias) if from_z else y
        grads = layer.grad(x, kernel, saved, d_y, activation)
        for value, grad in zip((x, kernel, bias), grads, strict=True):
            direction = np.cos(np.arange(value.size)).reshape(value.shape)
            before, step = value.copy(), NUMERIC_STEP
            ends = []
            for sign in (1, -1):
                value[...] = before + sign * step * direction
                ends.append(np.sum(layer.run(x, kernel, bias, activation) * d_y))
            value[...] = before
            numeric = (ends[0] - ends[1]) / (2 * step)
            np.testing.assert_allclose(np.sum(grad * direction), numeric, *NUMERIC)


@layers
def test_refusals(name):
    layer = Layer(name)
    x, kernel, bias, d_y = layer.make("float32", 4, 3, 2)
    for message, call in [
        ("x must have rank 2", lambda: layer.run(x[0], kernel)),
        ("kernel must have rank 2", lambda: layer.run(x[:, :2], kernel)),
        ("kernel must .*dtype", lambda: layer.run(x, kernel.astype("float64"))),
        ("bias must", lambda: layer.run(x, kernel, bias[:1])),
        ("activation must be one of", lambda: layer.run(x, kernel, bias, "mish")),
        ("d_y must", lambda: layer.grad(x, kernel, d_y, d_y[:2])),
    ]:
        with pytest.raises(ValueError, match=f"{name}.*{message}.*Received: "):
            call()
    assert numpy_dtype("float32") == layer.run(x, kernel).dtype
