"""Trains an autoencoder into a folder, from which it can be resumed bit for bit."""

from fastgen.interrupt import StopOnInterrupt
from fastgen.models import AUTOENCODERS
from fastgen.optimizers import Nadam
from fastgen.training.run import Run
from fastgen.training.session import Session
from fastgen.training.settings import AutoencoderSettings
from fastgen.training.verdicts import judge

VALIDATION_BATCH = 256


def train_autoencoder(data=None, out="fastgen-ae", *, resume=False, callbacks=(), **settings):
    """Trains an autoencoder of the mean squared error, with checkpoints, into a folder.

    As `train_vae` does: at the start and at the end of every epoch there is a checkpoint, and a run
    that was interrupted, or killed at whatever moment, and is resumed ends with the same bits in
    its weights as one that never stopped.

    Example:
    >>> import fastgen
    >>> run = fastgen.training.train_autoencoder("digits", "ae", epochs=1, codings=2, seed=1)
    >>> sorted(path.name for path in run.folder.glob("[a-z]*"))
    ['checkpoints', 'config.json', 'history.csv', 'model.keras']
    >>> run = fastgen.training.train_autoencoder(out="ae", resume=True, epochs=2)
    >>> run.epochs, run.history[-1]["val_loss"] < run.history[0]["val_loss"]
    (2, True)

    Args:
        data: Name or path of the images for `fastgen.data.load`, or a pair `(x_train, x_valid)` of
            float arrays `(n, ...)` in [0, 1]. By default `"digits"`, or what the resumed run has.
        out: Folder to write into. A run in it that has not done one epoch is replaced.
        resume: Whether to go on with the run in that folder. Settings that are not given are those
            of the run; one that is given and differs is an error, but for `epochs`.
        callbacks: Further Keras callbacks. The logs of an epoch are those of `fit`, and unless
            Ctrl-C cut it short, its `seconds`, without the validation, and `images_per_second`.
        **settings: `epochs`, `batch_size`, `kind`, `codings`, `corruption`, `amount`, `penalty`,
            `weight`, `target`, `noise`, `learning_rate`, `seed`: see `AutoencoderSettings`, which
            has their defaults.

    Returns:
        The `Run`, with its trained model and, unless Ctrl-C cut it short, the `verdicts` on it.

    Raises:
        ValueError: A setting out of its range, or of another kind; a run that cannot be resumed, or
            not with these settings; a folder that holds a run already; a loss that is no longer
            finite.
        OSError: Files that cannot be read or written.
    """
    run = Run(out)
    session = Session("train_autoencoder", run, resume, AutoencoderSettings, settings, data)
    (x_train, x_valid), wanted = session.images, session.settings
    with StopOnInterrupt() as interrupt:
        model = _compiled(wanted, x_train.shape[1:])

        def fit(**how):
            how |= {"validation_data": x_valid, "validation_batch_size": VALIDATION_BATCH}
            model.fit(x_train, batch_size=wanted.batch_size, **how)

        session.train(model, fit, interrupt, callbacks)
    if not run.interrupted:
        run.verdicts = judge(model, x_train, x_valid, seed=wanted.seed)
    return run


def _compiled(settings, image_shape):
    """The model, with the weights that the seed gives it."""
    build = AUTOENCODERS[settings.kind]
    autoencoder = build(image_shape, seed=settings.seed, **settings.options)
    autoencoder.compile(Nadam(settings.learning_rate))
    return autoencoder
