"""How long an epoch takes."""

import time

import keras


class Stopwatch(keras.callbacks.Callback):
    """Adds `seconds` and `images_per_second` to the logs of an epoch, without its validation.

    Not to those of an epoch that Ctrl-C cut short, which does not count. This is decided here, once
    for all the callbacks that follow: the press may come while they run.

    Args:
        images: Number of images in an epoch.
        interrupt: `StopOnInterrupt` of the training.
    """

    def __init__(self, images, interrupt):
        super().__init__()
        self.images = images
        self.interrupt = interrupt

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self._seconds = None
        self._start = time.perf_counter()

    def on_test_begin(self, logs=None):
        """Stop the clock."""
        self._seconds = time.perf_counter() - self._start

    def on_epoch_end(self, epoch, logs=None):
        """Write into the logs."""
        if self.interrupt.pressed:
            return
        seconds = self._seconds or time.perf_counter() - self._start
        logs.update(seconds=seconds, images_per_second=self.images / seconds)
