"""Which Keras models are chains of dense layers, and what is said of the others."""

import keras
import pytest

import fastgen
from fastgen import regularizers
from fastgen.layers import Sparsity
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


def penalties(*layers):
    chain = network.dense_chain(sequential(*layers, L.Dense(2)))
    return [layer.penalty and layer.penalty[:3] for layer in chain[:-1]]


def test_penalties():
    kl = regularizers.KLSparsity(0.5, 0.1)
    ours = Sparsity(0.5, 0.1), Sparsity(2.0, kind="l1")
    found = penalties(
        L.Dense(3, "sigmoid"), ours[0], L.Dense(3), L.ReLU(), L.Flatten(), ours[1], L.Dropout(0.5),
        L.Dense(3, "sigmoid", activity_regularizer=kl),
        L.Dense(3), L.Activation("tanh", activity_regularizer=regularizers.MSESparsity(1.0, -0.5)),
        L.Dense(3, activity_regularizer=regularizers.L1Sparsity(0.25)), L.Dense(3),
    )  # fmt: skip
    l1 = ("l1", 2.0, 0.0), ("l1", 0.25, 0.0)
    assert found == [("kl", 0.5, 0.1), l1[0], ("kl", 0.5, 0.1), ("mse", 1.0, -0.5), l1[1], None]


def stock_l1():
    l1 = keras.regularizers.L1(0.5)
    layers = [L.Dense(2, activity_regularizer=l1), L.Dense(2, "relu"), L.ActivityRegularization(2)]
    return [*layers, L.Dense(2, activity_regularizer=keras.regularizers.L1L2(l1=0.25))]


def test_l1_of_keras(monkeypatch):
    assert penalties(*stock_l1()) == [("l1", weight, 0.0) for weight in (0.5, 2.0, 0.25)]
    monkeypatch.setattr(keras, "__version__", "3.13.2")  # which does not divide by the batch size
    with pytest.raises(network.NotDense, match="has an activity_regularizer"):
        penalties(*stock_l1())


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


class OwnSparsity(Sparsity):
    pass


class OwnRegularizer(regularizers.L1Sparsity):
    def __call__(self, x):
        return 2 * super().__call__(x)


def sparse(*layers):
    """Layers, and a penalty of what the last one gives."""
    return sequential(*layers, Sparsity(0.5, 0.1))


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
        (lambda: sequential(L.Dense(2, activity_regularizer="l2")), "activity_regularizer"),
        (lambda: sequential(L.Dense(2), L.ReLU(activity_regularizer="l2")), "'re_lu.*' has an act"),
        (lambda: sequential(L.Flatten(activity_regularizer="l1"), L.Dense(2)), "'flatten.*' has"),
        (lambda: sequential(sequential(L.Dense(2), activity_regularizer="l1")), "has an activity"),
        (lambda: sequential(L.Dense(2, dtype="mixed_float16")), "computes in float16"),
        (lambda: sequential(L.Dense(2, dtype="bfloat16")), "layers of bfloat16"),
        (lambda: sequential(L.Dense(2), L.Dense(2, dtype="float64")), "float32, float64"),
        (lambda: sequential(OwnDense(2)), "OwnDense"),
        (lambda: Own([Input((6,)), L.Dense(2)]), "no chain of layers"),
        (lambda: keras.Sequential([L.Dense(2)]), "no chain of layers"),
        (lambda: sequential(L.Flatten(), shape=(2, 3)), "has no dense layer"),
        (lambda: sparse(L.Dense(2)), "'sparsity.*' penalises the outputs"),
        (lambda: sequential(Sparsity(0.5, 0.1), L.Dense(2)), "'sparsity.*' penalises the inputs"),
        (lambda: sparse(L.Dense(2), Sparsity(0.5, 0.1)), "'sparsity.*' is a second penalty"),
        (lambda: sparse(L.Dense(2, activity_regularizer="l1")), "'sparsity.*' is a second penalty"),
        (lambda: sparse(L.Dense(2), L.Dropout(0.5)), "follows dropout or noise"),
        (lambda: sparse(L.Dense(4), L.Reshape((2, 2))), "takes inputs of rank 3"),
        (
            lambda: sequential(sparse(L.Dense(2)), L.ReLU(), L.Dense(2)),
            "ReLU. follows a sparsity penalty",
        ),
        (
            lambda: sequential(L.Dense(2), Sparsity(0.5, 0.1, dtype="float64"), L.Dense(2)),
            "float32, float64",
        ),
        (lambda: sequential(L.Dense(2), OwnSparsity(0.5, 0.1), L.Dense(2)), "OwnSparsity"),
        (
            lambda: sequential(L.Dense(2, activity_regularizer=OwnRegularizer(1.0)), L.Dense(2)),
            "activity_regularizer",
        ),
        (
            lambda: sequential(
                L.Dense(2, activity_regularizer=regularizers.L1Sparsity(1.0, "mean")), L.Dense(2)
            ),
            "activity_regularizer",
        ),
        (
            lambda: sequential(L.Dense(2), L.ActivityRegularization(1.0, 1.0), L.Dense(2)),
            "'activity_reg.*' has an activity_regularizer",
        ),
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

def spy(name, package=None):
    try:
        return import_module(name, package)
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
