"""Checks of what a variational autoencoder is made of."""

import math
import numbers

import keras

from fastgen.layers import GaussianLatent
from fastgen.models.schedules import Schedule


def find_latent(encoder):
    """The one `GaussianLatent` of an encoder."""
    layers = encoder._flatten_layers() if isinstance(encoder, keras.Model) else ()
    found = [layer for layer in layers if isinstance(layer, GaussianLatent)]
    if len(found) != 1:
        raise ValueError(
            "VariationalAutoencoder: the encoder must be a keras.Model with one GaussianLatent in "
            f"it. Received: {encoder!r} with {len(found)}"
        )
    if found[0].initial_kl_weight != 1:
        raise ValueError(
            "VariationalAutoencoder: the encoder's GaussianLatent must have kl_weight 1, because "
            f"beta weighs its loss. Received: kl_weight={found[0].initial_kl_weight}"
        )
    return found[0]


def check_parts(encoder, decoder):
    """Refuses an encoder of other outputs, and a decoder that is no model."""
    outputs = getattr(encoder, "output_shape", None)
    ranks = [len(shape) for shape in outputs] if isinstance(outputs, list) else None
    if ranks != [2, 2, 2] or len(set(outputs)) != 1:
        raise ValueError(
            "VariationalAutoencoder: the encoder must return [mean, log_var, codings], the three "
            f"of shape (batch, codings). Received: {outputs}"
        )
    if not isinstance(decoder, keras.Model):
        raise ValueError(
            f"VariationalAutoencoder: the decoder must be a keras.Model. Received: {decoder!r}"
        )


def check_beta(beta):
    """Refuses what is neither a number ≥ 0 nor a schedule."""
    real = isinstance(beta, numbers.Real) and not isinstance(beta, bool)
    if not isinstance(beta, Schedule) and not (real and 0 <= beta < math.inf):
        raise ValueError(
            "VariationalAutoencoder: beta must be a number ≥ 0 or a fastgen.models.Schedule. "
            f"Received: {beta!r}"
        )
