"""A run of a GAN that was killed, interrupted or stopped, and resumed, ends as one never was."""

import json
import os
import signal

import numpy as np
import pytest

from fastgen.training import GANSettings, Run, train_gan_run, train_vae
from fastgen.training.checkpoint import Checkpoints
from tests.training.test_vae import UNTIMED, At, press

IMAGES = np.random.RandomState(0).randint(0, 256, (43, 8, 4)).astype(np.uint8)
EPOCHS = 3
SMALL = {"epochs": EPOCHS, "batch_size": 8, "codings": 3, "seed": 5}
KINDS = {
    "dense": {},
    "dcgan": {"kind": "dcgan", "batch_norm": "book", "n_critic": 2, "optimizer": "adam"},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Runs that nothing stopped, made as they are asked for."""
    folder, made = tmp_path_factory.mktemp("whole"), {}
    np.savez(folder / "images.npz", x=IMAGES)

    def run(kind):
        if kind not in made:
            made[kind] = train_gan_run(folder / "images.npz", folder / kind, **settings(kind))
        return made[kind]

    return run


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("images.npz", x=IMAGES)


def settings(kind):
    return {**SMALL, **KINDS[kind]}


def state(run):
    """Weights, moving averages, seeds, slots and telemetry; and what `model.keras` has of them."""
    model = run.model
    slots = [v.numpy() for optimizer in model.optimizers for v in optimizer.variables]
    stored = [v.numpy() for v in Run(run.folder).model.weights]
    return [v.numpy() for v in model.variables], slots, stored


def assert_same(run, other):
    for a, b in zip(state(run), state(other), strict=True):
        assert len(a) == len(b) > 2
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
    assert len(run.history) == len(other.history) == EPOCHS
    for a, b in zip(run.history, other.history, strict=True):
        assert {**a, **UNTIMED} == {**b, **UNTIMED}


@pytest.mark.parametrize("kind", KINDS)
def test_run_writes_what_it_did(whole, kind):
    run = Run(whole(kind).folder)
    assert run.epochs == EPOCHS and not whole(kind).interrupted
    assert {"discriminator_loss", "pairwise_distance", "seconds"} <= set(run.history[0])
    expected = GANSettings(**settings(kind), data=run.settings.data, images=run.settings.images)
    assert run.settings == expected
    low, high = run.model.value_range
    assert (low, high) == {"dense": (0, 1), "dcgan": (-1, 1)}[kind]
    images = run.model.generate(3, seed=1)
    assert images.shape == (3, 8, 4) and low <= images.min() < images.max() <= high
    assert np.array_equal(images, whole(kind).model.generate(3, seed=1))


@pytest.mark.parametrize("kind", ["dense", pytest.param("dcgan", marks=pytest.mark.slow)])
def test_killed_in_the_middle_of_an_epoch(whole, start_python, kind):
    """With a hook on batches each step is a call of its own; without, as `whole`, an epoch is."""
    code = f"""
import os, signal
from fastgen.training import train_gan_run
from tests.training.test_vae import At
kill = At(1, 2, lambda: os.kill(os.getpid(), signal.SIGKILL))
train_gan_run("images.npz", "broken", callbacks=[kill], **{settings(kind)!r})
"""
    process = start_python(code)
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL
    assert Run("broken").epochs == 1
    assert_same(train_gan_run(out="broken", resume=True), whole(kind))


def test_interrupted(whole):
    run = train_gan_run("images.npz", "broken", callbacks=[At(2, 1, press)], **settings("dense"))
    assert run.interrupted and run.epochs == 2
    found = state(run)
    assert Checkpoints(run.checkpoints, run.model).restore() == 2
    for a, b in zip(found, state(run), strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
    assert_same(train_gan_run(out="broken", resume=True), whole("dense"))


def test_more_epochs(whole):
    train_gan_run("images.npz", "out", **{**settings("dense"), "epochs": 1})
    assert_same(train_gan_run(out="out", resume=True, epochs=EPOCHS), whole("dense"))


@pytest.mark.parametrize("kind", ["dense", pytest.param("dcgan", marks=pytest.mark.slow)])
def test_loss_that_is_not_finite(kind):
    nan = At(1, 1, lambda: nan.model.discriminator.weights[-1].assign([np.nan]))
    with pytest.raises(ValueError, match="the loss of epoch 2 is not finite; out holds the state"):
        train_gan_run("images.npz", "out", callbacks=[nan], **settings(kind))
    run = Run("out")
    assert run.epochs == 1 and np.all(np.isfinite(run.model.generate(4, seed=1)))
    assert train_gan_run(out="out", resume=True).epochs == EPOCHS


def test_resuming_with_other_settings_or_as_another_model():
    train_gan_run("images.npz", "out", **{**settings("dense"), "epochs": 1})
    cases = {
        ("codings", 4): r"the run in out has codings=3\. Received: codings=4",
        ("optimizer", "adam"): "the run in out has optimizer='rmsprop'. Received: optimizer='adam'",
        ("data", "digits"): "trained on other images, those of .*images.npz. Received: digits",
    }
    for given, message in cases.items():
        with pytest.raises(ValueError, match=message):
            train_gan_run(out="out", resume=True, **dict([given]))
    with pytest.raises(ValueError, match="out holds a run of model 'gan'. Received: 'vae'"):
        train_vae(out="out", resume=True)
    with open("out/config.json") as file:
        kept = json.load(file)
    for damage in ({**kept, "model": "cat"}, [kept], 5):
        with open("out/config.json", "w") as file:
            json.dump(damage, file)
        with pytest.raises(ValueError, match=r"config\.json is damaged"):
            train_gan_run(out="out", resume=True)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"n_critic": 0}, r"n_critic must be an integer ≥ 1\. Received: 0"),
        ({"label_smoothing": 0.5, "label_noise": 0.6}, "together. Received: 0.5 and 0.6"),
        ({"label_smoothing": 1.5}, r"label_smoothing must be a number ≥ 0 and ≤ 1\. Received: 1.5"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"kind": "deep"}, "kind must be one of dense, dcgan"),
        ({"optimizer": "sgd"}, "optimizer must be one of rmsprop, adam"),
        ({"batch_norm": "none"}, "batch_norm must be one of train, book"),
    ],
)
def test_settings_out_of_range(setting, message):
    with pytest.raises(ValueError, match=message):
        train_gan_run("images.npz", "out", **setting)
    assert not os.path.exists("out")


def test_images_that_a_dcgan_cannot_halve():
    np.savez("odd.npz", x=IMAGES[:, :6, :])
    with pytest.raises(ValueError, match="height and width multiples of 4"):
        train_gan_run("odd.npz", "out", kind="dcgan")
    assert not os.path.exists("out")
