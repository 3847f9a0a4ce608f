"""What `fastgen train ae` prints and draws."""

import fastgen.data
from fastgen import plots
from fastgen.cli import report


def epoch_line(logs):
    """The losses of an epoch, and how active the codings are where a penalty keeps them sparse."""
    line = f"loss {logs['loss']:.4f}, validation {logs['val_loss']:.4f}"
    return f"{line}, activity {logs['activity']:.3f}" if "activity" in logs else line


def summarize(console, run):
    """Prints the losses of some epochs, the speed and the verdicts."""
    headings = {"epoch": "epoch", "loss": "loss", "val_loss": "validation", "activity": "activity"}
    report.summarize(console, run, "Mean squared error", headings, digits=4)
    for verdict in run.verdicts or ():
        console.print(str(verdict), highlight=False, soft_wrap=True)


def draw(console, run):
    """Writes the pictures of a finished run into its folder."""
    _, (images, labels) = fastgen.data.load(run.settings.data, seed=run.settings.seed)
    if not report.can_be_shown(images.shape[1:]):
        return report.say_why_not_shown(console, images.shape[1:])
    model, seed = run.model, run.settings.seed
    made = {
        "reconstructions.png": lambda path: plots.reconstructions(model, images, path),
        "latent_map.png": lambda path: plots.latent_map(model, images, labels, seed, path),
    }
    if run.settings.kind != "recurrent":  # whose first weights are of rows, not of pixels
        made["filters.png"] = lambda path: plots.filters(model, path=path)
    if run.settings.kind == "denoising":
        made["denoising.png"] = lambda path: plots.denoising(model, images, path=path, seed=seed)
    return report.write_pictures(console, run, made)
