"""What is printed and drawn at the end of a training, whatever the model."""

import math

import numpy as np
from rich.table import Table

SHOWN = 6


def summarize(console, run, title, headings, whole=("epoch",), digits=2):
    """Prints the logs of some epochs, and the speed.

    Args:
        console: `rich.console.Console` to print on.
        run: `Run` with one epoch at least.
        title: Of the table.
        headings: `{name in the history: heading}`; names that it does not have are left out.
        whole: Names of whole numbers.
        digits: Of the others, behind the point.
    """
    rows = run.history
    table = Table(title=title, title_justify="left")
    names = [name for name in headings if name in rows[-1]]
    for name in names:
        table.add_column(headings[name], justify="right")
    for index in sorted({int(i) for i in np.linspace(0, len(rows) - 1, SHOWN).round()}):
        values = {name: rows[index].get(name, math.nan) for name in names}
        table.add_row(*(f"{x:.{0 if name in whole else digits}f}" for name, x in values.items()))
    console.print(table)
    speed = f"{run.images_per_second:,.0f} images/s, median of the epochs"
    console.print(f"{len(rows)} epoch{'s'[: len(rows) != 1]}, {speed}", highlight=False)


def can_be_shown(shape):
    """Whether images of a shape have as many channels as a picture."""
    return len(shape) < 3 or shape[-1] in (1, 3, 4)


def say_why_not_shown(console, shape):
    """Prints why there are no pictures."""
    console.print(f"No pictures: the images have {shape[-1]} channels", highlight=False)


def write_pictures(console, run, plots):
    """Writes `{name: function of a path}` into the run's folder, and says what is in it."""
    for name, plot in plots.items():
        with run.replacing(name) as path:
            plot(path)
    files = ["model.keras", "history.csv", *plots]
    console.print(f"Wrote {', '.join(files)} into {run.folder}", highlight=False, soft_wrap=True)
