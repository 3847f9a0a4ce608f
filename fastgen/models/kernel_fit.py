"""`fit` of dense autoencoders on arrays: many steps of one kernel in a call of the graph."""

import math

import keras
import numpy as np
import tensorflow as tf

from fastgen import dispatch, ops
from fastgen.models.grouped_steps import STEPS, GroupedSteps
from fastgen.models.overrides import own_method
from fastgen.models.resident_images import ResidentImages, check_sizes
from fastgen.models.unwatched_epochs import UnwatchedEpochs
from fastgen.ops import network, optimizer_rules, players
from fastgen.ops.autoencoder_step import OP

# What of `fit` takes Keras' own steps. An epoch of `steps_per_epoch` ends in Keras where arrays do,
# with a warning, and each `fit` begins with the first of them: `ResidentImages` goes on instead.
STOCK = ("sample_weight", "class_weight", "steps_per_epoch", "validation_steps")
# What of a model the kernel does the work of.
STEP = (
    "train_step",
    "compute_loss",
    "compute_metrics",
    "call",
    "__call__",
    "losses",
    "make_train_function",
)


class KernelFit:
    """What the `fit` of an autoencoder runs: the kernel, groups of Keras' steps, or one by one.

    Of arrays both take rows in the same order.

    Args:
        model: Compiled `keras.Model` of one input. It has `dense_layers()`, the chain for the
            kernel and the place of its log variance, which raises `network.NotDense`;
            `train_rows(data, rows)`; and `why_stock()`.
        order: `keras.random.SeedGenerator` that determines the order of images and moves on by 1
            with every step.
        steps_per_execution: integer, or None: `fit` chooses.
    """

    def __init__(self, model, order, steps_per_execution=None):
        self.model, self.free = model, steps_per_execution is None
        model.own_steps_per_execution = steps_per_execution
        self.grouped = GroupedSteps(model)
        self.resident = ResidentImages(model, order, self.grouped, stock_steps=STEPS)
        self.unwatched = UnwatchedEpochs(model, order)
        self.why = None  # as `why_stock` last was

    def why_stock(self):
        """Why no step takes the kernel, with the layer or the argument that decides it, or None."""
        model = self.model
        if own := own_method(model, STEP):
            return own
        if model.jit_compile:
            return "inside XLA, which compiles stock ops only"
        if model.run_eagerly:
            return "run_eagerly=True"
        if model._compile_metrics is not None:
            return "compiled metrics look at the outputs"
        try:
            chain, _ = model.dense_layers()
            _check_trained(model, chain)
        except network.NotDense as reason:
            return str(reason)
        choice = dispatch.choose(OP, chain[0].kernel.dtype)
        return None if choice.path == dispatch.FUSED else choice.why

    def fit(self, stock, given):
        """Trains.

        Args:
            stock: Keras' `fit`.
            given: Its arguments by name.

        Returns:
            `keras.callbacks.History`.
        """
        check_sizes(given)
        given = _split(given)
        if self._suits(given):
            why = self.why_stock()
            if why != self.why:  # what was traced took the other steps
                self.forget()
            self.why = why
            data, rest = self._data(given, why), _without(given, "y")
            if not why and self.unwatched.suit(data, rest):
                return self.unwatched.fit(data, rest)
            with self.resident.in_use(data, rest) as own:
                return stock(**own)
        if self.free and self.grouped.suit(given):
            with self.grouped.in_use():
                return stock(**given)
        return stock(**given)

    def forget(self):
        """What was traced."""
        self.resident.traced.clear()
        self.unwatched.traced.clear()

    def step(self, data, rows, **how):
        """Steps on rows of images, which log the activity of layers that do so.

        Args:
            data: images, perhaps targets.
            rows: `(steps, 1, batch)` tensor.
            **how: As for `ops.autoencoder_step`.

        Returns:
            Its telemetry.
        """
        chain, log_variance = self.model.dense_layers()
        how |= {"targets": data[1] if len(data) > 1 else None, "log_variance": log_variance}
        optimizer = self.model.optimizer
        telemetry = ops.autoencoder_step(chain, optimizer, data[0], rows[:, 0], **how)
        trackers = [layer.penalty.tracker for layer in chain if layer.penalty]
        activities = tf.unstack(telemetry["activity"], axis=1)
        for tracker, activity in zip(trackers, activities, strict=True):
            if tracker is not None:
                log(tracker, activity, tf.shape(rows)[2])
        return telemetry

    def stock_steps(self, data, rows):
        """Keras' own steps; arguments as for `step`, returns the means of the epoch so far."""
        model = self.model

        def one(rows):
            model.train_step(tuple(tf.gather(x, rows[0]) for x in data))
            return rows

        if rows.shape[0] == 1:
            one(rows[0])
        else:
            tf.map_fn(one, rows, parallel_iterations=1)  # one trace for all
        return model.get_metrics_result()

    def _suits(self, given):
        model = self.model
        x, y = given.get("x"), given.get("y")
        arrays = [x] if y is None or y is x else [x, y]
        return (
            all(map(_is_array, arrays))
            and len({len(a) for a in arrays}) == 1
            and len(x) > 0
            and (not given.get("validation_split") or given.get("validation_data") is not None)
            and given.get("shuffle", True) in (True, False)
            and all(given.get(name) is None for name in STOCK)
            and not own_method(model, STEP)
            and not tf.distribute.has_strategy()
            and model._distribute_strategy is None  # Keras would look at what `fit` is given
            and tuple(arrays[-1].shape[1:]) == model.output_shape[1:]
        )

    def _data(self, given, why_stock):
        model, x, y = self.model, given["x"], given.get("y")
        arrays = [np.asarray(a) for a in ((x,) if y is None or y is x else (x, y))]
        dtypes = [keras.config.floatx() if a.dtype.kind == "f" else a.dtype for a in arrays]
        if not why_stock:
            # In the order of Keras, in which files have the slots.
            players.build(OP, model.optimizer, model.trainable_variables)
            dtypes = [model.variable_dtype for _ in arrays]
        pairs = zip(arrays, dtypes, strict=True)
        return tuple(tf.convert_to_tensor(a.astype(dtype, copy=False)) for a, dtype in pairs)


