import dataclasses
import errno
import inspect
import os
import shutil
import signal

import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

import fastgen
from fastgen.cli import app
from fastgen.cli.train import vae
from fastgen.cli.vae_report import units_line
from fastgen.training import Run, VAESettings
from fastgen.training.stopwatch import Stopwatch
from tests.cli.conftest import IMAGES

PICTURES = {
    f"{name}.png"
    for name in ("contact_sheet", "interpolation", "latent_map", "reconstructions", "samples")
}
ARGUMENTS = ["--epochs", "2", "--batch-size", "4", "--codings", "3", "--warmup", "1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What a small training printed, and its folder."""
    folder = tmp_path_factory.mktemp("trained")
    np.savez(folder / "images.npz", x=IMAGES, y=np.arange(10))
    where = ["--data", str(folder / "images.npz"), "--out", str(folder / "deep" / "out")]
    result = CliRunner().invoke(app, ["train", "vae", *where, *ARGUMENTS])
    assert result.exit_code == 0, result.output
    return result.output, folder / "deep" / "out"


@pytest.fixture
def run(trained, invoke):
    """A copy of the small training, in the folder `out`."""
    shutil.copytree(trained[1], "out")
    return Run("out")


def test_output(trained):
    output, folder = trained
    rows = Run(folder).history
    assert "3 steps an epoch, 2 epochs" in output
    for row in rows:
        assert f"epoch {row['epoch']}  loss {row['loss']:.2f} = reconstruction" in output
        assert f"validation {row['val_loss']:.2f}, " in output
        assert f"× KL {row['kl']:.2f}" in output
    assert "Loss in nats per image" in output and "2 epochs, " in output
    assert "codings active" not in output  # one validation image has no variance


def test_folder(trained):
    found = {path.name for path in trained[1].iterdir()}
    assert found == {".lock", "checkpoints", "config.json", "history.csv", "model.keras", *PICTURES}
    for name in PICTURES:
        assert imread(trained[1] / name).std() > 0.01


def test_defaults_are_those_of_the_settings():
    declared = inspect.signature(vae).parameters
    for field in dataclasses.fields(VAESettings):
        if field.name != "images":
            assert declared[field.name].default == field.default, field.name


def test_resume(run, invoke):
    before = run.history
    result = invoke("train", "vae", "--out", "out", "--resume", "--epochs", "3")
    assert result.exit_code == 0, result.output
    assert run.history[:2] == before and run.epochs == 3
    assert "epoch 3  loss" in result.output and "epoch 2  loss" not in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "epochs must be an integer ≥ 1. Received: 0"),
        (["--epochs", "1"], "the run in out has done 2 epochs. Received: epochs=1"),
        (["--codings", "4"], "the run in out has codings=3. Received: codings=4"),
        (["--kind", "convolutional"], "the run in out has kind='dense'. Received: kind='conv"),
        (["--data", "digits"], "trained on other images, those of"),
        (["--out", "nonesuch"], "nonesuch holds no checkpoint to resume"),
    ],
)
def test_wrong_arguments_of_resume(run, invoke, assert_one_line, arguments, message):
    assert_one_line(invoke("train", "vae", "--resume", "--out", "out", *arguments), message)
    assert not os.path.exists("nonesuch")


def test_folder_that_holds_a_run(run, invoke, assert_one_line):
    result = invoke("train", "vae", "--data", "images.npz", "--out", "out")
    assert_one_line(result, "out already holds a run: resume it, or choose another folder")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "-1"], "epochs must be an integer ≥ 1. Received: -1"),
        (["--batch-size", "many"], "Invalid value for '--batch-size'"),
        (["--nonesuch"], "No such option: --nonesuch"),
        (["--seed", "4294967296"], "seed must be below 2**32"),
        (["--kind", "deep"], "kind must be one of dense, convolutional. Received: 'deep'"),
        (["--learning-rate", "nan"], "learning_rate must be a number ≥ 0"),
        (["--data", "nonesuch.npz"], "nonesuch.npz: " + os.strerror(errno.ENOENT)),
        (["--data", "one.npz"], "one image at least is needed for validation"),
        (["--out", "images.npz"], "--out must be a folder. Received: images.npz"),
    ],
)
def test_wrong_arguments(invoke, assert_one_line, arguments, message):
    np.savez("one.npz", x=IMAGES[:1])
    data = [] if "--data" in arguments else ["--data", "images.npz"]
    assert_one_line(invoke("train", "vae", *data, *arguments), message)
    assert not os.path.exists("fastgen-vae")


