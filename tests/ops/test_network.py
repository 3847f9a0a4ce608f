"""Which Keras models are chains of dense layers, and what is said of the others."""

import keras
import pytest

import fastgen
from fastgen.ops import network

L = keras.layers
Input = keras.Input


def names(model):
    return [layer.activation for layer in network.dense_chain(model)]


def sequential(*layers, shape=(6,), activity_regularizer=None):
    model = keras.Sequential([Input(shape), *layers])
    model.activity_regularizer = keras.regularizers.get(activity_regularizer)
    return model


def functional():
    x = Input((2, 3))
    y = L.LeakyReLU(negative_slope=0.2)(L.Dense(4)(L.Flatten()(x)))
    return keras.Model(x, L.Activation("tanh")(L.Dense(3)(y)))


def tied():
    dense = fastgen.layers.FusedDense(4, "selu")
    return sequential(dense, fastgen.layers.DenseTranspose(dense, activation="sigmoid"))


@pytest.mark.parametrize(
    ("make", "activations"),
    [
        (lambda: sequential(L.Dense(4, "selu"), L.Dense(1)), ["selu", "linear"]),
        (functional, ["leaky_relu", "tanh"]),
        (lambda: sequential(functional(), L.ReLU(), shape=(2, 3)), None),
        (lambda: sequential(functional(), L.Dense(2, "elu"), shape=(2, 3)), 3),
        (lambda: sequential(L.Dense(4), L.ReLU(), L.Dropout(0.0), L.Dense(2)), 2),
        (tied, ["selu", "sigmoid"]),
    ],
)
def test_chains(make, activations):
    if activations is None:
        with pytest.raises(network.NotDense, match="no activation of a dense layer"):
            names(make())
    elif isinstance(activations, int):
        assert len(names(make())) == activations
    else:
        assert names(make()) == activations


def test_slopes_of_leaky_relu():
    layers = [L.Dense(2, "leaky_relu"), L.Dense(2), L.LeakyReLU(), L.Dense(2), L.ReLU(None, 0.1)]
    chain = network.dense_chain(sequential(*layers, L.Dense(2, activation=L.LeakyReLU(0.4))))
    assert [layer.activation for layer in chain] == ["leaky_relu"] * 4
    assert [layer.slope for layer in chain] == [0.2, 0.3, 0.1, 0.4]


def test_what_inputs_go_through():
    ours = fastgen.layers.Corruption("gaussian", 0.25)
    free = L.Dropout(0.0), L.GaussianNoise(0.0), fastgen.layers.Corruption("dropout", 0.0)
    layers = [L.Dropout(0.5), L.Flatten(), L.Dense(3), free[0], ours, L.Dense(3), free[1]]
    last = L.GaussianNoise(1.0), L.Dense(2), free[2]
    chain = network.dense_chain(sequential(*layers, *last, shape=(2, 3)))
    kinds = [("dropout", 0.5), ("gaussian", 0.25), ("gaussian", 1.0)]
    assert [layer.corruption[:2] for layer in chain] == kinds
    assert chain[1].corruption.seeds is ours.seed_generator


def test_a_tied_kernel_is_one_variable():
    chain = network.dense_chain(tied())
    assert [layer.transposed for layer in chain] == [False, True]
    assert len(network.variables(chain)) == 3


def test_layers_of_several_models():
    layers = [L.Dense(4, "selu"), L.Dense(1)]
    assert names(sequential(*layers)) == names(sequential(*layers)) == ["selu", "linear"]


class Own(keras.Sequential):
    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs)


class OwnCorruption(fastgen.layers.Corruption):
    pass


class OwnDense(fastgen.layers.FusedDense):
    def call(self, inputs):
        return 2 * super().call(inputs)


def branched():
    x = Input((4,))
    return keras.Model(x, L.Add()([L.Dense(4)(x), x]))


