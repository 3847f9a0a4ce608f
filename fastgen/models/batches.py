"""Runs a model over arrays in batches, in one trace whatever their sizes."""

import numpy as np
import tensorflow as tf


class InBatches:
    """A model as a function of NumPy arrays, for inference.

    `keras.Model.predict` traces again for other sizes, and takes milliseconds to set up. Nor does
    Keras take an object of this class for a part of the model that holds it.

    Args:
        model: Functional `keras.Model` of one input.
    """

    def __init__(self, model):
        self.model = model  # a concrete function does not keep its variables alive
        spec = tf.TensorSpec(model.inputs[0].shape, model.inputs[0].dtype)
        self.dtype = spec.dtype.as_numpy_dtype
        self.run = tf.function(lambda x: model(x, training=False)).get_concrete_function(spec)

    def __call__(self, x, batch_size):
        """The outputs of the model for `(n, ...)` values, as an array or a list of arrays."""
        x = np.asarray(x)
        starts = range(0, max(len(x), 1), batch_size)  # an empty array is a batch too
        batches = [self.run(tf.constant(x[i : i + batch_size].astype(self.dtype))) for i in starts]
        if not isinstance(batches[0], (list, tuple)):
            return _joined(batches)
        return [_joined(parts) for parts in zip(*batches, strict=True)]


def _joined(tensors):
    """One array; joining a single one would copy it, for longer than a decoder takes."""
    arrays = [tensor.numpy() for tensor in tensors]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
