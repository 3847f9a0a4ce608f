"""The sparsity regularizers through Keras: the same penalty at any batch size, by every road."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen import layers, ops, regularizers
from fastgen.ops.activity_penalty import divides_by_batch_size
from tests.tolerances import LOGGED, SAME_FORMULA

UNITS = 5
# name: (regularizer of a weight, target, kind)
REGULARIZERS = {
    "KLSparsity": (lambda weight, **how: regularizers.KLSparsity(weight, 0.1, **how), 0.1, "kl"),
    "L1Sparsity": (regularizers.L1Sparsity, None, "l1"),
    "MSESparsity": (lambda weight, **how: regularizers.MSESparsity(weight, 0.1, **how), 0.1, "mse"),
}
each_regularizer = pytest.mark.parametrize("name", REGULARIZERS)


def regularizer_of(name, weight=0.5, **how):
    return REGULARIZERS[name][0](weight, **how)


def penalty_of(name, activations, weight=0.5):
    return weight * ops.sparsity(activations, *REGULARIZERS[name][1:]).numpy()


def batch_of(rows):
    """32 different rows, again and again."""
    x = np.random.default_rng(0).standard_normal([32, 3]).astype("float32")
    return np.tile(x, [rows // 32, 1])


def dense(name, **kwargs):
    """A sigmoid layer with the regularizer."""
    return keras.layers.Dense(
        UNITS, activation="sigmoid", activity_regularizer=regularizer_of(name), **kwargs
    )


@each_regularizer
def test_layers_losses_at_any_batch_size(path, name):
    layer = dense(name)
    expected = penalty_of(name, layer(batch_of(32)))
    for rows in (32, 128):
        layer(batch_of(rows))
        np.testing.assert_allclose(layer.losses, [expected], rtol=SAME_FORMULA)
    layer(batch_of(128).reshape(16, 8, 3))  # all axes but the last are the batch
    np.testing.assert_allclose(layer.losses, [expected], rtol=SAME_FORMULA)


@pytest.mark.parametrize("name", ["KLSparsity"])
def test_fit_and_evaluate_at_any_batch_size(fused, name):
    model = keras.Sequential([keras.Input([3]), dense(name)])
    model.compile(keras.optimizers.SGD(0.0), lambda y, p: 0 * tf.reduce_sum(p, -1))
    x, expected = batch_of(256), penalty_of(name, model(batch_of(32)))
    for rows in (32, 128):
        logged = [model.evaluate(x, x, batch_size=rows, verbose=0)]
        logged += model.fit(x, x, batch_size=rows, shuffle=False, verbose=0).history["loss"]
        np.testing.assert_allclose(logged, 2 * [expected], rtol=LOGGED)


@each_regularizer
def test_reductions(path, name):
    a = tf.sigmoid(batch_of(64))
    mean = regularizer_of(name, reduction="mean")(a)
    np.testing.assert_allclose(mean, penalty_of(name, a), rtol=SAME_FORMULA)
    total = regularizer_of(name, reduction="sum")(a)
    np.testing.assert_allclose(total, 64 * mean, rtol=SAME_FORMULA)
    with pytest.raises(
        ValueError, match=f"{name}: reduction must be one of .*Received: reduction='none'"
    ):
        regularizer_of(name, reduction="none")


@pytest.mark.parametrize(
    ("version", "divides"),
    [("3.3.3", False), ("3.13.2", False), ("3.14.0", True), ("3.15.1", True), ("4.0.dev1", True)],
)
def test_keras_that_divide_by_the_batch_size(version, divides, monkeypatch):
    assert divides_by_batch_size(version) == divides
    monkeypatch.setattr(keras, "__version__", version)
    a = tf.sigmoid(batch_of(64))
    of_layer = regularizer_of("KLSparsity")(a) / (64 if divides else 1)
    np.testing.assert_allclose(of_layer, penalty_of("KLSparsity", a), rtol=SAME_FORMULA)


@each_regularizer
def test_saved_and_loaded(name, tmp_path):
    model = keras.Sequential([keras.Input([3]), dense(name)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").layers[-1].activity_regularizer
    assert type(loaded) is getattr(regularizers, name)
    assert loaded.get_config() == regularizer_of(name).get_config()
    serialized = keras.saving.serialize_keras_object(loaded)
    assert serialized["registered_name"] == f"fastgen>{name}"


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_losses_are_of_one_dtype(path, policy):
    layer = dense("KLSparsity", dtype=policy)
    layer(batch_of(32))
    assert layer.losses[0].dtype == tf.float32 and np.isfinite(layer.losses[0])


def test_learns_the_target(fused):
    """SYSTEMS.md's bar: the mean activity comes within 0.05 of the target."""
    x = np.random.default_rng(1).standard_normal([256, 8]).astype("float32")
    sparse = keras.layers.Dense(
        30, "sigmoid", activity_regularizer=regularizers.KLSparsity(0.2, 0.1)
    )
    model = keras.Sequential([keras.Input([8]), sparse, keras.layers.Dense(8)])
    model.compile(keras.optimizers.Nadam(0.05), "mse", jit_compile=False)
    model.fit(x, x, epochs=20, batch_size=32, verbose=0)
    assert abs(np.mean(sparse(x)) - 0.1) < 0.05


def test_layer_does_what_the_regularizer_does(fused):
    x, results, weights = batch_of(64), [], None
    for hidden in (
        [dense("KLSparsity")],
        [keras.layers.Dense(UNITS, "sigmoid"), layers.Sparsity(0.5, 0.1, name="sparsity")],
    ):
        model = keras.Sequential([keras.Input([3]), *hidden, keras.layers.Dense(3)])
        weights = weights or model.get_weights()
        model.set_weights(weights)
        model.compile(keras.optimizers.Nadam(0.02), "mse", jit_compile=False)
        history = model.fit(x, x, epochs=2, shuffle=False, verbose=0).history
        results.append((history["loss"], *model.get_weights()))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=LOGGED, atol=LOGGED)
    activity = np.mean(hidden[0](x))
    logs = model.evaluate(x, x, batch_size=48, verbose=0, return_dict=True)  # 48 rows and 16
    np.testing.assert_allclose(logs["activity"], activity, rtol=LOGGED)


def test_layer_of_another_name_logs_by_it():
    assert layers.Sparsity(0.5, 0.1, name="codings").metrics[0].name == "codings_activity"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: regularizers.KLSparsity(-1, 0.1), r"KLSparsity: weight must be .* in \[0, ∞\)\."),
        (lambda: regularizers.KLSparsity(1, 1.1), r"KLSparsity: target must be .* in \[0, 1\]\."),
        (lambda: regularizers.L1Sparsity("1"), "L1Sparsity: weight must be a number in"),
        (lambda: regularizers.MSESparsity(1, None), r"MSESparsity: target must.* in \(-∞, ∞\)\."),
        (lambda: layers.Sparsity(1, 0.1, "l2"), "Sparsity: kind must be one of"),
        (lambda: layers.Sparsity(1), "Sparsity: target must be a number in"),
        (lambda: layers.Sparsity(1, 0.1, "l1"), "Sparsity: target must be None for kind='l1'"),
        (lambda: layers.Sparsity(-1, 0.1), "Sparsity: weight must be a number in"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=f"^{message}.*Received: "):
        make()


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_layer_refuses_integers_by_its_own_name(dtype):
    message = "Sparsity: inputs must be float16, .*Received: inputs.dtype="
    with pytest.raises(ValueError, match=message + dtype):
        layers.Sparsity(1, 0.1)(np.ones([2, 3], dtype))
