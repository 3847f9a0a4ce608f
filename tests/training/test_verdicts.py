"""What has memorised and what copies is said, by name and in numbers; of healthy models nothing."""

import keras
import numpy as np
import pytest

import fastgen
import fastgen.data
from fastgen import models
from fastgen.training import Verdicts, judge
from fastgen.training.verdicts import noise_like
from tests.tolerances import LOGGED, SIGMAS

(X, _), (VALID, _) = fastgen.data.load("digits")
slow = pytest.mark.slow


def trained(kind, x=X, epochs=20, seed=0, **options):
    model = models.AUTOENCODERS[kind](seed=seed, **options)
    model.compile()
    model.fit(x, epochs=epochs, verbose=0)
    return model


def names(model, x=X):
    return [verdict.name for verdict in judge(model, x, VALID)]


def test_memorised():
    """The criterion: wide and deep, 32 images."""
    model = trained("stacked", X[:32], 600, codings=100, hidden=(300, 200))
    model.optimizer.learning_rate = 1e-4
    model.fit(X[:32], epochs=300, verbose=0)
    assert model.evaluate(X[:32], verbose=0) < 1e-4
    (verdict,) = judge(model, X[:32], VALID)
    assert verdict.name == "overfit" and str(verdict).startswith("overfit: the model has memorised")
    train, valid = verdict.numbers["train"], verdict.numbers["valid"]
    assert f"{valid:.1%} of the variance on validation data, {100 * train:.2g}% on" in str(verdict)
    assert valid > 0.1 and valid > 20 * train
    error = np.mean((model.predict(VALID, verbose=0) - VALID) ** 2)
    np.testing.assert_allclose(valid, error / X[:32].var(axis=0).mean(), rtol=LOGGED)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=slow), pytest.param(2, marks=slow)])
def test_overcomplete_without_a_constraint_copies(seed):
    (verdict,) = judge(trained("overcomplete", epochs=8, seed=seed), X, VALID)
    assert verdict.name == "copy" and verdict.numbers["noise"] < 0.2


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=slow)])
@pytest.mark.parametrize(
    "kind",
    ["stacked", "sparse", *(pytest.param(k, marks=slow) for k in ("denoising", "tied", "linear"))],
)
def test_healthy(kind, seed):
    options = {"input_shape": (28, 28), "codings": 30} if kind == "linear" else {}
    assert names(trained(kind, epochs=40, seed=seed, **options)) == []


def test_untrained_and_constant():
    model = models.stacked_autoencoder(seed=1)
    assert names(model) == [] and names(model, X[:1]) == []
    assert judge(model, np.ones((5, 28, 28)), VALID) == []
    model.decoder.weights[-1].assign(np.full(784, np.nan))
    assert names(model) == []  # diverged: nothing that could be compared


def test_any_keras_model():
    copy = keras.Sequential([keras.Input((28, 28)), keras.layers.Identity()])
    (verdict,) = judge(copy, X, VALID)
    assert verdict.name == "copy" and verdict.numbers == {"valid": 0, "noise": 0}


def test_noise_is_like_the_data_but_in_its_directions():
    rng = np.random.default_rng(1)
    x = 5 + rng.standard_normal((4000, 3)) * [3.0, 1.0, 0.0] @ np.linalg.qr(np.eye(3) + 0.3)[0]
    noise = noise_like(x, 4000, seed=0)
    sem = 3 / np.sqrt(4000)
    np.testing.assert_allclose(noise.mean(0), x.mean(0), atol=SIGMAS * sem)
    spread = SIGMAS * np.sqrt(2 / 4000)  # of a variance
    np.testing.assert_allclose(noise.var(0).mean(), x.var(0).mean(), rtol=spread)
    sizes = np.linalg.svd(noise - noise.mean(0))[1] / np.sqrt(4000)
    np.testing.assert_allclose(sizes[:2], np.sqrt(5), rtol=spread)  # alike, where x has 3 and 1
    assert sizes[2] < 0.2 and noise.min() >= x.min() and noise.max() <= x.max()
    np.testing.assert_array_equal(noise, noise_like(x, 4000, seed=0))
    assert not np.array_equal(noise, noise_like(x, 4000, seed=1))


def test_callback_warns_and_stops():
    x = X[:64, 10:18, 10:18]
    model = models.overcomplete_autoencoder((8, 8), activation="linear", seed=1)
    model.compile(fastgen.optimizers.Nadam(0.01))
    verdicts = Verdicts(x, VALID[:, 10:18, 10:18], every=20, stop=True)
    with pytest.warns(RuntimeWarning, match="copy: the model copies whatever it gets"):
        history = model.fit(x, epochs=400, verbose=0, callbacks=[verdicts])
    assert len(history.epoch) < 400 and len(history.epoch) % 20 == 0
    assert [verdict.name for verdict in verdicts.verdicts] == ["copy"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((X[:0], VALID), r"x_train must hold inputs \(n, \.\.\.\)\. Received: shape \(0, 28, 28\)"),
        ((X, VALID[:0]), "x_valid must hold inputs"),
        ((X, VALID[:, :9]), r"inputs of one shape\. Received: .* and \(180, 9, 28\)"),
        ((X * np.nan, VALID), r"x_train must be finite\. Received: float32 from nan to nan"),
        ((X, VALID.astype(str)), r"x_valid must hold numbers\. Received: <U"),
    ],
)
def test_refused(arrays, message):
    with pytest.raises(ValueError, match=message):
        judge(models.stacked_autoencoder(), *arrays)
    with pytest.raises(ValueError, match="every must be an integer ≥ 1"):
        Verdicts(*arrays, every=0)


def test_a_classifier_is_no_autoencoder():
    layers = [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10)]
    with pytest.raises(ValueError, match=r"of its inputs, \(809, 28, 28\)\. Received: \(809, 10\)"):
        judge(keras.Sequential(layers), X, VALID)


@pytest.mark.parametrize("dtype", ["uint8", "float16"])
def test_numbers_of_small_types(dtype):
    copy = keras.Sequential([keras.Input((28, 28)), keras.layers.Identity()])
    (verdict,) = judge(copy, *((255 * x).astype(dtype) for x in (X, VALID)))
    assert verdict.numbers["noise"] < 1e-3 and type(verdict.numbers["noise"]) is float
