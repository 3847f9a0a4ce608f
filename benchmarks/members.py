"""The autoencoder family as it is timed: fastgen's builders, each beside a twin of stock Keras."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

import fastgen
import fastgen.data
from benchmarks import twins
from benchmarks.trainers import Trainer

# Steps in one execution that stock Keras is asked for.
PER_EXECUTION = {"keras_20": 20}
RTOL = 1e-5


class Member(NamedTuple):
    """A system: a builder of `fastgen.models.AUTOENCODERS` with its options, and its twin."""

    kind: str
    twin: Callable  # returns the layers of the same model in stock Keras
    options: dict = {}  # noqa: RUF012
    loss: str = "mse"
    optimizer: tuple = ("Nadam", 1e-3)
    shape: tuple = twins.IMAGE
    epochs: int = 10  # after which losses are compared
    epoch: int = 1617  # images of one: those of digits that are trained on
    dense: bool = True  # whether one kernel holds the step

    def make_images(self, count):
        """Of digits; or points in space, near a plane."""
        if self.shape == twins.IMAGE:
            (images, _), _ = fastgen.data.load("digits")
            return np.resize(images, (count, *self.shape))
        rng = np.random.default_rng(0)
        flat = rng.normal(size=(count, 2)) @ rng.normal(size=(2, *self.shape))
        return (0.5 + (flat + rng.normal(0, 0.1, flat.shape[:1] + self.shape)) / 8).astype(
            "float32"
        )

    def model(self, name):
        """That of a provider, compiled; "fused" is ours. All have the same weights and seeds."""
        ours = fastgen.models.AUTOENCODERS[self.kind](self.shape, seed=0, **self.options)
        optimizer, rate = self.optimizer
        if name == "fused":
            ours.compile(getattr(fastgen.optimizers, optimizer)(rate), self.loss)
            assert (ours.why_stock() is None) == self.dense, f"{self.kind}: {ours.why_stock()}"
            return ours
        model = keras.Sequential([keras.Input(self.shape), *self.twin()])
        steps = PER_EXECUTION.get(name, 1)
        optimizer = getattr(keras.optimizers, optimizer)(rate)
        model.compile(optimizer, self.loss, steps_per_execution=steps)
        for mine, theirs in zip(ours.trainable_variables, model.trainable_variables, strict=True):
            theirs.assign(mine)
        for mine, theirs in zip(_seeds(ours), _seeds(model), strict=True):
            theirs.state.assign(mine.state)
        return model

    def trainer(self, name):
        """A `Trainer` whose `epoch` may be several, in one `fit`."""
        model = self.model(name)

        def epoch(images, batch_size, epochs=1):
            history = model.fit(images, images, batch_size=batch_size, epochs=epochs, verbose=0)
            return history.history["loss"][-1]

        def loss(images):
            found = model.evaluate(images, images, verbose=0, return_dict=True)
            return found["loss"]

        return Trainer(name, epoch, loss)

    def check(self, trainer):
        """The loss, beside the twin's of the same weights, and that training lowers it."""
        images = self.make_images(512)
        expected, loss = self.trainer("keras").loss(images), trainer.loss(images)
        assert abs(loss - expected) < RTOL * expected, (
            f"{trainer.name}: loss {loss:.6g}, expected {expected:.6g}"
        )
        trained = [trainer.epoch(images, 32) for _ in range(3)]
        assert trained[2] < trained[0], f"{trainer.name}: losses {trained}"

    def final_losses(self, batch):
        """Validation losses after `epochs` in the same order: ours and the twin's."""
        if self.shape == twins.IMAGE:
            (x, _), (valid, _) = fastgen.data.load("digits")
        else:
            x = valid = self.make_images(self.epoch)
        how = {"batch_size": batch, "epochs": self.epochs, "shuffle": False, "verbose": 0}
        found = {}
        for name in ("fused", "keras"):
            model = self.model(name)
            model.fit(x, x, **how)
            found[name] = model.evaluate(valid, valid, verbose=0, return_dict=True)["loss"]
        return found


def _seeds(model):
    layers = model._flatten_layers(include_self=False)  # ours has one for the order of images
    return [generator for layer in layers for generator in layer._seed_generators]


def _denoising(corruption, layer):
    return Member("denoising", lambda: twins.stacked(layer()), {"corruption": corruption})


def _sparse(penalty, regularizer):
    return Member("sparse", lambda: twins.sparse(regularizer()), {"penalty": penalty})


MEMBERS = {
    "linear": Member(
        "linear", twins.linear, optimizer=("SGD", 0.1), shape=(3,), epochs=500, epoch=60
    ),
    "stacked": Member("stacked", twins.stacked),
    "tied": Member("tied", twins.tied),
    "denoising_gaussian": _denoising("gaussian", lambda: keras.layers.GaussianNoise(0.2)),
    "denoising_dropout": _denoising("dropout", lambda: keras.layers.Dropout(0.5)),
    "sparse_l1": _sparse("l1", lambda: keras.regularizers.L1(1e-4)),
    "sparse_kl": _sparse("kl", lambda: twins.KLDivergenceRegularizer(5e-3, 0.1)),
    "sparse_mse": _sparse("mse", lambda: twins.MSERegularizer(3e-2, 0.1)),
    "overcomplete": Member("overcomplete", twins.overcomplete),
    "hashing": Member("hashing", twins.hashing, loss="binary_crossentropy"),
    "convolutional": Member("convolutional", twins.convolutional, dense=False),
    "recurrent": Member("recurrent", twins.recurrent, dense=False),
}
