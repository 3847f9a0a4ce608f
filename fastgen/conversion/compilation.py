"""Compiles the copy of a model as the model is compiled, with our loss and our optimizer."""

import keras
from keras.src.trainers.trainer import Trainer

from fastgen import diagnosis, losses
from fastgen.conversion.substitution import NONE, OURS
from fastgen.optimizers.stock import CLASSES, counterpart

ROOMS = {"loss": "losses", "optimizer": "optimizers"}


def compile_as(model, copy, copier):
    """Compile a copy with the arguments, and the state of the optimizer, of the original.

    Args:
        model: the original; if it is not compiled, nor will be the copy.
        copy: its copy.
        copier: `Copier` that knows the variables of the copy, and notes what was replaced.
    """
    if not model.compiled:
        return
    name = "" if model is copier.models()[0][0] else f"{model.name}/"

    def note(part, old, new, why):
        becomes = "" if why else f"fastgen.{ROOMS[part]}.{_name(new)}"
        row = {"part": name + part, "type": _name(old), "becomes": becomes, "why": why}
        copier.rows.append(row)

    optimizer = None
    if model.optimizer is not None:
        optimizer, why = _copy_optimizer(model.optimizer, copier.variables)
        note("optimizer", _inner(model.optimizer), _inner(optimizer), why)
    if type(model).compile is not Trainer.compile:
        if type(model).compile_from_config is Trainer.compile_from_config:
            note("compile", model, copy, "the class has a compile of its own: to be called")
            return
        _compile_by_config(model, copy, optimizer)
        note("loss", model, copy, "the class has a compile of its own")
        return
    arguments = {**model._compile_config.config, "optimizer": optimizer}

    def loss_of(loss):
        ours, why = _copy_loss(loss)
        if loss is not None:
            note("loss", loss, ours, why)
        return ours

    arguments["loss"] = keras.tree.map_structure(loss_of, arguments["loss"])
    for kind in ("metrics", "weighted_metrics"):
        arguments[kind] = keras.tree.map_structure(_copy_metric, arguments[kind])
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    copy.compile(**arguments, auto_scale_loss=scaled)
    if model.jit_compile:
        note("compile", "jit_compile=True", "", "inside XLA most ops run as stock ops")


def _compile_by_config(model, copy, optimizer):
    """Compile as the class says, but with another optimizer, of which it makes a copy again."""
    config = keras.saving.serialize_keras_object(optimizer)
    copy.compile_from_config({**model.get_compile_config(), "optimizer": config})
    for mine, other in zip(copy.optimizer.variables, optimizer.variables, strict=False):
        mine.assign(other)


def _copy_loss(loss):
    """Our loss for Keras' own binary cross-entropy, else the same; and why."""
    ours = losses.BinaryCrossentropy
    known = keras.losses.get(loss) if isinstance(loss, str) else loss
    if type(known) is keras.losses.BinaryCrossentropy:
        return ours.from_config({**known.get_config(), "dtype": known.dtype}), ""
    if known is keras.losses.binary_crossentropy:
        return ours(), ""
    return loss, OURS if isinstance(known, ours) else NONE


def _copy_metric(metric):
    if isinstance(metric, keras.metrics.Metric):
        return type(metric).from_config(metric.get_config())
    return metric


def _copy_optimizer(optimizer, variables):
    """Ours for one of Keras' own, else a copy; with the same state; and why."""
    config, inner = optimizer.get_config(), _inner(optimizer)
    if inner is not optimizer:
        copy_of_inner, why = _copy_optimizer_class(inner)
        _exclude(inner, copy_of_inner, variables)
        config = {k: v for k, v in config.items() if k != "inner_optimizer"}
        copy = type(optimizer)(copy_of_inner, **config)
    else:
        copy, why = _copy_optimizer_class(optimizer)
        _exclude(optimizer, copy, variables)
    if optimizer.built:
        copy.build([_copy_of(v, variables) for v in inner._trainable_variables])
        for mine, theirs in zip(copy.variables, optimizer.variables, strict=True):
            mine.assign(theirs)
    return copy, why


def _copy_optimizer_class(optimizer):
    ours = counterpart(optimizer)
    if ours is not None:
        return ours.from_config(optimizer.get_config()), ""
    why = OURS if type(optimizer) in CLASSES.values() else NONE
    return type(optimizer).from_config(optimizer.get_config()), why


def _exclude(optimizer, copy, variables):
    """What is excluded from weight decay is not in the config."""
    excluded = [
        variables[i] for i in getattr(optimizer, "_exclude_from_weight_decay", ()) if i in variables
    ]
    pattern = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    if excluded or pattern:
        names = [pattern.pattern] if pattern else None
        copy.exclude_from_weight_decay(var_list=excluded, var_names=names)


def _copy_of(variable, variables):
    if id(variable) not in variables:
        raise ValueError(
            "convert: the optimizer must have been built for variables of the model. "
            f"Received: {variable.path!r}"
        )
    return variables[id(variable)]


def _inner(optimizer):
    return getattr(optimizer, "inner_optimizer", optimizer)


def _name(part):
    return part if isinstance(part, str) else diagnosis.type_name(part)
