"""A run that was killed, interrupted or stopped, and resumed, ends as one that never was."""

import dataclasses
import json
import os
import shutil
import signal

import keras
import numpy as np
import pytest

from fastgen.training import Run, VAESettings, train_vae
from fastgen.training.checkpoint import Checkpoints

IMAGES = np.random.RandomState(0).randint(0, 256, (43, 8, 6)).astype(np.uint8)
EPOCHS = 3
UNTIMED = {"seconds": 0, "images_per_second": 0}
SMALL = {"epochs": EPOCHS, "batch_size": 8, "codings": 3, "warmup": 2, "seed": 5}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    np.savez(folder / "images.npz", x=IMAGES)
    return train_vae(folder / "images.npz", folder / "out", **SMALL)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("images.npz", x=IMAGES)


def state(run):
    """Weights, noise and optimizer of the last checkpoint, and those of `model.keras`."""
    trained = run.model
    optimizer = [v.numpy() for v in trained.optimizer.variables]
    stored = Run(run.folder).model
    return [[v.numpy() for v in trained.variables], optimizer, [v.numpy() for v in stored.weights]]


def assert_same(run, other):
    for a, b in zip(state(run), state(other), strict=True):
        assert len(a) == len(b) > 2
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
    for a, b in zip(run.history, other.history, strict=True):
        assert {**a, **UNTIMED} == {**b, **UNTIMED}


class At(keras.callbacks.Callback):
    """Does something at the end of a batch of an epoch, both counted from 0."""

    def __init__(self, epoch, batch, action):
        super().__init__()
        self.now, self.when, self.action = None, (epoch, batch), action

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == self.when:
            self.action()


def press():
    signal.raise_signal(signal.SIGINT)


def test_run_writes_what_it_did(whole):
    assert not whole.interrupted and whole.epochs == EPOCHS
    rows = whole.history
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    losses = {"loss", "reconstruction_loss", "kl", "beta"}
    assert {*losses, *(f"val_{name}" for name in losses), "seconds"} <= set(rows[0])
    np.testing.assert_array_less(0, [row["seconds"] for row in rows])
    # 39 images are 5 steps an epoch, of which warming up takes two: means over the steps.
    np.testing.assert_allclose([row["beta"] for row in rows], [0.2, 0.7, 1], rtol=1e-6)
    assert rows[-1]["val_loss"] < rows[0]["val_loss"]
    settings = Run(whole.folder).settings
    assert dataclasses.replace(settings, data="", images="") == VAESettings(data="", **SMALL)
    assert settings.data == str(whole.folder.parent / "images.npz")
    assert len(list(whole.checkpoints.glob("*.index"))) == 2
    assert [row["images_per_second"] for row in rows] == [39 / row["seconds"] for row in rows]
    assert whole.images_per_second == np.mean([row["images_per_second"] for row in rows[1:]])


@pytest.mark.parametrize("kind", ["dense", pytest.param("convolutional", marks=pytest.mark.slow)])
def test_killed_in_the_middle_of_an_epoch(request, start_python, kind):
    code = f"""
import os, signal
from fastgen.training import train_vae
from tests.training.test_vae import At
kill = At(1, 2, lambda: os.kill(os.getpid(), signal.SIGKILL))
train_vae("images.npz", "broken", kind={kind!r}, callbacks=[kill], **{SMALL!r})
"""
    process = start_python(code)
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL
    broken = Run("broken")
    assert broken.epochs == 1 and broken.model.generate(2, seed=1).shape == (2, 8, 6)
    stored = [v.numpy() for v in broken.model.weights]
    assert Checkpoints(broken.checkpoints, broken.model).restore() == 1
    for a, b in zip(stored, broken.model.weights, strict=True):
        np.testing.assert_array_equal(a, b.numpy(), err_msg="model.keras is the checkpoint's")
    if kind == "dense":
        whole = request.getfixturevalue("whole")
    else:
        whole = train_vae("images.npz", "whole", kind=kind, **SMALL)
    assert_same(train_vae(out="broken", resume=True), whole)


