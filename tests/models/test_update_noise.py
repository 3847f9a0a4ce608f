"""The targets of the discriminator: their formula, and the same ones on every path."""

import numpy as np
import pytest
import tensorflow as tf

from fastgen.models.update_noise import targets
from tests.models.gans import compiled, images, weights
from tests.tolerances import LOGGED

X, BATCH = images(30), 8
SEEDS = np.array([[[5, 3 * i + j] for j in range(3)] for i in range(4)])  # 4 steps, 2 updates of D
ROWS = np.zeros((4, 2, BATCH), "int64")


def test_without_any_there_are_none():
    assert targets(ROWS, SEEDS, 0.0, 0.0) is None


@pytest.mark.parametrize(("smoothing", "noise"), [(0.1, 0.0), (0.0, 0.3), (0.25, 0.75)])
def test_formula(smoothing, noise):
    found = targets(tf.constant(ROWS), tf.constant(SEEDS), smoothing, noise).numpy()
    u = np.stack([tf.random.stateless_uniform((2, 2, BATCH), [-6, 3 * i]) for i in range(4)])
    np.testing.assert_allclose(found[:, :, 0], 1 - smoothing - noise * u[:, :, 0], rtol=LOGGED)
    np.testing.assert_allclose(found[:, :, 1], noise * u[:, :, 1], rtol=LOGGED)
    assert found.min() >= 0 and found.max() <= 1
    assert len(np.unique(u)) > 0.99 * u.size
    for i in range(4):  # one by one
        one = targets(tf.constant(ROWS[i : i + 1]), tf.constant(SEEDS[i : i + 1]), smoothing, noise)
        np.testing.assert_array_equal(one[0], found[i])


@pytest.mark.parametrize("more", [{}, {"n_critic": 2, "label_smoothing": 0.2}], ids=["1", "2"])
def test_kernel_and_stock_operations_have_the_same(more, monkeypatch):
    found = {}
    for backend, noise in (("fused", 0.3), ("composite", 0.3), ("fused", 0.0)):
        monkeypatch.setenv("FASTGEN_BACKEND", backend)
        gan = compiled(label_noise=noise, **more)
        logs = gan.fit(X, batch_size=BATCH, epochs=2, verbose=0).history
        found[backend, noise] = weights(gan), logs["discriminator_loss"]
    for i in range(2):
        expected = found["composite", 0.3][i]
        np.testing.assert_allclose(found["fused", 0.3][i], expected, rtol=LOGGED, atol=LOGGED)
    assert np.abs(np.subtract(*(found["fused", n][1] for n in (0.3, 0.0)))).min() > 1e-3


def test_the_same_bits_step_by_step():
    found = []
    for steps in (None, 1):
        gan = compiled(label_noise=0.3, steps_per_execution=steps)
        gan.fit(X, batch_size=BATCH, epochs=2, verbose=0)
        found.append(weights(gan))
    np.testing.assert_array_equal(*found)


def test_targets_stay_probabilities():
    compiled(label_smoothing=0.9, label_noise=0.1)
    for how in ({"label_noise": 1.5}, {"label_noise": -0.1}):
        with pytest.raises(ValueError, match=r"GAN: label_noise must be a number in \[0, 1\]"):
            compiled(**how)
    with pytest.raises(ValueError, match=r"be at most 1 together. Received: 0.5 and 0.75"):
        compiled(label_smoothing=0.5, label_noise=0.75)
