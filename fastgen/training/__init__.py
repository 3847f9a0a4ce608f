"""Training that can be interrupted, resumed bit for bit, and watched."""

from fastgen import native

native.require_tensorflow("fastgen.training")

from fastgen.training.active_units import ActiveUnits  # noqa: E402
from fastgen.training.autoencoder import train_autoencoder  # noqa: E402
from fastgen.training.checkpoint import Checkpoints  # noqa: E402
from fastgen.training.gan import train_gan  # noqa: E402
from fastgen.training.gan_run import train_gan_run  # noqa: E402
from fastgen.training.layerwise import train_layerwise  # noqa: E402
from fastgen.training.pretraining import train_classifier  # noqa: E402
from fastgen.training.run import Run, load_model  # noqa: E402
from fastgen.training.settings import (  # noqa: E402
    AutoencoderSettings,
    GANSettings,
    VAESettings,
)
from fastgen.training.vae import train_vae  # noqa: E402
from fastgen.training.verdicts import Verdicts, judge  # noqa: E402

__all__ = [
    "ActiveUnits",
    "AutoencoderSettings",
    "Checkpoints",
    "GANSettings",
    "Run",
    "VAESettings",
    "Verdicts",
    "judge",
    "load_model",
    "train_autoencoder",
    "train_classifier",
    "train_gan",
    "train_gan_run",
    "train_layerwise",
    "train_vae",
]
