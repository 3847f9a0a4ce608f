"""Which of our layers takes the place of a layer, or why none does."""

import keras

from fastgen import dispatch, layers
from fastgen.conversion import copying, trials

OURS, NONE = "fastgen's already", "fastgen has none"

# Keras' layer: kind of ours, name of its amount.
NOISE = {
    keras.layers.GaussianNoise: ("gaussian", "stddev"),
    keras.layers.Dropout: ("dropout", "rate"),
}


def substitute(layer, copier):
    """Make the layer that takes the place of another one.

    Args:
        layer: layer, or other operation of a graph.
        copier: `Copier`, for the layers that the layer refers to, and for what was asked for.

    Returns:
        A layer, or None where a copy is to be made; and why, `""` where the class says it all.
    """
    kind = type(layer)
    if not isinstance(layer, keras.Layer):
        return None, ""
    if isinstance(layer, layers.DenseTranspose):
        config = copying.with_functions(layer, layer.get_config())
        return layers.DenseTranspose(**{**config, "dense": copier.copy_built(layer.dense)}), OURS
    if kind.__module__.partition(".")[0] == "fastgen":
        return None, OURS
    if kind is keras.layers.Dense:
        return _dense(layer)
    if isinstance(layer, keras.layers.Dense):
        return None, "a subclass of Dense, with code of its own"
    if kind in NOISE:
        return _noise(layer, copier)
    if kind.__module__.partition(".")[0] == "keras" and kind is not keras.layers.Lambda:
        return _stock(layer)
    return _custom(layer, copier)


def _dense(layer):
    if layer.quantization_mode or layer.lora_enabled:
        return None, "quantized" if layer.quantization_mode else "has LoRA weights"
    if layer.compute_dtype not in dispatch.KERNELS.get("dense", dispatch.Kernel()).dtypes:
        return None, f"no kernel for {layer.compute_dtype}"
    config = copying.with_functions(layer, layer.get_config())
    return layers.FusedDense.from_config(config), ""


def _noise(layer, copier):
    kind, amount = NOISE[type(layer)]
    if not copier.corruption:
        return None, "only with corruption=True"
    if getattr(layer, "noise_shape", None) is not None:
        return None, "has a noise_shape"
    return layers.Corruption(kind, getattr(layer, amount), seed=layer.seed, **_base(layer)), ""


def _stock(layer):
    inside = layer._flatten_layers(include_self=False)
    if any(isinstance(x, keras.layers.Dense) for x in inside):
        return None, "the Dense inside it is its own"
    return None, NONE


def _custom(layer, copier):
    if isinstance(layer, keras.Model):
        return None, "a subclass of Model, with code of its own"
    if trials.is_dense_transpose(layer):
        return _dense_transpose(layer, copier), ""
    why = trials.why_not_sampling(layer)
    if why:
        return None, why
    seed = getattr(layer, "seed", None)
    return layers.Sampling(seed if isinstance(seed, int) else None, **_base(layer)), ""


def _dense_transpose(layer, copier):
    """Ours, in the place of the book's: its bias is all that the layer has of its own."""
    theirs = {id(v) for v in layer.dense.variables}
    bias = next((v for v in layer.variables if id(v) not in theirs), None)
    copy = layers.DenseTranspose(
        copier.copy_built(layer.dense),
        activation=getattr(layer, "activation", None),
        use_bias=bias is not None,
        bias_regularizer=getattr(bias, "regularizer", None),
        bias_constraint=getattr(bias, "constraint", None),
        **_base(layer),
    )
    copy.build((None, layer.dense.units))
    if bias is not None:
        copier.pair(bias, copy.bias)
    copier.settle(layer)
    return copy


def _base(layer):
    """What every Keras layer takes."""
    regularizer = layer.activity_regularizer
    return {"name": layer.name, "dtype": layer.dtype_policy, "activity_regularizer": regularizer}
