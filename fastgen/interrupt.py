"""Ctrl-C ends a training between two batches, rather than in the middle of one."""

import signal
import threading

import keras


class StopOnInterrupt(keras.callbacks.Callback):
    """Stops `fit` after the batch that is under way when Ctrl-C is pressed.

    Python turns Ctrl-C into an exception at whatever line it is at, and TensorFlow drops an
    exception that is raised in a callback of its tracing: the press would be lost. As a context
    manager this class takes the signal: the first press is noted, a second raises
    `KeyboardInterrupt` at once. In a thread other than the main one, which cannot take signals, and
    where SIGINT is ignored, it changes nothing.

    As a callback it hands the press on to the model. It has no hook on batches, which would slow
    every step: `fit` reads `model.stop_training` after each batch anyway.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> import fastgen.interrupt
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((4, 2))
    >>> with fastgen.interrupt.StopOnInterrupt() as interrupt:
    ...     history = model.fit(x, x[:, :1], verbose=0, callbacks=[interrupt])
    >>> interrupt.pressed
    False

    Attributes:
        pressed: Whether Ctrl-C has been pressed since the context was entered.
    """

    def __init__(self):
        super().__init__()
        self.pressed = False
        self._previous = None

    def __enter__(self):
        self.pressed = False
        # None: a handler that is not Python's, and that Python could not put back.
        untouched = (signal.SIG_IGN, None)
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) not in untouched:
            self._previous = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *error):
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def _on_signal(self, number, frame):
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True
        self._stop()

    def _stop(self):
        if self.model is not None:
            self.model.stop_training = self.model.stop_evaluating = True

    # `fit` and `evaluate` clear the model's flag as they start.
    def on_train_begin(self, logs=None):
        """Stop after one batch if the press came before."""
        if self.pressed:
            self._stop()

    def on_test_begin(self, logs=None):
        """Stop after one batch if the press came before."""
        if self.pressed:
            self._stop()
