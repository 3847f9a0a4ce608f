import dataclasses
import inspect

import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from fastgen.cli import app
from fastgen.cli.autoencoder_report import epoch_line
from fastgen.cli.train import ae
from fastgen.models import AUTOENCODERS, Autoencoder
from fastgen.training import AutoencoderSettings, Run
from tests.cli.conftest import IMAGES

PICTURES = {"filters.png", "latent_map.png", "reconstructions.png"}
KIND = ["--kind", "sparse", "--penalty", "l1", "--weight", "0.01", "--codings", "7"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What a small training printed, and its folder."""
    folder = tmp_path_factory.mktemp("trained")
    np.savez(folder / "images.npz", x=IMAGES, y=np.arange(10))
    where = ["--data", str(folder / "images.npz"), "--out", str(folder / "out")]
    result = CliRunner().invoke(app, ["train", "ae", *where, "--epochs", "2", *KIND])
    assert result.exit_code == 0, result.output
    return result.output, folder / "out"


def test_output(trained):
    output, folder = trained
    for row in Run(folder).history:
        line = (
            f"epoch {row['epoch']}  loss {row['loss']:.4f}, validation {row['val_loss']:.4f}, act"
        )
        assert line in output
        assert f"│ {row['loss']:.4f} │" in output
    assert "1 steps an epoch, 2 epochs" in output and "2 epochs, " in output
    found = {path.name for path in folder.iterdir()}
    assert found == {".lock", "checkpoints", "config.json", "history.csv", "model.keras", *PICTURES}
    assert all(imread(folder / name).std() > 0.01 for name in PICTURES)
    assert Run(folder).settings.options == {"codings": 7, "penalty": "l1", "weight": 0.01}
    assert type(Run(folder).model) is Autoencoder


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("denoising", {*PICTURES, "denoising.png"}),
        pytest.param("recurrent", PICTURES - {"filters.png"}, marks=pytest.mark.slow),
    ],
)
def test_pictures_of_a_kind(invoke, tmp_path, kind, expected):
    result = invoke("train", "ae", "--data", "images.npz", "--epochs", "1", "--kind", kind)
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "fastgen-ae").glob("*.png")} == expected


def test_resume_and_other_commands(trained, invoke, assert_one_line):
    run = Run(trained[1])
    before, out = run.history, str(trained[1])
    result = invoke("train", "ae", "--resume", "--out", out, "--epochs", "3")
    assert result.exit_code == 0, result.output
    assert run.history[:2] == before and run.epochs == 3
    assert_one_line(invoke("train", "ae", "--resume", "--out", out, "--kind", "tied"), "Error: ")
    assert_one_line(invoke("train", "vae", "--resume", "--out", out), "holds a run of model 'auto")
    for command in ("sample", "evaluate"):
        assert_one_line(invoke(command, out), "from a model's prior, which an autoencoder has not")
    result = invoke("interpolate", out, "--data", "images.npz", "--to", "0")
    assert result.exit_code == 0 and imread("interpolation.png").std() > 0.01


def test_verdicts_are_printed(invoke):
    x = np.random.RandomState(0).randint(0, 256, (60, 6, 5)).astype(np.uint8)
    np.savez("noise.npz", x=x)  # of which nothing can be learned but by heart
    many = ["--data", "noise.npz", "--epochs", "50", "--batch-size", "4", "--codings", "60"]
    result = invoke("train", "ae", *many)
    assert result.exit_code == 0, result.output
    (line,) = (line for line in result.output.splitlines() if line.startswith("overfit: "))
    assert "the model has memorised its training data: the error is " in line


def test_defaults_and_names_are_those_of_the_settings():
    declared = inspect.signature(ae).parameters
    for field in dataclasses.fields(AutoencoderSettings):
        if field.name != "images":
            assert declared[field.name].default == field.default, field.name
    help_of_kind = declared["kind"].annotation.__metadata__[0].help
    assert help_of_kind.rstrip(".").replace(" or ", ", ").split(", ") == list(AUTOENCODERS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kind", "deep"], "kind must be one of linear, stacked"),
        (["--amount", "0.5"], "amount must be left out: stacked autoencoders have none"),
        (["--codings", "0"], "codings must be"),
        (["--kind", "convolutional"], "height and width 8 at least"),
        (["--kind", "denoising", "--corruption", "blur"], "corruption must be one of"),
    ],
)
def test_wrong_arguments(invoke, assert_one_line, tmp_path, arguments, message):
    assert_one_line(invoke("train", "ae", "--data", "images.npz", *arguments), message)
    assert not (tmp_path / "fastgen-ae").exists()


def test_activity_is_told_of_sparse_codings_only():
    logs = {"loss": 0.01234, "val_loss": 0.02}
    assert epoch_line(logs) == "loss 0.0123, validation 0.0200"
    assert epoch_line({**logs, "activity": 0.1}).endswith(", activity 0.100")
