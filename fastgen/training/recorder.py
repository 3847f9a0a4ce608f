"""What has to happen at the end of an epoch so that it counts."""

import math
import time

import keras

MODEL_SECONDS = 10  # at most, between two writings of model.keras, which take 0.2 s each


class Recorder(keras.callbacks.Callback):
    """Writes the history, the checkpoint and the model at the end of each whole epoch.

    Args:
        run: `Run` whose folder to write into.
        checkpoints: `Checkpoints` of the model.
        rows: History so far.
    """

    def __init__(self, run, checkpoints, rows):
        super().__init__()
        self.run = run
        self.checkpoints = checkpoints
        self.rows = rows
        self.diverged = None
        self._written = -math.inf  # the first epoch's is always written

    def on_epoch_end(self, epoch, logs=None):
        """Write, unless the epoch was cut short or its loss is not finite."""
        if "seconds" not in logs:  # see Stopwatch
            return
        if not math.isfinite(logs.get("loss", 0)):  # a GAN has none: its steps refuse what is not
            self.diverged = epoch + 1
            self.model.stop_training = True
            return
        values = {name: float(value) for name, value in logs.items()}
        self.rows.append({"epoch": epoch + 1, **values})
        # In this order: rows beyond the checkpoint are dropped on resuming.
        self.run.history = self.rows
        self.checkpoints.save(epoch + 1)
        if time.monotonic() - self._written > MODEL_SECONDS:
            self.run.write_model()
            self._written = time.monotonic()
