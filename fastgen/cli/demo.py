"""The command `fastgen demo`."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

import fastgen
from fastgen.cli.errors import INTERRUPTED, check_at_least, make_folder, one_line_errors


def demo(
    data: Annotated[
        str, typer.Option(metavar="FILE.npz", help="Images x, labels y; or the built-in digits.")
    ] = "digits",
    epochs: Annotated[int, typer.Option(help="Epochs for each of the four models.")] = 60,
    batch_size: Annotated[int, typer.Option(help="Images in a training step.")] = 32,
    out: Annotated[Path, typer.Option(help="Folder for the pictures and losses.csv.")] = Path(
        "fastgen-demo"
    ),
    seed: Annotated[int, typer.Option(help="Of the weights, the noise and the batches.")] = 0,
):
    """Train the book's VAE and its GAN, of stock Keras and of fastgen, and compare them."""
    outcome = None
    with contextlib.suppress(KeyboardInterrupt):
        with one_line_errors():
            check_at_least("--epochs", epochs, 1)
            check_at_least("--batch-size", batch_size, 1)
            check_at_least("--seed", seed, 0)
            fastgen.native.require_tensorflow("fastgen demo")
            train, valid = _load_images(data, seed)
            make_folder(out)
            from fastgen.demo import run
        outcome = run(train, valid, epochs=epochs, batch_size=batch_size, out=out, seed=seed)
    if outcome is None:
        typer.echo("Interrupted.", err=True)
    elif not outcome.complete:
        kept = f"{out} has {', '.join(outcome.files)}" if outcome.files else "nothing was written"
        typer.echo(f"Interrupted after {outcome.epochs} of {epochs} epochs; {kept}.", err=True)
    if outcome is None or not outcome.complete:
        raise typer.Exit(INTERRUPTED)


def _load_images(data, seed):
    import fastgen.data

    train, valid = fastgen.data.load(data, seed=seed)
    x_train = train[0]
    if len(valid[0]) == 0:
        raise ValueError(
            f"{data}: one image is held out, so 2 are needed. Received: {len(x_train)}"
        )
    if x_train.ndim == 4 and x_train.shape[-1] not in (1, 3):
        raise ValueError(f"{data}: images must have 1 or 3 channels. Received: {x_train.shape[-1]}")
    return train, valid
