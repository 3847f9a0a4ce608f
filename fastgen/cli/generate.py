"""The commands `fastgen sample` and `fastgen interpolate`."""

from pathlib import Path
from typing import Annotated

import typer

import fastgen
from fastgen.cli.errors import check_at_least, check_seed, one_line_errors
from fastgen.cli.options import DATA, MODEL, SEED, load_model_and_data, require_prior

PNG = Annotated[Path, typer.Option(metavar="PNG", help="Picture to write.")]


def sample(
    model: MODEL,
    count: Annotated[int, typer.Option(help="Images to draw.")] = 64,
    seed: SEED = 0,
    out: PNG = Path("samples.png"),
):
    """Draw images from a model's prior."""
    with one_line_errors():
        check_at_least("--count", count, 1)
        check_seed(seed)
        fastgen.native.require_tensorflow("fastgen sample")
        from fastgen import plots, training

        loaded = training.load_model(model)
        require_prior("sample", loaded)
        plots.samples(loaded, count, seed=seed, path=out)
        typer.echo(f"Wrote {out}")


def interpolate(
    context: typer.Context,
    model: MODEL,
    data: DATA = None,
    start: Annotated[int, typer.Option("--from", help="Number of a validation image.")] = 0,
    end: Annotated[int, typer.Option("--to", help="Number of another one.")] = 1,
    grid: Annotated[bool, typer.Option("--grid", help="Between four images instead.")] = False,
    corners: Annotated[
        tuple[int, int, int, int], typer.Option(help="Their numbers, row by row.")
    ] = (0, 1, 2, 3),
    steps: Annotated[int, typer.Option(help="Images in a row.")] = 9,
    out: PNG = Path("interpolation.png"),
):
    """Draw what a model makes of the codings between images."""
    with one_line_errors():
        check_at_least("--steps", steps, 2)
        _check_ends(context, grid)
        fastgen.native.require_tensorflow("fastgen interpolate")
        from fastgen import plots

        loaded, (_, (images, _)) = load_model_and_data(model, data)
        numbers = corners if grid else (start, end)
        for number in numbers:
            if not 0 <= number < len(images):
                raise ValueError(
                    f"there are {len(images)} validation images, from 0 on. Received: {number}"
                )
        chosen = images[list(numbers)]
        if grid:
            plots.interpolation_grid(loaded, chosen, steps, steps, path=out)
        else:
            plots.interpolation(loaded, *chosen, steps, path=out)
        typer.echo(f"Wrote {out}")


def _check_ends(context, grid):
    """Raises ValueError if an option was given that would have no effect."""
    unused = {"start": "--from", "end": "--to"} if grid else {"corners": "--corners"}
    for name, option in unused.items():
        if context.get_parameter_source(name).name != "DEFAULT":
            raise ValueError(f"{option} goes {'without' if grid else 'with'} --grid")
