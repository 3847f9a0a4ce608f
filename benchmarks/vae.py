"""The book's VAE, 784-150-100-[10]-100-150-784: weights, images, and its loss in float64."""

import itertools

import numpy as np

SIZES = (784, 150, 100)
CODINGS = 10
SCALE, ALPHA = 1.05070098, 1.67326324  # SELU's
LEARNING_RATE = 1e-3
SIGMAS = 6


def layer_shapes():
    """(inputs, units) of the seven dense layers, in the order of `make_weights`."""
    encoder = list(itertools.pairwise(SIZES)) + [(SIZES[-1], CODINGS)] * 2
    units = (CODINGS, *reversed(SIZES))
    return encoder + list(itertools.pairwise(units))


def make_weights(seed=0):
    """Kernels and biases in turn: two hidden layers, mean, log variance, three of the decoder."""
    rng = np.random.default_rng(seed)
    weights = []
    for inputs, units in layer_shapes():
        weights.append(rng.normal(0, inputs**-0.5, (inputs, units)).astype("float32"))
        weights.append(np.zeros(units, "float32"))
    return weights


def make_images(count, seed=0):
    """Images in [0, 1] that a decoder can learn: smooth, of rank CODINGS before the sigmoid."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, CODINGS)) @ rng.normal(size=(CODINGS, SIZES[0]))
    return (1 / (1 + np.exp(-logits))).astype("float32")


def losses(weights, images, draws=64, seed=0):
    """Mean loss (BCE summed over pixels, plus KL) of each of some draws of the noise, float64."""
    w = [np.asarray(x, "float64") for x in weights]
    rng = np.random.default_rng(seed)
    x = np.asarray(images, "float64")
    hidden = selu(selu(x @ w[0] + w[1]) @ w[2] + w[3])
    mean, log_var = hidden @ w[4] + w[5], hidden @ w[6] + w[7]
    kl = -0.5 * np.sum(1 + log_var - np.exp(log_var) - mean**2, axis=-1).mean()
    for _ in range(draws):
        logits = decode(w, mean + np.exp(log_var / 2) * rng.standard_normal(mean.shape))
        yield np.sum(np.logaddexp(0, logits) - x * logits, axis=-1).mean() + kl


def decode(weights, z):
    """Logits of codings."""
    w = weights[8:]
    return selu(selu(z @ w[0] + w[1]) @ w[2] + w[3]) @ w[4] + w[5]


def selu(x):
    return SCALE * np.where(x > 0, x, ALPHA * np.expm1(np.minimum(x, 0)))


def check(trainer, weights):
    """The loss and the generated images of known weights, and that training lowers the loss."""
    images = make_images(512)
    reference = list(losses(weights, images))
    expected, deviation = np.mean(reference), np.std(reference, ddof=1)
    mean = np.mean([trainer.loss(images) for _ in range(16)])
    # Standard errors of both means; 1e-5 for float32.
    tolerance = SIGMAS * deviation * (1 / 16 + 1 / len(reference)) ** 0.5 + 1e-5 * expected
    assert abs(mean - expected) < tolerance, (
        f"{trainer.name}: loss {mean:.6g}, expected {expected:.6g} ± {tolerance:.2g}"
    )
    z = np.random.default_rng(0).standard_normal((8192, CODINGS))
    reference = 1 / (1 + np.exp(-decode([x.astype("float64") for x in weights], z)))
    found = np.reshape(trainer.generate(4096), (4096, -1)).astype("float64")
    for moment in (1, 2):
        a, b = reference**moment, found**moment
        error = np.sqrt(a.var(axis=0) / len(a) + b.var(axis=0) / len(b))
        off = np.max(np.abs(a.mean(axis=0) - b.mean(axis=0)) / error)
        assert off < SIGMAS, f"{trainer.name}: generated images are {off:.1f} standard errors off"
    trained = [trainer.epoch(images, 32) for _ in range(3)]
    assert trained[2] < trained[1] < trained[0] < expected, f"{trainer.name}: losses {trained}"