@pytest.fixture
def finished(whole):
    """A run of three epochs in `out`."""
    shutil.copytree(whole.folder, "out")


class CrashError(Exception):
    pass


def crash(*arguments, **options):
    raise CrashError


@pytest.mark.parametrize(("target", "name", "rows"), [(Checkpoints, "save", 2), (os, "replace", 1)])
def test_stopped_while_writing(whole, monkeypatch, target, name, rows):
    """A crash between the history and the checkpoint, and before the history's renaming."""
    with monkeypatch.context() as patch, pytest.raises(CrashError):
        arm = At(1, 4, lambda: patch.setattr(target, name, crash))
        train_vae("images.npz", "broken", callbacks=[arm], **SMALL)
    assert Run("broken").epochs == rows
    assert not list(Run("broken").folder.glob("part.*"))
    assert_same(train_vae(out="broken", resume=True), whole)


@pytest.mark.parametrize("when", [pytest.param((0, 0), marks=pytest.mark.slow), (2, 4)])
def test_interrupted(whole, when):
    run = train_vae("images.npz", "broken", callbacks=[At(*when, press)], **SMALL)
    assert run.interrupted and run.epochs == when[0]
    # What is in memory and in model.keras is the state before the epoch that was cut short.
    found = state(run)
    assert Checkpoints(run.checkpoints, run.model).restore() == when[0]
    for a, b in zip(found, state(run), strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
    stored = {v.path: v.numpy() for v in Run("broken").model.weights}
    for v in run.model.weights:
        np.testing.assert_array_equal(v.numpy(), stored[v.path])
    resumed = train_vae(out="broken", resume=True)
    assert not resumed.interrupted
    assert_same(resumed, whole)


def test_more_epochs(whole):
    train_vae("images.npz", "out", **{**SMALL, "epochs": 1})
    assert_same(train_vae(out="out", resume=True, epochs=EPOCHS), whole)
    assert Run("out").settings.epochs == EPOCHS


def test_last_checkpoint_is_damaged(finished, whole):
    (path,) = Run("out").checkpoints.glob("epoch-3.data*")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.warns(RuntimeWarning, match="epoch-3 is damaged; going on from .*epoch-2$"):
        run = train_vae(out="out", resume=True)
    assert_same(run, whole)


def test_loss_that_is_not_finite(finished):
    nan = At(EPOCHS, 1, lambda: nan.model.decoder.weights[-1].assign(np.full(48, np.nan)))
    with pytest.raises(ValueError, match="the loss of epoch 4 is not finite"):
        train_vae(out="out", resume=True, epochs=5, callbacks=[nan])
    run = Run("out")
    assert run.epochs == EPOCHS and np.all(np.isfinite(run.model.generate(4, seed=1)))
    assert train_vae(out="out", resume=True).epochs == 5


@pytest.mark.parametrize("end", ["interrupted", "diverged"])
def test_run_without_an_epoch_is_replaced(whole, end):
    if end == "interrupted":
        train_vae("images.npz", "out", callbacks=[At(0, 1, press)], **{**SMALL, "codings": 4})
    else:
        with pytest.raises(ValueError, match="the loss of epoch 1 is not finite"):
            train_vae("images.npz", "out", **{**SMALL, "warmup": 0, "learning_rate": 1e30})
    assert Run("out").epochs == 0
    assert_same(train_vae("images.npz", "out", **SMALL), whole)


def test_history_that_is_damaged_or_gone(finished):
    path = Run("out").folder / "history.csv"
    text = path.read_bytes()
    lines = text.splitlines(keepends=True)
    cases = {
        text[:-60]: "is damaged: ",  # in the middle of a row
        text + b"1,2,3\n": "is damaged: ",
        b"".join([lines[0], *lines[2:]]): "is damaged: its epochs must be 1, 2, 3",
        b"".join(lines[:-1]): r"is damaged: it must have 3 epochs, .* Received: 2",
        b"": r"is damaged: it must have 3 epochs, .* Received: 0",
        text.replace(b",", b"\xff,"): "is damaged: ",
        text.replace(b"0.", b"zero", 1): "is damaged: ",
    }
    for damaged, message in cases.items():
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"history\.csv {message}"):
            train_vae(out="out", resume=True)
        assert path.read_bytes() == damaged
    path.unlink()
    with pytest.raises(ValueError, match=r"history\.csv is missing"):
        train_vae(out="out", resume=True)
    with pytest.raises(ValueError, match="out already holds a run"):
        train_vae("images.npz", "out", **SMALL)


