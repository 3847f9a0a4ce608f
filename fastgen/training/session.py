"""A training into a folder: begun there, or gone on with as if it had never stopped."""

import dataclasses
import os
import shutil

import numpy as np
import tensorflow as tf

import fastgen.data
from fastgen.models.images import check_images
from fastgen.training.checkpoint import Checkpoints
from fastgen.training.recorder import Recorder
from fastgen.training.settings import fingerprint
from fastgen.training.stopwatch import Stopwatch


class Session:
    """What a run is to be trained with, and the training.

    Args:
        op: Name of the caller, for errors.
        run: `Run`.
        resume: Whether to go on with what is in its folder.
        settings: `Settings` of the model's class.
        given: Those that were given, by name. Where a run is resumed, the others are its own.
        data: Name or path of images, or a pair of arrays; None for `"digits"`, or the run's.

    Attributes:
        settings: All of them.
        images: Those to train on, and those to validate on.

    Raises:
        ValueError: Settings or images that cannot be, or are not those of the run to resume.
    """

    def __init__(self, op, run, resume, settings, given, data):
        self.op, self.run, self.resume = op, run, resume
        wanted = self._settings(settings, given)
        self.images, self.settings = self._images(data, wanted)

    def _settings(self, cls, given):
        """The settings to train with, but for the images."""
        run = self.run
        known = {field.name for field in dataclasses.fields(cls)} - {"data", "images"}
        unknown = set(given) - known
        if unknown:
            raise TypeError(f"{self.op}: unknown setting {sorted(unknown)[0]!r}")
        if not self.resume:
            if run.trained:
                raise ValueError(
                    f"{run.folder} already holds a run: resume it, or choose another folder"
                )
            return cls(**given)
        if not run.resumable:
            raise ValueError(f"{run.folder} holds no checkpoint to resume")
        kept = run.settings
        if type(kept) is not cls:
            raise ValueError(
                f"{run.folder} holds a run of model {kept.MODEL!r}. Received: {cls.MODEL!r}"
            )
        wanted = dataclasses.replace(kept, **given)
        if difference := kept.difference(wanted):
            name = difference.partition("=")[0]
            received = f"{name}={getattr(wanted, name)!r}"
            raise ValueError(f"the run in {run.folder} has {difference}. Received: {received}")
        if wanted.epochs < run.epochs:
            raise ValueError(
                f"the run in {run.folder} has done {run.epochs} epochs. "
                f"Received: epochs={wanted.epochs}"
            )
        return wanted

    def _images(self, data, settings):
        """Training and validation images, and the settings with their name and fingerprint."""
        run, kept = self.run, settings.data
        data = kept if data is None else data
        if isinstance(data, (str, os.PathLike)):
            a_file = data not in fastgen.data.SOURCES and os.path.exists(data)
            name = os.path.abspath(data) if a_file else str(data)
            if name == "arrays":
                raise ValueError(
                    f"the run in {run.folder} was trained on arrays: give them again as data"
                )
            (x_train, _), (x_valid, _) = fastgen.data.load(data, seed=settings.seed)
        else:
            name, (x_train, x_valid) = "arrays", map(np.asarray, data)
        for part, x in (("training", x_train), ("validation", x_valid)):
            if not len(x):
                raise ValueError(f"{name}: one image at least is needed for {part}. Received: none")
            check_images(self.op, f"{part} data", x, x_train.shape[1:], unit_range="a run")
        found = fingerprint(x_train, x_valid)
        if self.resume and found != settings.images:
            raise ValueError(
                f"the run in {run.folder} was trained on other images, those of {kept}. "
                f"Received: {name}"
            )
        return (x_train, x_valid), dataclasses.replace(settings, data=name, images=found)

    def train(self, model, fit, interrupt, callbacks):
        """Trains, with a checkpoint at the start and at the end of every epoch.

        Args:
            model: Compiled model, with the weights that the seed gives it.
            fit: Its `fit` on the images, as a function of what else there is to say.
            interrupt: `StopOnInterrupt`, entered.
            callbacks: Keras callbacks, whose logs are recorded.
        """
        with self.run.lock():
            self._train(model, fit, interrupt, callbacks)

    def _train(self, model, fit, interrupt, callbacks):
        run, settings = self.run, self.settings
        run.model = model
        if not self.resume:  # those of a run whose first epoch never ended must not meet others
            shutil.rmtree(run.checkpoints, ignore_errors=True)
        checkpoints = Checkpoints(run.checkpoints, model)
        first_epoch, rows = self._begin(checkpoints)
        recorder = Recorder(run, checkpoints, rows)
        stopwatch = Stopwatch(len(self.images[0]), interrupt)
        try:
            fit(
                epochs=settings.epochs,
                initial_epoch=first_epoch,
                verbose=0,
                callbacks=[stopwatch, *callbacks, interrupt, recorder],
            )
        except tf.errors.InvalidArgumentError as error:
            if "is not finite" not in error.message:  # as ops say that hold a whole step
                raise
            recorder.diverged = len(rows) + 1
        run.interrupted = interrupt.pressed and run.epochs < settings.epochs
        if interrupt.pressed or recorder.diverged:
            checkpoints.restore()
        run.write_model()
        if recorder.diverged:
            raise ValueError(
                f"the loss of epoch {recorder.diverged} is not finite; {run.folder} holds the "
                f"state before it. Received: learning_rate={settings.learning_rate}"
            )

    def _begin(self, checkpoints):
        """Writes what a run begins with, or restores it: the number of its epochs, their rows."""
        run = self.run
        first_epoch = checkpoints.restore() if self.resume else 0
        rows = run.history[:first_epoch] if self.resume else []
        if len(rows) < first_epoch:
            raise ValueError(
                f"{run.folder / 'history.csv'} is damaged: it must have {first_epoch} epochs, as "
                f"the checkpoint does. Received: {len(rows)}"
            )
        run.history = rows
        run.settings = self.settings
        if not self.resume:
            run.write_model()
            checkpoints.save(0)
        return first_epoch, rows
