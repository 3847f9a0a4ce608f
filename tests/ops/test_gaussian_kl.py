"""gaussian_kl: values that the divergence is known to take."""

import numpy as np
import tensorflow as tf

from fastgen import ops
from tests.ops.cases import DTYPES, draw, dtypes
from tests.ops.gaussian import parameters
from tests.tolerances import TOLERANCES, assert_close


@dtypes
def test_zero_at_the_standard_normal(path, dtype):
    zeros = tf.zeros([4, 10], dtype)
    np.testing.assert_array_equal(ops.gaussian_kl(zeros, zeros), np.zeros(4))


@dtypes
def test_never_negative(path, dtype):
    mean, log_var = draw((1000, 10), dtype, 1, 1e-3), draw((1000, 10), dtype, 2, 1e-3)
    # Cancellation leaves one rounding of each of 10 terms of size 1.
    assert np.min(ops.gaussian_kl(mean, log_var)) >= -10 * np.finfo("float32").eps


def test_equals_the_form_in_standard_deviations(path):
    mean, log_var = parameters((33, 10), tf.float64)
    deviation = tf.exp(log_var / 2)
    form = -0.5 * tf.reduce_sum(1 + tf.math.log(deviation**2) - deviation**2 - mean**2, -1)
    assert_close(ops.gaussian_kl(mean, log_var), form, tf.float64, 10)


def test_finite_at_large_log_var(path):
    for log_var in (-80.0, 80.0):
        kl = ops.gaussian_kl([[0.0]], [[log_var]])
        expected = 0.5 * (np.exp(log_var) - 1 - log_var)
        np.testing.assert_allclose(kl, [expected], rtol=TOLERANCES["float32"][0])


def test_dtype_of_the_result(path):
    for dtype in DTYPES:
        mean, log_var = parameters((2, 3), dtype)
        expected = tf.float64 if dtype == tf.float64 else tf.float32
        assert ops.gaussian_kl(mean, log_var).dtype == expected
