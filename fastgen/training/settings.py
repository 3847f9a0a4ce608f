"""What a run of a variational autoencoder was told to do."""

import dataclasses
import hashlib
import math
import numbers

import numpy as np

KINDS = ("dense", "convolutional")


@dataclasses.dataclass(frozen=True)
class VAESettings:
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

    data: str = "digits"
    images: str = ""
    epochs: int = 50
    batch_size: int = 32
    codings: int = 10
    kind: str = "dense"
    beta: float = 1.0
    warmup: float = 0.0
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self):
        for name, least in {"epochs": 1, "batch_size": 1, "codings": 1, "seed": 0}.items():
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
                _refuse(name, f"an integer ≥ {least}", value)
        if self.seed >= 2**32:
            _refuse("seed", "below 2**32", self.seed)
        for name in ("beta", "warmup", "learning_rate"):
            value = getattr(self, name)
            if not isinstance(value, numbers.Real) or not 0 <= value < math.inf:
                _refuse(name, "a number ≥ 0", value)
        if self.learning_rate == 0:
            _refuse("learning_rate", "above 0", 0)
        if self.kind not in KINDS:
            _refuse("kind", f"one of {', '.join(KINDS)}", self.kind)

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


def fingerprint(*arrays):
    """SHA-256 of arrays, their shapes and dtypes, as hexadecimal digits."""
    digest = hashlib.sha256()
    for x in arrays:
        digest.update(f"{x.dtype.str}{x.shape}".encode())
        digest.update(np.ascontiguousarray(x))
    return digest.hexdigest()


def _refuse(name, expected, value):
    raise ValueError(f"{name} must be {expected}. Received: {value!r}")
