"""Nadam."""

import keras

from fastgen.ops import optimizer_rules
from fastgen.optimizers.fused_update import FusedUpdate
from fastgen.optimizers.stock import stands_in


@stands_in
class Nadam(FusedUpdate, keras.optimizers.Nadam):
    """Adam with Nesterov momentum, in one op for all variables.

    `m += (1 - beta_1) (g - m)`, `v += (1 - beta_2) (g² - v)`,
    `m̂ = uₜ₊₁ m / (1 - u₁…uₜ₊₁) + (1 - uₜ) g / (1 - u₁…uₜ)` where `uₜ = beta_1 (1 - 0.96ᵗ / 2)`,
    `w -= learning_rate m̂ / (√(v / (1 - beta_2ᵗ)) + epsilon)`

    Example:
    >>> import keras
    >>> import fastgen
    >>> w = keras.Variable([1.0, 2.0])
    >>> optimizer = fastgen.optimizers.Nadam(0.1)
    >>> optimizer.apply([keras.ops.convert_to_tensor([0.5, -0.5])], [w])
    >>> w.numpy().round(3)
    array([0.894, 2.106], dtype=float32)

    Args:
        *args: as those of `keras.optimizers.Nadam`.
        **kwargs: as those of `keras.optimizers.Nadam`. With a `loss_scale_factor`, gradients that
            are not finite leave every variable as it was.

    Raises:
        ValueError: as `keras.optimizers.Nadam`; in `apply`, if a gradient has another shape than
            its variable.

    Source: Dozat (2016), Incorporating Nesterov Momentum into Adam,
    https://cs229.stanford.edu/proj2015/054_report.pdf.
    """

    _rule = optimizer_rules.nadam
