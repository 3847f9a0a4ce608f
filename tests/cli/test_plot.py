"""`fastgen plot`."""

import keras
import numpy as np
import pytest
from matplotlib.image import imread

import fastgen.models
from fastgen.training import train_vae


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a small run with 20 validation images."""
    folder = tmp_path_factory.mktemp("trained")
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (200, 6, 5)).astype(np.uint8)
    np.savez(folder / "images.npz", x=images, y=random.randint(0, 2, 200))
    train_vae(folder / "images.npz", folder / "out", epochs=1, batch_size=50, codings=3, seed=7)
    return folder / "out"


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("codings", ["--data", "images.npz"]),
        ("filters", ["--count", "9"]),
        ("reconstructions", []),
    ],
)
def test_pictures_of_a_run(command, options, trained, invoke):
    result = invoke("plot", command, str(trained))
    assert result.exit_code == 0 and result.output == f"Wrote {command}.png\n"
    result = invoke("plot", command, str(trained), *options, "--out", "other.png")
    assert result.exit_code == 0 and result.output == "Wrote other.png\n"
    one, other = (imread(name) for name in (f"{command}.png", "other.png"))
    assert np.array_equal(one, other) == (options == [])


def test_denoising(invoke):
    model = fastgen.models.denoising_autoencoder((6, 5), 3, hidden=(8,), seed=1)
    model.compile()
    model.save("ae.keras")
    pictures = []
    for options in ([], ["--seed", "1"]):
        result = invoke("plot", "denoising", "ae.keras", "--data", "images.npz", *options)
        assert result.exit_code == 0, result.output
        pictures.append(imread("denoising.png"))
    assert not np.array_equal(*pictures)


def test_one_line_errors(trained, invoke, assert_one_line):
    assert_one_line(invoke("plot", "denoising", str(trained)), "does not begin with noise")
    assert_one_line(invoke("plot", "filters", str(trained), "--layer", "no"), "Received: 'no'")
    assert_one_line(invoke("plot", "filters", str(trained), "--count", "0"), "at least 1")
    assert_one_line(invoke("plot", "codings", str(trained), "--seed", "-1"), "at least 0")
    assert_one_line(invoke("plot", "codings", str(trained), "--out", "a.pdf"), "end in .png")
    assert_one_line(invoke("plot", "codings", "nothing"), "nothing")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save("stranger.keras")
    assert_one_line(invoke("plot", "filters", "stranger.keras"), "stranger.keras")