def test_resuming_with_other_settings(finished):
    np.savez("other.npz", x=IMAGES[::-1])
    cases = {
        ("codings", 4): r"the run in out has codings=3\. Received: codings=4",
        ("seed", 1): r"the run in out has seed=5\. Received: seed=1",
        ("kind", "convolutional"): "the run in out has kind='dense'. Received: kind='conv",
        ("learning_rate", 0.1): r"the run in out has learning_rate=0.001\. Received",
        ("data", "other.npz"): "trained on other images, those of .*images.npz. Received: .*other",
        ("data", "digits"): "trained on other images, those of .*images.npz. Received: digits",
    }
    for given, message in cases.items():
        with pytest.raises(ValueError, match=message):
            train_vae(out="out", resume=True, **dict([given]))
    with pytest.raises(ValueError, match=r"has done 3 epochs\. Received: epochs=2"):
        train_vae(out="out", resume=True, epochs=2)


def test_same_images_by_another_name(finished):
    settings = Run("out").settings
    Run("out").settings = dataclasses.replace(settings, data="gone.npz")
    with pytest.raises(FileNotFoundError):
        train_vae(out="out", resume=True)
    assert train_vae("images.npz", "out", resume=True, **SMALL).epochs == EPOCHS
    assert Run("out").settings.data == os.path.abspath("images.npz")


def test_folders(finished):
    with pytest.raises(ValueError, match="out already holds a run"):
        train_vae("images.npz", "out", **SMALL)
    with pytest.raises(ValueError, match="empty holds no checkpoint to resume"):
        train_vae("images.npz", "empty", resume=True)
    assert not os.path.exists("empty")
    with Run("out").lock(), pytest.raises(ValueError, match="another process is training in out"):
        train_vae(out="out", resume=True)
    with open("out/config.json", "w") as file:
        json.dump({"codings": "many"}, file)
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        train_vae(out="out", resume=True)


def test_arrays():
    x = IMAGES / np.float32(255)
    arrays = x[:30], x[30:]
    train_vae(arrays, "out", **{**SMALL, "epochs": 1})
    assert train_vae(arrays, "out", resume=True, epochs=2).epochs == 2
    with pytest.raises(ValueError, match="trained on arrays: give them again"):
        train_vae(out="out", resume=True)
    with pytest.raises(ValueError, match="one image at least is needed for validation"):
        train_vae((x, x[:0]), "new")
    with pytest.raises(ValueError, match=r"training data in \[0, 1\]; divide by 255 first"):
        train_vae((IMAGES, x), "new")
    with pytest.raises(ValueError, match=r"validation data must be images of shape \(n, 8, 6\)"):
        train_vae((x, x[:, :4]), "new")
    assert not os.path.exists("new")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": 0}, r"epochs must be an integer ≥ 1\. Received: 0"),
        ({"batch_size": 2.5}, "batch_size must be an integer"),
        ({"seed": 2**32}, r"seed must be below 2\*\*32"),
        ({"beta": -1}, r"beta must be a number ≥ 0\. Received: -1"),
        ({"warmup": float("inf")}, "warmup must be a number"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"kind": "deep"}, "kind must be one of dense, convolutional"),
    ],
)
def test_settings_out_of_range(setting, message):
    with pytest.raises(ValueError, match=message):
        train_vae("images.npz", "out", **setting)
    assert not os.path.exists("out")


def test_unknown_setting():
    with pytest.raises(TypeError, match="unknown setting 'colour'"):
        train_vae("images.npz", "out", colour="red")
