"""The command `fastgen train`."""

import warnings
from pathlib import Path
from typing import Annotated

import typer

import fastgen
from fastgen.cli.errors import INTERRUPTED, make_folder, one_line_errors

train = typer.Typer(no_args_is_help=True, help="Train a model into a folder.")


@train.callback()
def _root():
    pass


@train.command()
def vae(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="Images: digits, mnist, fashion_mnist; an .npz with x, y; IDX files.",
        ),
    ] = "digits",
    epochs: Annotated[int, typer.Option(help="Passes over the images.")] = 50,
    batch_size: Annotated[int, typer.Option(help="Images in a training step.")] = 32,
    codings: Annotated[int, typer.Option(help="Size of the latent space.")] = 10,
    kind: Annotated[str, typer.Option(help="dense or convolutional.")] = "dense",
    beta: Annotated[float, typer.Option(help="Weight of the KL divergence.")] = 1.0,
    warmup: Annotated[float, typer.Option(help="Epochs over which beta rises from 0.")] = 0.0,
    learning_rate: Annotated[float, typer.Option(help="Of Nadam.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Of weights, noise, order and split.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the model and its pictures.")] = Path(
        "fastgen-vae"
    ),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder, bit for bit.")
    ] = False,
):
    """Train a variational autoencoder.

    Each epoch ends with a checkpoint in the folder. Ctrl-C, or a kill,
    loses the epoch under way; --resume then goes on to the same result,
    with the folder's settings. Only --epochs may be given anew.
    """
    given = {
        name: value
        for name, value in context.params.items()
        if name not in ("out", "resume") and context.get_parameter_source(name).name != "DEFAULT"
    }
    with one_line_errors():
        fastgen.native.require_tensorflow("fastgen train")
        from rich.console import Console

        from fastgen.cli.progress import TrainingProgress
        from fastgen.cli.report import draw, summarize
        from fastgen.training import train_vae

        # `summarize` says it, too.
        warnings.filterwarnings("ignore", "Posterior collapse")
        existed = out.exists()
        if not resume:
            make_folder(out)
        console = Console()
        try:
            with TrainingProgress(console) as progress:
                run = train_vae(
                    given.pop("data", None), out, resume=resume, callbacks=[progress], **given
                )
        finally:
            if not existed and out.is_dir() and not any(out.iterdir()):
                out.rmdir()
        if run.interrupted:
            done = f"after {run.epochs} of {run.settings.epochs} epochs"
            typer.echo(f"Interrupted {done}; --resume goes on from there.", err=True)
            raise typer.Exit(INTERRUPTED)
        summarize(console, run)
        draw(console, run)
