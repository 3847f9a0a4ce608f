"""Runs several training steps in one call of the graph, where nobody looks in between."""

import contextlib
import inspect

import keras
import numpy as np

from fastgen.ops.arguments import count

STEPS = 16
SAVERS = keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore
FUNCTIONS = ("train_function", "test_function", "predict_function")
HOOKS = [
    f"on_{part}batch_{moment}" for part in ("", "train_", "test_") for moment in ("begin", "end")
]


class GroupedSteps:
    """The `steps_per_execution` that `fit` chooses, and what Keras traced for it.

    Much of a small model's step is what Keras does between two calls: in groups, the book's VAE
    takes 0.7 of the time. The steps are the same. Keras runs a short group at the end of arrays,
    but not of an epoch of `steps_per_epoch`, and the hooks of callbacks on batches once a group.

    Args:
        model: Compiled `keras.Model`.
    """

    def __init__(self, model):
        self.model = model
        self.outside = None
        self.traced = {}  # steps in a call → functions

    def suit(self, given):
        """Whether a `fit` with these arguments, by name, comes to the same in groups."""
        model = self.model
        # TensorFlow cannot branch on a distributed iterator.
        if model.run_eagerly or model.distribute_strategy.num_replicas_in_sync > 1:
            return False
        arrays = isinstance(given.get("x"), np.ndarray)
        whole = given.get("steps_per_epoch") is None and given.get("validation_steps") is None
        callbacks = keras.tree.flatten(given.get("callbacks") or ())
        return arrays and whole and not any(map(watches, callbacks))

    @contextlib.contextmanager
    def in_use(self, steps=STEPS, **own):
        """`fit` inside runs groups; what is called outside runs as it did.

        Args:
            steps: in a call.
            **own: functions in place of Keras'.
        """
        model = self.model
        outside = {name: getattr(model, name) for name in FUNCTIONS}
        # Something else outside: the model was made to trace again.
        if self.outside is not outside["train_function"]:
            self.outside, self.traced = outside["train_function"], {}
        traced = self.traced.setdefault(steps, dict.fromkeys(FUNCTIONS))
        before, model.steps_per_execution = model.steps_per_execution, steps
        for name, function in {**traced, **own}.items():
            setattr(model, name, function)
        try:
            yield
        finally:
            traced.update({n: getattr(model, n) for n in FUNCTIONS if n not in own})
            model.steps_per_execution = before
            for name, function in outside.items():
                setattr(model, name, function)


def steps_to_run(owner, steps_per_execution):
    """What `compile` was given as `steps_per_execution`, or None where `fit` is to choose."""
    if steps_per_execution is None or steps_per_execution == "auto":
        return None
    return count(owner, "steps_per_execution", steps_per_execution)


def watches(callback):
    """Whether a callback does something after a batch."""
    if not isinstance(callback, keras.callbacks.Callback):
        return True  # a CallbackList, or what will be an error
    if type(callback) in SAVERS and callback.save_freq == "epoch":
        return False  # its hook only asks for save_freq
    # LambdaCallback has its hooks in the instance.
    own = (inspect.getattr_static(callback, hook) for hook in HOOKS)
    default = (inspect.getattr_static(keras.callbacks.Callback, hook) for hook in HOOKS)
    return any(a is not b for a, b in zip(own, default, strict=True))
