"""GANs as the tests of their ops have them: the book's, a small one, and its step by Keras."""

import functools

import keras
import numpy as np
import tensorflow as tf

import fastgen

CODINGS, IMAGE = 30, (28, 28)


@functools.cache
def digits():
    """1,000 images of digits, float32."""
    (images, _), _ = fastgen.data.load("digits")
    return images[:1000]


def book(dtype="float32"):
    """The book's dense GAN: generator and discriminator."""
    return networks([100, 150], [150, 100], CODINGS, IMAGE, dtype)


def small(dtype="float64"):
    """Generator and discriminator of images of 3 x 3."""
    return networks([7], [5], 2, (3, 3), dtype)


def networks(generator, discriminator, codings, image, dtype):
    """Selu layers of these widths, a sigmoid at each end; the same weights at every call."""
    keras.utils.set_random_seed(1)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)  # a model of another one would cast its inputs
    try:
        return _networks(generator, discriminator, codings, image, dtype)
    finally:
        keras.config.set_dtype_policy(policy)


def _networks(generator, discriminator, codings, image, dtype):
    dense = keras.layers.Dense
    made = [
        keras.Sequential(
            [
                keras.Input((codings,), dtype=dtype),
                *(dense(units, "selu") for units in generator),
                dense(int(np.prod(image)), "sigmoid"),
                keras.layers.Reshape(image),
            ]
        ),
        keras.Sequential(
            [
                keras.Input(image, dtype=dtype),
                keras.layers.Flatten(),
                *(dense(units, "selu") for units in discriminator),
                dense(1, "sigmoid"),
            ]
        ),
    ]
    for model in made:
        for weight in model.weights[1::2]:  # biases other than zeros
            weight.assign(keras.random.normal(weight.shape, stddev=0.1, dtype=dtype))
    return made


def optimizers(make):
    """One for each network."""
    return make(), make()


def feed(steps, images, n_critic=1, batch=8, key=0):
    """Rows and seeds."""
    rng = np.random.default_rng(key)
    rows = rng.integers(0, len(images), (steps, n_critic, batch))
    return rows, rng.integers(-(2**40), 2**40, (steps, n_critic + 1, 2))


def state(models, their_optimizers):
    """All that a step writes, as `tf.Variable`s, the slots in the order of the weights."""
    parts = [*(m.weights for m in models), *(o.variables for o in their_optimizers)]
    return [v.value for part in parts for v in part]


def copies(variables):
    """The values, as arrays of their own."""
    return [v.numpy().copy() for v in variables]


def stock_step(generator, discriminator, generator_optimizer, discriminator_optimizer):
    """The book's step with `GradientTape`: a function of images and of two seeds."""
    bce = keras.losses.BinaryCrossentropy(dtype=generator.variable_dtype)

    def imagine(seed, batch):
        shape = (batch, generator.input_shape[1])
        return generator(tf.random.stateless_normal(shape, seed, dtype=generator.variable_dtype))

    def descend(model, optimizer, function):
        values = [v.value for v in model.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            loss = function()
        optimizer.apply(tape.gradient(loss, values), model.trainable_variables)
        return loss

    def step(real, seeds):
        batch, dtype = real.shape[0], real.dtype
        images = tf.concat([imagine(seeds[0], batch), real], 0)
        labels = tf.concat([tf.zeros([batch, 1], dtype), tf.ones([batch, 1], dtype)], 0)
        return (
            descend(
                discriminator, discriminator_optimizer, lambda: bce(labels, discriminator(images))
            ),
            descend(
                generator,
                generator_optimizer,
                lambda: bce(tf.ones([batch, 1], dtype), discriminator(imagine(seeds[1], batch))),
            ),
        )

    return step


def images_of(models, n=40, dtype=None):
    """Images of the size that the discriminator takes."""
    shape = (n, *models[1].input_shape[1:])
    images = np.random.default_rng(3).random(shape)
    return images.astype(dtype or models[0].weights[0].dtype)


def built(optimizer, variables):
    """The optimizer, for these variables."""
    optimizer.build(variables)
    return optimizer
