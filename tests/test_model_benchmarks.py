"""The trainers that the benchmarks of models time are right, and wrong ones are refused."""

import contextlib
import itertools

import numpy as np
import pytest

from benchmarks import autoencoders, trainers, vae


class NumpyTrainer:
    """What benchmarks/vae.py states, as a trainer: right, or wrong by a factor."""

    name = "numpy"

    def __init__(self, loss=1.0, generated=1.0, epochs=(0.9, 0.8, 0.7)):
        self.weights, self.seed = vae.make_weights(), itertools.count(100)
        self.wrong, self.generated, self.epochs = loss, generated, iter(epochs)

    def loss(self, images):
        return self.wrong * next(vae.losses(self.weights, images, draws=1, seed=next(self.seed)))

    def generate(self, count):
        z = np.random.default_rng(next(self.seed)).standard_normal((count, vae.CODINGS))
        return self.generated / (1 + np.exp(-vae.decode(self.weights, z)))

    def epoch(self, images, batch_size):
        return 500 * next(self.epochs)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        ({}, None),
        ({"loss": 1.02}, "numpy: loss"),
        ({"generated": 0.95}, "generated images"),
        ({"epochs": (0.7, 0.8, 0.9)}, "numpy: losses"),
    ],
)
def test_a_wrong_trainer_is_red_before_it_is_timed(spoil, error):
    trainer = NumpyTrainer(**spoil)
    expected = pytest.raises(AssertionError, match=error) if error else contextlib.nullcontext()
    with expected:
        vae.check(trainer, trainer.weights)


@pytest.mark.parametrize("name", ["fused", "keras"])
def test_trainers_of_keras_are_right(name):
    weights = vae.make_weights()
    vae.check(trainers.load(name, weights), weights)


@pytest.mark.parametrize("name", ["fused", "keras_20"])
@pytest.mark.parametrize("model", autoencoders.MODELS.values(), ids=[*autoencoders.MODELS])
def test_trainers_of_autoencoders_are_right(name, model):
    weights = model.make_weights()
    trainer = trainers.load(name, weights, model)
    with pytest.raises(AssertionError, match=f"{name}: loss"):
        model.check(trainer, [1.01 * w for w in weights])
    model.check(trainer, weights)
