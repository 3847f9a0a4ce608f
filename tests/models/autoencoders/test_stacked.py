"""Autoencoders of dense layers do what they are for: linear, stacked, tied, overcomplete."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen import models
from tests.tolerances import SAME_FORMULA, TRAINING


def plane(n=60):
    """Points near a plane in space: the book's."""
    rng = np.random.default_rng(42)
    angles = (rng.random(n) ** 3 + 0.5) * 2 * np.pi
    x = np.stack([np.cos(angles), np.sin(angles) * 0.5, np.zeros(n)], axis=1)
    x += 0.28 * rng.standard_normal((n, 3))
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    return (x @ turn + [0.2, 0, 0.2]).astype("float32")


def test_a_linear_autoencoder_does_what_pca_does():
    x = plane()
    mean = x.mean(0)
    components = np.linalg.svd(x - mean)[2][:2]
    best = np.mean((x - mean - (x - mean) @ components.T @ components) ** 2)
    model = models.linear_autoencoder(seed=1)
    model.compile(keras.optimizers.SGD(0.2, momentum=0.9))
    model.fit(x, epochs=500, batch_size=len(x), verbose=0)
    assert best <= np.mean((x - model.predict(x, verbose=0)) ** 2) * (1 + TRAINING)
    assert model.evaluate(x, verbose=0) <= 1.01 * best
    found = np.linalg.qr(model.decoder.layers[0].kernel.numpy().T)[0]
    cosine = np.linalg.svd(components @ found)[1].min()
    assert np.degrees(np.arccos(min(cosine, 1))) < 3


@pytest.mark.parametrize("kind", ["stacked", "tied"])
def test_encoder_and_decoder_are_usable_alone(kind, digits):
    x, x_valid, *_ = digits
    model = models.AUTOENCODERS[kind](seed=1)
    model.compile()
    logs = model.fit(x, validation_data=x_valid, epochs=3, verbose=0).history
    assert logs["val_loss"][-1] < 0.6 * np.mean((x_valid - x.mean(0)) ** 2)
    codings = model.encoder(x_valid)
    assert codings.shape == (180, 30)
    both = model.decoder(codings)
    np.testing.assert_allclose(both, model(x_valid), rtol=SAME_FORMULA, atol=SAME_FORMULA)
    np.testing.assert_array_equal(model.decode(model.encode(x_valid)), both)


def untied(x, kernel, bias):
    """The loss of a tied layer, with a kernel of its own for each of the two places."""
    w, transposed = tf.Variable(kernel), tf.Variable(kernel.T)
    with tf.GradientTape() as tape:
        codings = tf.nn.relu(x @ w + bias[0])
        loss = tf.reduce_mean((x - (codings @ transposed + bias[1])) ** 2)
    return tape.gradient(loss, [w, transposed])


def test_the_gradient_of_a_tied_kernel_has_both_contributions(fused):
    model = models.tied_autoencoder((12,), 5, hidden=(), seed=1)
    model.compile(keras.optimizers.SGD(1.0))
    assert model.why_stock() is None
    kernel, *bias = (w.numpy() for w in (v.value for v in model.trainable_variables))
    x = np.random.default_rng(1).random((32, 12)).astype("float32")
    encoders, decoders = untied(x, kernel, bias)
    expected = encoders + tf.transpose(decoders)
    assert min(np.abs(part).max() for part in (encoders, decoders)) > 1e-3
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((x - model(x)) ** 2)
    np.testing.assert_allclose(
        tape.gradient(loss, model.trainable_variables[0].value), expected, atol=TRAINING
    )
    model.fit(x, verbose=0)  # a step down the gradient that the kernel takes
    moved = kernel - model.trainable_variables[0].numpy()
    np.testing.assert_allclose(moved, expected, atol=TRAINING)


def test_an_overcomplete_autoencoder_trains(digits):
    x, x_valid = (images[:, ::2, ::2] for images in digits[:2])
    model = models.overcomplete_autoencoder((14, 14), seed=1)
    assert model.encoder.output_shape == (None, 392)
    model.compile()
    logs = model.fit(x, validation_data=x_valid, epochs=5, verbose=0).history
    assert logs["val_loss"][-1] < 0.05 * x_valid.var()
