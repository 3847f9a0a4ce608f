"""The activations that kernels apply, by name: what users and Keras call them, and in stock ops."""

import functools

# Those of FG_ACTIVATION_NAMES in csrc/core/activation.h. gelu with erf is left to TensorFlow, whose
# op for it takes one pass.
NAMES = (
    "linear",
    "relu",
    "selu",
    "elu",
    "gelu_tanh",
    "leaky_relu",
    "sigmoid",
    "tanh",
    "softplus",
    "silu",
)
# Whose derivative does not follow from their value, so that their input is kept.
FROM_INPUT = frozenset({"gelu_tanh", "silu"})


def resolve(op, activation):
    """The kernels' name of an activation, and the activation as a function.

    `"gelu_tanh"`, for which Keras has no name, is
    `functools.partial(keras.activations.gelu, approximate=True)`.

    Args:
        op: name for the messages.
        activation: None, one of `NAMES`, or what `keras.activations.get` takes: another name, a
            config, any function of one tensor.

    Returns:
        One of `NAMES`, or None where there is no kernel for it; and a function.

    Raises:
        ValueError: for what is no activation.
    """
    import keras  # not above: Keras imports TensorFlow, and that imports fastgen.ops

    if activation == "gelu_tanh":
        return activation, functools.partial(keras.activations.gelu, approximate=True)
    try:
        function = keras.activations.get(activation)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{op}: activation must be None, a function or the name of one. "
            f"Received: activation={activation!r}"
        ) from error
    return _name(function, keras.activations), function


def _name(function, stock):
    if isinstance(function, functools.partial):
        if function.func is not stock.gelu or function.args:
            return None
        choice = function.keywords.get("approximate", False)
        if set(function.keywords) - {"approximate"} or not isinstance(choice, bool):
            return None
        return "gelu_tanh" if choice else None
    return next((name for name in NAMES if getattr(stock, name, None) is function), None)
