"""What every layer that samples a Gaussian promises besides: its noise, and its seed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen.layers import GaussianLatent
from tests.layers.cases import (
    SEED,
    StockSampling,
    each_sampling_layer,
    inputs_of,
    model_of,
    state,
)
from tests.tolerances import SAME_FORMULA, assert_close


@each_sampling_layer
@pytest.mark.parametrize("seed", [0, SEED, 2**31 + 5, -3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_numbers_as_the_stock_layer(path, layer_class, seed, dtype):
    ours, stock = layer_class(seed=seed, dtype=dtype), StockSampling(seed=seed, dtype=dtype)
    inputs = inputs_of(dtype=dtype)
    for _ in range(3):
        assert_close(ours(inputs), stock(inputs), dtype)
    graph = tf.function(lambda: (ours(inputs), stock(inputs)))
    for _ in range(3):
        assert_close(*graph(), dtype)


@each_sampling_layer
def test_shapes(layer_class):
    layer = layer_class()
    layer([keras.Input([3, 4]), keras.Input([3, 4])])
    assert state(layer)[1] == 0, "a symbolic call must not draw"
    assert layer_class()([np.zeros(5), np.zeros(5)]).shape == (5,)
    assert layer_class()((np.zeros([2, 5]), np.zeros([2, 5]))).shape == (2, 5)


@each_sampling_layer
def test_bad_inputs(layer_class):
    x, y, name = np.zeros([2, 3]), np.zeros([2, 4]), layer_class.__name__
    for bad in (x, [x], [x, x, x]):
        with pytest.raises(ValueError, match=rf"{name} must be called on a list .*Received"):
            layer_class()(bad)
    with pytest.raises(ValueError, match=f"{name}: mean and log_var must have the same sh.*Rec"):
        layer_class()([x, y])
    with pytest.raises(ValueError, match="Received"):
        layer_class(seed="x")


def fit(layer, x, epochs):
    """Losses of learning a constant, which takes a few steps."""
    model = model_of(layer)
    model.compile(keras.optimizers.Nadam(0.05), "mse")
    y = np.ones_like(x)
    return model, model.fit(x, y, epochs=epochs, batch_size=10, verbose=0).history


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_fit_in_other_dtypes(policy):
    _, history = fit(GaussianLatent(dtype=policy), np.ones([10, 10]), 3)
    assert history["loss"][-1] < history["loss"][0]


@each_sampling_layer
def test_reproducible_after_set_random_seed(layer_class):
    def outputs():
        keras.utils.set_random_seed(7)
        x = keras.random.normal([40, 10]).numpy()
        model, history = fit(layer_class(), x, 3)
        assert history["loss"][-1] < history["loss"][0]
        return history["loss"], model.predict(x, verbose=0), model.evaluate(x, x, verbose=0)

    for one, other in zip(outputs(), outputs(), strict=True):
        np.testing.assert_array_equal(one, other)


@each_sampling_layer
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("mode", ["full", "list_of_layers"])
def test_remat_scope(path, layer_class, graph, mode):
    inputs = inputs_of((33, 10))

    def gradients(layer):
        def run():
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                loss = tf.reduce_sum(layer(inputs) ** 2) + sum(layer.losses)
            return loss, tape.gradient(loss, inputs)

        return (tf.function(run) if graph else run)()

    plain = layer_class(seed=SEED)
    with keras.RematScope(mode=mode, layer_names=["inside"]):
        inside = layer_class(seed=SEED, name="inside")
        for _ in range(2):
            loss, grads = gradients(plain)
            again, grads_again = gradients(inside)
            np.testing.assert_allclose(loss, again, rtol=SAME_FORMULA)
            for one, other in zip(grads, grads_again, strict=True):
                assert_close(one, other, "float32")
    assert state(plain) == state(inside) == [SEED, 2], "drawn once a call"


@each_sampling_layer
def test_explicit_seed(path, layer_class):
    layer, inputs = layer_class(), inputs_of()
    seed = tf.constant([1, 2], tf.int64)
    expected = fastgen.ops.gaussian_sample(*inputs, seed)
    for call in (layer, tf.function(layer)):
        np.testing.assert_array_equal(call(inputs, seed=seed), call(inputs, seed))
        assert_close(call(inputs, seed), expected, "float32")
    assert state(layer)[1] == 0


@each_sampling_layer
def test_recompute_grad_with_the_seed_from_outside(path, layer_class):
    layer, inputs, seed = layer_class(), inputs_of(), tf.constant([1, 2], tf.int64)

    def gradients(function):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(function(*inputs, seed) ** 2)
        return tape.gradient(loss, inputs)

    def run(mean, log_var, seed):
        return layer([mean, log_var], seed=seed)

    again = gradients(tf.recompute_grad(run))
    for one, other in zip(gradients(run), again, strict=True):
        assert_close(one, other, "float32")


@each_sampling_layer
def test_clones_and_layers_without_a_seed_draw_apart(layer_class):
    inputs = inputs_of()
    draws = [layer_class()(inputs).numpy() for _ in range(2)]
    assert not np.allclose(*draws)


@each_sampling_layer
def test_seed_of_two_python_integers(layer_class):
    layer, inputs = layer_class(), inputs_of()
    given = layer(inputs, seed=(1, 2))
    np.testing.assert_array_equal(given, layer(inputs, seed=tf.constant([1, 2], tf.int64)))
    with pytest.raises(ValueError, match="seed must be .* Received"):
        layer(inputs, seed=(1, 2, 3))
