"""Trains models on the same batches, taking turns, so that machine noise hits all alike."""

import time
from dataclasses import dataclass, field

import keras
import numpy as np


@dataclass
class Entrant:
    """One model, or layer, of a comparison and what has been measured of it, epoch by epoch."""

    name: str
    model: keras.Model | keras.Layer
    seconds: list = field(default_factory=list)
    losses: list = field(default_factory=list)  # a GAN's are those of its generator
    discriminator_losses: list = field(default_factory=list)
    valid_losses: dict = field(default_factory=dict)  # epoch, counted from 1 -> logs


class EpochClock(keras.callbacks.Callback):
    """Seconds and loss of an epoch. Has no hook on batches: it would slow every step."""

    def __init__(self, entrant):
        super().__init__()
        self.entrant = entrant

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Note the time and the loss, unless the epoch was cut short."""
        if self.model.stop_training:
            return
        self.entrant.seconds.append(time.perf_counter() - self.start)
        if "generator_loss" in logs:
            self.entrant.losses.append(logs["generator_loss"])
            self.entrant.discriminator_losses.append(logs["discriminator_loss"])
        else:
            self.entrant.losses.append(logs["loss"])


def copy_weights(source, target):
    """Gives `target` the trainable weights of `source`; the two may differ in other state."""
    for from_variable, to_variable in zip(
        source.trainable_variables, target.trainable_variables, strict=True
    ):
        to_variable.assign(from_variable)


def train_in_turns(
    entrants, x_train, x_valid, *, epochs, batch_size, seed, valid_epochs, on_epoch, interrupt
):
    """Trains every entrant with `fit`, one epoch at a time, first one and then the other first.

    The epoch's images are shuffled here and handed to `fit` in that order, so that all see the same
    batches: setting the global seed before each `fit` does it too, but makes TensorFlow compile
    again (0.5 s a `fit`). What `fit` does before and after its epoch, and the validation, is not
    timed.

    Args:
        entrants: Compiled models of the same initial weights.
        x_train: Images, input and target at once.
        x_valid: Images to validate on; None for GANs, which take images alone, and no validation.
        epochs: Epochs for each entrant.
        batch_size: Images in a step.
        seed: Of the order of the images.
        valid_epochs: The epochs, counted from 1, after which to validate.
        on_epoch: Called with the entrant after each of its epochs.
        interrupt: `StopOnInterrupt`, entered; once it is pressed, the training ends. The epoch that
            was under way does not count.
    """
    shuffle = np.random.RandomState(seed).permutation
    for epoch in range(1, epochs + 1):
        batches = x_train[shuffle(len(x_train))]
        for entrant in entrants if epoch % 2 else reversed(entrants):
            if interrupt.pressed:
                return
            how = {"batch_size": batch_size, "verbose": 0}
            callbacks = [interrupt, EpochClock(entrant)]
            data = (batches,) if x_valid is None else (batches, batches)
            entrant.model.fit(*data, shuffle=False, callbacks=callbacks, **how)
            if x_valid is not None and epoch in valid_epochs and not interrupt.pressed:
                entrant.valid_losses[epoch] = entrant.model.evaluate(
                    x_valid, x_valid, return_dict=True, callbacks=[interrupt], **how
                )
            if not interrupt.pressed:
                on_epoch(entrant)


def step_rate(entrant, steps_per_epoch):
    """Median, 20th and 80th percentile over the epochs, without the first, which compiles."""
    return np.percentile(steps_per_epoch / np.array(entrant.seconds[1:]), [50, 20, 80])


def speed_ratio(slow, fast):
    """Seconds of `slow` over those of `fast`, epoch by epoch: percentiles as in `step_rate`."""
    pairs = zip(slow.seconds[1:], fast.seconds[1:], strict=False)
    return np.percentile([a / b for a, b in pairs], [50, 20, 80])
