"""The kernel of a discriminator's logits: loss and gradients against stock Keras', edges."""

import doctest

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen import jit
from tests.tolerances import assert_close

dtypes = pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])


def logits(*shape, dtype="float32", key=0):
    values = 4 * np.random.default_rng([key, *shape]).standard_normal(shape)
    return tf.constant(values, dtype)


def stock(real, fake, label_smoothing):
    """In float64, from the probability that Keras makes of a logit."""
    real, fake = tf.cast(real, tf.float64), tf.cast(fake, tf.float64)
    x = tf.concat([tf.reshape(real, [-1]), tf.reshape(fake, [-1])], 0)
    labels = tf.concat([(1 - label_smoothing) * tf.ones(tf.size(real)), tf.zeros(tf.size(fake))], 0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = keras.losses.binary_crossentropy(tf.cast(labels, x.dtype), x, from_logits=True)
    d_real, d_fake = tf.split(tape.gradient(loss, x), [tf.size(real), tf.size(fake)])
    return loss, tf.reshape(d_real, real.shape), tf.reshape(d_fake, fake.shape)


def test_example():
    finder = doctest.DocTestFinder(recurse=False)
    (test,) = finder.find(jit.discriminator_gradient, "it", globs={})
    assert test.examples and not doctest.DocTestRunner().run(test).failed


@dtypes
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_values(path, dtype, label_smoothing):
    real, fake = logits(33, 1, dtype=dtype), logits(7, dtype=dtype, key=1)
    ours = jit.discriminator_gradient(real, fake, label_smoothing)
    assert [y.dtype for y in ours[1:]] == [dtype, dtype] and ours[0].dtype.size >= 4
    for one, other in zip(ours, stock(real, fake, label_smoothing), strict=True):
        assert one.shape == other.shape
        assert_close(tf.cast(one, "float64"), other, one.dtype, 40)


def test_edges(path):
    loss, d_real, d_fake = jit.discriminator_gradient(tf.zeros([0, 1]), tf.zeros([0]))
    assert loss == 0 and d_real.shape == (0, 1) and d_fake.shape == (0,)
    loss, d_real, d_fake = jit.discriminator_gradient([200.0, -200.0], [200.0, -200.0])
    assert loss == 100 and d_real.numpy().tolist() == [0, -0.25]
    assert d_fake.numpy().tolist() == [0.25, 0]
    assert np.isnan(jit.discriminator_gradient([np.nan], [0.0])[1])


def test_the_loss_has_the_gradient_that_it_comes_with(path):
    real, fake = logits(5, dtype="float64"), logits(3, dtype="float64", key=1)
    with tf.GradientTape() as tape:
        tape.watch([real, fake])
        loss, *gradients = jit.discriminator_gradient(real, fake, 0.1)
    for one, other in zip(tape.gradient(loss, [real, fake]), gradients, strict=True):
        assert_close(one, other, "float64", 4)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="real and fake must have the same dtype"):
        jit.discriminator_gradient(logits(2), logits(2, dtype="float64"))
    with pytest.raises(ValueError, match="label_smoothing"):
        jit.discriminator_gradient(logits(2), logits(2), 1.5)
    with pytest.raises(ValueError, match="discriminator_gradient: "):
        jit.discriminator_gradient(1.0, 2.0)
