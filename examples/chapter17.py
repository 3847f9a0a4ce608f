"""Chapter 17 of Géron's Hands-On Machine Learning, section by section, on Keras 3 and fastgen.

    python examples/chapter17.py [--data digits|mnist|fashion_mnist|FILE.npz] [--out FOLDER]
                                 [--section NAME]... [--quick]

Trains every system of the chapter on the images, prints a line for each, and draws all that can be
looked at on one sheet, FOLDER/chapter17.png. On MNIST's 10,000 test images and two cores it takes
some minutes.
"""

import time
from pathlib import Path
from typing import Annotated

import keras
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import fastgen
import fastgen.data
from fastgen import models, plots, training

SHOWN = 10  # images in a row
LABELLED = 200  # images whose classes the pretrained classifier sees


class Chapter:
    """The images, and what the sections find out."""

    def __init__(self, data, seed, quick):
        self.seed, self.quick = seed, quick
        (self.x, self.y), (self.x_valid, self.y_valid) = fastgen.data.load(data, seed=seed)
        if quick:
            self.x, self.y = self.x[:320], None if self.y is None else self.y[:320]
        self.shape = self.x.shape[1:]
        self.lines, self.figures = [], {}
        self.some = self.x_valid[:SHOWN]

    def build(self, name, *arguments, **options):
        """An autoencoder of the family for these images."""
        return models.AUTOENCODERS[name](self.shape, *arguments, seed=self.seed, **options)

    def epochs(self, wanted):
        """As many, or one where it is to be quick."""
        return 1 if self.quick else wanted

    def train(self, title, model, epochs, loss="mse"):
        """Trains an autoencoder, notes how well it reconstructs, and shows it."""
        epochs, start = self.epochs(epochs), time.perf_counter()
        model.compile("nadam", loss)
        model.fit(self.x, validation_data=self.x_valid, epochs=epochs, verbose=0)
        seconds = time.perf_counter() - start
        self.note(title, model, f"MSE {self.error(model):.4f}", epochs, seconds)
        self.show(title, plots.reconstructions(model, self.some))
        return model

    def error(self, model):
        """The mean squared error of validation images."""
        return float(np.mean((model.decode(model.encode(self.x_valid)) - self.x_valid) ** 2))

    def note(self, title, model, result, epochs, seconds, remark=""):
        """A line of the table."""
        parameters = "" if model is None else f"{model.count_params():,}"
        self.lines.append((title, parameters, str(epochs), f"{seconds:.1f}", result, remark))
        CONSOLE.print(f"{title}: {result} {remark}", highlight=False)

    def remark(self, text):
        """Something to add to the last line."""
        self.lines[-1] = (*self.lines[-1][:-1], text)
        CONSOLE.print(f"  {text}", highlight=False)

    def show(self, title, figure):
        """A picture for the sheet."""
        self.figures[title] = figure


def linear(chapter):
    """PCA with an undercomplete linear autoencoder: 60 points in space."""
    rng = np.random.default_rng(chapter.seed)
    angles = rng.random(60) * 1.5 * np.pi - 0.5
    plane = np.stack([np.cos(angles) + np.sin(angles) / 2, 0.7 * np.sin(angles)], 1)
    x = np.column_stack([plane, plane @ (0.1, 0.3)]) + rng.normal(0, 0.1, (60, 3))
    x = (x - x.mean(0)).astype("float32")
    model, start = models.linear_autoencoder(seed=chapter.seed), time.perf_counter()
    model.compile(fastgen.optimizers.SGD(0.5), "mse")
    loss = model.fit(x, epochs=500, verbose=0).history["loss"][-1]
    seconds = time.perf_counter() - start
    # What the two first principal axes leave of the variance.
    best = np.linalg.svd(x, compute_uv=False)[2] ** 2 / x.size
    chapter.note("linear", model, f"MSE {loss:.5f}", 500, seconds, f"PCA's is {best:.5f}")


def stacked(chapter):
    """Stacked autoencoders: reconstructions, codings by t-SNE, and what the units look for."""
    model = chapter.train("stacked", chapter.build("stacked"), 10)
    chapter.show("codings", plots.latent_map(model, chapter.x_valid, chapter.y_valid))
    chapter.show("filters of the stacked one", plots.filters(model, count=40, columns=12))


def too_powerful(chapter):
    """A wide and deep autoencoder of 32 images learns them by heart."""
    model = chapter.build("stacked", 256, hidden=(512, 512), activation="selu")
    few, start, epochs = chapter.x[:32], time.perf_counter(), chapter.epochs(1200)
    model.compile()
    loss = model.fit(few, epochs=epochs, verbose=0).history["loss"][-1]
    found = training.judge(model, few, chapter.x_valid)
    seconds = time.perf_counter() - start
    chapter.note("too powerful", model, f"training MSE {loss:.6f}", epochs, seconds, _said(found))
    learned = plots.reconstructions(model, few[:SHOWN])
    chapter.show("too powerful: images that it was trained on", learned)
    chapter.show("too powerful: others", plots.reconstructions(model, chapter.some))


