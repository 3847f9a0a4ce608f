"""What `fastgen train vae` prints and draws."""

import numpy as np

import fastgen.data
from fastgen import plots
from fastgen.cli import report


def epoch_line(logs):
    """The losses of an epoch."""
    line = (
        f"loss {logs['loss']:.2f} = reconstruction {logs['reconstruction_loss']:.2f} + "
        f"KL {logs['kl']:.2f}, validation {logs['val_loss']:.2f}"
    )
    return line.replace("+ KL", f"+ {logs['beta']:.2f} × KL") if "beta" in logs else line


def summarize(console, run):
    """Prints the losses of some epochs, the speed and the codings in use."""
    headings = {
        "epoch": "epoch",
        "loss": "loss",
        "reconstruction_loss": "reconstruction",
        "kl": "KL",
        "val_loss": "validation",
        "active_units": f"active units\n(of {run.settings.codings})",
    }
    report.summarize(console, run, "Loss in nats per image", headings, ("epoch", "active_units"))
    if run.active_units is not None:
        console.print(units_line(run.active_units), highlight=False, soft_wrap=True)


def units_line(found):
    """How many codings are active, and what the aggregate posterior is, as a line of text."""
    collapsed = np.flatnonzero(~found["active"])
    mean, std = np.abs(found["mean"]), found["std"]
    line = (
        f"{found['active'].sum()} of {len(std)} codings active; aggregate posterior: "
        f"|mean| up to {mean.max():.2f}, std {std.min():.2f} to {std.max():.2f}"
    )
    if len(collapsed):
        names = ", ".join(map(str, collapsed))
        line += f"; {names} carry nothing: try a smaller --beta or a --warmup"
    return line


def draw(console, run):
    """Writes the pictures of a finished run into its folder."""
    _, (images, labels) = fastgen.data.load(run.settings.data, seed=run.settings.seed)
    if not report.can_be_shown(images.shape[1:]):
        return report.say_why_not_shown(console, images.shape[1:])
    model, seed = run.model, run.settings.seed
    made = {
        "reconstructions.png": lambda path: plots.reconstructions(model, images, path),
        "samples.png": lambda path: plots.samples(model, seed=seed, path=path),
        "interpolation.png": lambda path: plots.interpolation(model, *images[[0, -1]], path=path),
        "latent_map.png": lambda path: plots.latent_map(model, images, labels, seed, path),
        "contact_sheet.png": lambda path: plots.contact_sheet(model, images, labels, path, seed),
    }
    return report.write_pictures(console, run, made)
