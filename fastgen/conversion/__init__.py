"""Converts a model of stock Keras layers into one of fastgen's."""

from fastgen import diagnosis, native

native.require_tensorflow("fastgen.conversion")

import keras  # noqa: E402

from fastgen.conversion.compilation import compile_as  # noqa: E402
from fastgen.conversion.copying import Copier  # noqa: E402

__all__ = ["convert"]


def convert(model, *, corruption=False, verbose=True):
    """Copy a Keras model, with fastgen's layers, loss and optimizer in the place of Keras' own.

    The copy computes what the model computes and goes on training where the model is: it has its
    weights, the optimizer's state and the arguments of `compile`. The model itself is not changed.

    Replaced are `Dense`, sampling layers like the book's, transposed dense layers like the book's,
    binary cross-entropy, and the optimizers that fastgen has. A layer that is not Keras' own is
    replaced only after a trial has shown that it does what ours does. All else is copied as it is:
    by its config, so a layer without one cannot be copied.

    Example:
    >>> import keras
    >>> import fastgen
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.ReLU()])
    >>> fast = fastgen.convert(model, verbose=False)
    >>> [type(layer).__name__ for layer in fast.layers]
    ['FusedDense', 'ReLU']
    >>> [row["why"] for row in fast.conversion]
    ['', 'fastgen has none']

    Args:
        model: functional or Sequential Keras model, perhaps with other models in it. Of a
            subclassed one, whose layers its own code calls, only loss and optimizer are replaced.
        corruption: whether `GaussianNoise` and `Dropout` become `fastgen.layers.Corruption`. Its
            noise is Keras' own, except inside XLA and the dropout of 16-bit floats.
        verbose: whether to print what was replaced, and what was left and why.

    Returns:
        A model of the same class. `conversion` of it is what is printed, a list of dicts.

    Raises:
        TypeError: for what is not a Keras model.
        ValueError: names the layer that cannot be copied, and why.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"convert: model must be a Keras model. Received: model={model!r}")
    copier = Copier(corruption)
    copy = copier.copy(model)
    copier.copy_flags()
    for original, its_copy in copier.models():
        compile_as(original, its_copy, copier)
    copy.conversion = copier.rows
    if verbose:
        diagnosis.print_table(f"fastgen.convert: {model.name}", copier.rows)
    return copy
