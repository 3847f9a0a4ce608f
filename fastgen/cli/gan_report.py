"""What `fastgen train gan` prints and draws."""

import keras

from fastgen import plots
from fastgen.cli import report
from fastgen.ops.gan_step import TELEMETRY

GRIDS = "grids"


class EpochGrid(keras.callbacks.Callback):
    """A picture after each epoch, always of the same codings.

    Args:
        run: `Run` into whose folder to write.
    """

    def __init__(self, run):
        super().__init__()
        self.run = run

    def on_epoch_end(self, epoch, logs=None):
        """Draw, unless the epoch was cut short."""
        if "seconds" not in logs or not report.can_be_shown(self.model.image_shape):
            return
        folder = self.run.folder / GRIDS
        folder.mkdir(exist_ok=True)
        path = folder / f"epoch-{epoch + 1:04}.png"
        plots.samples(self.model, seed=self.run.settings.seed, path=path)


def epoch_line(logs):
    """The losses of an epoch, how often the discriminator is right, and how images differ."""
    return (
        f"discriminator {logs['discriminator_loss']:.3f} (right of {logs['real_accuracy']:.0%} "
        f"real, {logs['fake_accuracy']:.0%} fake), generator {logs['generator_loss']:.3f}, "
        f"distance {logs['pairwise_distance']:.1f}"
    )


def summarize(console, run):
    """Prints the telemetry of some epochs, and the speed."""
    headings = {
        "epoch": "epoch",
        "discriminator_loss": "discriminator\nloss",
        "generator_loss": "generator\nloss",
        "real_accuracy": "right of\nreal ones",
        "fake_accuracy": "right of\nfake ones",
        "pairwise_distance": "distance of\nfake ones",
    }
    report.summarize(console, run, "Losses are cross-entropies", headings)


def draw(console, run):
    """Writes the pictures of a finished run into its folder."""
    rows = run.history
    logs = {name: [row[name] for row in rows] for name in TELEMETRY}
    made = {"history.png": lambda path: plots.history(logs, path)}
    model, seed = run.model, run.settings.seed
    if report.can_be_shown(model.image_shape):
        made["samples.png"] = lambda path: plots.samples(model, seed=seed, path=path)
    else:
        report.say_why_not_shown(console, model.image_shape)
    report.write_pictures(console, run, made)
