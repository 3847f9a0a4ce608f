"""Copies of models that train alike: with stock layers and optimizers, in another dtype."""

import contextlib

import keras

from fastgen.optimizers.stock import CLASSES
from fastgen.verification.kinks import lean


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

    with _policy(dtype):
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
        del config["optimizer"]
        arguments = {k: keras.saving.deserialize_keras_object(x) for k, x in config.items()}
        copy.compile(optimizer=optimizer_like(model.optimizer, stock), **arguments)
    return copy


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
def _policy(dtype):
    """Models built inside are of that dtype: those of another one would cast their inputs."""
    before = keras.config.dtype_policy()
    try:
        if dtype is not None:
            keras.config.set_dtype_policy(dtype)
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _is_dense(layer):
    return getattr(layer, "fused_ops", ()) == ("dense",)


def _in_dtype(config, dtype):
    """A config whose layers and losses are of another dtype."""
    if dtype is None or not isinstance(config, (dict, list, tuple)):
        return config
    if not isinstance(config, dict):
        return type(config)(_in_dtype(x, dtype) for x in config)
    return {k: dtype if k == "dtype" else _in_dtype(x, dtype) for k, x in config.items()}
