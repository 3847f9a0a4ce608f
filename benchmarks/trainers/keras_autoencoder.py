"""`fit` of a dense autoencoder: stock Keras', as its user would write it, and fastgen's."""

from itertools import pairwise

import keras

import fastgen
from benchmarks.trainers import Trainer

# Steps in one execution that stock Keras is asked for.
PER_EXECUTION = {"keras_20": 20}


def layers(model):
    """The encoder's dense layers and the decoder's."""
    count = len(model.sizes) - 1
    made = [
        keras.layers.Dense(units, model.hidden if i + 1 < count else model.last)
        for i, (_, units) in enumerate(pairwise(model.sizes))
    ]
    return made[: model.codings], made[model.codings :]


def build(name, weights, model):
    """A `Trainer` whose `epoch` may be several, in one `fit`."""
    encoder, decoder = layers(model)
    inputs, codings = keras.Input(model.sizes[:1]), keras.Input((model.sizes[model.codings],))
    if name == "fused":
        parts = [keras.Sequential([inputs, *encoder]), keras.Sequential([codings, *decoder])]
        trained = fastgen.models.Autoencoder(*parts, seed=0)
        optimizer = getattr(fastgen.optimizers, model.optimizer)(model.learning_rate)
        trained.compile(optimizer, model.loss)
        assert trained.why_stock() is None
    else:
        trained = keras.Sequential([inputs, *encoder, *decoder])
        trained.compile(
            getattr(keras.optimizers, model.optimizer)(model.learning_rate),
            model.loss,
            steps_per_execution=PER_EXECUTION.get(name, 1),
        )
    trained.set_weights(weights)

    def epoch(images, batch_size, epochs=1):
        history = trained.fit(images, images, batch_size=batch_size, epochs=epochs, verbose=0)
        return history.history["loss"][-1]

    def loss(images):
        return trained.evaluate(images, images, batch_size=len(images), verbose=0)

    return Trainer(name, epoch, loss)
