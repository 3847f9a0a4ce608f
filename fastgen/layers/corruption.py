"""A layer that corrupts its inputs in training, for denoising autoencoders."""

import keras

from fastgen import dispatch, ops
from fastgen.layers.seeded import Seeded

# kind: (op, name and largest value of its amount).
KINDS = {
    "gaussian": ("gaussian_noise", "stddev", float("inf")),
    "dropout": ("dropout", "rate", 1.0),
}


@keras.saving.register_keras_serializable(package="fastgen")
class Corruption(Seeded):
    """Adds noise to its inputs in training, and passes them on in inference.

    - `"gaussian"`: `inputs + amount * noise`, as `keras.layers.GaussianNoise(amount)`;
    - `"dropout"`: elements dropped with probability `amount`, the others scaled by
      `1 / (1 - amount)`, as `keras.layers.Dropout(amount)`.

    Made in one pass, and never stored. With the same `seed` the numbers are those of the Keras
    layer, but for the dropout of 16-bit floats, whose mask is another. Each replica of a
    `tf.distribute` strategy draws its own.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> corrupt = fastgen.layers.Corruption("dropout", 0.5, seed=42)
    >>> corrupt(np.ones((1, 4)), training=True).numpy()
    array([[0., 0., 2., 0.]], dtype=float32)
    >>> corrupt(np.ones((1, 4))).numpy()
    array([[1., 1., 1., 1.]], dtype=float32)

    Args:
        kind: `"gaussian"` or `"dropout"`.
        amount: number, the standard deviation of the noise or the share that is dropped.
        seed: Python integer, or None for a seed that `keras.utils.set_random_seed` determines.

    Call arguments:
        inputs: `(batch, ...)` tensor of floats.
        seed: `(2,)` int32 or int64 tensor to use for this call in place of the layer's own. A
            function under `tf.recompute_grad` runs twice: give its layer the seed from outside.
        training: whether to corrupt.

    Returns:
        Tensor of the shape of the inputs and of the layer's compute dtype.

    Raises:
        ValueError: for another kind, an amount that is negative, no number or a share above 1,
            inputs of integers.

    Source: Vincent et al. (2010), Stacked Denoising Autoencoders, JMLR 11; Géron, Hands-On Machine
    Learning with Scikit-Learn, Keras & TensorFlow, chapter 17, "Denoising Autoencoders".
    """

    corrupts = True  # so that the kernels of whole steps know it

    def __init__(self, kind, amount, seed=None, **kwargs):
        if kind not in KINDS:
            raise ValueError(
                f"Corruption: kind must be one of {tuple(KINDS)}. Received: kind={kind!r}"
            )
        super().__init__(seed=seed, **kwargs)
        self.kind = kind
        self.amount = ops.arguments.number("Corruption", "amount", amount, 0.0, KINDS[kind][2])
        self.supports_masking = True

    @property
    def fused_ops(self):
        """The op that this layer calls."""
        return (KINDS[self.kind][0],)

    def call(self, inputs, seed=None, training=False):
        """Corrupt, in training."""
        if not training or self.amount == 0:
            return inputs
        dispatch.note_xla(self)
        inputs = ops.arguments.floats("Corruption", "inputs", inputs)
        op, amount, _ = KINDS[self.kind]
        # Unlike Sampling's in __call__, where it is not known yet whether this is training.
        seed = self._draw_seed() if seed is None else seed
        return getattr(ops, op)(inputs, seed=seed, **{amount: self.amount})

    def rematerialized_call(self, layer_call, *args, **kwargs):
        """Run as it is: a second run would draw other noise, and there is no memory to be saved."""
        return layer_call

    def compute_output_shape(self, input_shape):
        """Shape of the inputs."""
        return tuple(input_shape)

    def get_config(self):
        """Arguments that make this layer anew."""
        return {**super().get_config(), "kind": self.kind, "amount": self.amount}
