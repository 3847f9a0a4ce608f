"""The demo: the book's variational autoencoder and its GAN, of stock Keras and of fastgen."""

import contextlib
import itertools
import time
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from rich.console import Console

import fastgen
from fastgen.demo import gan
from fastgen.demo.comparison import Entrant, copy_weights, train_in_turns
from fastgen.demo.latent import time_in_turns
from fastgen.demo.models import StockGaussianLatent, ours, stock
from fastgen.demo.report import (
    TrainingProgress,
    gan_table,
    latent_line,
    loss_table,
    path_lines,
    speed_lines,
    summary_table,
    write_losses,
)
from fastgen.evaluation import compare, feature_extractor
from fastgen.evaluation.comparison import LEAST
from fastgen.interrupt import StopOnInterrupt
from fastgen.layers import GaussianLatent
from fastgen.plots import contact_sheet, samples

GENERATED = 1000
PICTURES = {
    "stock Keras": "stock.png",
    "fastgen": "fastgen.png",
    "stock Keras GAN": "stock_gan.png",
    "fastgen GAN": "fastgen_gan.png",
}


class Outcome(NamedTuple):
    """What a run came to.

    Attributes:
        epochs: Epochs that both VAEs finished; once those have ended, that both GANs did.
        files: Names of the files written.
        complete: Whether it ended by itself, rather than by Ctrl-C.
    """

    epochs: int
    files: tuple
    complete: bool


def run(train, valid, *, epochs, batch_size, out, seed, console=None):
    """Trains all models, prints what was measured, and writes pictures and `losses.csv`.

    Args:
        train: `(images, labels)`; float images `[n, height, width]` or
            `[n, height, width, channels]`. Labels `[n]`, or None.
        valid: The same, to validate on, to draw, and to evaluate against.
        epochs: Epochs for each model.
        batch_size: Images in a step.
        out: Folder to write into, which exists.
        seed: Of the weights, the noise and the batches.
        console: `rich.console.Console` to print on.

    Returns:
        An `Outcome`.
    """
    start = time.perf_counter()
    console = console or Console()
    steps = -(-len(train[0]) // batch_size)
    shown = {int(epoch) for epoch in np.linspace(1, epochs, min(6, epochs)).round()}
    # Ctrl-C ends the training, not the command: what has been trained is still drawn.
    with StopOnInterrupt() as interrupt:
        console.print(
            f"{len(train[0])} images {train[0].shape[1:]}, {len(valid[0])} more for validation; "
            f"{steps} steps of {batch_size} images an epoch",
            highlight=False,
        )
        vaes, gans = build(train[0].shape[1:], seed), gan.build(train[0].shape[1:], seed)
        progress = TrainingProgress(console, [*vaes, *gans], epochs, steps)
        how = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "interrupt": interrupt}
        how["on_epoch"] = progress.update
        with progress, contextlib.suppress(KeyboardInterrupt):
            train_in_turns(vaes, train[0], valid[0], valid_epochs=shown, **how)
            train_in_turns(gans, train[0], None, valid_epochs=(), **how)
    done = [min(len(entrant.losses) for entrant in pair) for pair in (vaes, gans)]
    finished = done[1] if done[0] == epochs else done[0]
    files = []
    # Ctrl-C from here on ends the command, which can still say what is in the folder.
    with contextlib.suppress(KeyboardInterrupt):
        if finished < epochs:
            console.print("Stopping; drawing what was made" if done[0] else "Stopping")
        drawn = (
            write(vaes, valid, out, seed) if done[0] else (),
            write_grids(gans, out, seed) if done[1] else (),
        )
        for name in itertools.chain(*drawn):
            files.append(name)
        if finished == epochs:
            batch = min(batch_size, len(train[0]))
            for line in measured(vaes, gans, sorted(shown), steps, batch, seed):
                console.print(line, highlight=False, soft_wrap="Latent layer" in str(line))
            found = evaluate([*vaes, *gans], train, valid[0], seed)
            console.print(summary_table([*vaes, *gans], steps, found))
            wrote = f"Wrote {', '.join(files)} to {out}; {time.perf_counter() - start:.0f} s in all"
            console.print(wrote, highlight=False, soft_wrap=True)
            return Outcome(finished, tuple(files), complete=True)
    return Outcome(finished, tuple(files), complete=False)


def measured(vaes, gans, shown, steps, batch, seed):
    """Yields the tables and lines that compare the two models of each kind."""
    yield loss_table(vaes, shown)
    yield gan_table(gans, shown)
    paths = [*path_lines(fastgen.stats())]  # of the training, without what is timed next
    yield from speed_lines(vaes, steps)
    yield from speed_lines(gans, steps)
    shape = batch, vaes[1].model.codings
    yield latent_line(time_in_turns(latent_layers(seed), shape, seed), shape)
    yield from paths


def write(entrants, valid, out, seed):
    """Writes the losses and a page of pictures of each VAE; yields each file's name once done."""
    write_losses(Path(out, "losses.csv"), entrants)
    yield "losses.csv"
    for entrant in entrants:
        name = PICTURES[entrant.name]
        contact_sheet(entrant.model, *valid, path=Path(out, name), seed=seed)
        yield name


def write_grids(entrants, out, seed):
    """Writes images of each GAN; yields each file's name once done."""
    for entrant in entrants:
        name = PICTURES[entrant.name]
        samples(entrant.model, path=Path(out, name), seed=seed)
        yield name


def build(image_shape, seed):
    """Both models, compiled, with the same weights and noise."""
    entrants = []
    for name, make in (("stock Keras", stock), ("fastgen", ours)):
        keras.utils.set_random_seed(seed)
        entrants.append(Entrant(name, make(image_shape, seed)))
    copy_weights(entrants[0].model, entrants[1].model)
    return entrants


def latent_layers(seed):
    """The two latent layers, new, by name."""
    return {"stock Keras": StockGaussianLatent(seed=seed), "fastgen": GaussianLatent(seed=seed)}


def evaluate(entrants, train, x_valid, seed):
    """A `Comparison` of each model's images with the held-out ones; none if those are too few."""
    if len(x_valid) < LEAST:
        return None
    labelled = train[1] is not None and len(np.unique(train[1])) > 1
    extractor = feature_extractor(*(train if labelled else ()), seed=seed)
    return [
        compare(x_valid, entrant.model.generate(GENERATED, seed), extractor, seed=seed)
        for entrant in entrants
    ]
