"""Verdicts on a trained autoencoder: whether it has memorised its data, or copies anything."""

import warnings
from typing import NamedTuple

import keras
import numpy as np

from fastgen.models.images import check_images
from fastgen.ops.arguments import count

IMAGES = 1000  # at most that are looked at, of each kind
# Validation error over training error on digits, after 50 to 200 epochs: 1.1 to 1.3 for stacked,
# denoising and sparse autoencoders of 1617 images; of 32 images, 1000 epochs, 43 to 1034. Between
# them, 256 images and 1000 epochs, 2.8 to 4.5.
OVERFIT_RATIO = 4
# Validation error that is too small to speak of memorising, whatever the ratio. Of 32 digits 0.37
# to 0.73; 0.03 with ratio 3.1 for a wide one of 256, which makes good images of all.
OVERFIT_ERROR = 0.1
# Error of noise on digits: 0.08 to 0.15 for overcomplete autoencoders of 3 seeds after 10 to 50
# epochs; 0.29 to 0.55 for sparse, 0.32 for 784-200-100-200-784, 0.37 for linear ones of 30 codings,
# above 0.8 for stacked, tied, denoising and hashing ones.
COPIED = 0.2
# Share of the variance whose directions the noise has. Of digits, of 8 x 8 pixels once, these are
# 48 of 784: nothing copies noise of the others, which no gradient has ever seen. With 0.99, 37
# directions, 300 sparse codings came down to 0.2.
SHARE = 0.999


class Verdict(NamedTuple):
    """What is wrong with a model.

    Attributes:
        name: `"overfit"` or `"copy"`.
        message: The same in words.
        numbers: What it rests on: errors as shares of the data's variance, by name.
    """

    name: str
    message: str
    numbers: dict

    def __str__(self):
        return f"{self.name}: {self.message}"


def judge(model, x_train, x_valid, *, seed=0, batch_size=256):
    """The verdicts on a trained autoencoder, an empty list where nothing is wrong with it.

    Errors are mean squared errors of what the model makes of inputs, as shares of the variance of
    the training data: 1 is that of a model that always gives their mean.

    - `"overfit"`: the model has memorised: the error of validation data is above 0.1, and 4 times
      that of training data.
    - `"copy"`: the model copies whatever it gets: the error of noise is below 0.2 of the noise's
      variance. The noise has the mean and the variance of the data, but is alike in all the
      directions in which these vary (with 99.9 % of their variance), where data are not.

    Example:
    >>> import numpy as np
    >>> import keras
    >>> import fastgen
    >>> x = np.random.default_rng(1).random((96, 4), dtype="float32")
    >>> dense = keras.layers.Dense(4, kernel_initializer="identity")
    >>> encoder = keras.Sequential([keras.Input((4,)), dense])
    >>> decoder = keras.Sequential([keras.Input((4,)), keras.layers.Identity()])
    >>> model = fastgen.models.Autoencoder(encoder, decoder)
    >>> [verdict.name for verdict in fastgen.training.judge(model, x[:64], x[64:])]
    ['copy']

    Args:
        model: Keras autoencoder, or any model of ours that has `encode` and `decode`.
        x_train: What it was trained on, an array `(n, ...)`. Of more than 1000 inputs so many are
            looked at, or fewer.
        x_valid: Inputs of the same kind that it was not trained on, likewise.
        seed: Of the noise.
        batch_size: Inputs at a time.

    Returns:
        A list of `Verdict`.

    Raises:
        ValueError: if the arrays are empty or not finite, or inputs and outputs are not of one
            shape.
    """
    x_train, x_valid = (_some(name, x) for name, x in (("x_train", x_train), ("x_valid", x_valid)))
    if x_train.shape[1:] != x_valid.shape[1:]:
        raise ValueError(
            "judge: x_train and x_valid must hold inputs of one shape. "
            f"Received: {x_train.shape} and {x_valid.shape}"
        )
    variance = x_train.var(axis=0, dtype="float64").mean()
    if not variance > 0:  # nothing to memorise, and no noise like it
        return []
    noise = noise_like(x_train, len(x_train), seed)
    error = lambda x: _error(model, x.astype(x_train.dtype), batch_size)  # noqa: E731
    numbers = {
        "train": error(x_train) / variance,
        "valid": error(x_valid) / variance,
        "noise": error(noise) / noise.var(axis=0).mean(),
    }
    numbers = {name: float(value) for name, value in numbers.items()}
    return [verdict for verdict in (_overfit(numbers), _copy(numbers)) if verdict]


