"""The trainers that the benchmarks of models time are right, and wrong ones are refused."""

import contextlib
import dataclasses
import itertools

import numpy as np
import pytest

from benchmarks import trainers, vae
from benchmarks.family import FAMILY
from benchmarks.members import MEMBERS
from tests.tolerances import LOGGED


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


@pytest.mark.parametrize("name", ["fused", pytest.param("keras", marks=pytest.mark.slow)])
def test_trainers_of_keras_are_right(name):
    weights = vae.make_weights()
    vae.check(trainers.load(name, weights), weights)


def test_the_family_is_that_of_the_table():
    assert list(MEMBERS) == list(FAMILY)


@pytest.mark.parametrize("name", ["fused", "keras_20"])
@pytest.mark.parametrize("member", ["denoising_dropout", "sparse_kl"])
def test_trainers_of_autoencoders_are_right(name, member):
    member = MEMBERS[member]
    trainer = member.trainer(name)
    wrong = dataclasses.replace(trainer, loss=lambda images: 1.0001 * trainer.loss(images))
    with pytest.raises(AssertionError, match=f"{name}: loss"):
        member.check(wrong)
    member.check(trainer)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ("tied", "sparse_mse") else [pytest.mark.slow])
        for name in MEMBERS
    ],
)
def test_losses_end_as_those_of_the_twin(name):
    member = MEMBERS[name]._replace(epochs=1)
    losses = member.final_losses(128)
    assert losses["fused"] == pytest.approx(losses["keras"], rel=LOGGED)
