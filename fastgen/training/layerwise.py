"""Greedy layerwise training: the pairs of a stacked autoencoder one after the other."""

from typing import NamedTuple

import keras
import numpy as np

from fastgen import optimizers
from fastgen.models import Autoencoder
from fastgen.models.images import check_images
from fastgen.ops.arguments import count
from fastgen.training.stages import pairs

OP = "train_layerwise"


class Phase(NamedTuple):
    """A phase of `train_layerwise`: the names of the layers it trained, and its history."""

    layers: tuple
    history: keras.callbacks.History


def train_layerwise(
    autoencoder,
    x,
    *,
    epochs=10,
    fine_tune_epochs=0,
    batch_size=32,
    optimizer=None,
    validation_data=None,
    callbacks=(),
    verbose="auto",
):
    """Trains a stacked autoencoder pair by pair, from the outermost to the innermost.

    Phase k trains stage k of the encoder and its mirror image in the decoder, as an autoencoder of
    their own: the first one on `x`, with the model's loss, the others on the codings that the
    stages before give, with the mean squared error. Each moves the weights of its pair and no
    others. Then, where `fine_tune_epochs` says so, `autoencoder.fit` trains them all together.

    A stage is a layer with weights and those beside it without: dense, tied, convolutional with
    its pooling, recurrent. Where a stage of the decoder does not take the shape that its mirror
    image gives, it is trained together with the next.

    The phases have optimizers of their own: but for the weights, and for what `fit` changes in the
    fine-tuning, the model is afterwards as it was. Layers that are not trainable stay as they are.
    What Ctrl-C interrupts keeps the weights it has, and can be used.

    Example:
    >>> import numpy as np
    >>> import keras
    >>> import fastgen
    >>> dense, outer, inner = keras.layers.Dense, keras.Input((6,)), keras.Input((2,))
    >>> encoder = keras.Sequential([outer, dense(5, "selu", name="a"), dense(2, name="b")])
    >>> decoder = keras.Sequential([inner, dense(5, "selu", name="c"), dense(6, name="d")])
    >>> model = fastgen.models.Autoencoder(encoder, decoder)
    >>> model.compile("nadam", "mse")
    >>> x = np.random.default_rng(1).random((64, 6))
    >>> phases = fastgen.training.train_layerwise(model, x, fine_tune_epochs=5, verbose=0)
    >>> [phase.layers for phase in phases]
    [('a', 'd'), ('b', 'c'), ('a', 'd', 'b', 'c')]
    >>> [len(phase.history.history["loss"]) for phase in phases]
    [10, 10, 5]

    Args:
        autoencoder: Compiled `fastgen.models.Autoencoder`. Its encoder and its decoder are chains
            of layers, as many with weights in one as in the other.
        x: Inputs, an array `(n, ...)`. The codings of all of them lie in memory.
        epochs: integer ≥ 1, of each phase, or one for each.
        fine_tune_epochs: integer ≥ 0, of the whole model at the end.
        batch_size: integer ≥ 1.
        optimizer: Of the phases, as for `keras.Model.compile`: each has a copy, which begins anew.
            By default that of the model.
        validation_data: Inputs to validate on, an array like `x`, or None.
        callbacks: A Keras callback or a list of them, for every phase, or None.
        verbose: as for `keras.Model.fit`.

    Returns:
        A list of `Phase`: the names of the `layers` with weights that were trained, and the
        `keras.callbacks.History`; the fine-tuning is the last.

    Raises:
        ValueError: if the model, its stages or an argument are not as above; nothing has been
            trained then.

    Source: Bengio et al. (2007), Greedy Layer-Wise Training of Deep Networks, NIPS 19.
    """
    _check_model(autoencoder)
    found = pairs(OP, autoencoder.encoder, autoencoder.decoder)
    epochs = _epochs(epochs, len(found))
    count(OP, "fine_tune_epochs", fine_tune_epochs, 0)
    count(OP, "batch_size", batch_size, 1)
    data = inputs = [_inputs("x", x, autoencoder)]
    if validation_data is not None:
        data.append(_inputs("validation_data", validation_data, autoencoder))
    models = _models(autoencoder, found, optimizer)
    callbacks = keras.tree.flatten(callbacks or ())
    how = {"batch_size": batch_size, "callbacks": callbacks, "verbose": verbose}
    phases = []
    for pair, model, n in zip(found, models, epochs, strict=True):
        phases.append(_phase(model, pair.names, data, {**how, "epochs": n}))
        if model is not models[-1]:
            data = [model.encode(part, batch_size=batch_size) for part in data]
    if fine_tune_epochs:
        names = tuple(name for pair in found for name in pair.names)
        phases.append(_phase(autoencoder, names, inputs, {**how, "epochs": fine_tune_epochs}))
    return phases


def _phase(model, names, data, how):
    """One training, on inputs and perhaps on those to validate on."""
    if len(data) > 1:
        how["validation_data"] = data[1]
    return Phase(names, model.fit(data[0], **how))


def _models(autoencoder, found, optimizer):
    """A compiled autoencoder of each pair."""
    dtype, models = autoencoder.inputs[0].dtype, []
    shape = autoencoder.input_shape[1:]
    for pair in found:
        encoder = _chained("encoder", pair.encoder, shape, dtype)
        shape, dtype = encoder.output_shape[1:], encoder.outputs[0].dtype
        decoder = _chained("decoder", pair.decoder, shape, dtype)
        model = Autoencoder(encoder, decoder, seed=autoencoder.seed)
        model.compile(_copy(optimizer or autoencoder.optimizer), _loss(autoencoder, models))
        models.append(model)
    return models


def _chained(name, layers, shape, dtype):
    """A model of layers that there are."""
    inputs = x = keras.Input(shape, dtype=dtype)
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x, name=name)


def _copy(optimizer):
    """An optimizer like one, without what that has learned."""
    found = optimizers.get(optimizer)
    return type(found).from_config(found.get_config())


def _loss(autoencoder, before):
    if before:
        return "mse"
    (loss,) = keras.tree.flatten(autoencoder.loss)  # a list or a dict of the one output's, perhaps
    return loss


def _check_model(model):
    if not isinstance(model, Autoencoder):
        raise ValueError(
            f"{OP}: autoencoder must be a fastgen.models.Autoencoder. Received: {model!r}"
        )
    if not model.compiled:
        raise ValueError(f"{OP}: autoencoder must be compiled. Received: {model!r}, which is not")


def _epochs(epochs, phases):
    each = list(epochs) if isinstance(epochs, (list, tuple)) else [epochs] * phases
    if len(each) != phases:
        raise ValueError(
            f"{OP}: epochs must be one integer, or one for each of the {phases} phases. "
            f"Received: {epochs!r}"
        )
    for n in each:
        count(OP, "epochs", n, 1)
    return each


def _inputs(name, x, autoencoder):
    """Inputs as an array, checked."""
    x = np.asarray(x)
    check_images(OP, name, x, autoencoder.input_shape[1:])
    if not len(x):
        raise ValueError(f"{OP}: {name} must hold one input at least. Received: {x.shape}")
    return x
