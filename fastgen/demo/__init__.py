"""The demo: the book's variational autoencoder, with stock Keras layers and with fastgen's."""

import contextlib
import time
from pathlib import Path

import keras
import numpy as np
from rich.console import Console

import fastgen
from fastgen.demo.comparison import Entrant, copy_weights, train_in_turns
from fastgen.demo.latent import time_in_turns
from fastgen.demo.models import StockGaussianLatent, reconstruction_loss, variational_autoencoder
from fastgen.demo.report import (
    TrainingProgress,
    draw,
    latent_line,
    loss_table,
    path_lines,
    speed_lines,
    write_losses,
)
from fastgen.interrupt import StopOnInterrupt
from fastgen.layers import GaussianLatent


def run(x_train, x_valid, *, epochs, batch_size, out, seed, console=None):
    """Trains both models, prints what was measured, and writes `vae.png` and `losses.csv`.

    Args:
        x_train: Float images `[n, height, width]` or `[n, height, width, channels]`.
        x_valid: Images to validate on and to draw.
        epochs: Epochs for each model.
        batch_size: Images in a step.
        out: Folder to write into, which exists.
        seed: Of the weights, the noise and the batches.
        console: `rich.console.Console` to print on.

    Returns:
        The number of epochs that both models finished; less than `epochs` after Ctrl-C.
    """
    start = time.perf_counter()
    console = console or Console()
    steps = -(-len(x_train) // batch_size)
    shown = {int(epoch) for epoch in np.linspace(1, epochs, min(6, epochs)).round()}
    # Ctrl-C ends the training, not the command: what has been trained is still drawn.
    with StopOnInterrupt() as interrupt:
        console.print(
            f"{len(x_train)} images {x_train.shape[1:]}, {len(x_valid)} more for validation; "
            f"{steps} steps of {batch_size} images an epoch",
            highlight=False,
        )
        entrants, encoder, decoder = build(x_train.shape[1:], seed)
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
    if finished == epochs:
        console.print(loss_table(entrants, sorted(shown)))
        paths = path_lines(fastgen.stats())  # of the training, without what is timed next
        shape = min(batch_size, len(x_train)), encoder.outputs[-1].shape[-1]
        latent = latent_line(time_in_turns(latent_layers(seed), shape, seed), shape)
        for line in (*speed_lines(entrants, steps), latent, *paths):
            console.print(line, highlight=False, soft_wrap=line is latent)
    if finished:
        write_losses(Path(out, "losses.csv"), entrants)
        draw(Path(out, "vae.png"), x_valid, encoder, decoder, seed)
    if finished == epochs:
        seconds = time.perf_counter() - start
        wrote = f"Wrote {out}/vae.png and {out}/losses.csv; {seconds:.0f} s in all"
        console.print(wrote, highlight=False, soft_wrap=True)
    return finished


def build(image_shape, seed):
    """Both models, compiled, with the same weights and noise; and our encoder and decoder."""
    entrants = []
    for name, latent in latent_layers(seed).items():
        keras.utils.set_random_seed(seed)
        vae, encoder, decoder = variational_autoencoder(image_shape, latent)
        vae.compile(optimizer="nadam", loss=reconstruction_loss)
        entrants.append(Entrant(name, vae))
    copy_weights(entrants[0].model, entrants[1].model)
    return entrants, encoder, decoder


def latent_layers(seed):
    """The two latent layers, new, by name."""
    return {"stock Keras": StockGaussianLatent(seed=seed), "fastgen": GaussianLatent(seed=seed)}
