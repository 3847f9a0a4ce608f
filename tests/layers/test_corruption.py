"""Corruption: the numbers of Keras' noise layers in training, nothing in inference."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen.layers import Corruption
from tests.layers.cases import SEED, inputs_of, state
from tests.tolerances import assert_close

STOCK = {"gaussian": keras.layers.GaussianNoise, "dropout": keras.layers.Dropout}
kinds = pytest.mark.parametrize("kind", STOCK)


@kinds
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_numbers_as_the_stock_layer(path, kind, dtype):
    ours = Corruption(kind, 0.3, seed=SEED, dtype=dtype)
    stock = STOCK[kind](0.3, seed=SEED, dtype=dtype)
    x = inputs_of(dtype=dtype)[0]
    for _ in range(2):
        assert_close(ours(x, training=True), stock(x, training=True), dtype)
    run = tf.function(lambda: (ours(x, training=True), stock(x, training=True)))
    for _ in range(2):
        assert_close(*run(), dtype)
    assert not np.allclose(*(ours(x, training=True) for _ in range(2)))


@kinds
def test_identity_at_inference_and_without_noise(path, kind):
    layer, x = Corruption(kind, 0.3, seed=SEED), inputs_of()[0]
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer(x, training=False), x)
    assert state(layer)[1] == 0, "inference must not draw"
    np.testing.assert_array_equal(Corruption(kind, 0)(x, training=True), x)


@kinds
def test_one_seed_gives_one_corruption(path, kind):
    layer, x = Corruption(kind, 0.3), inputs_of()[0]
    outputs = [layer(x, seed=tf.constant([1, 2]), training=True) for _ in range(2)]
    np.testing.assert_array_equal(*outputs)


@kinds
def test_gradient_is_that_of_the_same_draw(path, kind):
    x = tf.ones([7, 10])
    with keras.RematScope(mode="full"):
        inside = Corruption(kind, 0.3, seed=SEED)
    for layer in (Corruption(kind, 0.3, seed=SEED), inside):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        expected = y if kind == "dropout" else tf.ones_like(x)
        np.testing.assert_array_equal(tape.gradient(y, x), expected)
        assert state(layer) == [SEED, 1], "drawn once a call"


def test_denoises(fused):
    """The bar of SYSTEMS.md: the error of what is denoised is below half that of the noise."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal([512, 3]) @ rng.standard_normal([3, 24])).astype("float32")
    noise = Corruption("gaussian", 1.0, seed=SEED)
    model = keras.Sequential(
        [keras.Input([24]), noise, keras.layers.Dense(6), keras.layers.Dense(24)]
    )
    model.compile(keras.optimizers.Nadam(0.02), "mse", jit_compile=False)
    model.fit(x, x, epochs=8, batch_size=32, verbose=0)
    noisy = noise(x, training=True)
    assert np.mean((model(noisy) - x) ** 2) < np.mean((noisy - x) ** 2) / 2


@pytest.mark.parametrize(
    ("kind", "amount", "message"),
    [
        ("salt", 0.1, "kind must be one of"),
        ("gaussian", -0.1, "amount must be a number in"),
        ("dropout", 1.1, "amount must be a number in"),
        ("dropout", "0.5", "amount must be a number in"),
    ],
)
def test_refusals(kind, amount, message):
    with pytest.raises(ValueError, match=f"^Corruption: {message}.*Received: "):
        Corruption(kind, amount)


def test_integers_are_refused_by_the_layer_s_name():
    with pytest.raises(
        ValueError, match="Corruption: inputs must be .*Received: inputs.dtype=uint8"
    ):
        Corruption("dropout", 0.5)(np.ones([2, 3], "uint8"), training=True)
