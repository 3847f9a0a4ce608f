import csv
import io
import itertools
import re
import signal

import keras
import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console
from typer.testing import CliRunner

import fastgen
import fastgen.demo
from fastgen.cli import app
from fastgen.demo import PICTURES, gan
from fastgen.demo.comparison import Entrant, speed_ratio, step_rate, train_in_turns
from fastgen.demo.latent import ROUNDS, check, time_in_turns
from fastgen.demo.models import StockGaussianLatent, reconstruction_loss
from fastgen.demo.report import latent_line, path_lines, speed_lines, summary_table
from fastgen.evaluation import Comparison
from fastgen.interrupt import StopOnInterrupt
from tests.tolerances import MOVEMENT, TRAINING, assert_close

IMAGES = np.random.RandomState(0).randint(0, 256, (40, 8, 6)).astype(np.uint8)


@pytest.fixture
def demo(tmp_path):
    """Runs a small demo; returns its result and its folder."""

    def run(images=IMAGES, *arguments):
        np.savez(tmp_path / "images.npz", x=images)
        out = tmp_path / "deep" / "out"
        command = ["demo", "--data", str(tmp_path / "images.npz"), "--out", str(out)]
        return CliRunner().invoke(app, [*command, "--batch-size", "8", *arguments]), out

    return run


def read_losses(out):
    with open(out / "losses.csv") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def quick_features(monkeypatch):
    """A few pixels in place of the features of a classifier, which would have to be trained."""
    monkeypatch.setattr(
        fastgen.demo,
        "feature_extractor",
        lambda *data, seed: lambda x: x.reshape(len(x), -1)[:, ::9].astype("float32"),
    )


