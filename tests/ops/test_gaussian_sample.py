"""gaussian_sample: the noise of tf.random.stateless_normal, and its distribution."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from fastgen import ops
from tests.ops.cases import array, dtypes, sizes
from tests.ops.gaussian import SEED, parameters
from tests.tolerances import NOISE, P_VALUE, SIGMAS, SIGMAS_OF_SIX, assert_close, dtype_name, ulp

SEEDS = [(0, 0), (1, 2), (-1, -(2**31)), (2**31 - 1, 7), (2**62, -(2**63)), (5 + (1 << 32), 9)]


def stock(mean, log_var, seed):
    """The book's layer, with the noise of half and bfloat16 drawn in float32."""
    compute = tf.float64 if mean.dtype == tf.float64 else tf.float32
    noise = tf.random.stateless_normal(mean.shape, tf.constant(seed, tf.int64), dtype=compute)
    z = tf.cast(mean, compute) + tf.exp(tf.cast(log_var, compute) / 2) * noise
    return tf.cast(z, mean.dtype)


@sizes
@dtypes
def test_equals_stateless_normal(path, size, dtype):
    mean, log_var = parameters(size, dtype)
    z = array(ops.gaussian_sample(mean, log_var, SEED))
    expected = array(stock(mean, log_var, SEED))
    assert_close(z, expected, dtype)
    if dtype in (tf.float16, tf.bfloat16):
        # One rounding apart, but for the float32 difference of noise of up to 6, deviation 20.
        assert np.all(np.abs(z - expected) <= ulp(expected, dtype) + NOISE * 7 * 20)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_noise_within_its_bound(path, seed, dtype):
    zeros = tf.zeros([1500], dtype)
    noise = tf.random.stateless_normal([1500], tf.constant(seed, tf.int64), dtype=dtype)
    difference = np.abs(ops.gaussian_sample(zeros, zeros, seed) - noise)
    assert np.all(difference <= NOISE * (1 + np.abs(noise)))


@pytest.mark.parametrize("seed", [(3, 4), (-3, 2**31 - 1), (-(2**31), -1)])
def test_int32_seeds_extend_their_sign(path, seed):
    mean, log_var = parameters((7, 10), tf.float32)
    narrow = ops.gaussian_sample(mean, log_var, tf.constant(seed, tf.int32))
    wide = ops.gaussian_sample(mean, log_var, tf.constant(seed, tf.int64))
    np.testing.assert_array_equal(narrow, wide)


def test_seeds_give_different_noise(path):
    zeros = tf.zeros([1000])
    draws = [ops.gaussian_sample(zeros, zeros, seed).numpy() for seed in SEEDS]
    correlation = np.corrcoef(draws) - np.eye(len(SEEDS))
    assert np.max(np.abs(correlation)) < SIGMAS / np.sqrt(1000)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", [(1, 2), (3 << 32, 0)])
def test_a_million_draws_are_normal(fused, dtype, seed):
    n = 10**6
    mean, log_var = tf.fill([n], tf.constant(2.0, dtype)), tf.fill([n], tf.constant(1.0, dtype))
    draws = (ops.gaussian_sample(mean, log_var, seed).numpy().astype(float) - 2) / np.exp(0.5)
    assert abs(np.mean(draws)) < SIGMAS / np.sqrt(n)
    assert abs(np.var(draws) - 1) < SIGMAS * np.sqrt(2 / n)
    assert abs(scipy.stats.skew(draws)) < SIGMAS * np.sqrt(6 / n)
    assert abs(scipy.stats.kurtosis(draws)) < SIGMAS * np.sqrt(24 / n)
    assert abs(np.mean(draws[1:] * draws[:-1])) < SIGMAS / np.sqrt(n)
    assert scipy.stats.kstest(draws, "norm").pvalue > P_VALUE


def test_mean_and_deviation_of_each_coding(fused):
    n, mean, log_var = 10**5, tf.constant([[-1.0, 0.0, 2.0]]), tf.constant([[-2.0, 0.0, 1.0]])
    z = ops.gaussian_sample(tf.repeat(mean, n, 0), tf.repeat(log_var, n, 0), (8, 9)).numpy()
    deviation = np.exp(log_var / 2)[0]
    assert np.all(np.abs(z.mean(0) - mean[0]) < SIGMAS_OF_SIX * deviation / np.sqrt(n))
    assert np.all(np.abs(z.std(0) - deviation) < SIGMAS_OF_SIX * deviation / np.sqrt(2 * n))


@dtypes
def test_gradient_of_mean_is_upstream(path, dtype):
    mean, log_var = parameters((7, 10), dtype)
    with tf.GradientTape() as tape:
        tape.watch(mean)
        z = ops.gaussian_sample(mean, log_var, SEED)
    upstream = parameters((7, 10), dtype)[1]
    np.testing.assert_array_equal(tape.gradient(z, mean, upstream), upstream)
    assert dtype_name(z.dtype) == dtype_name(dtype)
