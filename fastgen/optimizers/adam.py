"""Adam and AdamW."""

import keras

from fastgen.ops import optimizer_rules
from fastgen.optimizers.fused_update import FusedUpdate
from fastgen.optimizers.stock import stands_in


@stands_in
class Adam(FusedUpdate, keras.optimizers.Adam):
    """Adam, in one op for all variables.

    `m += (1 - beta_1) (g - m)`, `v += (1 - beta_2) (g² - v)`,
    `w -= learning_rate √(1 - beta_2ᵗ) / (1 - beta_1ᵗ) m / (√v + epsilon)`

    Example:
    >>> import keras
    >>> import fastgen
    >>> w = keras.Variable([1.0, 2.0])
    >>> optimizer = fastgen.optimizers.Adam(0.1)
    >>> optimizer.apply([keras.ops.convert_to_tensor([0.5, -0.5])], [w])
    >>> w.numpy().round(3)
    array([0.9, 2.1], dtype=float32)

    Args:
        *args: as those of `keras.optimizers.Adam`.
        **kwargs: as those of `keras.optimizers.Adam`. With a `loss_scale_factor`, gradients that
            are not finite leave every variable as it was.

    Raises:
        ValueError: as `keras.optimizers.Adam`; in `apply`, if a gradient has another shape than its
            variable.

    Source: Kingma & Ba (2014), Adam: A Method for Stochastic Optimization,
    https://arxiv.org/abs/1412.6980.
    """

    _rule = optimizer_rules.adam


@stands_in
class AdamW(Adam, keras.optimizers.AdamW):
    """Adam with decoupled weight decay, in one op for all variables.

    `w -= learning_rate weight_decay w`, then Adam's step

    Example:
    >>> import keras
    >>> import fastgen
    >>> w = keras.Variable([1.0, 2.0])
    >>> optimizer = fastgen.optimizers.AdamW(0.1, weight_decay=0.5)
    >>> optimizer.apply([keras.ops.convert_to_tensor([0.5, -0.5])], [w])
    >>> w.numpy().round(3)
    array([0.85, 2.  ], dtype=float32)

    Args:
        *args: as those of `keras.optimizers.AdamW`.
        **kwargs: as those of `keras.optimizers.AdamW`. With a `loss_scale_factor`, gradients that
            are not finite leave every variable as it was.

    Raises:
        ValueError: as `keras.optimizers.AdamW`; in `apply`, if a gradient has another shape than
            its variable.

    Source: Loshchilov & Hutter (2019), Decoupled Weight Decay Regularization,
    https://arxiv.org/abs/1711.05101.
    """
