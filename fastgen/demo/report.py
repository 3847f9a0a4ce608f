"""What the demo shows: progress bars, tables, and the picture."""

import csv
import os

import keras
import numpy as np
from matplotlib.figure import Figure
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from fastgen.demo.comparison import speed_ratio, step_rate


class TrainingProgress:
    """A bar for each entrant, with its last loss and its speed."""

    def __init__(self, console, entrants, epochs, steps_per_epoch):
        self.steps_per_epoch = steps_per_epoch
        self.progress = Progress(
            TextColumn("{task.description:12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs, {task.fields[state]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self.tasks = {
            e.name: self.progress.add_task(e.name, total=epochs, state="") for e in entrants
        }

    def __enter__(self):
        self.progress.start()
        return self

    def __exit__(self, *error):
        self.progress.stop()

    def update(self, entrant):
        """Advances the bar of an entrant by an epoch."""
        rate = self.steps_per_epoch / entrant.seconds[-1]
        state = f"loss {entrant.losses[-1]:.2f}, {rate:.0f} steps/s"
        self.progress.update(self.tasks[entrant.name], advance=1, state=state)


def loss_table(entrants, epochs):
    """The losses of both entrants side by side, after some epochs."""
    stock, ours = entrants
    table = Table(
        title="Loss (reconstruction + KL) in nats per image",
        title_justify="left",
        caption="Same weights, batches and noise; rounding differences grow in training.",
        caption_justify="left",
    )
    for heading in ("epoch", stock.name, ours.name, "relative\ndifference"):
        table.add_column(heading, justify="right")
    for entrant in entrants:
        table.add_column(f"{entrant.name}\nvalidation", justify="right")
    for epoch in epochs:
        a, b = stock.losses[epoch - 1], ours.losses[epoch - 1]
        valid = [f"{entrant.valid_losses[epoch]['loss']:.3f}" for entrant in entrants]
        table.add_row(str(epoch), f"{a:.3f}", f"{b:.3f}", f"{(b - a) / a:+.1e}", *valid)
    return table


def speed_lines(entrants, steps_per_epoch):
    """Steps per second of each entrant, and their ratio, as lines of text."""
    timed = len(entrants[0].seconds) - 1
    if not timed:
        yield "Speed: not measured, since the first epoch compiles; use --epochs 2 or more"
        return
    yield f"Speed of fit in {timed} epochs, taking turns: median (20th to 80th percentile)"
    for entrant in entrants:
        median, low, high = step_rate(entrant, steps_per_epoch)
        yield f"  {entrant.name:12} {median:7.1f} steps/s ({low:.1f} to {high:.1f})"
    median, low, high = speed_ratio(*entrants)
    names = f"{entrants[1].name} / {entrants[0].name}"
    yield f"  {names}: {median:.2f}x ({low:.2f} to {high:.2f})"
    yield "  (the latent layer is a small part of a step)"


def latent_line(entrants, shape):
    """Microseconds of each latent layer by itself, and their ratio, as a line of text."""
    times = ", ".join(f"{e.name} {np.median(e.seconds[1:]) * 1e6:.1f} µs" for e in entrants)
    median, low, high = speed_ratio(*entrants)
    return (
        f"Latent layer alone, forward and gradients, {'×'.join(map(str, shape))}, in graph: "
        f"{times}: {median:.2f}x ({low:.2f} to {high:.2f})"
    )


def path_lines(stats):
    """The path that each op took, from `fastgen.stats()`."""
    yield "Path of each op, and how often it was traced or called"
    for op, paths in sorted(stats.items()):
        yield f"  {op:24} " + ", ".join(f"{path} {n}" for path, n in sorted(paths.items()))
    if any("composite" in paths for paths in stats.values()):
        yield "  (fastgen doctor says why an op takes the composite path)"


def write_losses(path, entrants):
    """Writes the epochs that both entrants finished as CSV."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "epoch",
                *(f"{entrant.name} {what}" for entrant in entrants for what in ("loss", "seconds")),
            ]
        )
        rows = zip(*(values for e in entrants for values in (e.losses, e.seconds)), strict=False)
        writer.writerows([epoch, *row] for epoch, row in enumerate(rows, start=1))


def draw(path, images, encoder, decoder, seed, columns=12, sample_rows=3):
    """Writes a PNG: inputs, their reconstructions from the mean codings, and samples."""
    images = images[:columns]
    columns = len(images)
    mean = encoder.predict(images, verbose=0)[0]
    noise = np.random.RandomState(seed).normal(size=(sample_rows * columns, mean.shape[-1]))
    reconstructions, *samples = (
        keras.ops.convert_to_numpy(keras.ops.sigmoid(decoder.predict(z, verbose=0)))
        for z in (mean, *np.split(noise.astype("float32"), sample_rows))
    )
    rows = [
        ("input", images),
        ("reconstruction", reconstructions),
        *(("sample", row) for row in samples),
    ]
    # A Figure of its own, not pyplot: no display and no global state.
    figure = Figure(figsize=(columns + 1.6, len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (label, pictures) in enumerate(rows):
        axes[row, 0].set_ylabel(label, rotation=0, ha="right", va="center")
        for axis, picture in zip(axes[row], pictures, strict=True):
            axis.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
    # Written beside and then moved, so that an interruption never leaves half a picture.
    figure.savefig(f"{path}.part", format="png", dpi=100)
    os.replace(f"{path}.part", path)
