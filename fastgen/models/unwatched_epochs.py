"""`fit` whose epochs nobody looks at: many in one call of the graph."""

import keras
import tensorflow as tf

from fastgen.models.resident_images import IMAGES, STEPS, row_blocks


class UnwatchedEpochs:
    """Whole epochs of a few steps, whose losses are told afterwards.

    A pass over a few images takes a kernel less time than Keras takes between two epochs.

    Args:
        model: Compiled `keras.Model` with `train_rows(data, rows)` and `own_steps_per_execution`.
        order: `keras.random.SeedGenerator`, as of `ResidentImages`.
    """

    def __init__(self, model, order):
        self.model, self.order = model, order
        self.traced = {}

    def suit(self, data, given):
        """Whether a `fit` with these arguments, by name, comes to the same."""
        return (
            given.get("verbose", "auto") in (0, False)
            and not keras.tree.flatten(given.get("callbacks") or ())
            and given.get("validation_data") is None
            and self.model.own_steps_per_execution is None
            and _epochs_in_a_call(data, given) >= 2
        )

    def fit(self, data, given):
        """As `keras.Model.fit` with these arguments: its History."""
        first, last = given.get("initial_epoch", 0), given.get("epochs", 1)
        steps, shuffle = _steps(data, given), given.get("shuffle", True)
        order = self.order.state.numpy()
        passes = row_blocks(len(data[0]), _batch_size(given), 1, steps, order, shuffle, 1)
        told = keras.callbacks.CallbackList(
            add_history=True, model=self.model, epochs=last, steps=steps, verbose=0
        )
        self.model.stop_training = False
        told.on_train_begin()
        at_once = _epochs_in_a_call(data, given)
        for start in range(first, last, at_once):
            epochs = range(start, min(start + at_once, last))
            rows = [tf.stack(part) for part in zip(*(next(passes) for _ in epochs), strict=True)]
            logs = self._function(data, rows)(data, rows)
            columns = {name: logs[name].numpy().tolist() for name in sorted(logs)}
            for i, epoch in enumerate(epochs):
                told.on_epoch_begin(epoch)
                told.on_epoch_end(epoch, {name: column[i] for name, column in columns.items()})
        told.on_train_end()
        return self.model.history

    def _function(self, data, rows):
        model = self.model
        dtypes = {name: value.dtype for name, value in model.get_metrics_result().items()}

        def train(data, rows):
            def epoch(parts):
                model.reset_metrics()
                return [model.train_rows(data, part) for part in parts][-1]

            return tf.map_fn(epoch, rows, fn_output_signature=dtypes, parallel_iterations=1)

        specs = tuple(tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in data)
        of_rows = [tf.TensorSpec((None, *part.shape[1:3], None), tf.int64) for part in rows]
        key = (*specs, *of_rows)
        if key not in self.traced:
            function = tf.function(train, autograph=False)
            self.traced[key] = function.get_concrete_function(specs, of_rows)
        return self.traced[key]


def _batch_size(given):
    return given.get("batch_size") or 32


def _steps(data, given):
    return -(-len(data[0]) // _batch_size(given))


def _epochs_in_a_call(data, given):
    """As many as keep Ctrl-C waiting no longer than one call of `ResidentImages` does."""
    return min(STEPS // _steps(data, given), IMAGES // len(data[0]))
