"""The command `fastgen train`."""

import warnings
from pathlib import Path
from typing import Annotated

import typer

import fastgen
from fastgen.cli.errors import INTERRUPTED, make_folder, one_line_errors
from fastgen.cli.options import BATCH_SIZE, EPOCHS, IMAGES, OUT, RESUME, RUN_SEED

train = typer.Typer(no_args_is_help=True, help="Train a model into a folder.")


@train.command()
def vae(
    context: typer.Context,
    data: IMAGES = "digits",
    epochs: EPOCHS = 50,
    batch_size: BATCH_SIZE = 32,
    codings: Annotated[int, typer.Option(help="Size of the latent space.")] = 10,
    kind: Annotated[str, typer.Option(help="dense or convolutional.")] = "dense",
    beta: Annotated[float, typer.Option(help="Weight of the KL divergence.")] = 1.0,
    warmup: Annotated[float, typer.Option(help="Epochs over which beta rises from 0.")] = 0.0,
    learning_rate: Annotated[float, typer.Option(help="Of Nadam.")] = 1e-3,
    seed: RUN_SEED = 0,
    out: OUT = Path("fastgen-vae"),
    resume: RESUME = False,
):
    """Train a variational autoencoder.

    Each epoch ends with a checkpoint in the folder. Ctrl-C, or a kill,
    loses the epoch under way; --resume then goes on to the same result,
    with the folder's settings. Only --epochs may be given anew.
    """
    with one_line_errors():
        fastgen.native.require_tensorflow("fastgen train")
        from fastgen.cli import vae_report
        from fastgen.training import train_vae

        # The report says it, too.
        warnings.filterwarnings("ignore", "Posterior collapse")
        _train(context, train_vae, vae_report)


@train.command()
def ae(
    context: typer.Context,
    data: IMAGES = "digits",
    epochs: EPOCHS = 50,
    batch_size: BATCH_SIZE = 32,
    kind: Annotated[
        str,
        typer.Option(
            help="linear, stacked, tied, convolutional, recurrent, denoising, sparse, overcomplete "
            "or hashing."
        ),
    ] = "stacked",
    codings: Annotated[int | None, typer.Option(help="Size of the latent space.")] = None,
    corruption: Annotated[
        str | None, typer.Option(help="Of kind denoising: gaussian or dropout.")
    ] = None,
    amount: Annotated[
        float | None, typer.Option(help="Deviation of that noise, or share that is dropped.")
    ] = None,
    penalty: Annotated[str | None, typer.Option(help="Of kind sparse: kl, l1 or mse.")] = None,
    weight: Annotated[float | None, typer.Option(help="Of that penalty.")] = None,
    target: Annotated[float | None, typer.Option(help="Mean activity that it asks for.")] = None,
    noise: Annotated[float | None, typer.Option(help="Deviation, of kind hashing.")] = None,
    learning_rate: Annotated[float, typer.Option(help="Of Nadam.")] = 1e-3,
    seed: RUN_SEED = 0,
    out: OUT = Path("fastgen-ae"),
    resume: RESUME = False,
):
    """Train an autoencoder.

    What is not given of a kind has its default. Each epoch ends with a
    checkpoint in the folder. Ctrl-C, or a kill, loses the epoch under
    way; --resume then goes on to the same result, with the folder's
    settings. Only --epochs may be given anew.
    """
    with one_line_errors():
        fastgen.native.require_tensorflow("fastgen train")
        from fastgen.cli import autoencoder_report
        from fastgen.training import train_autoencoder

        _train(context, train_autoencoder, autoencoder_report)


@train.command()
def gan(
    context: typer.Context,
    data: IMAGES = "digits",
    epochs: EPOCHS = 50,
    batch_size: BATCH_SIZE = 32,
    codings: Annotated[int, typer.Option(help="Numbers that an image is made from.")] = 30,
    kind: Annotated[str, typer.Option(help="dense or dcgan.")] = "dense",
    optimizer: Annotated[str, typer.Option(help="rmsprop or adam.")] = "rmsprop",
    learning_rate: Annotated[float, typer.Option(help="Of both networks.")] = 1e-3,
    batch_norm: Annotated[
        str, typer.Option(help="train: by the batch; book: as the book's loop runs it.")
    ] = "train",
    n_critic: Annotated[int, typer.Option(help="Updates of the discriminator in a step.")] = 1,
    label_smoothing: Annotated[
        float, typer.Option(help="How much below 1 the target of real images is.")
    ] = 0.0,
    label_noise: Annotated[
        float, typer.Option(help="How far from 1 and 0 noise moves targets at most.")
    ] = 0.0,
    seed: RUN_SEED = 0,
    out: OUT = Path("fastgen-gan"),
    resume: RESUME = False,
):
    """Train a generative adversarial network.

    Each epoch ends with a checkpoint in the folder, and a picture of
    always the same codings in its grids. Ctrl-C, or a kill, loses the
    epoch under way; --resume then goes on to the same result, with the
    folder's settings. Only --epochs may be given anew.
    """
    with one_line_errors():
        fastgen.native.require_tensorflow("fastgen train")
        from fastgen.cli import gan_report
        from fastgen.training import Run, train_gan_run

        _train(context, train_gan_run, gan_report, [gan_report.EpochGrid(Run(out))])


def _train(context, train, report, callbacks=()):
    """Trains with the options that were given, and reports.

    Args:
        context: Of the command.
        train: The training, a function of `fastgen.training`.
        report: Module with `epoch_line`, `summarize` and `draw` for the model.
        callbacks: Of the training.
    """
    from rich.console import Console

    from fastgen.cli.progress import TrainingProgress

    given = {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name).name != "DEFAULT"
    }
    out, resume = context.params["out"], given.pop("resume", False)
    given.pop("out", None)
    existed = out.exists()
    if not resume:
        make_folder(out)
    console = Console()
    try:
        with TrainingProgress(console, report.epoch_line) as progress:
            how = {"resume": resume, "callbacks": [progress, *callbacks]}
            run = train(given.pop("data", None), out, **how, **given)
    finally:
        if not existed and out.is_dir() and not any(out.iterdir()):
            out.rmdir()
    if run.interrupted:
        done = f"after {run.epochs} of {run.settings.epochs} epochs"
        typer.echo(f"Interrupted {done}; --resume goes on from there.", err=True)
        raise typer.Exit(INTERRUPTED)
    report.summarize(console, run)
    report.draw(console, run)