def test_demo_on_the_kernels(demo, fused, quick_features, monkeypatch):
    monkeypatch.setattr("fastgen.demo.latent.RUN_SECONDS", 1e-3)
    before = fastgen.stats()
    images = np.tile(IMAGES, (3, 1, 1))  # 12 of them held out: enough to evaluate
    result, out = demo(images, "--epochs", "3")
    assert result.exit_code == 0, result.output
    assert "gaussian_sample_kl" in result.output and "steps/s" in result.output
    assert "Latent layer alone, forward and gradients, 8×10, in graph: stock" in result.output
    rows = read_losses(out)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    stock, ours = (
        np.array([float(row[f"{name} loss"]) for row in rows])
        for name in ("stock Keras", "fastgen")
    )
    assert np.all(np.diff(stock) < 0)
    np.testing.assert_allclose(ours, stock, rtol=TRAINING)
    assert all(imread(out / name).ndim == 3 for name in PICTURES.values())
    assert sorted(path.name for path in out.iterdir()) == sorted(["losses.csv", *PICTURES.values()])
    summary = result.output.partition("In the end")[2]
    rows = re.findall(r"^│ (\w+)" + r".*│ +(\S+) │ +(\S+)" * 2 + " │$", summary, re.MULTILINE)
    assert [name for name, *_ in rows] == [
        *("validation", "training", "Fréchet", "kernel", "precision", "recall")
    ]
    assert rows[0][3:] == ("none", "none")  # of validation losses
    values = [value for _, *values in rows for value in values if value != "none"]
    assert all(np.isfinite(float(value)) for value in values)
    assert "Losses of the GANs" in result.output
    # Counts are of the whole process.
    assert fastgen.stats()["gan_step"]["fused"] > before.get("gan_step", {}).get("fused", 0)
    assert re.search("gan_step +.*fused", result.output)


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C after two epochs of both models."""

    def train(entrants, *arguments, **options):
        for entrant, epochs in zip(entrants, (3, 2), strict=True):
            entrant.losses += range(epochs)
            entrant.seconds += range(epochs)
        raise KeyboardInterrupt

    monkeypatch.setattr(fastgen.demo, "train_in_turns", train)


def test_interrupt_leaves_what_was_made(demo, interrupted):
    result, out = demo(IMAGES, "--epochs", "9")
    assert result.exit_code == 130
    assert "Stopping; drawing what was made\n" in result.stdout
    files = "losses.csv, stock.png, fastgen.png"
    assert result.stderr == f"Interrupted after 2 of 9 epochs; {out} has {files}.\n"
    assert len(read_losses(out)) == 2
    assert {path.name for path in out.iterdir()} == {"losses.csv", "stock.png", "fastgen.png"}


def test_an_interrupt_while_drawing_leaves_what_was_drawn(demo, interrupted, monkeypatch):
    def draw(model, *data, path, seed):
        if path.name == "fastgen.png":
            raise KeyboardInterrupt

    monkeypatch.setattr(fastgen.demo, "contact_sheet", draw)
    result, out = demo(IMAGES, "--epochs", "9")
    assert result.exit_code == 130
    files = "losses.csv, stock.png"
    assert result.stderr == f"Interrupted after 2 of 9 epochs; {out} has {files}.\n"


def test_an_interrupt_of_the_gans_leaves_the_rest(demo, monkeypatch):
    def train(entrants, *arguments, **options):
        for entrant in entrants:
            entrant.losses += range(9)
            entrant.seconds += range(9)
        if entrants[0].name == "stock Keras GAN":
            del entrants[1].losses[4:]
            raise KeyboardInterrupt

    monkeypatch.setattr(fastgen.demo, "train_in_turns", train)
    result, out = demo(IMAGES, "--epochs", "9")
    assert result.exit_code == 130
    assert result.stderr.startswith(f"Interrupted after 4 of 9 epochs; {out} has losses.csv, stock")


def test_gans_have_the_same_losses():
    x = (IMAGES / np.float32(255))[:20]
    entrants = gan.build(x.shape[1:], seed=4)
    with StopOnInterrupt() as interrupt:
        train_in_turns(
            entrants,
            x,
            None,
            epochs=3,
            batch_size=8,
            seed=0,
            valid_epochs=(),
            on_epoch=lambda entrant: None,
            interrupt=interrupt,
        )
    stock, ours = ([e.losses, e.discriminator_losses] for e in entrants)
    np.testing.assert_allclose(ours, stock, rtol=TRAINING)
    stock, ours = (entrant.model.generate(5, seed=2) for entrant in entrants)
    np.testing.assert_allclose(ours, stock, rtol=MOVEMENT, atol=MOVEMENT)


def test_an_interrupt_after_the_last_epoch_is_told(demo, monkeypatch):
    def train(entrants, *arguments, **options):
        for entrant in entrants:
            entrant.losses += [1.0]
            entrant.seconds += [1.0]

    def measure(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(fastgen.demo, "train_in_turns", train)
    monkeypatch.setattr(fastgen.demo, "measured", measure)
    result, out = demo(IMAGES, "--epochs", "1")
    assert result.exit_code == 130
    assert f"Interrupted after 1 of 1 epochs; {out} has losses.csv, " in result.stderr


@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 1), (8, 6, 3)])
def test_both_models_have_what_pictures_need(shape):
    for entrant in fastgen.demo.build(shape, seed=0):
        vae = entrant.model
        images = np.random.RandomState(4).random_sample((2, *shape)).astype("float32")
        codings = vae.encode(images)
        assert codings.shape == (2, 10)
        drawn = vae.decode(codings)
        assert drawn.shape == images.shape and drawn.min() >= 0 and drawn.max() <= 1
        np.testing.assert_array_equal(vae.generate(3, seed=1), vae.generate(3, seed=1))


def test_models_generate_the_same_images():
    stock, ours = (entrant.model.generate(5, seed=2) for entrant in fastgen.demo.build((8, 6), 0))
    np.testing.assert_allclose(ours, stock, rtol=TRAINING, atol=TRAINING)


class Generator:
    """A model that generates noise."""

    def generate(self, n, seed):
        return np.random.RandomState(seed).random_sample((n, 8, 6))


def test_too_few_images_are_not_evaluated(quick_features):
    entrants = [
        Entrant(
            name, Generator(), seconds=[1.0, 1.0], losses=[2, 1], valid_losses={2: {"loss": 3.0}}
        )
        for name in ("a", "b")
    ]
    train = IMAGES[:9] / np.float32(255), None
    assert fastgen.demo.evaluate(entrants, train, train[0][:2], seed=0) is None
    assert "Too few images are held out" in text_of(summary_table(entrants, 5, None))
    found = Comparison(8, 8, 12.25, 1.0, -0.5, 0.1, 0.25, 0.75, 0.9, "A note.")
    text = text_of(summary_table(entrants, 5, [found, found]))
    assert "A note." in text and all(value in text for value in ("12.2", "-0.5", "0.25", "0.75"))


def text_of(table):
    with io.StringIO() as file:
        Console(file=file, width=100).print(table)
        return file.getvalue()


def test_the_paths_are_told():
    told = "\n".join(path_lines({"gaussian_kl": {"fused": 2, "composite": 1}}))
    assert "composite 1, fused 2" in told and "fastgen doctor says why" in told
    told = "\n".join(path_lines({"gaussian_kl": {"fused": 2}}))
    assert "fused 2" in told and "doctor" not in told


def test_one_epoch_is_no_speed():
    entrants = [Entrant(name, None, seconds=[1.0]) for name in ("a", "b")]
    assert "not measured" in "".join(speed_lines(entrants, 5))


def test_models():
    """Layers 784-150-100-[10]-100-150-784, with a bias for each unit."""
    entrants = fastgen.demo.build((28, 28), seed=3)
    stock, ours = (entrant.model for entrant in entrants)
    units = [784, 150, 100, 2 * 10], [10, 100, 150, 784]
    parameters = sum((a + 1) * b for side in units for a, b in itertools.pairwise(side))
    assert sum(np.prod(w.shape) for w in ours.trainable_weights) == parameters
    for a, b in zip(stock.trainable_weights, ours.trainable_weights, strict=True):
        np.testing.assert_array_equal(a, b)
    x = np.random.RandomState(1).random_sample((5, 28, 28)).astype("float32")
    drawn = keras.ops.sigmoid(stock(x))  # its output is logits
    np.testing.assert_allclose(ours(x), drawn, rtol=TRAINING, atol=TRAINING)


def test_the_stock_layer_is_the_formula():
    mean, log_var = np.random.RandomState(2).normal(size=(2, 6, 10)).astype("float32")
    layer = StockGaussianLatent(seed=7)
    z = layer([mean, log_var])
    eps = keras.random.normal((6, 10), seed=keras.random.SeedGenerator(7))
    assert_close(z, mean + np.exp(log_var / 2) * eps, "float32")
    kl = -0.5 * np.sum(1 + log_var - np.exp(log_var) - mean**2, axis=-1)
    assert_close(layer.losses[0], kl.mean(), "float32", n=60)


def test_reconstruction_loss_is_the_formula():
    generator = np.random.RandomState(3)
    x, logits = generator.random_sample((4, 5, 6)), generator.normal(size=(4, 5, 6))
    p = 1 / (1 + np.exp(-logits))
    expected = -np.sum(x * np.log(p) + (1 - x) * np.log(1 - p), axis=(1, 2))
    actual = reconstruction_loss(x.astype("float32"), logits.astype("float32"))
    assert_close(actual, expected, "float32", n=30)


class Recorder(keras.Model):
    """Notes what it is trained on."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def train_step(self, data):
        self.batches.append(data[0].numpy())
        return {"loss": 0.0}

    def test_step(self, data):
        return {"loss": 0.0}


