"""The command `fastgen plot`."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

import fastgen
from fastgen.cli.errors import check_at_least, check_seed, one_line_errors
from fastgen.cli.options import DATA, MODEL, load_model_and_data

plot = typer.Typer(no_args_is_help=True, help="Draw what a trained model does, or has learned.")

PNG = Annotated[
    Path | None,
    typer.Option(metavar="PNG", help="Picture to write. By default COMMAND.png."),
]
LAYOUT_SEED = Annotated[int, typer.Option(help="Of the choice of images and of t-SNE.")]


@contextlib.contextmanager
def _drawing(out, default, seed=0):
    """Gives the path to draw to, and says that it was written; errors are one line."""
    with one_line_errors():
        check_seed(seed)
        fastgen.native.require_tensorflow("fastgen plot")
        path = out or Path(default)
        yield path
        typer.echo(f"Wrote {path}")


@plot.command()
def codings(model: MODEL, data: DATA = None, seed: LAYOUT_SEED = 0, out: PNG = None):
    """Where the validation images lie among the codings, by t-SNE if there are more than two."""
    with _drawing(out, "codings.png", seed) as path:
        from fastgen import plots

        loaded, (_, (images, labels)) = load_model_and_data(model, data)
        plots.latent_map(loaded, images, labels, seed, path)


@plot.command()
def filters(
    model: MODEL,
    layer: Annotated[
        str | None, typer.Option(help="Name of a layer. By default the first with such weights.")
    ] = None,
    count: Annotated[int, typer.Option(help="Units at most.")] = 64,
    out: PNG = None,
):
    """Draw the weights between pixels and units: what each unit looks for, or draws."""
    with _drawing(out, "filters.png") as path:
        check_at_least("--count", count, 1)
        from fastgen import plots, training

        plots.filters(training.load_model(model), layer, count, path=path)


@plot.command()
def denoising(
    model: MODEL,
    data: DATA = None,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    out: PNG = None,
):
    """Draw validation images, the same with the noise of the training, and what becomes of it."""
    with _drawing(out, "denoising.png", seed) as path:
        from fastgen import plots

        loaded, (_, (images, _)) = load_model_and_data(model, data)
        plots.denoising(loaded, images, path=path, seed=seed)


@plot.command()
def reconstructions(model: MODEL, data: DATA = None, out: PNG = None):
    """Draw validation images, and below each what the model makes of it."""
    with _drawing(out, "reconstructions.png") as path:
        from fastgen import plots

        loaded, (_, (images, _)) = load_model_and_data(model, data)
        plots.reconstructions(loaded, images, path)
