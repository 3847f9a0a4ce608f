"""What a run was told to do."""

import dataclasses
import hashlib
import inspect
import math
import numbers
from typing import ClassVar

import numpy as np

from fastgen.models import AUTOENCODERS
from fastgen.ops.batch_norm import MODES


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the runs of all models are told; see the classes of each model."""

    MODEL: ClassVar = None
    # Integers at least so large, numbers from and to, and names one of which is to be chosen.
    LEAST: ClassVar = {"epochs": 1, "batch_size": 1, "codings": 1, "seed": 0}
    RANGES: ClassVar = {"learning_rate": (0, math.inf)}
    CHOICES: ClassVar = {}

    data: str = "digits"
    images: str = ""
    epochs: int = 50
    batch_size: int = 32
    codings: int = 10
    kind: str = "dense"
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self):
        for name, least in self.LEAST.items():
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
                _refuse(name, f"an integer ≥ {least}", value)
        if self.seed >= 2**32:
            _refuse("seed", "below 2**32", self.seed)
        for name, (low, high) in self.RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, numbers.Real) or not low <= value <= high or value == math.inf:
                _refuse(name, f"a number ≥ {low}" + f" and ≤ {high}" * (high < math.inf), value)
        if self.learning_rate == 0:
            _refuse("learning_rate", "above 0", 0)
        for name, choices in self.CHOICES.items():
            if getattr(self, name) not in choices:
                _refuse(name, f"one of {', '.join(choices)}", getattr(self, name))

    def difference(self, other):
        """The first setting, as text, in which the other's training would not continue this one.

        None if there is no such setting. Where the images are the same it does not matter by what
        name they came.
        """
        for field in dataclasses.fields(self):
            mine = getattr(self, field.name)
            if field.name not in ("data", "epochs") and mine != getattr(other, field.name):
                return f"{field.name}={mine!r}"
        return None


@dataclasses.dataclass(frozen=True)
class VAESettings(Settings):
    """The arguments of `train_vae` that decide the weights it ends with.

    Example:
    >>> from fastgen.training import VAESettings
    >>> settings = VAESettings(codings=2)
    >>> settings.batch_size, settings.difference(VAESettings(codings=3, epochs=60))
    (32, 'codings=2')

    Attributes:
        data: Name or path of the images (see `fastgen.data.load`), or `"arrays"`.
        images: SHA-256 of the images themselves.
        epochs: Whole passes over the images; the one setting that may change on resuming.
        batch_size: Images in a step.
        codings: Size of the latent space.
        kind: `"dense"` or `"convolutional"`.
        beta: Weight of the KL divergence.
        warmup: Epochs over which β rises from 0.
        learning_rate: Of Nadam.
        seed: Of the weights, the noise, the order of the images, and which are held out.

    Raises:
        ValueError: A value out of its range.
    """

    MODEL: ClassVar = "vae"
    RANGES: ClassVar = dict.fromkeys(("beta", "warmup", "learning_rate"), (0, math.inf))
    CHOICES: ClassVar = {"kind": ("dense", "convolutional")}

    beta: float = 1.0
    warmup: float = 0.0


@dataclasses.dataclass(frozen=True)
class GANSettings(Settings):
    """The arguments of `train_gan_run` that decide the weights it ends with.

    Example:
    >>> from fastgen.training import GANSettings
    >>> settings = GANSettings(kind="dcgan")
    >>> settings.codings, settings.difference(GANSettings())
    (30, "kind='dcgan'")

    Attributes:
        data: Name or path of the images (see `fastgen.data.load`), or `"arrays"`.
        images: SHA-256 of the images themselves.
        epochs: Whole passes over the images; the one setting that may change on resuming.
        batch_size: Images in an update.
        codings: Numbers that an image is generated from.
        kind: `"dense"` or `"dcgan"`: see the functions in `fastgen.models`.
        optimizer: `"rmsprop"`, or `"adam"` with the β₁ = 0.5 of Radford et al. (2016).
        learning_rate: Of both networks.
        batch_norm: `"train"` or `"book"`; and
        n_critic: updates of the discriminator in a step; and
        label_smoothing: in [0, 1]; and
        label_noise: in [0, 1 - label_smoothing]: see `fastgen.GAN.compile`.
        seed: Of the weights, the noise, the order of the images, and which are held out.

    Raises:
        ValueError: A value out of its range.
    """

    MODEL: ClassVar = "gan"
    LEAST: ClassVar = {**Settings.LEAST, "n_critic": 1}
    RANGES: ClassVar = {
        "learning_rate": (0, math.inf),
        "label_smoothing": (0, 1),
        "label_noise": (0, 1),
    }
    CHOICES: ClassVar = {
        "kind": ("dense", "dcgan"),
        "optimizer": ("rmsprop", "adam"),
        "batch_norm": MODES,
    }

    codings: int = 30
    optimizer: str = "rmsprop"
    batch_norm: str = "train"
    n_critic: int = 1
    label_smoothing: float = 0.0
    label_noise: float = 0.0


@dataclasses.dataclass(frozen=True)
class AutoencoderSettings(Settings):
    """The arguments of `train_autoencoder` that decide the weights it ends with.

    Example:
    >>> from fastgen.training import AutoencoderSettings
    >>> settings = AutoencoderSettings(kind="denoising", corruption="dropout")
    >>> settings.options
    {'corruption': 'dropout'}

    Attributes:
        data: Name or path of the images (see `fastgen.data.load`), or `"arrays"`.
        images: SHA-256 of the images themselves.
        epochs: Whole passes over the images; the one setting that may change on resuming.
        batch_size: Images in a step.
        kind: One of `fastgen.models.AUTOENCODERS`; of its function are the following settings, and
            where they are None its defaults:
        codings: Size of the latent space.
        corruption: `"gaussian"` or `"dropout"`, of `"denoising"`; and
        amount: how much of it.
        penalty: `"kl"`, `"l1"` or `"mse"`, of `"sparse"`; and
        weight: of the penalty; and
        target: mean activity that it asks for.
        noise: Standard deviation, of `"hashing"`.
        learning_rate: Of Nadam.
        seed: Of the weights, the noise, the order of the images, and which are held out.

    Raises:
        ValueError: A value out of its range, or one that the kind has no use for.
    """

    MODEL: ClassVar = "autoencoder"
    LEAST: ClassVar = {name: n for name, n in Settings.LEAST.items() if name != "codings"}
    CHOICES: ClassVar = {"kind": tuple(AUTOENCODERS)}
    OPTIONS: ClassVar = (
        "codings",
        "corruption",
        "amount",
        "penalty",
        "weight",
        "target",
        "noise",
    )

    codings: int | None = None
    kind: str = "stacked"
    corruption: str | None = None
    amount: float | None = None
    penalty: str | None = None
    weight: float | None = None
    target: float | None = None
    noise: float | None = None

    def __post_init__(self):
        super().__post_init__()
        taken = inspect.signature(AUTOENCODERS[self.kind]).parameters
        for name, value in self.options.items():
            if name not in taken:
                _refuse(name, f"left out: {self.kind} autoencoders have none", value)

    @property
    def options(self):
        """What the function of the kind is given, by name."""
        given = {name: getattr(self, name) for name in self.OPTIONS}
        return {name: value for name, value in given.items() if value is not None}


def fingerprint(*arrays):
    """SHA-256 of arrays, their shapes and dtypes, as hexadecimal digits."""
    digest = hashlib.sha256()
    for x in arrays:
        digest.update(f"{x.dtype.str}{x.shape}".encode())
        digest.update(np.ascontiguousarray(x))
    return digest.hexdigest()


def _refuse(name, expected, value):
    raise ValueError(f"{name} must be {expected}. Received: {value!r}")
