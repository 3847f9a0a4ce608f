"""Trains a variational autoencoder into a folder, from which it can be resumed bit for bit."""

import dataclasses
import os
import shutil

import numpy as np

import fastgen.data
from fastgen.interrupt import StopOnInterrupt
from fastgen.models import Warmup, variational_autoencoder
from fastgen.models.images import check_images
from fastgen.optimizers import Nadam
from fastgen.training.active_units import ActiveUnits
from fastgen.training.batches import batches, steps_per_epoch
from fastgen.training.checkpoint import Checkpoints
from fastgen.training.recorder import Recorder
from fastgen.training.run import Run
from fastgen.training.settings import VAESettings, fingerprint
from fastgen.training.stopwatch import Stopwatch

VALIDATION_BATCH = 256


def train_vae(data=None, out="fastgen-vae", *, resume=False, callbacks=(), **settings):
    """Trains a variational autoencoder, with checkpoints, into a folder.

    At the start and at the end of every epoch there is a checkpoint. Ctrl-C ends the training: the
    epoch under way does not count, and what the folder holds is the state before it. A run that was
    interrupted, or killed at whatever moment, and is resumed ends with the same bits in its weights
    as one that never stopped, on the same machine with the same versions and number of threads.

    Example:
    >>> import fastgen
    >>> run = fastgen.training.train_vae("digits", "vae", epochs=1, codings=2, seed=1)
    >>> sorted(path.name for path in run.folder.glob("[a-z]*"))
    ['checkpoints', 'config.json', 'history.csv', 'model.keras']
    >>> run = fastgen.training.train_vae(out="vae", resume=True, epochs=2)
    >>> run.epochs, run.history[-1]["val_loss"] < run.history[0]["val_loss"]
    (2, True)

    Args:
        data: Name or path of the images for `fastgen.data.load`, or a pair `(x_train, x_valid)` of
            float arrays `(n, ...)` in [0, 1]. By default `"digits"`, or what the resumed run has.
        out: Folder to write into. A run in it that has not done one epoch is replaced.
        resume: Whether to go on with the run in that folder. Settings that are not given are those
            of the run; one that is given and differs is an error, but for `epochs`.
        callbacks: Further Keras callbacks. The logs of an epoch have its `seconds`, without the
            validation, and `images_per_second`, unless Ctrl-C cut it short, and with two validation
            images or more its `active_units`.
        **settings: `epochs`, `batch_size`, `codings`, `kind`, `beta`, `warmup`, `learning_rate`,
            `seed`: see `VAESettings`, which has their defaults.

    Returns:
        The `Run`, with its trained model.

    Raises:
        ValueError: A setting out of its range; a run that cannot be resumed, or not with these
            settings; a folder that holds a run already; a loss that is no longer finite.
        OSError: Files that cannot be read or written.
    """
    run = Run(out)
    wanted = _settings(run, resume, settings)
    x_train, x_valid, wanted = _images(data, run, resume, wanted)
    with run.lock(), StopOnInterrupt() as interrupt:
        _train(run, wanted, resume, x_train, x_valid, interrupt, callbacks)
    return run


def _settings(run, resume, given):
    """The settings to train with, but for the images."""
    known = {field.name for field in dataclasses.fields(VAESettings)} - {"data", "images"}
    unknown = set(given) - known
    if unknown:
        raise TypeError(f"train_vae: unknown setting {sorted(unknown)[0]!r}")
    if not resume:
        if run.trained:
            raise ValueError(
                f"{run.folder} already holds a run: resume it, or choose another folder"
            )
        return VAESettings(**given)
    if not run.resumable:
        raise ValueError(f"{run.folder} holds no checkpoint to resume")
    kept = run.settings
    wanted = dataclasses.replace(kept, **given)
    if difference := kept.difference(wanted):
        name = difference.partition("=")[0]
        raise ValueError(
            f"the run in {run.folder} has {difference}. Received: {name}={getattr(wanted, name)!r}"
        )
    if wanted.epochs < run.epochs:
        raise ValueError(
            f"the run in {run.folder} has done {run.epochs} epochs. "
            f"Received: epochs={wanted.epochs}"
        )
    return wanted


def _images(data, run, resume, settings):
    """Training and validation images, and the settings with their name and fingerprint."""
    kept = settings.data if resume else "digits"
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
        check_images("train_vae", f"{part} data", x, x_train.shape[1:], unit_range=True)
    found = fingerprint(x_train, x_valid)
    if resume and found != settings.images:
        raise ValueError(
            f"the run in {run.folder} was trained on other images, those of {kept}. "
            f"Received: {name}"
        )
    return x_train, x_valid, dataclasses.replace(settings, data=name, images=found)


def _train(run, settings, resume, x_train, x_valid, interrupt, callbacks):
    model = run.model = _compiled(settings, x_train)
    if not resume:  # those of a run whose first epoch never ended must not meet other settings
        shutil.rmtree(run.checkpoints, ignore_errors=True)
    checkpoints = Checkpoints(run.checkpoints, model)
    first_epoch = checkpoints.restore() if resume else 0
    rows = run.history[:first_epoch] if resume else []
    if len(rows) < first_epoch:
        raise ValueError(
            f"{run.folder / 'history.csv'} is damaged: it must have {first_epoch} epochs, as the "
            f"checkpoint does. Received: {len(rows)}"
        )
    run.history = rows
    run.settings = settings
    if not resume:
        run.write_model()
        checkpoints.save(0)
    recorder = Recorder(run, checkpoints, rows)
    units = [ActiveUnits(x_valid)] if len(x_valid) > 1 else []  # a variance takes two
    model.fit(
        batches(x_train, settings.batch_size, seed=settings.seed, first_epoch=first_epoch),
        validation_data=x_valid,
        validation_batch_size=VALIDATION_BATCH,
        epochs=settings.epochs,
        initial_epoch=first_epoch,
        steps_per_epoch=steps_per_epoch(len(x_train), settings.batch_size),
        shuffle=False,
        verbose=0,
        callbacks=[Stopwatch(len(x_train), interrupt), *units, *callbacks, interrupt, recorder],
    )
    run.active_units = units[0].report if units else None
    run.interrupted = interrupt.pressed and run.epochs < settings.epochs
    if interrupt.pressed or recorder.diverged:
        checkpoints.restore()
    run.write_model()
    if recorder.diverged:
        raise ValueError(
            f"the loss of epoch {recorder.diverged} is not finite; {run.folder} holds the state "
            f"before it. Received: learning_rate={settings.learning_rate}"
        )


def _compiled(settings, x_train):
    """The model, with the weights that the seed gives it."""
    steps = settings.warmup * steps_per_epoch(len(x_train), settings.batch_size)
    vae = variational_autoencoder(
        x_train.shape[1:],
        settings.codings,
        kind=settings.kind,
        beta=Warmup(steps, settings.beta) if steps else settings.beta,
        seed=settings.seed,
    )
    vae.compile(Nadam(settings.learning_rate))
    return vae
