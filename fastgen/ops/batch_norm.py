"""By what the BatchNormalization layers of a model normalize, whatever of it is frozen."""

import contextlib

import keras

MODES = ("train", "book")


@contextlib.contextmanager
def normalizing(model, by_batch=True):
    """Calls of the model inside, in training mode, normalize by the batch or by moving averages.

    Keras' layer asks its own `trainable`, which users of GANs switch.
    """
    layers = [x for x in model._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    before = [layer._trainable for layer in layers]
    for layer in layers:
        layer._trainable = by_batch
    try:
        yield
    finally:
        for layer, trainable in zip(layers, before, strict=True):
            layer._trainable = trainable
