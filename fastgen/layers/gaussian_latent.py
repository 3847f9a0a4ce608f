"""The latent space of a variational autoencoder: sampling and KL loss in one pass."""

import math
import numbers

import keras
import tensorflow as tf

from fastgen import dispatch, ops
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

    Call arguments:
        inputs: list `[mean, log_var]` of two `(batch, ..., codings)` tensors.
        seed: `(2,)` int32 or int64 tensor to use for this call in place of the layer's own. A
            function under `tf.recompute_grad` runs twice: give its layer the seed from outside.

    Returns:
        `(batch, ..., codings)` tensor of the layer's compute dtype.

    Raises:
        ValueError: if the inputs are not two tensors of one shape, or `kl_weight` is negative or
            not a number.

    Source: Kingma & Welling (2014), Auto-Encoding Variational Bayes,
    https://arxiv.org/abs/1312.6114.
    """

    fused_ops = ("gaussian_sample_kl",)

    def __init__(self, kl_weight=1.0, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        if not isinstance(kl_weight, numbers.Real) or not 0 <= kl_weight < math.inf:
            raise ValueError(
                f"GaussianLatent: kl_weight must be a number ≥ 0. Received: {kl_weight!r}"
            )
        self.initial_kl_weight = float(kl_weight)
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

    def call(self, inputs, seed=None):
        """Sample, and add the loss."""
        dispatch.note_xla(self)
        mean, log_var = inputs
        seed = self._draw_seed() if seed is None else seed
        z, kl = ops.gaussian_sample_kl(mean, log_var, seed)
        # An empty batch has loss 0, where reduce_mean has NaN.
        mean_kl = tf.math.divide_no_nan(tf.reduce_sum(kl), tf.cast(tf.size(kl), kl.dtype))
        loss = tf.cast(self.kl_weight, kl.dtype) * mean_kl
        # Keras adds up losses of its default dtype only.
        self.add_loss(tf.cast(loss, keras.config.floatx()))
        self.kl_tracker.update_state(kl)
        return z

    def rematerialized_call(self, layer_call, *args, **kwargs):
        """Run as it is: a loss added inside a rematerialised call would lose its gradient.

        Nor is there memory to be saved: the backward pass needs only the layer's inputs.
        """
        return layer_call

    def get_config(self):
        """Arguments that make this layer anew."""
        return {**super().get_config(), "kl_weight": self.initial_kl_weight}