def overcomplete(chapter):
    """More codings than pixels, and nothing that keeps it from copying."""
    model = chapter.train("overcomplete", chapter.build("overcomplete"), 8)
    found = training.judge(model, chapter.x, chapter.x_valid)
    chapter.remark(_said(found))


def _said(verdicts):
    return "verdict: " + (", ".join(verdict.name for verdict in verdicts) or "none")


def tied(chapter):
    """Tying weights: half the parameters."""
    chapter.train("tied", chapter.build("tied"), 10)


def layerwise(chapter):
    """Training one autoencoder at a time, then the stack."""
    model, start = chapter.build("stacked"), time.perf_counter()
    model.compile()
    epochs = chapter.epochs(4)
    training.train_layerwise(model, chapter.x, epochs=epochs, fine_tune_epochs=epochs, verbose=0)
    seconds = time.perf_counter() - start
    result = f"MSE {chapter.error(model):.4f}"
    chapter.note("greedy layerwise", model, result, f"{epochs} a phase", seconds)
    chapter.show("greedy layerwise", plots.reconstructions(model, chapter.some))


def pretraining(chapter):
    """Unsupervised pretraining of a classifier that has few labels."""
    if chapter.y is None or chapter.quick:  # of one epoch, a comparison says nothing
        return
    start, epochs = time.perf_counter(), chapter.epochs(20)
    autoencoder = chapter.build("denoising", corruption="dropout", activation="selu")
    autoencoder.compile()
    autoencoder.fit(chapter.x, epochs=chapter.epochs(10), verbose=0)
    fresh = chapter.build("denoising", corruption="dropout", activation="selu")
    pretrained = _accuracy(chapter, autoencoder, frozen_epochs=epochs, epochs=epochs)
    scratch = _accuracy(chapter, fresh, frozen_epochs=0, epochs=2 * epochs)
    seconds = time.perf_counter() - start
    remark = f"of {LABELLED} labels; without pretraining {scratch:.1%}"
    chapter.note("pretraining", None, f"accuracy {pretrained:.1%}", epochs, seconds, remark)


def _accuracy(chapter, encoder, **how):
    some = slice(0, LABELLED)
    how |= {"classes": int(chapter.y.max()) + 1, "learning_rate": 1e-3, "verbose": 0}
    trained = training.train_classifier(encoder, chapter.x[some], chapter.y[some], **how)
    classes = trained.model.predict(chapter.x_valid, verbose=0).argmax(-1)
    return np.mean(classes == chapter.y_valid)


def convolutional(chapter):
    """Convolutional autoencoders."""
    if min(chapter.shape[:2]) < 8:  # three poolings leave nothing of it
        return
    chapter.train("convolutional", chapter.build("convolutional"), 3)


def recurrent(chapter):
    """Recurrent autoencoders: an image is a sequence of rows."""
    chapter.train("recurrent", chapter.build("recurrent"), 2)


def denoising(chapter):
    """Denoising autoencoders, by Gaussian noise and by dropout."""
    for corruption in ("gaussian", "dropout"):
        title = f"denoising, {corruption}"
        model = chapter.build("denoising", corruption=corruption)
        chapter.train(title, model, 10)
        chapter.show(title, plots.denoising(model, chapter.some))


def sparse(chapter):
    """Sparse autoencoders: ℓ₁, Kullback-Leibler, squared distance."""
    for penalty in ("l1", "kl", "mse"):
        model = chapter.build("sparse", penalty=penalty)
        chapter.train(f"sparse, {penalty}", model, 10)
        activity = float(np.mean(model.encode(chapter.x_valid)))
        chapter.remark(f"mean activity {activity:.3f}")


def hashing(chapter):
    """Semantic hashing: the noise leaves 16 bits of an image."""
    model = chapter.build("hashing")
    chapter.train("hashing", model, 10, loss="binary_crossentropy")
    codes = model.encode(chapter.x_valid).round().astype(int)
    same = (codes != codes[0]).sum(1).argsort(kind="stable")[: 2 * SHOWN]
    neighbours = plots.image_grid(chapter.x_valid[same], columns=SHOWN)
    chapter.show("hashing: the first image, and those of like codes", neighbours)


def variational(chapter):
    """Variational autoencoders: reconstructions, samples, a walk between images."""
    model = models.variational_autoencoder(chapter.shape, 10, seed=chapter.seed)
    start, epochs = time.perf_counter(), chapter.epochs(25)
    model.compile("nadam")
    how = {"validation_data": chapter.x_valid, "epochs": epochs, "verbose": 0}
    history = model.fit(chapter.x, **how).history
    seconds = time.perf_counter() - start
    result = f"{history['val_loss'][-1]:.1f} nats"
    chapter.note("variational", model, result, epochs, seconds)
    chapter.show("variational: samples", _samples(model, chapter))
    corners = plots.interpolation_grid(model, chapter.x_valid[:4], 6, 12)
    chapter.show("variational: between four images", corners)


