"""Cross-entropy and sparsity on the GPU give what they give on the CPU."""

import numpy as np
import pytest
import tensorflow as tf

import fastgen
from tests.gpu.both import DTYPES, arrays, assert_close, on_both, with_gradient


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["none", "row", "mean"])
@pytest.mark.parametrize("of", ["floats", "bytes"])
def test_cross_entropy(gpu, dtype, reduction, of):
    logits = arrays(dtype)[0]
    rng = np.random.default_rng(2)
    targets = tf.constant(rng.integers(0, 256, logits.shape), "uint8")
    if of == "floats":
        targets = tf.cast(rng.uniform(size=logits.shape), dtype)

    def loss(x):
        return fastgen.ops.sigmoid_cross_entropy(targets, x, 0.1, reduction)

    for ours, expected in on_both(gpu, lambda: with_gradient(loss, logits)):
        # Weights of up to 792 arrive at the losses.
        assert_close(ours / 800, expected / 800)


def test_a_loss_that_is_minimised(gpu):
    """1 arrives at it: on the CPU the slope is handed on, which asks the upstream's value."""
    logits, targets = arrays("float32")

    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = fastgen.ops.sigmoid_cross_entropy(targets, logits, 0.0, "mean")
        return tape.gradient(loss, logits)

    for ours, expected in on_both(gpu, gradient):
        assert_close(ours, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["kl", "l1", "mse"])
def test_sparsity(gpu, dtype, kind):
    activations = tf.sigmoid(arrays(dtype)[0])
    target = None if kind == "l1" else 0.1

    def penalty(x):
        return fastgen.ops.sparsity(x, target, kind)

    for ours, expected in on_both(gpu, lambda: with_gradient(penalty, activations)):
        assert_close(ours, expected)
