"""What the demo shows: progress bars, tables, and the picture."""

import csv

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from fastgen.demo.comparison import speed_ratio, step_rate


class TrainingProgress:
    """A bar for each entrant, with its last loss and its speed."""

    def __init__(self, console, entrants, epochs, steps_per_epoch):
        self.steps_per_epoch = steps_per_epoch
        self.progress = Progress(
            TextColumn("{task.description:15}"),
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


def gan_table(entrants, epochs):
    """The losses of both networks of two GANs side by side, after some epochs."""
    table = Table(
        title="Losses of the GANs",
        title_justify="left",
        caption="The discriminator's, the generator's. Same weights, batches and noise; "
        "GANs amplify rounding, and go their own ways.",
        caption_justify="left",
    )
    for heading in ("epoch", *(entrant.name for entrant in entrants)):
        table.add_column(heading, justify="right")
    for i in (epoch - 1 for epoch in epochs):
        cells = (f"{e.discriminator_losses[i]:.3f}, {e.losses[i]:.3f}" for e in entrants)
        table.add_row(str(i + 1), *cells)
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
        yield f"  {entrant.name:15} {median:7.1f} steps/s ({low:.1f} to {high:.1f})"
    median, low, high = speed_ratio(*entrants)
    names = f"{entrants[1].name} / {entrants[0].name}"
    yield f"  {names}: {median:.2f}x ({low:.2f} to {high:.2f})"
    yield "  (fastgen runs whole steps in a kernel, up to 50 a call, where it takes the layers)"


def latent_line(entrants, shape):
    """Microseconds of each latent layer by itself, and their ratio, as a line of text."""
    times = ", ".join(f"{e.name} {np.median(e.seconds[1:]) * 1e6:.1f} µs" for e in entrants)
    median, low, high = speed_ratio(*entrants)
    return (
        f"Latent layer alone, forward and gradients, {'×'.join(map(str, shape))}, in graph: "
        f"{times}: {median:.2f}x ({low:.2f} to {high:.2f})"
    )


def summary_table(entrants, steps_per_epoch, comparisons):
    """All models in the end: loss, speed, and how their images compare with held-out ones."""
    caption = comparisons[0].note if comparisons else "Too few images are held out to evaluate."
    table = Table(title="In the end", title_justify="left", caption=caption, caption_justify="left")
    for heading in ("", *(entrant.name for entrant in entrants)):
        table.add_column(heading, justify="right" if heading else "left")
    last = [e.valid_losses[max(e.valid_losses)] if e.valid_losses else {} for e in entrants]
    table.add_row("validation loss", *(f"{x['loss']:.2f}" if x else "none" for x in last))
    if len(entrants[0].seconds) > 1:
        rates = [step_rate(entrant, steps_per_epoch)[0] for entrant in entrants]
        table.add_row("training steps/s", *(f"{rate:.0f}" for rate in rates))
    if comparisons:
        measures = {
            "Fréchet distance, lower is better": "frechet_distance",
            "kernel distance, lower is better": "kernel_distance",
            "precision, of 1": "precision",
            "recall, of 1": "recall",
        }
        for name, attribute in measures.items():
            table.add_row(name, *(f"{getattr(found, attribute):.3g}" for found in comparisons))
    return table


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
