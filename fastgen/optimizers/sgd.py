"""Gradient descent."""

import keras

from fastgen.ops import optimizer_rules
from fastgen.optimizers.fused_update import FusedUpdate
from fastgen.optimizers.stock import stands_in


@stands_in
class SGD(FusedUpdate, keras.optimizers.SGD):
    """Gradient descent, with momentum or Nesterov's, in one op for all variables.

    `m = momentum m - learning_rate g`, `w += m`; Nesterov: `w += momentum m - learning_rate g`

    Example:
    >>> import keras
    >>> import fastgen
    >>> w = keras.Variable([1.0, 2.0])
    >>> optimizer = fastgen.optimizers.SGD(0.1, momentum=0.9, nesterov=True)
    >>> optimizer.apply([keras.ops.convert_to_tensor([0.5, -0.5])], [w])
    >>> w.numpy().round(3)
    array([0.905, 2.095], dtype=float32)

    Args:
        *args: as those of `keras.optimizers.SGD`.
        **kwargs: as those of `keras.optimizers.SGD`. With a `loss_scale_factor`, gradients that are
            not finite leave every variable as it was.

    Raises:
        ValueError: as `keras.optimizers.SGD`; in `apply`, if a gradient has another shape than its
            variable.

    Source: Sutskever et al. (2013), On the importance of initialization and momentum in deep
    learning, https://proceedings.mlr.press/v28/sutskever13.html.
    """

    _rule = optimizer_rules.sgd
