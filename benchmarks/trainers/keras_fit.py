"""`fit`: a model of stock Keras layers, as its user would write it, and fastgen's."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

import fastgen
from benchmarks.members import PER_EXECUTION
from benchmarks.trainers import Trainer
from benchmarks.vae import CODINGS, LEARNING_RATE, SIZES


class Sampling(layers.Layer):
    """The book's sampling layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, inputs):
        mean, log_var = inputs
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        kl = -0.5 * ops.sum(1 + log_var - ops.exp(log_var) - ops.square(mean), axis=-1)
        self.add_loss(ops.mean(kl))
        return mean + ops.exp(log_var / 2) * noise


def summed_bce(x, logits):
    return ops.sum(ops.binary_crossentropy(x, logits, from_logits=True), axis=-1)


def stock():
    dense = {"activation": "selu", "kernel_initializer": "lecun_normal"}
    images = keras.Input((SIZES[0],))
    x = images
    for units in SIZES[1:]:
        x = layers.Dense(units, **dense)(x)
    mean, log_var = layers.Dense(CODINGS)(x), layers.Dense(CODINGS)(x)
    z = Sampling()([mean, log_var])
    codings = keras.Input((CODINGS,))
    x = codings
    for units in reversed(SIZES[1:]):
        x = layers.Dense(units, **dense)(x)
    decoder = keras.Model(codings, layers.Dense(SIZES[0])(x))
    return keras.Model(images, decoder(z)), decoder


def build(name, weights):
    if name == "fused":
        model = fastgen.models.variational_autoencoder((SIZES[0],), CODINGS, seed=0)
        model.compile(fastgen.optimizers.Nadam(LEARNING_RATE))
    else:
        model, decoder = stock()
        xla = name == "keras_xla"
        optimizer = keras.optimizers.Nadam(LEARNING_RATE)
        steps = PER_EXECUTION.get(name, 1)
        model.compile(optimizer, loss=summed_bce, jit_compile=xla, steps_per_execution=steps)

        @tf.function(jit_compile=xla)
        def draw(count):
            return tf.sigmoid(decoder(tf.random.normal((count, CODINGS))))

    for variable, value in zip(model.trainable_variables, weights, strict=True):
        variable.assign(value)

    def epoch(images, batch_size):
        targets = {} if name == "fused" else {"y": images}
        history = model.fit(images, batch_size=batch_size, verbose=0, **targets)
        return history.history["loss"][0]

    def loss(images):
        targets = {} if name == "fused" else {"y": images}
        return model.evaluate(
            images, batch_size=len(images), verbose=0, return_dict=True, **targets
        )["loss"]

    def generate(count):
        return np.asarray(model.generate(count) if name == "fused" else draw(count))

    return Trainer(name, epoch, loss, generate)