@pytest.mark.parametrize("arguments", [["train"], ["train", "gam"], []])
def test_no_command(invoke, arguments):
    result = invoke(*arguments)
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert ("Usage" in result.output) == (arguments != ["train", "gam"])


def test_without_tensorflow(invoke, assert_one_line, monkeypatch):
    monkeypatch.setattr(fastgen.native, "tensorflow_version", lambda: None)
    for command in (["train", "vae"], ["sample", "m"], ["interpolate", "m"], ["evaluate", "m"]):
        assert_one_line(invoke(*command), "pip install 'fastgen[cpu]'")


def test_interrupt_before_the_training(invoke, monkeypatch):
    def press(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastgen.data.load", press)
    result = invoke("train", "vae", "--data", "images.npz")
    assert result.exit_code == 130 and result.stderr == "Interrupted.\n"
    assert not os.path.exists("fastgen-vae")


def test_interrupt(invoke, monkeypatch):
    """Ctrl-C in the second epoch: the first one stays, and can be used and resumed."""
    begin = Stopwatch.on_epoch_begin

    def press(self, epoch, logs=None):
        begin(self, epoch, logs)
        if epoch == 1:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Stopwatch, "on_epoch_begin", press)
        result = invoke("train", "vae", "--data", "images.npz", *ARGUMENTS)
    assert result.exit_code == 130
    assert result.stderr == "Interrupted after 1 of 2 epochs; --resume goes on from there.\n"
    assert "epoch 2" not in result.stdout
    assert invoke("sample", "fastgen-vae", "--out", "new.png").exit_code == 0
    assert invoke("train", "vae", "--resume").exit_code == 0
    assert Run("fastgen-vae").epochs == 2


def test_real_interrupt(start_python, tmp_path):
    """One real Ctrl-C in the middle of a training with a bar."""
    np.savez(tmp_path / "images.npz", x=IMAGES)
    code = f"""
import os, sys
os.chdir({str(tmp_path)!r})
from fastgen.cli import main
sys.argv = "fastgen train vae --data images.npz --epochs 1000000 --batch-size 1".split()
main()
"""
    process = start_python(code, FORCE_COLOR="1")
    while "epoch 1 " not in " ".join(process.stdout.readline().split()):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130 and "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("Interrupted after ")
    run = Run(tmp_path / "fastgen-vae")
    assert run.epochs >= 1 and run.model.generate(1).shape == (1, 6, 5)


def test_images_that_cannot_be_shown(invoke):
    np.savez("two.npz", x=IMAGES[..., None].repeat(2, axis=-1))
    result = invoke("train", "vae", "--data", "two.npz", "--epochs", "1", "--out", "out")
    assert result.exit_code == 0, result.output
    assert "1 epoch, " in result.output
    assert "No pictures: the images have 2 channels" in result.output
    assert Run("out").model.generate(1).shape == (1, 6, 5, 2)


def test_collapsed_codings_are_named():
    report = {
        "active": np.array([True, False, True, False]),
        "mean": np.array([0.1, 0, -0.25, 0]),
        "std": np.array([0.9, 1, 1.1, 1]),
    }
    assert units_line(report) == (
        "2 of 4 codings active; aggregate posterior: |mean| up to 0.25, std 0.90 to 1.10; "
        "1, 3 carry nothing: try a smaller --beta or a --warmup"
    )
