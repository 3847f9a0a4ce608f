"""The demo: the book's variational autoencoder, with stock Keras layers and with fastgen's."""

import contextlib
import time
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from rich.console import Console

import fastgen
from fastgen.demo.comparison import Entrant, copy_weights, train_in_turns
from fastgen.demo.latent import time_in_turns
from fastgen.demo.models import StockGaussianLatent, ours, stock
from fastgen.demo.report import (
    TrainingProgress,
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
from fastgen.plots import contact_sheet

GENERATED = 1000
PICTURES = {"stock Keras": "stock.png", "fastgen": "fastgen.png"}


class Outcome(NamedTuple):
    """What a run came to.

    Attributes:
        epochs: Epochs that both models finished.
        files: Names of the files written.
        complete: Whether it ended by itself, rather than by Ctrl-C.
    """

    epochs: int
    files: tuple
    complete: bool


def run(train, valid, *, epochs, batch_size, out, seed, console=None):
    """Trains both models, prints what was measured, and writes pictures and `losses.csv`.

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
    x_train, x_valid = train[0], valid[0]
    steps = -(-len(x_train) // batch_size)
    shown = {int(epoch) for epoch in np.linspace(1, epochs, min(6, epochs)).round()}
    # Ctrl-C ends the training, not the command: what has been trained is still drawn.
    with StopOnInterrupt() as interrupt:
        console.print(
            f"{len(x_train)} images {x_train.shape[1:]}, {len(x_valid)} more for validation; "
            f"{steps} steps of {batch_size} images an epoch",
            highlight=False,
        )
        entrants = build(x_train.shape[1:], seed)
        progress = TrainingProgress(console, entrants, epochs, steps)
        with progress, contextlib.suppress(KeyboardInterrupt):
            train_in_turns(
                entrants,
                x_train,
                x_valid,
                epochs=epochs,
                batch_size=batch_size,
                seed=seed,
                valid_epochs=shown,
                on_epoch=progress.update,
                interrupt=interrupt,
            )
    finished = min(len(entrant.losses) for entrant in entrants)
    files = []
    # Ctrl-C from here on ends the command, which can still say what is in the folder.
    with contextlib.suppress(KeyboardInterrupt):
        if finished < epochs:
            console.print("Stopping; drawing what was made" if finished else "Stopping")
        if finished:
            for name in write(entrants, valid, out, seed):
                files.append(name)
        if finished == epochs:
            console.print(loss_table(entrants, sorted(shown)))
            paths = path_lines(fastgen.stats())  # of the training, without what is timed next
            shape = min(batch_size, len(x_train)), entrants[1].model.codings
            latent = latent_line(time_in_turns(latent_layers(seed), shape, seed), shape)
            for line in (*speed_lines(entrants, steps), latent, *paths):
                console.print(line, highlight=False, soft_wrap=line is latent)
            console.print(summary_table(entrants, steps, evaluate(entrants, train, x_valid, seed)))
            wrote = f"Wrote {', '.join(files)} to {out}; {time.perf_counter() - start:.0f} s in all"
            console.print(wrote, highlight=False, soft_wrap=True)
            return Outcome(finished, tuple(files), complete=True)
    return Outcome(finished, tuple(files), complete=False)


def write(entrants, valid, out, seed):
    """Writes the losses and a page of pictures of each model; yields each file's name once done."""
    write_losses(Path(out, "losses.csv"), entrants)
    yield "losses.csv"
    for entrant in entrants:
        name = PICTURES[entrant.name]
        contact_sheet(entrant.model, *valid, path=Path(out, name), seed=seed)
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
