"""The progress of a training, in a terminal or in a log."""

import keras
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class TrainingProgress(keras.callbacks.Callback):
    """A line for each epoch, and below them a bar that moves with the steps.

    It has no hook on batches, which would slow every step: the thread that draws the bar reads how
    far the optimizer is.

    Args:
        console: `rich.console.Console` to print on.
        epoch_line: Function of an epoch's logs: what the line says of the losses.
    """

    def __init__(self, console, epoch_line):
        super().__init__()
        self.console = console
        self.epoch_line = epoch_line
        self.bar = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.bar is not None:
            self.bar.stop()

    def on_train_begin(self, logs=None):
        """Show the bar."""
        iterations, total = self.model.optimizer.iterations.value, self._total()
        if int(iterations) < total:
            self.console.print(
                f"{self.params['steps']} steps an epoch, {self.params['epochs']} epochs",
                highlight=False,
            )
        self.bar = _Bar(self.console, lambda: int(iterations), total)
        self.bar.start()

    def on_epoch_end(self, epoch, logs=None):
        """Print the line, unless the epoch was cut short."""
        if "images_per_second" not in logs:
            return
        width = len(str(self.params["epochs"]))
        speed = f"{logs['images_per_second']:,.0f} images/s"
        line = f"epoch {epoch + 1:{width}}  {self.epoch_line(logs)}, {speed}"
        self.console.print(line, highlight=False, soft_wrap=True)

    def _total(self):
        return self.params["steps"] * self.params["epochs"]


class _Bar(Progress):
    def __init__(self, console, count, total):
        self.count = count
        self.only = None
        super().__init__(
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} steps"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.only = self.add_task("", total=total, completed=count())

    def get_renderables(self):
        """Count anew, and draw."""
        if self.only is not None:
            self.update(self.only, completed=self.count())
        return super().get_renderables()
