"""noise=: TensorFlow's numbers of a seed, inside a kernel, its gradient and its reference."""

import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import jit
from tests.core import reference
from tests.tolerances import NOISE, assert_close

SEED = (11, -(2**40) + 3)
DRAWN = {"normal": reference.normal, "uniform": reference.uniform}


def d_sample(mean, deviation, d, noise):
    return d, d * noise


@jit.elementwise(
    noise="normal",
    gradient=d_sample,
    reference=lambda mean, deviation, noise: mean + deviation * noise,
)
def sample(mean, deviation, noise):
    return mean + deviation * noise


@jit.elementwise(noise="uniform")
def uniform(x, noise):
    return noise


KERNELS = {"normal": lambda x, seed: sample(0.0 * x, 1.0, seed=seed), "uniform": uniform}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("shape", [(0,), (1,), (7, 3), (1023,), (5, 4111)])
def test_is_that_of_tensorflow(fused, kind, dtype, shape):
    """Exact bits where no function is rounded; tiles, panels and groups, whole and not."""
    x = tf.zeros(shape, dtype)
    y = KERNELS[kind](x, seed=SEED)
    drawn = DRAWN[kind](np.prod(shape), SEED, np.dtype(dtype)).reshape(shape)
    if kind == "uniform":
        np.testing.assert_array_equal(y, drawn)
    assert np.all(np.abs(y - drawn) <= NOISE * (1 + np.abs(drawn)))


def test_in_16_bits_it_is_that_of_float32():
    x = tf.zeros([40], tf.bfloat16)
    wide = KERNELS["normal"](tf.zeros([40]), seed=SEED)
    np.testing.assert_array_equal(KERNELS["normal"](x, seed=SEED), tf.cast(wide, tf.bfloat16))


def test_elements_of_the_broadcast_shape_have_noise_of_their_own():
    y = sample(tf.zeros([3, 1]), tf.ones([5]), seed=SEED)
    drawn = tf.random.stateless_normal([3, 5], SEED)
    assert np.all(np.abs(y - drawn) <= NOISE * (1 + np.abs(drawn)))


def gradients(seed):
    mean, deviation = tf.constant([[0.5], [1.0]]), tf.constant([1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch([mean, deviation])
        y = tf.reduce_sum(sample(mean, deviation, seed=seed) ** 2)
    return tape.gradient(y, [mean, deviation])


def test_gradients_see_the_same_noise(path):
    noise = tf.random.stateless_normal([2, 3], SEED)
    y = np.array([[0.5], [1.0]]) + np.array([1.0, 2.0, 3.0]) * noise
    d_mean, d_deviation = gradients(SEED)
    assert_close(d_mean, np.sum(2 * y, axis=1, keepdims=True), "float32", 3)
    assert_close(d_deviation, np.sum(2 * y * noise, axis=0), "float32", 2)


def test_in_a_graph_and_under_xla():
    step = tf.function(lambda seed: gradients(seed))
    for seed in (SEED, (1, 2)):
        for one, other in zip(step(tf.constant(seed, tf.int64)), gradients(seed), strict=True):
            np.testing.assert_array_equal(one, other)
    values = tf.function(sample, jit_compile=True)(tf.zeros([1000]), 1.0, seed=(1, 2))
    assert abs(np.std(values) - 1) < 0.1


def test_in_a_vectorized_map():
    """Iterations of one seed see the same noise; those of their own seeds their own."""
    x, seeds = tf.reshape(tf.range(6.0), [3, 2]), tf.constant([[1, 2], [3, 4], [1, 2]])
    same = tf.vectorized_map(lambda each: sample(each, 1.0, seed=(1, 2)), x)
    np.testing.assert_array_equal(same, [sample(each, 1.0, seed=(1, 2)) for each in x])
    own = tf.vectorized_map(lambda two: sample(two[0], 1.0, seed=two[1]), (x, seeds))
    np.testing.assert_array_equal(
        own, [sample(each, 1.0, seed=seed) for each, seed in zip(x, seeds, strict=True)]
    )


def test_check_gradient():
    sample.check_gradient([[1.0], [2.0]], [3.0, 4.0])
    wrong = jit.elementwise(
        sample.py_func, noise="normal", gradient=lambda mean, s, d, noise: (d, d), name="wrong"
    )
    with pytest.raises(ValueError, match="wrong: the gradient of input 1"):
        wrong.check_gradient([1.0, 2.0], [3.0, 4.0])


def test_seeds():
    with pytest.raises(ValueError, match="sample: has noise: needs seed=. Received: seed=None"):
        sample(1.0, 2.0)
    with pytest.raises(ValueError, match="plain: has no noise: takes no seed"):
        jit.elementwise(lambda x: x, name="plain")(1.0, seed=(1, 2))
    with pytest.raises(ValueError, match="sample: seed must"):
        sample(1.0, 2.0, seed=(1, 2, 3))
    with pytest.raises(ValueError, match="poisson: noise must be None or one of.*'poisson'"):
        jit.elementwise(lambda x, noise: x, noise="poisson", name="poisson")


def test_portable():
    with fastgen.portable():
        y = sample(tf.zeros([4]), 1.0, seed=SEED)
    np.testing.assert_array_equal(y, tf.random.stateless_normal([4], SEED))
