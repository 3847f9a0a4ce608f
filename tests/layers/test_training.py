"""The book's VAE through our layers trains as through stock ones, with the same noise."""

import keras
import numpy as np
import tensorflow as tf

from fastgen.layers import GaussianLatent, Sampling
from tests.layers.cases import StockSampling
from tests.tolerances import TRAINING

STEPS, BATCH, SEED = 50, 32, 5


class LatentLoss(keras.layers.Layer):
    """The book's latent loss in stock ops."""

    def call(self, inputs):
        mean, log_var, z = inputs
        kl = -0.5 * tf.reduce_sum(1 + log_var - tf.exp(log_var) - tf.square(mean), axis=-1)
        self.add_loss(tf.reduce_mean(kl) / 784)
        return z


def vae(latent):
    """784-150-100-[10]-100-150-784; latent makes z of the mean and log_var."""
    keras.utils.set_random_seed(SEED)
    dense = keras.layers.Dense
    inputs = keras.Input([28, 28])
    x = keras.layers.Flatten()(inputs)
    for units in (150, 100):
        x = dense(units, activation="relu")(x)
    z = latent(dense(10)(x), dense(10)(x))
    for units in (100, 150):
        z = dense(units, activation="relu")(z)
    outputs = keras.layers.Reshape([28, 28])(dense(784)(z))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Nadam(), "mse", jit_compile=False)
    return model


def stock(mean, log_var):
    return LatentLoss()([mean, log_var, StockSampling(seed=SEED)([mean, log_var])])


def sampling(mean, log_var):
    return LatentLoss()([mean, log_var, Sampling(seed=SEED)([mean, log_var])])


def gaussian_latent(mean, log_var):
    return GaussianLatent(kl_weight=1 / 784, seed=SEED)([mean, log_var])


def losses(latent):
    """Loss of each step on the same batches."""
    model = vae(latent)
    images = np.random.default_rng(1).random((STEPS, BATCH, 28, 28), dtype="float32") ** 4
    found = []
    for batch in images:
        model.reset_metrics()  # train_on_batch returns the mean since the last reset
        found.append(float(model.train_on_batch(batch, batch, return_dict=True)["loss"]))
    return found


def test_losses_equal_stock_step_by_step(fused):
    expected = losses(stock)
    assert expected[-1] < expected[0]
    for latent in (sampling, gaussian_latent):
        np.testing.assert_allclose(losses(latent), expected, rtol=0, atol=TRAINING)