def twice():
    dense, x = L.Dense(6), Input((6,))
    return keras.Model(x, dense(dense(x)))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: sequential(L.Conv1D(2, 2), shape=(4, 3)), "Conv1D"),
        (lambda: sequential(L.Dense(2), shape=(4, 3)), "inputs of rank 3"),
        (lambda: sequential(L.Dense(2), L.Dropout(0.5)), "Dropout.* at the end"),
        (lambda: sequential(L.Dropout(1.0), L.Dense(2)), "Dropout"),
        (lambda: sequential(L.Dropout(0.5, noise_shape=(None, 1)), L.Dense(2)), "Dropout"),
        (
            lambda: sequential(L.Dropout(0.5), L.GaussianNoise(1.0), L.Dense(2)),
            "follows dropout or noise",
        ),
        (
            lambda: sequential(L.Dense(2), L.Dropout(0.5), L.ReLU(), L.Dense(2)),
            "follows dropout or noise",
        ),
        (lambda: sequential(L.Dropout(0.5, dtype="float64"), L.Dense(2)), "float32, float64"),
        (lambda: sequential(L.Dropout(0.5, dtype="mixed_float16"), L.Dense(2)), "Dropout"),
        (lambda: sequential(OwnCorruption("dropout", 0.5), L.Dense(2)), "OwnCorruption"),
        (lambda: sequential(L.Dense(2), L.BatchNormalization()), "BatchNormalization"),
        (lambda: sequential(L.Dense(2), L.LeakyReLU(1.5)), "LeakyReLU"),
        (lambda: sequential(L.Dense(2), L.ReLU(max_value=6.0)), "ReLU"),
        (lambda: sequential(L.Dense(2, "softmax")), "no kernel for its activation"),
        (lambda: sequential(L.Dense(2, L.PReLU())), "no kernel for its activation"),
        (lambda: sequential(L.Dense(2, L.ReLU(dtype="float64"))), "no kernel for its activation"),
        (lambda: sequential(L.Dense(2, "relu"), L.ReLU()), "no activation of a dense layer"),
        (lambda: sequential(L.ReLU(), L.Dense(2)), "no activation of a dense layer"),
        (lambda: sequential(L.Dense(2, kernel_regularizer="l2")), "has a kernel_regularizer"),
        (lambda: sequential(L.Dense(2, bias_constraint="non_neg")), "has a bias_constraint"),
        (lambda: sequential(L.Dense(2, activity_regularizer="l1")), "activity_regularizer"),
        (lambda: sequential(L.Dense(2), L.ReLU(activity_regularizer="l1")), "'re_lu.*' has an act"),
        (lambda: sequential(L.Flatten(activity_regularizer="l1"), L.Dense(2)), "'flatten.*' has"),
        (lambda: sequential(sequential(L.Dense(2), activity_regularizer="l1")), "has an activity"),
        (lambda: sequential(L.Dense(2, dtype="mixed_float16")), "computes in float16"),
        (lambda: sequential(L.Dense(2, dtype="bfloat16")), "layers of bfloat16"),
        (lambda: sequential(L.Dense(2), L.Dense(2, dtype="float64")), "float32, float64"),
        (lambda: sequential(OwnDense(2)), "OwnDense"),
        (lambda: Own([Input((6,)), L.Dense(2)]), "no chain of layers"),
        (lambda: keras.Sequential([L.Dense(2)]), "no chain of layers"),
        (lambda: sequential(L.Flatten(), shape=(2, 3)), "has no dense layer"),
        (branched, "several inputs or outputs"),
        (twice, "a bias in two places"),
    ],
)
def test_refused(make, reason):
    with pytest.raises(network.NotDense, match=reason):
        network.dense_chain(make())


@pytest.mark.parametrize(
    ("layers", "is_sigmoid"),
    [
        ([L.Dense(1, "sigmoid")], True),
        ([L.Dense(1), L.Activation("sigmoid"), L.Reshape((1, 1))], True),
        ([L.Dense(1)], False),
        ([L.Dense(1, "sigmoid"), L.Dense(1, "tanh")], False),
    ],
)
def test_ends_in_sigmoid(layers, is_sigmoid):
    assert network.ends_in_sigmoid(sequential(*layers)) == is_sigmoid


HALF_IMPORTED = """
import importlib, sys, fastgen
import_module = importlib.import_module

def spy(name, *package):
    try:
        return import_module(name, *package)
    except Exception:
        failed.append(name)
        raise

importlib.import_module = spy
failed = []
import keras
assert "fastgen.ops" in sys.modules and "fastgen.ops" not in failed, failed
"""


def test_ops_come_with_keras(run_python):
    """Keras imports TensorFlow, and that imports fastgen.ops: before there is a Keras to use."""
    run_python(HALF_IMPORTED)
