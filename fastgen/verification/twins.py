"""Copies of models that train alike: with stock layers and optimizers, in another dtype."""

import contextlib

import keras

from fastgen.optimizers.stock import CLASSES
from fastgen.verification.kinks import lean

# By name Keras makes them when they are first called, whatever the default dtype is by then.
LOSSES = {
    "mse": keras.losses.MeanSquaredError,
    "mean_squared_error": keras.losses.MeanSquaredError,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
}


def copy_of(model, *, stock=False, dtype=None, side=0, **compile_more):
    """A copy with the same weights, compiled alike where the model is.

    Args:
        model: functional or Sequential Keras model.
        stock: whether `FusedDense` becomes `Dense`, and our optimizers Keras' own.
        dtype: of the copy, by default that of the model.
        side: 1 or -1: on which side of a jump its activations take their slope, see `kinks.lean`.
        **compile_more: arguments of `compile` in place of the model's.
    """

    def clone(layer):
        config = _in_dtype(layer.get_config(), dtype)
        cls = keras.layers.Dense if stock and _is_dense(layer) else type(layer)
        made = cls.from_config(config)
        if side:
            lean(made, side)
        return made

    with default_dtype(dtype):
        given = {} if dtype is None else {"input_tensors": _inputs(model, dtype)}
        if "encoder" in (config := model.get_config()):  # one of ours: a clone is of Keras' class
            copy = type(model).from_config(_in_dtype(config, dtype))
            for layer in copy._flatten_layers() if side else ():
                lean(layer, side)
        else:
            copy = keras.models.clone_model(model, clone_function=clone, **given)
    copy.set_weights(model.get_weights())
    for mine, theirs in zip(_seeds(copy), _seeds(model), strict=True):
        mine.state.assign(theirs.state)
    if getattr(model, "compiled", False):
        config = _in_dtype(model.get_compile_config(), dtype) | compile_more
        config["optimizer"] = optimizer_like(model.optimizer, stock)
        with default_dtype(dtype):
            copy.compile(**{name: _deserialized(x) for name, x in config.items()})
    return copy


def _deserialized(x):
    """An argument of `compile`; of the name of a loss the loss, in the default dtype of now."""
    if isinstance(x, keras.optimizers.Optimizer):
        return x
    x = keras.saving.deserialize_keras_object(x)
    return LOSSES[x]() if isinstance(x, str) and x in LOSSES else x


def optimizer_like(optimizer, stock=False):
    """A new optimizer with the same config; Keras' own class if `stock`."""
    cls = type(optimizer)
    if stock and cls in CLASSES.values():
        cls = getattr(keras.optimizers, cls.__name__)
    new = cls.from_config(optimizer.get_config())
    for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
        if hasattr(optimizer, name):
            setattr(new, name, getattr(optimizer, name))
    return new


def _seeds(model):
    return [x for layer in model._flatten_layers() for x in layer._seed_generators]


def _inputs(model, dtype):
    """Inputs for a copy: Keras would give it those of the model's dtype."""
    made = [keras.Input(batch_shape=x.shape, dtype=dtype) for x in model.inputs]
    return made[0] if len(made) == 1 else made


@contextlib.contextmanager
def default_dtype(dtype):
    """Keras' default inside, of models that are made and losses that are added up; None: as it is.

    Models of another one would cast their inputs.
    """
    before = keras.config.dtype_policy(), keras.config.floatx()
    try:
        if dtype is not None:
            keras.config.set_dtype_policy(dtype)
            keras.config.set_floatx(dtype)
        yield
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_floatx(before[1])


def _is_dense(layer):
    return getattr(layer, "fused_ops", ()) == ("dense",)


def _in_dtype(config, dtype):
    """A config whose layers and losses are of another dtype."""
    if dtype is None or not isinstance(config, (dict, list, tuple)):
        return config
    if not isinstance(config, dict):
        return type(config)(_in_dtype(x, dtype) for x in config)
    return {k: dtype if k == "dtype" else _in_dtype(x, dtype) for k, x in config.items()}
