"""The book's GAN, 30-100-150-784 against 784-150-100-1: weights, images, its step in float64."""

import itertools
from dataclasses import dataclass

import numpy as np

from benchmarks.vae import ALPHA, SCALE, make_images, selu
from tests.tolerances import MOVEMENT

CODINGS, PIXELS = 30, 784
GENERATOR, DISCRIMINATOR = (CODINGS, 100, 150, PIXELS), (PIXELS, 150, 100, 1)
GENERATOR_VARIABLES = 2 * (len(GENERATOR) - 1)
LEARNING_RATE, RHO, EPSILON = 1e-3, 0.9, 1e-7
# As many images as a run shuffles: 31 MB, which no cache holds, as it would not hold MNIST.
COUNT = 10_000
SEED = 20
CHECKED = 3  # steps


def layers(sizes):
    return list(itertools.pairwise(sizes))


def make_weights(seed=0):
    """Kernels and biases in turn, the generator's and then the discriminator's."""
    rng = np.random.default_rng(seed)
    return [
        array
        for inputs, units in layers(GENERATOR) + layers(DISCRIMINATOR)
        for array in (
            rng.normal(0, inputs**-0.5, (inputs, units)).astype("float32"),
            rng.normal(0, 0.1, units).astype("float32"),
        )
    ]


class Shuffle:
    """Rows of batches that go through all images in a new order each time."""

    def __init__(self, batch, count=COUNT):
        self._rng, self._batch, self._count = np.random.default_rng(SEED), batch, count
        self._order, self._at = np.empty(0, int), 0

    def __call__(self, steps):
        """(steps, batch) indices."""
        rows = []
        for _ in range(steps):
            if self._at + self._batch > len(self._order):
                self._order, self._at = self._rng.permutation(self._count), 0
            rows.append(self._order[self._at : self._at + self._batch])
            self._at += self._batch
        return np.stack(rows)


@dataclass(frozen=True)
class Feed:
    """What steps are made from: (steps, batch, ...) arrays.

    `noise` is (steps, 2, batch, CODINGS), for each phase its own: that of `stateless_normal` by
    `seeds`. `fake` is for `discriminator_update` alone.
    """

    real: np.ndarray
    fake: np.ndarray
    noise: np.ndarray
    seeds: np.ndarray


def seeds(first, steps):
    """(steps, 2, 2): of both phases of the steps from `first` on."""
    numbers = 2 * first + np.arange(2 * steps)
    return np.stack([np.full_like(numbers, SEED), numbers], -1).reshape(steps, 2, 2)


def make_feed(batch, steps=CHECKED):
    import tensorflow as tf

    found = seeds(0, steps)
    draw = [
        tf.random.stateless_normal((batch, CODINGS), seed).numpy() for seed in found.reshape(-1, 2)
    ]
    images = make_images(2 * steps * batch, seed=1).reshape(2, steps, batch, 28, 28)
    return Feed(images[0], 1 - images[1], np.reshape(draw, (steps, 2, batch, CODINGS)), found)


# --- the step in float64 ---


def _forward(w, x):
    """The inputs of all layers and the last one's outputs, before its sigmoid."""
    inputs = [x]
    for kernel, bias in zip(w[:-2:2], w[1:-2:2], strict=True):
        inputs.append(selu(inputs[-1] @ kernel + bias))
    return inputs, inputs[-1] @ w[-2] + w[-1]


def _backward(w, inputs, d_y):
    """Gradients in the weights and in the network's inputs."""
    gradients = []
    for kernel, x in zip(w[-2::-2], inputs[::-1], strict=True):
        gradients += [d_y.sum(axis=0), x.T @ d_y]
        # selu' of a layer's output y: SCALE above 0, else y + SCALE ALPHA.
        d_x = d_y @ kernel.T
        d_y = d_x * np.where(x > 0, SCALE, x + SCALE * ALPHA)
    return gradients[::-1], d_x


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Reference:
    """Takes steps as a provider does; `spoil(phase, gradients)` makes it wrong.

    `root_epsilon`: epsilon's root is added to the root of the mean square, as PyTorch does it, in
    place of epsilon to the mean square.
    """

    name = "reference"

    def __init__(self, operation, weights, root_epsilon=False, spoil=lambda phase, found: found):
        self.operation, self.root_epsilon, self.spoil = operation, root_epsilon, spoil
        self._w = [w.astype("float64") for w in weights]
        self._v = [np.zeros_like(w) for w in self._w]

    def take(self, feed):
        for real, fake, noise in zip(feed.real, feed.fake, feed.noise, strict=True):
            if self.operation == "gan_step":
                fake = _sigmoid(_forward(self._w[:GENERATOR_VARIABLES], noise[0])[1])
            self._update_discriminator(real.reshape(len(real), -1), fake.reshape(len(fake), -1))
            if self.operation == "gan_step":
                self._update_generator(noise[1])

    def _update_discriminator(self, real, fake):
        w = self._w[GENERATOR_VARIABLES:]
        inputs, logits = _forward(w, np.concatenate([fake, real]).astype("float64"))
        labels = np.repeat([0.0, 1.0], [len(fake), len(real)])[:, None]
        found, _ = _backward(w, inputs, (_sigmoid(logits) - labels) / len(labels))
        self._descend(self.spoil("discriminator", found), GENERATOR_VARIABLES)

    def _update_generator(self, noise):
        g, d = self._w[:GENERATOR_VARIABLES], self._w[GENERATOR_VARIABLES:]
        codings, logits = _forward(g, noise.astype("float64"))
        images = _sigmoid(logits)
        inputs, logits = _forward(d, images)
        _, d_images = _backward(d, inputs, (_sigmoid(logits) - 1) / len(logits))
        found, _ = _backward(g, codings, d_images * images * (1 - images))
        self._descend(self.spoil("generator", found), 0)

    def _descend(self, gradients, first):
        for i, g in enumerate(gradients, first):
            self._v[i] = v = RHO * self._v[i] + (1 - RHO) * g**2
            root = v**0.5 + EPSILON**0.5 if self.root_epsilon else (v + EPSILON) ** 0.5
            self._w[i] = self._w[i] - LEARNING_RATE * g / root

    def weights(self):
        return self._w


def check(adversary, operation, batch):
    """Some steps on known images and noise: each tensor must go where the reference's goes."""
    before = [np.asarray(w, "float64") for w in adversary.weights()]
    reference = Reference(operation, before, adversary.root_epsilon)
    feed = make_feed(batch)
    reference.take(feed)
    adversary.take(feed)
    for i, found in enumerate(adversary.weights()):
        expected = reference.weights()[i]
        error = np.linalg.norm(found - expected)
        allowed = MOVEMENT * np.linalg.norm(expected - before[i])
        assert error <= allowed, (
            f"{adversary.name}: tensor {i} of {operation} is {error:.3g} off, allowed {allowed:.3g}"
        )


def flops(operation):
    """Floating-point operations of a step, by rows of a batch: those of products."""

    def products(sizes, first=0):
        return 2 * sum(inputs * units for inputs, units in layers(sizes)[first:])

    # Of a fake row and a real one: forward, weights and, but for images, inputs.
    update = 2 * (2 * products(DISCRIMINATOR) + products(DISCRIMINATOR, 1))
    if operation == "discriminator_update":
        return update
    # Fake images; then both forward, back through the discriminator, back through the generator.
    back = products(DISCRIMINATOR) + products(GENERATOR) + products(GENERATOR, 1)
    return 2 * products(GENERATOR) + update + products(DISCRIMINATOR) + back
