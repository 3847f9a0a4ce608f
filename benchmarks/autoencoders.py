"""The book's dense autoencoders: weights, images, and their losses in float64."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from benchmarks import vae


class Model(NamedTuple):
    """Dense layers of these sizes; `codings` is the place of the narrowest."""

    sizes: tuple
    codings: int
    hidden: str
    last: str
    loss: str
    optimizer: str
    learning_rate: float

    def make_weights(self, seed=0):
        """Kernels and biases in turn."""
        rng = np.random.default_rng(seed)
        weights = []
        for inputs, units in pairwise(self.sizes):
            weights.append(rng.normal(0, inputs**-0.5, (inputs, units)).astype("float32"))
            weights.append(np.zeros(units, "float32"))
        return weights

    def make_images(self, count):
        """Rows in [0, 1], of few dimensions."""
        if self.sizes[0] == vae.SIZES[0]:
            return vae.make_images(count)
        rng = np.random.default_rng(0)
        flat = rng.normal(size=(count, 2)) @ rng.normal(size=(2, self.sizes[0]))
        return (0.5 + flat / 8).astype("float32")

    def expected(self, weights, images):
        """The loss, a mean over all outputs."""
        x = images = np.asarray(images, "float64")
        w = [np.asarray(each, "float64") for each in weights]
        for i in range(0, len(w), 2):
            x = x @ w[i] + w[i + 1]
            if self.hidden == "selu" and i + 2 < len(w):
                x = vae.selu(x)
        if self.loss == "mse":
            return np.mean((x - images) ** 2)
        return np.mean(np.logaddexp(0, x) - images * x)

    def check(self, trainer, weights):
        """The loss of known weights, and that training lowers it."""
        images = self.make_images(512)
        expected, loss = self.expected(weights, images), trainer.loss(images)
        assert abs(loss - expected) < 1e-5 * expected, (
            f"{trainer.name}: loss {loss:.6g}, expected {expected:.6g}"
        )
        trained = [trainer.epoch(images, 32) for _ in range(3)]
        assert trained[2] < trained[1] < trained[0], f"{trainer.name}: losses {trained}"


MODELS = {
    "stacked": Model(
        (784, 100, 30, 100, 784), 2, "selu", "sigmoid", "binary_crossentropy", "Nadam", 1e-3
    ),
    "linear": Model((3, 2, 3), 1, "linear", "linear", "mse", "SGD", 0.1),
}
