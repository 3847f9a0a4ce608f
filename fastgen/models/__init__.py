"""Models made of fastgen's layers: builders, and the training they need."""

from fastgen import native

native.require_tensorflow("fastgen.models")

from fastgen.models import latent_space  # noqa: E402
from fastgen.models.autoencoder import Autoencoder  # noqa: E402
from fastgen.models.autoencoders import (  # noqa: E402
    AUTOENCODERS,
    convolutional_autoencoder,
    denoising_autoencoder,
    hashing_autoencoder,
    linear_autoencoder,
    overcomplete_autoencoder,
    recurrent_autoencoder,
    sparse_autoencoder,
    stacked_autoencoder,
    tied_autoencoder,
)
from fastgen.models.gan import GAN  # noqa: E402
from fastgen.models.gan_builder import dcgan, dense_gan  # noqa: E402
from fastgen.models.schedules import Cyclic, Schedule, Warmup  # noqa: E402
from fastgen.models.vae import VariationalAutoencoder  # noqa: E402
from fastgen.models.vae_builder import variational_autoencoder  # noqa: E402

__all__ = [
    "AUTOENCODERS",
    "GAN",
    "Autoencoder",
    "Cyclic",
    "Schedule",
    "VariationalAutoencoder",
    "Warmup",
    "convolutional_autoencoder",
    "dcgan",
    "denoising_autoencoder",
    "dense_gan",
    "hashing_autoencoder",
    "latent_space",
    "linear_autoencoder",
    "overcomplete_autoencoder",
    "recurrent_autoencoder",
    "sparse_autoencoder",
    "stacked_autoencoder",
    "tied_autoencoder",
    "variational_autoencoder",
]
