"""Priors, and free bits: the losses of GaussianLatent that are not the closed form in one pass."""

import numpy as np
import pytest
import tensorflow as tf

from fastgen.layers import GaussianLatent, GaussianMixture, StandardNormal
from tests.layers.cases import SEED, inputs_of
from tests.tolerances import SIGMAS, assert_close


def test_free_bits_are_a_floor_for_each_coding(path):
    mean, log_var = inputs_of((50, 4))
    mean *= tf.constant([0.01, 0.1, 1.0, 2.0])
    log_var *= 0.1
    layer = GaussianLatent(kl_weight=2.0, free_bits=0.3, seed=SEED)
    with tf.GradientTape() as tape:
        tape.watch(mean)
        layer([mean, log_var])
        (loss,) = layer.losses
    m, v = mean.numpy().astype("float64"), log_var.numpy().astype("float64")
    each = -0.5 * (1 + v - np.exp(v) - m**2)
    assert_close(loss, 2 * np.maximum(each.mean(axis=0), 0.3).sum(), "float32")
    assert_close(layer.kl_tracker.result(), each.sum(axis=1).mean(), "float32")
    gradient = tape.gradient(loss, mean).numpy()
    above = each.mean(axis=0) > 0.3
    assert 0 < above.sum() < 4 and np.array_equal(np.any(gradient != 0, axis=0), above)


def test_mixture_of_one_standard_normal_estimates_the_closed_form(path):
    prior = GaussianMixture(1, 2)
    prior.means.assign(tf.zeros([1, 2]))
    layer = GaussianLatent(prior=prior, seed=SEED)
    n = 20000
    layer([tf.fill([n, 2], 1.0), tf.fill([n, 2], -1.0)])
    expected = 2 * -0.5 * (1 - 1 - np.exp(-1) - 1)
    # The estimate's variance for one coding: ((e^-1 - 1)^2 / 2 + e^-1).
    error = np.sqrt(2 * ((np.exp(-1) - 1) ** 2 / 2 + np.exp(-1)) / n)
    assert abs(layer.losses[0].numpy() - expected) < SIGMAS * error


def test_mixture_density_and_draws():
    prior = GaussianMixture(3, 2, seed=1)
    prior.means.assign([[-4.0, 0.0], [0.0, 4.0], [5.0, 5.0]])
    prior.logits.assign(np.log([0.5, 0.25, 0.25]))
    axis = np.linspace(-12, 13, 251)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2).astype("float32")
    assert np.exp(prior.log_prob(tf.constant(grid))).sum() * 0.01 == pytest.approx(1, abs=1e-4)
    draws = prior.sample(20000, seed=1).numpy()
    np.testing.assert_array_equal(draws, prior.sample(20000, seed=1))
    assert abs(np.mean(draws[:, 0] < -2) - 0.5 * 0.977 - 0.25 * 0.023) < 0.015


def test_bad_priors():
    for bad in (0, 2.5, True):
        with pytest.raises(ValueError, match="codings must be an integer ≥ 1. Received"):
            StandardNormal(bad)
    with pytest.raises(ValueError, match="free_bits needs .*Received"):
        GaussianLatent(free_bits=1.0, prior=GaussianMixture(2, 3))
    with pytest.raises(ValueError, match="prior must be .*Received"):
        GaussianLatent(prior="normal")
    with pytest.raises(ValueError, match="the 3 codings of the prior. Received"):
        GaussianLatent(prior=StandardNormal(3))(inputs_of())
