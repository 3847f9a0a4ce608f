"""The latent space of a variational autoencoder: sampling and KL loss in one pass."""

import contextlib
import contextvars
import math
from typing import NamedTuple

import keras
import tensorflow as tf

from fastgen import dispatch, ops
from fastgen.layers.prior import LOG_2_PI, Prior, StandardNormal
from fastgen.layers.sampling import Sampling


@keras.saving.register_keras_serializable(package="fastgen")
class GaussianLatent(Sampling):
    """Samples a diagonal Gaussian and adds its mean KL divergence to the losses.

    `z = mean + exp(log_var / 2) * noise`, and the loss
    `kl_weight * mean(-1/2 * sum(1 + log_var - exp(log_var) - mean**2, axis=-1))`

    The mean KL, without the weight, is logged as `kl` by the first layer, which Keras names
    `gaussian_latent`, and as `NAME_kl` by one of another name.

    The noise is that of `Sampling`. The loss is computed in float32 at least, whatever the dtype
    policy.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> latent = fastgen.layers.GaussianLatent(kl_weight=0.5)
    >>> z = latent([np.ones((4, 2)), np.zeros((4, 2))])
    >>> float(latent.losses[0])
    0.5

    To warm the weight up, assign it from a callback, between batches or epochs:

    >>> _ = latent.kl_weight.assign(0.1)

    Args:
        kl_weight: number ≥ 0, the initial value of the variable of the same name, which is saved
            with the weights and is not trained.
        seed: Python integer, or None for a seed that `keras.utils.set_random_seed` determines.
        free_bits: number λ ≥ 0 in nats. Above 0 the loss is
            `kl_weight * sum_j(max(λ, mean over the batch of the KL divergence of coding j))`: below
            λ a coding costs nothing, so that it does not collapse.
        prior: `fastgen.layers.Prior`, or None for the standard normal. With any but
            `fastgen.layers.StandardNormal` the KL divergence is estimated by the draw itself,
            `log q(z | x) - log p(z)`, which can be negative.

    Call arguments:
        inputs: list `[mean, log_var]` of two `(batch, ..., codings)` tensors.
        seed: `(2,)` int32 or int64 tensor to use for this call in place of the layer's own. A
            function under `tf.recompute_grad` runs twice: give its layer the seed from outside.

    Returns:
        `(batch, ..., codings)` tensor of the layer's compute dtype.

    Raises:
        ValueError: if the inputs are not two tensors of one shape, or of other codings than the
            prior; if `kl_weight` or `free_bits` is negative or not a number; if `free_bits` is
            above 0 with a prior whose KL divergence is estimated.

    Source: Kingma & Welling (2014), Auto-Encoding Variational Bayes,
    https://arxiv.org/abs/1312.6114; free bits: Kingma et al. (2016), Improving Variational
    Inference with Inverse Autoregressive Flow, https://arxiv.org/abs/1606.04934, section 4 and
    appendix C.8.
    """

    def __init__(self, kl_weight=1.0, seed=None, free_bits=0.0, prior=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.initial_kl_weight, self.free_bits = (
            ops.arguments.number("GaussianLatent", name, value, 0.0, math.inf)
            for name, value in (("kl_weight", kl_weight), ("free_bits", free_bits))
        )
        _check_prior(prior, free_bits)
        self.prior = prior
        wide = "float64" if self.variable_dtype == "float64" else "float32"
        self.kl_weight = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self.initial_kl_weight),
            dtype=wide,
            trainable=False,
            autocast=False,
            name="kl_weight",
        )
        # A model's logs have one entry a name, so a second layer's must differ. By the layer's name
        # alone, so that a loaded or cloned layer logs as before.
        sole = self.name == "gaussian_latent"
        self.kl_tracker = keras.metrics.Mean(name="kl" if sole else f"{self.name}_kl")

    @property
    def closed_form(self):
        """Whether the prior is the standard normal, whose KL divergence is known exactly."""
        return self.prior is None or isinstance(self.prior, StandardNormal)

    @property
    def fused_ops(self):
        """The ops that this layer calls."""
        if not self.closed_form:
            return ("gaussian_sample",)
        return ("gaussian_sample", "gaussian_kl") if self.free_bits else ("gaussian_sample_kl",)

    def build(self, input_shape):
        """Check that the inputs are `[mean, log_var]`, of as many codings as the prior has."""
        super().build(input_shape)
        codings = input_shape[0][-1]
        if self.prior is not None and codings not in (None, self.prior.codings):
            raise ValueError(
                f"GaussianLatent: mean and log_var must have the {self.prior.codings} codings of "
                f"the prior. Received: input_shape={input_shape}"
            )

    def call(self, inputs, seed=None):
        """Sample, and add the loss."""
        dispatch.note_xla(self)
        seed = self._draw_seed() if seed is None else seed
        z, kl, penalty = self._sample(*inputs, seed)
        weighing = _weighing.get()
        # Keras adds up losses of its default dtype only.
        loss = tf.cast(self.kl_weight, kl.dtype) * tf.cast(weighing.scale, kl.dtype) * penalty
        self.add_loss(tf.cast(loss, keras.config.floatx()))
        self.kl_tracker.update_state(weighing.weigh(kl))
        return z

    def _sample(self, mean, log_var, seed):
        """Codings, the KL divergence of each example, and the loss before its weight."""
        weigh = _weighing.get().weigh
        if not self.closed_form:
            z, kl = _estimate_kl(self.prior, mean, log_var, seed)
            return z, kl, _mean(weigh(kl))
        if not self.free_bits:
            z, kl = ops.gaussian_sample_kl(mean, log_var, seed)
            return z, kl, _mean(weigh(kl))
        z = ops.gaussian_sample(mean, log_var, seed)
        mean, log_var = (tf.convert_to_tensor(x)[..., None] for x in (mean, log_var))
        each = ops.gaussian_kl(mean, log_var)  # of every coding, since the last axis has one
        average = _mean(weigh(each), axis=tf.range(tf.rank(each) - 1))
        penalty = tf.reduce_sum(tf.maximum(average, tf.cast(self.free_bits, average.dtype)))
        return z, tf.reduce_sum(each, axis=-1), penalty

    def rematerialized_call(self, layer_call, *args, **kwargs):
        """Run as it is: a loss added inside a rematerialised call would lose its gradient.

        Nor is there memory to be saved: the backward pass needs only the layer's inputs.
        """
        return layer_call

    def get_config(self):
        """Arguments that make this layer anew."""
        prior = None if self.prior is None else keras.saving.serialize_keras_object(self.prior)
        own = {"kl_weight": self.initial_kl_weight, "free_bits": self.free_bits, "prior": prior}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config):
        """The layer of a `get_config`."""
        prior = config.get("prior")
        if isinstance(prior, dict):
            prior = keras.saving.deserialize_keras_object(prior)
        return cls(**{**config, "prior": prior})


