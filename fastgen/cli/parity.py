"""The command `fastgen parity`."""

from enum import StrEnum
from typing import Annotated

import typer

import fastgen
from fastgen.cli.errors import check_at_least, check_seed, one_line_errors

ABOVE_TOLERANCE = 1
CODINGS, VAE_CODINGS, IMAGE = 30, 10, (28, 28)


class Kind(StrEnum):
    """The models that the command builds."""

    dense_gan = "dense-gan"
    vae = "vae"
    stacked = "stacked"
    tied = "tied"
    sparse = "sparse"
    denoising = "denoising"


class Optimizer(StrEnum):
    """Those of the book."""

    rmsprop = "rmsprop"
    adam = "adam"
    nadam = "nadam"


def parity(
    kind: Annotated[Kind, typer.Option(help="The model to train.")] = Kind.dense_gan,
    optimizer: Annotated[
        Optimizer, typer.Option(help="Of the model, or of both networks.")
    ] = Optimizer.rmsprop,
    steps: Annotated[int, typer.Option(help="Steps of each comparison.")] = 100,
    batch_size: Annotated[int, typer.Option(help="Images in a training step.")] = 32,
    seed: Annotated[int, typer.Option(help="Of the weights, the noise and the batches.")] = 0,
):
    """Train a model beside its twin in stock Keras, and fail if they differ more than they may."""
    with one_line_errors():
        check_at_least("--steps", steps, 1)
        check_at_least("--batch-size", batch_size, 1)
        check_seed(seed)
        fastgen.native.require_tensorflow("fastgen parity")
        build = {Kind.dense_gan: _dense_gan, Kind.vae: _vae}.get(kind)
        model = (build or _autoencoder(kind))(optimizer.value, seed)
        found = fastgen.parity(model, steps=steps, batch_size=batch_size, seed=seed)
    if not found.ok:
        raise typer.Exit(ABOVE_TOLERANCE)


def _dense_gan(optimizer, seed):
    """The book's networks, and an optimizer for each."""
    import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    generator = [keras.Input((CODINGS,)), *(layers.Dense(n, "selu") for n in (100, 150))]
    generator += [layers.Dense(IMAGE[0] * IMAGE[1], "sigmoid"), layers.Reshape(IMAGE)]
    discriminator = [keras.Input(IMAGE), layers.Flatten()]
    discriminator += [*(layers.Dense(n, "selu") for n in (150, 100)), layers.Dense(1, "sigmoid")]
    networks = keras.Sequential(generator), keras.Sequential(discriminator)
    return networks, tuple(keras.optimizers.get(optimizer) for _ in networks)


def _vae(optimizer, seed):
    """The VAE that `fastgen train vae` trains."""
    model = fastgen.models.variational_autoencoder(IMAGE, VAE_CODINGS, seed=seed)
    model.compile(optimizer)
    return model


def _autoencoder(kind):
    """What builds the autoencoder of a name, by default the book's."""

    def build(optimizer, seed):
        model = fastgen.models.AUTOENCODERS[kind](seed=seed)
        model.compile(optimizer)
        return model

    return build
