"""Steps of networks with dropout, noise and slopes: the kernel against the layers of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import ops
from fastgen.ops import players
from tests.models.gans import policy
from tests.ops import gan
from tests.tolerances import LOGGED, OPTIMIZER_FLOAT64

L = keras.layers
SHAPE, CODINGS, BATCH = (3, 4), 2, 7


def networks(dtype, twice=False):
    """Generator and discriminator: layers of Keras and of ours that draw, one of them twice."""
    keras.utils.set_random_seed(3)
    with policy(dtype):
        layers = [L.GaussianNoise(0.2, seed=3), L.Dense(5), L.LeakyReLU(0.3)]
        layers += [L.Dropout(0.3, seed=4), L.Dense(12, "sigmoid"), L.Reshape(SHAPE)]
        generator = keras.Sequential([keras.Input((CODINGS,)), *layers])
        drop = L.Dropout(0.25, seed=1)
        noise = fastgen.layers.Corruption("gaussian", 0.1, seed=6)
        layers = [noise, L.Flatten(), L.Dense(5, "selu"), drop]
        layers += [L.Dense(4, "tanh"), drop if twice else L.Dropout(0.5, seed=2)]
        x = inputs = keras.Input(SHAPE)
        for layer in (*layers, L.Dense(1, "sigmoid")):
            x = layer(x)
    return generator, keras.Model(inputs, x)


def optimizers(dtype):
    with policy(dtype):
        return gan.optimizers(lambda: keras.optimizers.SGD(0.1, momentum=0.5))


def states(models, of_models):
    """All that steps move: weights, slots, seeds."""
    moved = [v for model in models for v in model.weights]
    moved += [v for optimizer in of_models for v in optimizer.variables]
    layers = [layer for model in models for layer in model._flatten_layers()]
    moved += [g.state for layer in layers for g in layer._seed_generators]
    moved += [layer.seed_generator.state for layer in layers if hasattr(layer, "seed_generator")]
    return [np.asarray(v).astype("float64") for v in moved]


def on_both_paths(monkeypatch, train):
    """What train() gives, for each path."""
    found = {}
    for path in ("fused", "composite"):
        monkeypatch.setenv("FASTGEN_BACKEND", path)
        before = fastgen.stats()
        found[path] = train()
        assert fastgen.stats() != before
    return found["fused"], found["composite"]


def assert_alike(fused, composite, dtype):
    """(states, telemetry) of both paths; telemetry is float32."""
    tolerance = OPTIMIZER_FLOAT64 if dtype == "float64" else LOGGED
    for which, bound in ((0, tolerance), (1, LOGGED)):
        for one, two in zip(fused[which], composite[which], strict=True):
            np.testing.assert_allclose(one, two, rtol=bound, atol=bound)


@pytest.mark.parametrize("batch_norm", ["train", "book"])
@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_gan_step(monkeypatch, batch_norm, twice, dtype):
    images = np.random.default_rng(1).random((20, *SHAPE)).astype(dtype)
    rows, seeds = gan.feed(3, images, n_critic=2, batch=BATCH)

    def train():
        models, of_models = networks(dtype, twice), optimizers(dtype)
        before = states(models, ())
        told = []
        for i in range(0, 3, 2):  # two steps in a call, then one
            told += ops.gan_step(
                *models, *of_models, images, rows[i : i + 2], seeds[i : i + 2],
                batch_norm=batch_norm,
            ).values()  # fmt: skip
        assert all(np.any(a != b) for a, b in zip(before, states(models, ()), strict=True))
        return states(models, of_models), told

    assert_alike(*on_both_paths(monkeypatch, train), dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_discriminator_update(monkeypatch, dtype):
    numbers = np.random.default_rng(1)
    real, fake = (numbers.random((n, *SHAPE)).astype(dtype) for n in (9, 6))

    def train():
        (_, model), (optimizer, _) = networks(dtype), optimizers(dtype)
        told = [ops.discriminator_update(model, optimizer, real, fake) for _ in range(2)]
        return states([model], [optimizer]), [x for each in told for x in each.values()]

    assert_alike(*on_both_paths(monkeypatch, train), dtype)


def test_autoencoder_step_is_keras_step(fused):
    """With the mask and the noise of the layers, step by step."""
    with policy("float64"):
        keras.utils.set_random_seed(2)
        layers = [L.GaussianNoise(0.3, seed=1), L.Dense(4, "elu"), L.Dropout(0.25, seed=2)]
        layers += [L.Dense(3), L.LeakyReLU(0.05), L.Dropout(0.5, seed=3), L.Dense(6)]
        model = keras.Sequential([keras.Input((6,)), *layers])
        twin = keras.models.clone_model(model)
        twin.set_weights(model.get_weights())
        optimizer = keras.optimizers.SGD(0.1)
        twin.compile(keras.optimizers.SGD(0.1), lambda y, p: 6 * tf.reduce_mean((y - p) ** 2, -1))
    images = np.random.default_rng(1).random((20, 6))
    rows = np.random.default_rng(2).integers(0, 20, (4, BATCH))
    with policy("float64"):
        losses = [twin.train_on_batch(images[r], images[r]) for r in rows]
    told = ops.autoencoder_step(model, optimizer, images, rows, loss="mean_squared_error")
    np.testing.assert_allclose(told["loss"], losses, rtol=LOGGED)  # Keras logs float32
    for one, two in zip(states([model], []), states([twin], []), strict=True):
        np.testing.assert_allclose(one, two, rtol=OPTIMIZER_FLOAT64, atol=OPTIMIZER_FLOAT64)


def test_players_that_share_seeds_take_stock_operations(monkeypatch):
    monkeypatch.setenv("FASTGEN_BACKEND", "auto")
    drop = L.Dropout(0.5)
    models = [
        keras.Sequential([keras.Input((inputs,)), drop, L.Dense(units, "sigmoid")])
        for inputs, units in [(2, 6), (6, 1)]
    ]
    pairs = zip(models, optimizers("float32"), strict=True)
    assert players.why_not("gan_step", *pairs) == "generator and discriminator share seeds"
