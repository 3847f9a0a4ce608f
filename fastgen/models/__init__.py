"""Models made of fastgen's layers: builders, and the training they need."""

from fastgen import native

native.require_tensorflow("fastgen.models")

from fastgen.models import latent_space  # noqa: E402
from fastgen.models.autoencoder import Autoencoder  # noqa: E402
from fastgen.models.gan import GAN  # noqa: E402
from fastgen.models.gan_builder import dcgan, dense_gan  # noqa: E402
from fastgen.models.schedules import Cyclic, Schedule, Warmup  # noqa: E402
from fastgen.models.vae import VariationalAutoencoder  # noqa: E402
from fastgen.models.vae_builder import variational_autoencoder  # noqa: E402

__all__ = [
    "GAN",
    "Autoencoder",
    "Cyclic",
    "Schedule",
    "VariationalAutoencoder",
    "Warmup",
    "dcgan",
    "dense_gan",
    "latent_space",
    "variational_autoencoder",
]
