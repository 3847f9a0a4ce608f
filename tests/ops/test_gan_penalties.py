"""Regularizers and losses that layers add, in the steps of a GAN: as in Keras' `train_on_batch`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen import ops
from tests.models.gans import policy
from tests.ops import gan
from tests.tolerances import OPTIMIZER_FLOAT64, TOLERANCES

L = keras.layers


class Adding(L.Layer):
    """Adds to the loss."""

    def call(self, x):
        self.add_loss(0.3 * keras.ops.mean(keras.ops.square(x)))
        return x


def weighted(models, kind):
    """Networks with the layers of these, regularized."""
    generator, discriminator = models
    if kind == "weights":
        for model in models:
            for layer in model.layers:
                if isinstance(layer, L.Dense):
                    layer.kernel_regularizer = layer.kernel.regularizer = keras.regularizers.L2(0.1)
        return models
    more = {
        "activity": lambda: L.Activation("linear", activity_regularizer="l2"),
        "add_loss": Adding,
    }[kind]
    hidden, *others = generator.layers
    return [
        keras.Sequential([keras.Input((2,)), hidden, more(), *others]),
        keras.Sequential([keras.Input((3, 3)), more(), *discriminator.layers]),
    ]


def networks(kind):
    with policy("float64"):
        return weighted(gan.small("float64"), kind)


def keras_losses(generator, discriminator, real, noise):
    """Those of a step of the book's loop."""
    how = {"loss": "binary_crossentropy", "jit_compile": False}
    discriminator.compile(keras.optimizers.SGD(0.1), **how)
    labels = np.repeat([[1.0], [0.0]], len(real), axis=0)
    loss = discriminator.train_on_batch(np.concatenate([real, generator(noise[0])]), labels)
    discriminator.trainable = False
    both = keras.Sequential([generator, discriminator])
    both.compile(keras.optimizers.SGD(0.1), **how)
    return loss, both.train_on_batch(noise[1], np.ones((len(real), 1)))


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("kind", ["weights", "activity", "add_loss"])
def test_steps_of_keras(kind, graph, monkeypatch):
    monkeypatch.delenv("FASTGEN_BACKEND", raising=False)
    models, optimizers = networks(kind), gan.optimizers(lambda: keras.optimizers.SGD(0.1))
    images = gan.images_of(models)
    rows, seeds = gan.feed(1, images)
    step = tf.function(ops.gan_step, autograph=False) if graph else ops.gan_step
    telemetry = step(*models, *optimizers, tf.constant(images), tf.constant(rows), seeds)

    twins = networks(kind)
    noise = [tf.random.stateless_normal((8, 2), seed, dtype=tf.float64) for seed in seeds[0]]
    with policy("float64"):
        loss, generator_loss = keras_losses(*twins, images[rows[0, 0]], noise)
    rtol = TOLERANCES["float32"][0]
    np.testing.assert_allclose(telemetry["discriminator_loss"][0], loss, rtol=rtol)
    np.testing.assert_allclose(telemetry["generator_loss"][0], generator_loss, rtol=rtol)
    for a, b in zip(gan.state(models, ()), gan.state(twins, ()), strict=True):
        np.testing.assert_allclose(a, b, rtol=OPTIMIZER_FLOAT64, atol=OPTIMIZER_FLOAT64)


@pytest.mark.parametrize("frozen", [False, True])
def test_discriminator_update(frozen):
    """A weight's regularizer counts where the weight is trained, whatever `trainable` says."""
    model, plain = networks("weights")[1], gan.small("float64")[1]
    model.trainable = not frozen
    images = gan.images_of((plain, plain), 12)
    found = ops.discriminator_update(model, keras.optimizers.SGD(), images[:8], images[8:])
    expected = ops.discriminator_update(plain, keras.optimizers.SGD(), images[:8], images[8:])
    kernels = [w for w in gan.small("float64")[1].get_weights() if w.ndim == 2]
    expected = expected["loss"] + 0.1 * sum(np.sum(w**2) for w in kernels)
    np.testing.assert_allclose(found["loss"], expected, rtol=TOLERANCES["float32"][0])


def test_mixed_precision():
    x = [keras.Input((9,), dtype="float32"), L.Dense(1, dtype="mixed_float16")]
    x[1].kernel_regularizer = keras.regularizers.L2(1e-9)  # below what a float16 can say
    model, images = keras.Sequential(x), np.zeros((4, 9), "float32")
    found = ops.discriminator_update(model, keras.optimizers.SGD(), images, images)
    np.testing.assert_allclose(found["loss"], np.log(2), rtol=TOLERANCES["float16"][0])
