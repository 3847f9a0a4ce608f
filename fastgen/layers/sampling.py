"""The sampling layer of a variational autoencoder."""

import keras
import tensorflow as tf

from fastgen import dispatch, ops
from fastgen.layers.seeded import Seeded


@keras.saving.register_keras_serializable(package="fastgen")
class Sampling(Seeded):
    """Samples a diagonal Gaussian by the reparameterisation trick.

    `z = mean + exp(log_var / 2) * noise`

    With the same `seed` the noise is that of `keras.random.normal` with a `SeedGenerator(seed)`.
    Each replica of a `tf.distribute` strategy draws its own. The layer draws in training and in
    inference alike.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> mean, log_var = np.zeros((2, 10)), np.zeros((2, 10))
    >>> fastgen.layers.Sampling(seed=42)([mean, log_var]).shape
    TensorShape([2, 10])

    Args:
        seed: Python integer, or None for a seed that `keras.utils.set_random_seed` determines.

    Call arguments:
        inputs: list `[mean, log_var]` of two `(batch, ..., codings)` tensors.
        seed: `(2,)` int32 or int64 tensor to use for this call in place of the layer's own. A
            function under `tf.recompute_grad` runs twice: give its layer the seed from outside.

    Returns:
        `(batch, ..., codings)` tensor of the layer's compute dtype.

    Raises:
        ValueError: if the inputs are not two tensors of one shape.

    Source: Kingma & Welling (2014), Auto-Encoding Variational Bayes,
    https://arxiv.org/abs/1312.6114.
    """

    fused_ops = ("gaussian_sample",)

    def build(self, input_shape):
        """Check that the inputs are `[mean, log_var]`."""
        self._check_shapes(input_shape)

    @tf.autograph.experimental.do_not_convert
    def __call__(self, inputs, seed=None, **kwargs):
        """Draw the seed, if none is given, and call the layer."""
        # Drawn here and handed on as an argument: rematerialisation runs `call` twice, and the
        # gradient is wrong unless both runs see the same noise.
        if seed is not None and not _symbolic(seed):
            seed = ops.arguments.seed(type(self).__name__, seed)
        elif seed is None and not _symbolic(inputs):
            seed = self._draw_seed()
        return super().__call__(inputs, *(() if seed is None else (seed,)), **kwargs)

    def call(self, inputs, seed=None):
        """Sample."""
        dispatch.note_xla(self)
        mean, log_var = inputs
        return ops.gaussian_sample(mean, log_var, self._draw_seed() if seed is None else seed)

    def compute_output_shape(self, input_shape):
        """Shape of `mean`."""
        self._check_shapes(input_shape)
        return tuple(input_shape[0])

    def _check_shapes(self, input_shape):
        shapes = list(input_shape) if isinstance(input_shape, (list, tuple)) else []
        if len(shapes) != 2 or not all(isinstance(x, (list, tuple)) for x in shapes):
            raise ValueError(
                f"{type(self).__name__} must be called on a list [mean, log_var]. "
                f"Received: input_shape={input_shape}"
            )
        mean, log_var = (tf.TensorShape(x) for x in shapes)
        if not mean.is_compatible_with(log_var) or mean.rank == 0:
            raise ValueError(
                f"{type(self).__name__}: mean and log_var must have the same shape, of rank 1 or "
                f"more. Received: input_shape={input_shape}"
            )


def _symbolic(inputs):
    return any(isinstance(x, keras.KerasTensor) for x in keras.tree.flatten(inputs))
