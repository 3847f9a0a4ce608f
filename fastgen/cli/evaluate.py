"""The command `fastgen evaluate`."""

from typing import Annotated

import typer

import fastgen
from fastgen.cli.errors import check_at_least, check_seed, one_line_errors
from fastgen.cli.options import DATA, MODEL, SEED, load_model_and_data, require_prior


def evaluate(
    model: MODEL,
    data: DATA = None,
    count: Annotated[
        int | None, typer.Option(help="Images to draw. By default as many as there are real ones.")
    ] = None,
    seed: SEED = 0,
):
    """Measure a model on the validation images: its losses, and its samples beside real images."""
    with one_line_errors():
        if count is not None:
            check_at_least("--count", count, 8)
        check_seed(seed)
        fastgen.native.require_tensorflow("fastgen evaluate")
        from rich.console import Console

        from fastgen.cli.comparison import compare_with_real, loss_line

        console = Console()
        loaded, (train, valid) = load_model_and_data(model, data)
        require_prior("evaluate", loaded)
        if not isinstance(loaded, fastgen.GAN):  # whose losses say nothing of its images
            console.print(loss_line(loaded, valid[0]), highlight=False, soft_wrap=True)
        table, notes = compare_with_real(loaded, train, valid, count or len(valid[0]), seed)
        console.print(table)
        for note in notes:
            console.print(note, highlight=False, soft_wrap=True)
