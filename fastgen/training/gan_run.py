"""Trains a generative adversarial network into a folder, to be resumed bit for bit."""

from fastgen import optimizers
from fastgen.interrupt import StopOnInterrupt
from fastgen.models import dcgan, dense_gan
from fastgen.training.run import Run
from fastgen.training.session import Session
from fastgen.training.settings import GANSettings

KINDS = {"dense": dense_gan, "dcgan": dcgan}
BETA_1 = 0.5  # of Adam: with Keras' 0.9, Radford et al. saw trainings oscillate


def train_gan_run(data=None, out="fastgen-gan", *, resume=False, callbacks=(), **settings):
    """Trains a generative adversarial network, with checkpoints, into a folder.

    As `train_vae` does: at the start and at the end of every epoch there is a checkpoint, and a run
    that was interrupted, or killed at whatever moment, and is resumed ends with the same bits in
    its weights as one that never stopped.

    The images that are held out are not trained on: `fastgen evaluate` compares with them.

    Example:
    >>> import fastgen
    >>> run = fastgen.training.train_gan_run("digits", "gan", epochs=1, seed=1)
    >>> sorted(path.name for path in run.folder.glob("[a-z]*"))
    ['checkpoints', 'config.json', 'history.csv', 'model.keras']
    >>> run = fastgen.training.train_gan_run(out="gan", resume=True, epochs=2)
    >>> run.epochs, run.model.generate(3, seed=1).shape
    (2, (3, 28, 28))

    Args:
        data: Name or path of the images for `fastgen.data.load`, or a pair `(x_train, x_valid)` of
            float arrays `(n, ...)` in [0, 1]. By default `"digits"`, or what the resumed run has.
        out: Folder to write into. A run in it that has not done one epoch is replaced.
        resume: Whether to go on with the run in that folder. Settings that are not given are those
            of the run; one that is given and differs is an error, but for `epochs`.
        callbacks: Further Keras callbacks. The logs of an epoch are those of `fastgen.GAN.fit`, and
            unless Ctrl-C cut it short, its `seconds` and `images_per_second`.
        **settings: `epochs`, `batch_size`, `codings`, `kind`, `optimizer`, `learning_rate`,
            `batch_norm`, `n_critic`, `label_smoothing`, `label_noise`, `seed`: see `GANSettings`,
            which has their defaults.

    Returns:
        The `Run`, with its trained model.

    Raises:
        ValueError: A setting out of its range; a run that cannot be resumed, or not with these
            settings; a folder that holds a run already; a loss that is no longer finite.
        OSError: Files that cannot be read or written.
    """
    run = Run(out)
    session = Session("train_gan_run", run, resume, GANSettings, settings, data)
    (images, _), wanted = session.images, session.settings
    with StopOnInterrupt() as interrupt:
        model = _compiled(wanted, images.shape[1:])
        low, high = model.value_range
        images = images * (high - low) + low

        def fit(**how):
            model.fit(images, batch_size=wanted.batch_size, **how)

        session.train(model, fit, interrupt, callbacks)
    return run


def _compiled(settings, image_shape):
    """The model, with the weights that the seed gives it."""
    gan = KINDS[settings.kind](settings.codings, image_shape, seed=settings.seed)
    gan.compile(
        *(_optimizer(settings) for _ in range(2)),
        batch_norm=settings.batch_norm,
        n_critic=settings.n_critic,
        label_smoothing=settings.label_smoothing,
        label_noise=settings.label_noise,
    )
    return gan


def _optimizer(settings):
    if settings.optimizer == "adam":
        return optimizers.Adam(settings.learning_rate, beta_1=BETA_1)
    return optimizers.RMSprop(settings.learning_rate)