def compile_config(model, config):
    """`keras.Model.get_compile_config`, without a `steps_per_execution` that nobody gave."""
    if not config or model.own_steps_per_execution is not None:
        return config
    return _without(config, "steps_per_execution")


def compile_as_saved(model, config):
    """Compiles a model by its `get_compile_config`, with its optimizer's slots."""
    arguments = keras.saving.deserialize_keras_object(config)
    model.compile(**arguments)
    model.optimizer.build(model.trainable_variables)


def log(tracker, values, batch_size):
    """Adds what steps came to, `(steps,)`, to a `keras.metrics.Mean` over images."""
    weights = tf.fill(tf.shape(values), tf.cast(batch_size, tracker.dtype))
    tracker.update_state(tf.cast(values, tracker.dtype), sample_weight=weights)


def _check_trained(model, chain):
    """Raises NotDense if the kernel would train other variables than Keras, or otherwise."""
    trained = {id(v) for v in model.trainable_variables}
    if any(id(v) not in trained for v in network.variables(chain)):
        raise network.NotDense("some layers are frozen")
    if len(trained) > len(network.variables(chain)):
        raise network.NotDense("there are weights beside those of the dense layers")
    _, why = optimizer_rules.of(model.optimizer)
    if why:
        raise network.NotDense(why)
    if tf.distribute.has_strategy() or model.distribute_strategy.num_replicas_in_sync > 1:
        raise network.NotDense("under tf.distribute")


def _is_array(x):
    return isinstance(x, np.ndarray) or (isinstance(x, tf.Tensor) and hasattr(x, "numpy"))


def _without(given, name):
    return {key: value for key, value in given.items() if key != name}


def _split(given):
    """The arguments, validation data in place of `validation_split`, as Keras splits arrays."""
    x, y, share = given.get("x"), given.get("y"), given.get("validation_split")
    plain = _is_array(x) and (y is None or _is_array(y))
    whole = given.get("validation_data") is None and given.get("sample_weight") is None
    at = math.floor(len(x) * (1 - share)) if share and plain and whole else 0
    if not 0 < at < len(x) or (y is not None and len(y) != len(x)):
        return given
    parts = {"x": x[:at], "y": None if y is None else x[:at] if y is x else y[:at]}
    if y is x:
        parts["y"] = parts["x"]
    validation = (x[at:],) if y is None else (x[at:], y[at:])
    return {**_without(given, "validation_split"), **parts, "validation_data": validation}
