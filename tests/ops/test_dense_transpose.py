"""dense_transpose: what it owes to the layer whose kernel it shares; test_dense.py has the rest."""

import tensorflow as tf

from fastgen import ops
from tests.ops.cases import draw, gradients
from tests.tolerances import assert_close


def test_dense_with_the_transposed_kernel(path):
    x, kernel, bias = (
        draw((9, 4), tf.float64, 1),
        draw((6, 4), tf.float64, 2),
        draw((6,), tf.float64),
    )
    expected = ops.dense(x, tf.transpose(kernel), bias, "elu")
    assert_close(ops.dense_transpose(x, kernel, bias, "elu"), expected, tf.float64)


def test_both_contributions_to_a_shared_kernel(path):
    x, kernel = draw((9, 6), tf.float64, 1), draw((6, 4), tf.float64, 2)

    def tied(x, kernel):
        return [ops.dense_transpose(ops.dense(x, kernel, None, "tanh"), kernel)]

    def plain(x, kernel):
        return [tf.tanh(x @ kernel) @ tf.transpose(kernel)]

    for one, other in zip(gradients(tied, x, kernel), gradients(plain, x, kernel), strict=True):
        assert_close(one, other, tf.float64)