def test_entrants_take_turns_on_the_same_batches():
    entrants = [Entrant(name, Recorder()) for name in ("a", "b")]
    for entrant in entrants:
        entrant.model.compile(run_eagerly=True)
    x = np.arange(10.0, dtype="float32")
    turns = []
    train_in_turns(
        entrants,
        x,
        x[:2],
        epochs=3,
        batch_size=4,
        seed=0,
        valid_epochs={2},
        on_epoch=lambda entrant: turns.append(entrant.name),
        interrupt=StopOnInterrupt(),
    )
    assert turns == ["a", "b", "b", "a", "a", "b"]
    a, b = (entrant.model.batches for entrant in entrants)
    assert [len(batch) for batch in a] == [4, 4, 2] * 3
    for batch_a, batch_b in zip(a, b, strict=True):
        np.testing.assert_array_equal(batch_a, batch_b)
    epochs = [np.concatenate(a[start : start + 3]) for start in (0, 3, 6)]
    assert all(sorted(epoch) == sorted(x) for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])
    assert all(set(entrant.valid_losses) == {2} for entrant in entrants)
    assert all(len(entrant.seconds) == 3 for entrant in entrants)


class Interrupted(Recorder):
    """Presses Ctrl-C in the first batch of its second epoch."""

    def train_step(self, data):
        logs = super().train_step(data)
        if len(self.batches) == 4:
            signal.raise_signal(signal.SIGINT)
        return logs


