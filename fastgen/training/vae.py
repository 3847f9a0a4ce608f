"""Trains a variational autoencoder into a folder, from which it can be resumed bit for bit."""

import math

from fastgen.interrupt import StopOnInterrupt
from fastgen.models import Warmup, variational_autoencoder
from fastgen.optimizers import Nadam
from fastgen.training.active_units import ActiveUnits
from fastgen.training.run import Run
from fastgen.training.session import Session
from fastgen.training.settings import VAESettings

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
    session = Session("train_vae", run, resume, VAESettings, settings, data)
    (x_train, x_valid), wanted = session.images, session.settings
    units = [ActiveUnits(x_valid)] if len(x_valid) > 1 else []  # a variance takes two
    with StopOnInterrupt() as interrupt:
        model = _compiled(wanted, x_train)

        def fit(**how):
            how |= {"validation_data": x_valid, "validation_batch_size": VALIDATION_BATCH}
            model.fit(x_train, batch_size=wanted.batch_size, **how)

        session.train(model, fit, interrupt, [*units, *callbacks])
    run.active_units = units[0].report if units else None
    return run


def _compiled(settings, x_train):
    """The model, with the weights that the seed gives it."""
    steps = settings.warmup * math.ceil(len(x_train) / settings.batch_size)
    vae = variational_autoencoder(
        x_train.shape[1:],
        settings.codings,
        kind=settings.kind,
        beta=Warmup(steps, settings.beta) if steps else settings.beta,
        seed=settings.seed,
    )
    vae.compile(Nadam(settings.learning_rate))
    return vae
