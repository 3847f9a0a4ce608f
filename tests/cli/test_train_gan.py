"""`fastgen train gan`, and the commands that take its folder."""

import dataclasses
import inspect
import os
import shutil
import signal

import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from fastgen import evaluation
from fastgen.cli import app
from fastgen.cli.train import gan
from fastgen.training import GANSettings, Run
from fastgen.training.stopwatch import Stopwatch

IMAGES = np.random.RandomState(0).randint(0, 256, (20, 8, 4)).astype(np.uint8)
ARGUMENTS = ["--epochs", "2", "--batch-size", "8", "--codings", "3"]
KINDS = {"dense": [], "dcgan": ["--kind", "dcgan", "--batch-norm", "book", "--optimizer", "adam"]}


@pytest.fixture(scope="module", params=KINDS)
def trained(request, tmp_path_factory):
    """What a small training printed, and its folder."""
    folder = tmp_path_factory.mktemp("trained")
    np.savez(folder / "images.npz", x=IMAGES)
    where = ["--data", str(folder / "images.npz"), "--out", str(folder / "out")]
    result = CliRunner().invoke(app, ["train", "gan", *where, *ARGUMENTS, *KINDS[request.param]])
    assert result.exit_code == 0, result.output
    return result.output, folder / "out"


@pytest.fixture
def run(trained, invoke):
    """A copy of the small training, in the folder `out`."""
    shutil.copytree(trained[1], "out")
    return Run("out")


def test_output_and_folder(trained):
    output, folder = trained
    rows = Run(folder).history
    assert "3 steps an epoch, 2 epochs" in output and "Losses are cross-entropies" in output
    for row in rows:
        assert f"epoch {row['epoch']}  discriminator {row['discriminator_loss']:.3f} (" in output
    files = {"config.json", "history.csv", "history.png", "model.keras", "samples.png"}
    assert {path.name for path in folder.iterdir()} == {".lock", "checkpoints", "grids", *files}
    grids = sorted((folder / "grids").iterdir())
    assert [path.name for path in grids] == ["epoch-0001.png", "epoch-0002.png"]
    # The same codings each time: the last grid is that of the model as it ended.
    assert grids[1].read_bytes() == (folder / "samples.png").read_bytes()
    assert grids[0].read_bytes() != grids[1].read_bytes()
    assert imread(grids[1]).std() > 0.01


def test_defaults_are_those_of_the_settings():
    declared = inspect.signature(gan).parameters
    for field in dataclasses.fields(GANSettings):
        if field.name != "images":
            assert declared[field.name].default == field.default, field.name


def test_resume(run, invoke):
    before = run.history
    result = invoke("train", "gan", "--out", "out", "--resume", "--epochs", "3")
    assert result.exit_code == 0, result.output
    assert run.history[:2] == before and run.epochs == 3
    assert "epoch 3  disc" in result.output and "epoch 2  disc" not in result.output
    assert os.path.exists("out/grids/epoch-0003.png")


def test_other_commands(run, invoke, assert_one_line, monkeypatch):
    assert invoke("sample", "out", "--count", "64", "--out", "new.png").exit_code == 0
    assert np.array_equal(imread("new.png"), imread("out/samples.png"))
    assert_one_line(invoke("interpolate", "out"), "model must have encode")
    assert_one_line(invoke("train", "vae", "--resume", "--out", "out"), "a run of model 'gan'")
    seen = []

    def features(images):
        seen.append((images.min(), images.max()))
        return np.asarray(images, "float32").reshape(len(images), -1)[:, :8]

    features.accuracy = 1.0
    monkeypatch.setattr(evaluation, "feature_extractor", lambda *arguments: features)
    np.savez("more.npz", x=np.repeat(IMAGES, 10, axis=0))
    result = invoke("evaluate", "out", "--data", "more.npz", "--count", "30")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Beside 20 validation images")
    assert all(0 <= low < 0.5 < high <= 1 for low, high in seen)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "-1"], "epochs must be an integer ≥ 1. Received: -1"),
        (["--kind", "deep"], "kind must be one of dense, dcgan. Received: 'deep'"),
        (["--optimizer", "sgd"], "optimizer must be one of rmsprop, adam. Received: 'sgd'"),
        (["--n-critic", "0"], "n_critic must be an integer ≥ 1. Received: 0"),
        (["--label-smoothing", "2"], "label_smoothing must be a number ≥ 0 and ≤ 1"),
        (["--batch-size", "many"], "Invalid value for '--batch-size'"),
        (["--kind", "dcgan"], "height and width multiples of 4"),  # of images of 6 x 5
        (["--resume"], "fastgen-gan holds no checkpoint to resume"),
        (["--learning-rate", "1e30"], "the loss of epoch 1 is not finite"),
    ],
)
def test_wrong_arguments(invoke, assert_one_line, arguments, message):
    assert_one_line(invoke("train", "gan", "--data", "images.npz", *arguments), message)
    assert os.path.exists("fastgen-gan") == ("1e30" in arguments)


def test_interrupt(invoke, monkeypatch):
    """Ctrl-C in the second epoch: the first one stays, and can be used and resumed."""
    begin = Stopwatch.on_epoch_begin

    def press(self, epoch, logs=None):
        begin(self, epoch, logs)
        if epoch == 1:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Stopwatch, "on_epoch_begin", press)
        result = invoke("train", "gan", "--data", "images.npz", *ARGUMENTS)
    assert result.exit_code == 130
    assert result.stderr == "Interrupted after 1 of 2 epochs; --resume goes on from there.\n"
    assert os.listdir("fastgen-gan/grids") == ["epoch-0001.png"]
    assert invoke("train", "gan", "--resume").exit_code == 0
    assert Run("fastgen-gan").epochs == 2


def test_images_that_cannot_be_shown(invoke):
    np.savez("two.npz", x=IMAGES[..., None].repeat(2, axis=-1))
    result = invoke("train", "gan", "--data", "two.npz", "--epochs", "1", "--out", "out")
    assert result.exit_code == 0, result.output
    assert "No pictures: the images have 2 channels" in result.output
    assert not os.path.exists("out/grids")