def test_ctrl_c_ends_the_turns():
    entrants = [Entrant("a", Recorder()), Entrant("b", Interrupted())]
    for entrant in entrants:
        entrant.model.compile(run_eagerly=True)
    x = np.arange(10.0, dtype="float32")
    options = {"epochs": 9, "batch_size": 4, "seed": 0, "valid_epochs": set(range(10))}
    turns = []
    with StopOnInterrupt() as interrupt:
        options["on_epoch"] = lambda entrant: turns.append(entrant.name)
        train_in_turns(entrants, x, x[:2], **options, interrupt=interrupt)
    assert turns == ["a", "b"]
    assert [len(entrant.losses) for entrant in entrants] == [1, 1]
    assert [len(entrant.model.batches) for entrant in entrants] == [3, 4]


def test_speeds_leave_out_the_first_epoch():
    slow, fast = (
        Entrant("slow", None, seconds=[9, 2, 4, 6]),
        Entrant("fast", None, seconds=[1, 1, 1, 2]),
    )
    np.testing.assert_allclose(step_rate(slow, 12), [3, 2.4, 4.8])
    np.testing.assert_allclose(speed_ratio(slow, fast)[0], 3)


def test_the_latent_layers_are_timed_in_turns(monkeypatch):
    monkeypatch.setattr("fastgen.demo.latent.RUN_SECONDS", 1e-3)
    entrants = time_in_turns(fastgen.demo.latent_layers(5), (4, 3), seed=5)
    assert all(len(entrant.seconds) == 1 + ROUNDS for entrant in entrants)
    assert np.all(np.isfinite(speed_ratio(*entrants)))
    # As many seeds drawn by both: none was pruned.
    stock, ours = (entrant.model.seed_generator.state.numpy() for entrant in entrants)
    np.testing.assert_array_equal(stock, ours)


def test_line_of_the_latent_layers():
    entrants = [
        Entrant(name, None, seconds=[9, *seconds])
        for name, seconds in (("slow", [3e-5] * 3), ("fast", [1e-5] * 3))
    ]
    assert latent_line(entrants, (32, 10)) == (
        "Latent layer alone, forward and gradients, 32×10, in graph: "
        "slow 30.0 µs, fast 10.0 µs: 3.00x (3.00 to 3.00)"
    )


class HalfTheLoss(StockGaussianLatent):
    """Wrong in the loss and in the gradients that come from it."""

    def add_loss(self, loss):
        super().add_loss(loss / 2)


@pytest.mark.parametrize(
    "wrong, what", [(StockGaussianLatent(seed=6), "z"), (HalfTheLoss(seed=5), "d_log_var")]
)
def test_a_wrong_latent_layer_is_not_timed(wrong, what):
    inputs = np.random.RandomState(5).normal(size=(3, 4, 3)).astype("float32")
    with pytest.raises(AssertionError, match=f"differ in {what}"):
        check([StockGaussianLatent(seed=5), wrong], inputs)