def gan(chapter):
    """A dense GAN, its two phases in one kernel."""
    model = models.dense_gan(30, chapter.shape, seed=chapter.seed)
    _train_gan(chapter, "GAN", model, 30)


def dcgan(chapter):
    """Deep convolutional GANs."""
    if _can_be_halved(chapter.shape):
        model = models.dcgan(100, chapter.shape, seed=chapter.seed)
        _train_gan(chapter, "DCGAN", model, 1)


def upsampling_gan(chapter):
    """A GAN whose generator repeats pixels and then convolves, against checkerboards."""
    if not _can_be_halved(chapter.shape):
        return
    layers, (height, width) = keras.layers, chapter.shape[:2]
    channels = chapter.shape[2] if len(chapter.shape) == 3 else 1
    generator = keras.Sequential(
        [
            keras.Input((100,)),
            layers.Dense(height // 4 * (width // 4) * 64),
            layers.Reshape((height // 4, width // 4, 64)),
            layers.BatchNormalization(),
            layers.UpSampling2D(),
            layers.Conv2D(32, 3, padding="same", activation="selu"),
            layers.BatchNormalization(),
            layers.UpSampling2D(),
            layers.Conv2D(channels, 3, padding="same", activation="tanh"),
            layers.Reshape(chapter.shape),
        ]
    )
    discriminator = models.dcgan(100, chapter.shape, seed=chapter.seed).discriminator
    model = models.GAN(generator, discriminator, seed=chapter.seed)
    _train_gan(chapter, "upsampling GAN", model, 1)


def _can_be_halved(shape):
    return len(shape) >= 2 and not any(n % 4 for n in shape[:2])


def _train_gan(chapter, title, model, epochs):
    start, epochs = time.perf_counter(), chapter.epochs(epochs)
    model.compile("rmsprop", "rmsprop")
    low, high = model.value_range
    images = chapter.x * (high - low) + low
    logs = model.fit(images, epochs=epochs, verbose=0).history
    losses = (logs[f"{player}_loss"][-1] for player in ("discriminator", "generator"))
    result = "losses {:.2f} and {:.2f}".format(*losses)
    # Where it falls to 0, the generator draws one image only.
    remark = f"distance of images {logs['pairwise_distance'][-1]:.1f}"
    chapter.note(title, model, result, epochs, time.perf_counter() - start, remark)
    chapter.show(f"{title}: samples", _samples(model, chapter))


def _samples(model, chapter):
    images = model.generate(3 * 12, seed=chapter.seed)
    return plots.image_grid(images, 12, value_range=getattr(model, "value_range", (0, 1)))


CONSOLE = Console()
SECTIONS = {
    section.__name__: section
    for section in (
        linear,
        stacked,
        too_powerful,
        overcomplete,
        pretraining,
        tied,
        layerwise,
        convolutional,
        recurrent,
        denoising,
        sparse,
        hashing,
        variational,
        gan,
        dcgan,
        upsampling_gan,
    )
}


def main(
    data: Annotated[str, typer.Option(help="Images, as `fastgen train` takes them.")] = "digits",
    out: Annotated[Path, typer.Option(help="Folder for the sheet.")] = Path("chapter17"),
    section: Annotated[list[str] | None, typer.Option(help=", ".join(SECTIONS))] = None,
    seed: Annotated[int, typer.Option(help="Of weights and noise.")] = 42,
    quick: Annotated[bool, typer.Option("--quick", help="One epoch of few images each.")] = False,
):
    """Trains every system of the chapter, and draws what can be looked at on one sheet."""
    if unknown := set(section or ()) - set(SECTIONS):
        raise typer.BadParameter(f"{min(unknown)!r} is none of {', '.join(SECTIONS)}")
    start = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)  # not only after all the training
    keras.utils.set_random_seed(seed)
    chapter = Chapter(data, seed, quick)
    for name in section or SECTIONS:
        CONSOLE.rule(SECTIONS[name].__doc__.rstrip("."))
        SECTIONS[name](chapter)
    table = Table(*("system", "parameters", "epochs", "seconds", "result", ""))
    for line in chapter.lines:
        table.add_row(*line)
    CONSOLE.print(table)
    if chapter.figures:
        plots.gallery(chapter.figures, columns=2, path=out / "chapter17.png")
        CONSOLE.print(f"Wrote {out / 'chapter17.png'}", highlight=False)
    CONSOLE.print(f"{time.perf_counter() - start:.0f} s in all", highlight=False)


if __name__ == "__main__":
    typer.run(main)
