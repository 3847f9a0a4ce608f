"""What is printed and drawn at the end of a training."""

import math

import numpy as np
from rich.table import Table

import fastgen.data
from fastgen import plots

SHOWN = 6


def summarize(console, run):
    """Prints the losses of some epochs, the speed and the codings in use."""
    rows = run.history
    table = Table(title="Loss in nats per image", title_justify="left")
    names = {
        "epoch": "epoch",
        "loss": "loss",
        "reconstruction_loss": "reconstruction",
        "kl": "KL",
        "val_loss": "validation",
        "active_units": f"active units\n(of {run.settings.codings})",
    }
    names = {name: heading for name, heading in names.items() if name in rows[-1]}
    for heading in names.values():
        table.add_column(heading, justify="right")
    for index in sorted({int(i) for i in np.linspace(0, len(rows) - 1, SHOWN).round()}):
        table.add_row(*(_cell(name, rows[index].get(name, math.nan)) for name in names))
    console.print(table)
    speed = f"{run.images_per_second:,.0f} images/s, median of the epochs"
    console.print(f"{len(rows)} epoch{'s'[: len(rows) != 1]}, {speed}", highlight=False)
    if run.active_units is not None:
        console.print(units_line(run.active_units), highlight=False, soft_wrap=True)


def units_line(report):
    """How many codings are active, and what the aggregate posterior is, as a line of text."""
    collapsed = np.flatnonzero(~report["active"])
    mean, std = np.abs(report["mean"]), report["std"]
    line = (
        f"{report['active'].sum()} of {len(std)} codings active; aggregate posterior: "
        f"|mean| up to {mean.max():.2f}, std {std.min():.2f} to {std.max():.2f}"
    )
    if len(collapsed):
        names = ", ".join(map(str, collapsed))
        line += f"; {names} carry nothing: try a smaller --beta or a --warmup"
    return line


def _cell(name, value):
    return f"{value:.0f}" if name in ("epoch", "active_units") else f"{value:.2f}"


def draw(console, run):
    """Writes the pictures of a finished run into its folder."""
    _, (images, labels) = fastgen.data.load(run.settings.data, seed=run.settings.seed)
    if images.ndim == 4 and images.shape[-1] not in (1, 3, 4):
        console.print(f"No pictures: the images have {images.shape[-1]} channels", highlight=False)
        return
    model, seed = run.model, run.settings.seed
    made = {
        "reconstructions.png": lambda path: plots.reconstructions(model, images, path),
        "samples.png": lambda path: plots.samples(model, seed=seed, path=path),
        "interpolation.png": lambda path: plots.interpolation(model, *images[[0, -1]], path=path),
        "latent_map.png": lambda path: plots.latent_map(model, images, labels, seed, path),
        "contact_sheet.png": lambda path: plots.contact_sheet(model, images, labels, path, seed),
    }
    for name, plot in made.items():
        with run.replacing(name) as path:
            plot(path)
    files = ["model.keras", "history.csv", *made]
    console.print(f"Wrote {', '.join(files)} into {run.folder}", highlight=False, soft_wrap=True)