class Verdicts(keras.callbacks.Callback):
    """Warns at the end of a training of what is wrong with the autoencoder: see `judge`.

    Example:
    >>> import warnings
    >>> import numpy as np
    >>> import fastgen
    >>> x = np.random.default_rng(1).random((40, 8), dtype="float32")
    >>> model = fastgen.models.stacked_autoencoder((8,), 8, hidden=(200,), seed=1)
    >>> model.compile()
    >>> verdicts = fastgen.training.Verdicts(x[:20], x[20:], every=50, stop=True)
    >>> with warnings.catch_warnings(record=True):
    ...     history = model.fit(x[:20], epochs=1000, verbose=0, callbacks=[verdicts])
    >>> verdicts.verdicts[0].name, len(history.epoch) < 1000
    ('overfit', True)

    Args:
        x_train: As for `judge`; and
        x_valid: likewise.
        every: integer ≥ 1, epochs from one look to the next. Without `stop` the only look is at the
            end.
        stop: Whether a verdict ends the training. The weights are those of that moment.
        seed: As for `judge`.

    Attributes:
        verdicts: Those of the last look.

    Raises:
        ValueError: if `every` is not as above.
    """

    def __init__(self, x_train, x_valid, *, every=10, stop=False, seed=0):
        super().__init__()
        self.x_train, self.x_valid, self.seed = x_train, x_valid, seed
        self.every, self.stop = count("Verdicts", "every", every), stop
        self.verdicts = []

    def on_epoch_end(self, epoch, logs=None):
        """Look, if that may end the training, and end it."""
        if self.stop and (epoch + 1) % self.every == 0 and self.look():
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        """Look, and warn."""
        for verdict in self.look():
            warnings.warn(str(verdict), RuntimeWarning, stacklevel=2)

    def look(self):
        """The verdicts on the model as it is."""
        self.verdicts = judge(self.model, self.x_train, self.x_valid, seed=self.seed)
        return self.verdicts


def _overfit(numbers):
    train, valid = numbers["train"], numbers["valid"]
    if not (valid > OVERFIT_ERROR and valid > OVERFIT_RATIO * train):
        return None
    message = (
        f"the model has memorised its training data: the error is {valid:.1%} of the variance on "
        f"validation data, {100 * train:.2g}% on training data. More data, fewer units, noise or a "
        "penalty, or fewer epochs may help."
    )
    return Verdict("overfit", message, {name: numbers[name] for name in ("train", "valid")})


def _copy(numbers):
    if not numbers["noise"] < COPIED:
        return None
    message = (
        f"the model copies whatever it gets: of noise that is like the data in nothing but mean, "
        f"variance and range it loses {numbers['noise']:.1%}, of data {numbers['valid']:.1%}. "
        "Fewer codings, or noise on the inputs or a penalty on the codings, make it learn more."
    )
    return Verdict("copy", message, {name: numbers[name] for name in ("valid", "noise")})


def noise_like(x, n, seed):
    """Noise `(n, ...)` with the mean, variance and range of data, alike in all their directions.

    Args:
        x: `(images, ...)` array.
        n: integer.
        seed: integer.
    """
    flat = x.reshape(len(x), -1).astype("float64")
    mean = flat.mean(axis=0)
    _, sizes, directions = np.linalg.svd(flat - mean, full_matrices=False)
    shares = np.cumsum(sizes**2) / np.sum(sizes**2)
    kept = np.searchsorted(shares, SHARE) + 1
    random = np.random.RandomState(seed).standard_normal((n, kept))
    noise = mean + random @ directions[:kept] * np.sqrt(np.sum(sizes**2) / len(x) / kept)
    return np.clip(noise, x.min(), x.max()).reshape(n, *x.shape[1:])


def _some(name, x):
    x = np.asarray(x)
    if x.ndim < 2 or not x.size:
        raise ValueError(f"judge: {name} must hold inputs (n, ...). Received: shape {x.shape}")
    check_images("judge", name, x, x.shape[1:])
    return x[:: -(-len(x) // IMAGES)]


def _error(model, x, batch_size):
    """Mean squared error of what a model makes of inputs."""
    if hasattr(model, "encode"):
        outputs = model.decode(model.encode(x, batch_size=batch_size), batch_size=batch_size)
    else:
        outputs = model.predict(x, batch_size=batch_size, verbose=0)
    if outputs.shape != x.shape:
        raise ValueError(
            f"judge: model must give outputs of the shape of its inputs, {x.shape}. "
            f"Received: {outputs.shape}"
        )
    return float(np.mean((outputs.astype("float64") - x) ** 2))
