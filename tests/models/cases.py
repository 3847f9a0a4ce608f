"""Small models and images, and the loss of a VAE in NumPy."""

import keras
import numpy as np

import fastgen
from fastgen.layers import GaussianLatent
from fastgen.models import VariationalAutoencoder

SHAPE, CODINGS, SEED = (6, 5), 3, 42
PIXELS = 30


def images(n=32, shape=SHAPE):
    return np.random.default_rng(0).random((n, *shape)).astype("float32")


def small(shape=SHAPE, codings=CODINGS, **arguments):
    arguments = {"hidden": (16, 8), "seed": SEED, **arguments}
    return fastgen.models.variational_autoencoder(shape, codings, **arguments)


def compiled(optimizer="nadam", **arguments):
    vae = small(**arguments)
    vae.compile(optimizer)
    return vae


def stock_kl(vae, x):
    """KL divergence of each image, in float64."""
    mean, log_var = (part.astype("float64") for part in vae.posterior(x))
    return -0.5 * np.sum(1 + log_var - np.exp(log_var) - mean**2, axis=1)


def own_model(activation="sigmoid", latent=None, **arguments):
    """A model of a user's own encoder and decoder."""
    inputs = keras.Input(SHAPE)
    x = keras.layers.Flatten()(inputs)
    mean, log_var = keras.layers.Dense(CODINGS)(x), keras.layers.Dense(CODINGS)(x)
    z = (latent or GaussianLatent(seed=SEED, name="mine"))([mean, log_var])
    encoder = keras.Model(inputs, [mean, log_var, z])
    layers = [keras.layers.Dense(PIXELS), keras.layers.Reshape(SHAPE)]
    last = keras.layers.Activation(activation)
    decoder = keras.Sequential([keras.Input([CODINGS]), *layers, last])
    return VariationalAutoencoder(encoder, decoder, **arguments)
