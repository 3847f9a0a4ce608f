"""RMSprop."""

import keras

from fastgen.ops import optimizer_rules
from fastgen.optimizers.fused_update import FusedUpdate
from fastgen.optimizers.stock import stands_in


@stands_in
class RMSprop(FusedUpdate, keras.optimizers.RMSprop):
    """RMSprop, with momentum or centered, in one op for all variables.

    `v = rho v + (1 - rho) g²`, `w -= learning_rate g / √(v + epsilon)`

    Example:
    >>> import keras
    >>> import fastgen
    >>> w = keras.Variable([1.0, 2.0])
    >>> optimizer = fastgen.optimizers.RMSprop(0.1)
    >>> optimizer.apply([keras.ops.convert_to_tensor([0.5, -0.5])], [w])
    >>> w.numpy().round(3)
    array([0.684, 2.316], dtype=float32)

    Args:
        *args: as those of `keras.optimizers.RMSprop`.
        **kwargs: as those of `keras.optimizers.RMSprop`. With a `loss_scale_factor`, gradients that
            are not finite leave every variable as it was.

    Raises:
        ValueError: as `keras.optimizers.RMSprop`; in `apply`, if a gradient has another shape than
            its variable.

    Source: Hinton (2012), Neural Networks for Machine Learning, lecture 6,
    https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf.
    """

    _rule = optimizer_rules.rmsprop