class Weighing(NamedTuple):
    """What a model multiplies the loss by in one call of the layer.

    Attributes:
        scale: number or scalar tensor.
        sample_weight: `(batch,)` tensor, or None.
    """

    scale: object = 1.0
    sample_weight: object = None

    def weigh(self, kl):
        """`kl`, `(batch, ...)`, with each example times its weight."""
        if self.sample_weight is None:
            return kl
        weight = tf.cast(self.sample_weight, kl.dtype)
        return kl * tf.reshape(weight, [-1] + [1] * (kl.shape.rank - 1))


# A ContextVar, because MirroredStrategy traces each replica in a thread of its own.
_weighing = contextvars.ContextVar("weighing", default=Weighing())  # noqa: B039


@contextlib.contextmanager
def weighing(scale=1.0, sample_weight=None):
    """Weighs the KL loss of every `GaussianLatent` that is called inside.

    Args:
        scale: number or scalar tensor that multiplies `kl_weight`.
        sample_weight: `(batch,)` tensor of weights of the examples, or None.
    """
    token = _weighing.set(Weighing(scale, sample_weight))
    try:
        yield
    finally:
        _weighing.reset(token)


def _estimate_kl(prior, mean, log_var, seed):
    """Codings, and `log q(z | x) - log p(z)`, whose expectation is the KL divergence."""
    mean, log_var = tf.convert_to_tensor(mean), tf.convert_to_tensor(log_var)
    wide = tf.float64 if mean.dtype == tf.float64 else tf.float32
    z = ops.gaussian_sample(tf.cast(mean, wide), tf.cast(log_var, wide), seed)
    # The noise by itself: z - mean has lost it where the variance is small.
    zeros = tf.zeros_like(z)
    noise = ops.gaussian_sample(zeros, zeros, seed)
    log_q = -0.5 * tf.reduce_sum(tf.square(noise) + tf.cast(log_var, wide) + LOG_2_PI, axis=-1)
    return tf.cast(z, mean.dtype), log_q - tf.cast(prior.log_prob(z), wide)


def _mean(x, axis=None):
    """Mean, which of an empty batch is 0, where reduce_mean has NaN."""
    total = tf.reduce_sum(x, axis=axis)
    count = tf.size(x) if axis is None else tf.size(x) // tf.maximum(tf.size(total), 1)
    return tf.math.divide_no_nan(total, tf.cast(count, x.dtype))


def _check_prior(prior, free_bits):
    if prior is not None and not isinstance(prior, Prior):
        raise ValueError(
            "GaussianLatent: prior must be a fastgen.layers.Prior or None. "
            f"Received: prior={prior!r}"
        )
    if free_bits and not (prior is None or isinstance(prior, StandardNormal)):
        raise ValueError(
            "GaussianLatent: free_bits needs the KL divergence coding by coding, which only "
            f"StandardNormal has. Received: free_bits={free_bits}, prior={type(prior).__name__}"
        )
