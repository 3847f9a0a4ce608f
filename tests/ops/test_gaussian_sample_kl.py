"""gaussian_sample_kl: both ops in one pass, and nothing else."""

import numpy as np
import tensorflow as tf

from fastgen import ops
from tests.ops.cases import array, dtypes
from tests.ops.gaussian import SEED, parameters, shapes
from tests.tolerances import REORDERED_FLOAT64, assert_close


@shapes
@dtypes
def test_equals_both_ops(path, shape, dtype):
    mean, log_var = parameters(shape, dtype)
    z, kl = ops.gaussian_sample_kl(mean, log_var, SEED)
    np.testing.assert_array_equal(array(z), array(ops.gaussian_sample(mean, log_var, SEED)))
    np.testing.assert_array_equal(array(kl), array(ops.gaussian_kl(mean, log_var)))


def test_gradient_of_the_book(path):
    # Reconstruction towards a target plus the mean KL, as a VAE's step has them.
    mean, log_var = parameters((32, 10), tf.float64)
    noise = tf.random.stateless_normal([32, 10], tf.constant(SEED, tf.int64), dtype=tf.float64)

    def loss(z, kl):
        return tf.reduce_mean((z - 1) ** 2) + tf.reduce_mean(kl) / 784

    with tf.GradientTape(persistent=True) as tape:
        tape.watch([mean, log_var])
        ours = loss(*ops.gaussian_sample_kl(mean, log_var, SEED))
        z = mean + tf.exp(log_var / 2) * noise
        kl = -0.5 * tf.reduce_sum(1 + log_var - tf.exp(log_var) - mean**2, axis=-1)
        stock = loss(z, kl)
    np.testing.assert_allclose(ours, stock, rtol=REORDERED_FLOAT64)
    for x in (mean, log_var):
        assert_close(tape.gradient(ours, x), tape.gradient(stock, x), tf.float64)
