"""`fastgen sample`, `fastgen interpolate` and `fastgen evaluate`."""

import dataclasses
import os
import shutil

import keras
import numpy as np
import pytest
from matplotlib.image import imread

import fastgen.data
import fastgen.models
from fastgen import evaluation
from fastgen.cli.comparison import loss_line
from fastgen.cli.options import load_model_and_data
from fastgen.training import Run, train_vae

RANDOM = np.random.RandomState(0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a small run with 20 validation images."""
    x = RANDOM.randint(0, 256, (200, 6, 5)).astype(np.uint8)
    folder = tmp_path_factory.mktemp("trained")
    np.savez(folder / "images.npz", x=x, y=RANDOM.randint(0, 2, 200))
    train_vae(folder / "images.npz", folder / "out", epochs=1, batch_size=50, codings=3, seed=7)
    return folder / "out"


def test_sample(trained, invoke):
    for name, seed in (("a.png", "1"), ("b.png", "1"), ("c.png", "2")):
        result = invoke("sample", str(trained), "--count", "3", "--seed", seed, "--out", name)
        assert result.exit_code == 0 and result.output == f"Wrote {name}\n"
    a, b, c = (imread(name) for name in ("a.png", "b.png", "c.png"))
    assert np.array_equal(a, b) and not np.array_equal(a, c)
    more = invoke("sample", str(trained / "model.keras"))
    assert more.exit_code == 0 and imread("samples.png").size > a.size


def test_interpolate(trained, invoke):
    pictures = []
    for extra in ([], ["--to", "2"], ["--from", "3"], ["--grid"], ["--grid", "--corners", *"4567"]):
        assert invoke("interpolate", str(trained), "--steps", "4", *extra).exit_code == 0, extra
        pictures.append(imread("interpolation.png").tobytes())
    assert len(set(pictures)) == len(pictures)
    file = str(trained / "model.keras")
    data = str(trained.parent / "images.npz")
    assert invoke("interpolate", file, "--data", data).exit_code == 0


def test_evaluate(trained, invoke, monkeypatch):
    seen = []

    def extractor(*arguments):
        seen.append(arguments)
        return lambda images: np.asarray(images, "float32").reshape(len(images), -1)[:, :8]

    monkeypatch.setattr(evaluation, "feature_extractor", extractor)
    result = invoke("evaluate", str(trained), "--count", "30")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith("20 validation images: loss ")
    assert len(seen[0]) == 2 and len(seen[0][0]) == len(seen[0][1]) == 180
    for kind in ("samples", "training images", "noise"):
        (cells,) = (line.split("│")[1:-1] for line in lines if line.startswith(f"│ {kind}"))
        assert cells[1].strip() == "30" and len(cells) == 6
    assert "with so few" in result.output
    no_labels = "unlabelled.npz"
    np.savez(no_labels, x=RANDOM.randint(0, 256, (100, 6, 5)).astype(np.uint8))
    assert invoke("evaluate", str(trained), "--data", no_labels).exit_code == 0
    assert seen[1] == ()
    one_class = "one_class.npz"
    np.savez(one_class, x=RANDOM.randint(0, 256, (100, 6, 5)).astype(np.uint8), y=[3] * 100)
    result = invoke("evaluate", str(trained), "--data", one_class)
    assert result.exit_code == 0 and "a classifier of digits" in result.output
    assert seen[2] == ()


def test_the_split_is_that_of_the_run(trained, invoke, monkeypatch, capsys):
    data = trained.parent / "images.npz"
    monkeypatch.chdir(data.parent)
    _, (_, (valid, _)) = load_model_and_data(str(trained), None)
    assert not np.array_equal(valid, fastgen.data.load(data, seed=0)[1][0])
    file = str(trained / "model.keras")
    for name in (None, str(data), "images.npz"):
        assert np.array_equal(load_model_and_data(file, name)[1][1][0], valid)
    np.savez("other.npz", x=np.load(data)["x"][::-1])
    load_model_and_data(file, "other.npz")
    assert capsys.readouterr().err == ""


def test_data_that_changed_since_the_training(trained, tmp_path, invoke):
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    settings = Run(folder).settings
    Run(folder).settings = dataclasses.replace(settings, data=str(tmp_path / "images.npz"))
    np.savez("images.npz", x=np.load(trained.parent / "images.npz")["x"][::-1])
    for arguments in ([folder], [folder / "model.keras", "--data", "images.npz"]):
        result = invoke("interpolate", *map(str, arguments))
        assert result.exit_code == 0 and result.stderr.count("\n") == 1
        assert result.stderr.startswith("Warning: ") and "images.npz has changed" in result.stderr


@pytest.mark.parametrize(
    ("reconstruction", "reduction", "in_nats"),
    [
        ("binary_crossentropy", "sum", True),
        ("binary_crossentropy", "mean", False),
        ("mean_squared_error", "sum", False),
    ],
)
def test_losses_are_in_nats_where_they_are_so(reconstruction, reduction, in_nats):
    vae = fastgen.models.variational_autoencoder(
        (6, 5), 2, hidden=(4,), reconstruction=reconstruction, reduction=reduction
    )
    vae.compile()
    line = loss_line(vae, RANDOM.random_sample((8, 6, 5)).astype("float32"))
    assert line.startswith("8 validation images: loss ")
    assert line.endswith(" nats per image") == ("nats" in line) == in_nats


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "nonesuch"], "nonesuch: "),
        (["sample", "."], ". holds no run: model.keras is missing"),
        (["sample", "images.npz"], "images.npz is not a .keras file"),
        (["sample", "damaged.keras"], "damaged.keras is not a .keras file"),
        (["sample", "other.keras"], "VariationalAutoencoder or a GAN. Received: Sequential"),
        (["sample", "vae.keras", "--count", "0"], "--count must be at least 1. Received: 0"),
        (["sample", "vae.keras", "--seed", "-1"], "--seed must be at least 0. Received: -1"),
        (["sample", "vae.keras", "--seed", str(2**63)], "--seed must be below 2**32. Received: 9"),
        (["sample", "vae.keras", "--out", "no/a.png"], "no"),
        (["interpolate", "vae.keras"], "--data is needed: vae.keras does not say"),
        (["interpolate", "vae.keras", "--data", "more.npz"], "images of shape (n, 7, 7)"),
        (["interpolate", "vae.keras", "--data", "seven.npz"], "there are 1 validation images"),
        (["interpolate", "vae.keras", "--steps", "1"], "--steps must be at least 2"),
        (["interpolate", "vae.keras", "--corners", *"4567"], "--corners goes with --grid"),
        (["interpolate", "vae.keras", "--grid", "--from", "0"], "--from goes without --grid"),
        (["interpolate", "vae.keras", "--grid", "--to", "1"], "--to goes without --grid"),
        (
            ["evaluate", "vae.keras", "--seed", str(2**32)],
            "--seed must be below 2**32. Received: 4",
        ),
        (["evaluate", "vae.keras"], "--data is needed: vae.keras does not say"),
        (["evaluate", "vae.keras", "--count", "1"], "--count must be at least 8. Received: 1"),
        (["evaluate", "vae.keras", "--data", "images.npz"], "images of shape (n, 7, 7)"),
        (["evaluate"], "Missing argument 'MODEL'"),
    ],
)
def test_wrong_arguments(models, assert_one_line, arguments, message):
    assert_one_line(models(*arguments), message)


@pytest.fixture
def models(invoke):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save("other.keras")
    vae = fastgen.models.variational_autoencoder((7, 7), hidden=(4,), codings=2)
    vae.compile()
    vae.save("vae.keras")
    with open("vae.keras", "rb") as whole, open("damaged.keras", "wb") as half:
        half.write(whole.read(os.path.getsize("vae.keras") // 2))
    np.savez("more.npz", x=np.zeros((20, 6, 5), np.uint8))
    np.savez("seven.npz", x=np.zeros((6, 7, 7), np.uint8))
    return invoke
