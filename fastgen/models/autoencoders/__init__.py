"""Builders of the autoencoder family: each returns a `fastgen.models.Autoencoder`."""

from fastgen.models.autoencoders.constrained import (
    denoising_autoencoder,
    hashing_autoencoder,
    sparse_autoencoder,
)
from fastgen.models.autoencoders.convolutional import convolutional_autoencoder
from fastgen.models.autoencoders.recurrent import recurrent_autoencoder
from fastgen.models.autoencoders.stacked import (
    linear_autoencoder,
    overcomplete_autoencoder,
    stacked_autoencoder,
    tied_autoencoder,
)

AUTOENCODERS = {
    "linear": linear_autoencoder,
    "stacked": stacked_autoencoder,
    "tied": tied_autoencoder,
    "convolutional": convolutional_autoencoder,
    "recurrent": recurrent_autoencoder,
    "denoising": denoising_autoencoder,
    "sparse": sparse_autoencoder,
    "overcomplete": overcomplete_autoencoder,
    "hashing": hashing_autoencoder,
}

__all__ = [
    "AUTOENCODERS",
    "convolutional_autoencoder",
    "denoising_autoencoder",
    "hashing_autoencoder",
    "linear_autoencoder",
    "overcomplete_autoencoder",
    "recurrent_autoencoder",
    "sparse_autoencoder",
    "stacked_autoencoder",
    "tied_autoencoder",
]
