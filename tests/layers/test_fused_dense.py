"""FusedDense stands in for keras.layers.Dense: arguments, weights, logits; what stays Keras'."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen.layers import DenseTranspose, FusedDense
from tests.tolerances import assert_close

X = np.random.default_rng(0).standard_normal([7, 5]).astype("float32")


def tied(**kwargs):
    dense = keras.layers.Dense(5)
    dense.build((None, 3))
    return DenseTranspose(dense, **kwargs)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
def test_integers_become_floats_as_in_dense(dtype):
    x = (np.abs(X) > 0.5).astype(dtype)
    for layer in (FusedDense(3), tied()):
        y = layer(x)
        assert y.dtype == "float32"
        assert_close(y, layer(x.astype("float32")), "float32")


def test_arguments_and_config_are_those_of_dense():
    theirs = keras.layers.Dense.__init__
    assert inspect.signature(FusedDense.__init__) == inspect.signature(theirs)
    arguments = {
        "activation": "gelu",
        "use_bias": False,
        "kernel_initializer": "he_normal",
        "kernel_regularizer": "l2",
        "activity_regularizer": "l1",
        "kernel_constraint": "non_neg",
        "name": "dense",
    }
    ours, stock = FusedDense(4, **arguments), keras.layers.Dense(4, **arguments)
    assert ours.get_config() == stock.get_config()


def test_weights_are_those_of_dense():
    ours, stock = FusedDense(4, kernel_regularizer="l2"), keras.layers.Dense(4)
    ours(X), stock(X)
    assert [w.name for w in ours.weights] == [w.name for w in stock.weights] == ["kernel", "bias"]
    ours.set_weights(stock.get_weights())
    assert_close(ours(X), stock(X), "float32")
    assert_close(ours.losses[0], 0.01 * np.sum(stock.get_weights()[0] ** 2), "float32", 20)


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("make", [lambda **k: FusedDense(3, **k), tied], ids=["fused", "tied"])
def test_logits_reach_the_losses(path, make, graph):
    """Through a probability that rounds to 0 or 1 no gradient would come back."""
    layer = make(activation="sigmoid", use_bias=False, dtype="float32")
    layer(X)
    x = tf.constant([[200.0] + 4 * [0.0], [-200.0] + 4 * [0.0]])
    layer.kernel.assign(tf.ones(layer.kernel.shape))
    targets = tf.constant([3 * [0.0], 3 * [1.0]])  # all wrong

    def run():
        with tf.GradientTape() as tape:
            y = layer(x)
            loss = keras.losses.BinaryCrossentropy()(targets, y)
        return y, loss, tape.gradient(loss, layer.trainable_variables[0].value)

    y, loss, gradient = (tf.function(run) if graph else run)()
    assert_close(y, 1 - targets, "float32")
    assert_close(loss, 200, "float32")
    # Each of the six logits has a gradient of 1/6 in size.
    expected = 200 / 3 * np.array([[1.0] * 3] + 4 * [[0.0] * 3])
    assert_close(gradient, expected if isinstance(layer, FusedDense) else expected.T, "float32", 9)


def test_softmax_leaves_its_logits(path):
    layer = FusedDense(3, "softmax")
    layer(X)
    layer.kernel.assign(tf.one_hot([0, 1, 2, 0, 0], 3) * 300)
    targets = tf.one_hot([1], 3)
    loss = keras.losses.CategoricalCrossentropy()(targets, layer(tf.one_hot([0], 5)))
    assert_close(loss, 300, "float32")


def test_an_activation_without_a_kernel(path):
    ours, stock = FusedDense(4, "mish"), keras.layers.Dense(4, "mish")
    ours(X), stock(X)
    ours.set_weights(stock.get_weights())
    assert_close(ours(X), stock(X), "float32")


def test_sparse_inputs_lora_and_quantization_are_keras_own():
    ours, stock = FusedDense(4), keras.layers.Dense(4)
    for layer in (ours, stock):
        layer(X)
        layer.set_weights([np.cos(np.arange(20).reshape(5, 4)), np.ones(4)])
    assert_close(ours(tf.sparse.from_dense(X)), stock(X), "float32", 5)
    for layer in (ours, stock):
        layer.enable_lora(2)
        layer.lora_kernel_b.assign(np.ones([2, 4]))
    stock.lora_kernel_a.assign(ours.lora_kernel_a)
    assert_close(ours(X), stock(X), "float32", 5)
    assert len(ours.trainable_variables) == 3
    for layer in (ours, stock):
        layer.quantize("int8", type_check=False)  # as Keras has it for every subclass
    assert_close(ours(X), stock(X), "float32", 5)
