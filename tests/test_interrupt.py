"""Ctrl-C in a training: the first press stops it after the batch, the second at once."""

import signal
import threading

import keras
import numpy as np
import pytest

from fastgen.interrupt import StopOnInterrupt

X = np.ones([8, 2], "float32")


class Press(keras.callbacks.Callback):
    """Presses Ctrl-C at the batches named, and counts those that were run."""

    def __init__(self, *batches):
        super().__init__()
        self.batches, self.seen = batches, 0

    def on_train_batch_end(self, batch, logs=None):
        if self.seen in self.batches:
            signal.raise_signal(signal.SIGINT)
        self.seen += 1

    def on_test_batch_end(self, batch, logs=None):
        self.on_train_batch_end(batch, logs)


@pytest.fixture
def model():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def fit(model, *callbacks):
    return model.fit(X, X[:, :1], batch_size=2, epochs=3, verbose=0, callbacks=callbacks)


def test_the_first_press_stops_after_the_batch(model):
    before = signal.getsignal(signal.SIGINT)
    press = Press(1)
    with StopOnInterrupt() as interrupt:
        history = fit(model, interrupt, press)
        assert interrupt.pressed and press.seen == 2 and len(history.epoch) == 1
        fit(model, interrupt, press)
        assert press.seen == 3, "a training that starts after the press ends after a batch"
    assert signal.getsignal(signal.SIGINT) is before
    with interrupt:
        assert not interrupt.pressed
        assert len(fit(model, interrupt).epoch) == 3


def test_an_evaluation_is_stopped_too(model):
    press = Press(0)
    with StopOnInterrupt() as interrupt:
        for batches in (1, 2):
            model.evaluate(X, X[:, :1], batch_size=2, verbose=0, callbacks=[interrupt, press])
            assert press.seen == batches


def test_the_second_press_raises(model):
    before = signal.getsignal(signal.SIGINT)
    press = Press(0)
    with pytest.raises(KeyboardInterrupt), StopOnInterrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        fit(model, interrupt, press)
    assert press.seen == 0
    assert signal.getsignal(signal.SIGINT) is before


def test_what_was_set_outside_stays():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopOnInterrupt():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)

    def in_a_thread():
        with StopOnInterrupt():
            handlers.append(signal.getsignal(signal.SIGINT))

    handlers = []
    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert handlers == [before]
