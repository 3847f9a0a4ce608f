"""The copy computes what the model does and trains on from there; the model stays as it is."""

import keras
import numpy as np
import pytest

import fastgen
from tests.conversion import models
from tests.conversion.models import X
from tests.tolerances import REORDERED_FLOAT64, assert_close

B = np.random.default_rng(1).random((12, 6))
INPUTS = {"branches": {"a": X, "b": B}, "gan": X[:, :2]}


def types(model):
    """Class of each layer, those of inner models included."""
    found = {}
    for layer in model.layers:
        inner = types(layer) if isinstance(layer, keras.Model) else {}
        found[layer.name] = type(layer).__name__
        found |= {f"{layer.name}/{name}": kind for name, kind in inner.items()}
    return found


def replaced(model):
    return {row["part"]: row["becomes"] for row in model.conversion}


@pytest.mark.parametrize("build", ["sequential", "branches", "autoencoder", "tied", "gan"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_results_and_the_model_unchanged(build, dtype):
    with_dtype = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        model = getattr(models, build)()
        weights = model.get_weights()
        nodes = [len(x._inbound_nodes) for x in model._flatten_layers()]
        fast = fastgen.convert(model, verbose=False)
    finally:
        keras.config.set_dtype_policy(with_dtype)
    inputs = INPUTS.get(build, X)
    for ours, theirs in zip(*(keras.tree.flatten(m(inputs)) for m in (fast, model)), strict=True):
        assert_close(ours, theirs, dtype)
    assert fast.name == model.name and type(fast) is type(model)
    assert fast.count_params() == model.count_params()
    expected = {"Dense": "FusedDense"}
    assert types(fast) == {name: expected.get(kind, kind) for name, kind in types(model).items()}
    for variable in fast.variables:
        variable.assign(variable + 1)
    for now, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, before)
    assert [len(x._inbound_nodes) for x in model._flatten_layers()] == nodes


def compiled(optimizer, **arguments):
    model = models.sequential()
    model.compile(optimizer, "binary_crossentropy", run_eagerly=True, **arguments)
    return model


def decayed():
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


OPTIMIZERS = [
    lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    lambda: keras.optimizers.RMSprop(0.01, centered=True),
    lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)),
    lambda: keras.optimizers.Nadam(0.01, global_clipnorm=0.1, use_ema=True),
    lambda: keras.optimizers.Adamax(0.01),
    decayed,
]


@pytest.mark.parametrize("make", OPTIMIZERS, ids=lambda make: type(make()).__name__)
def test_training_goes_on(make):
    keras.config.set_dtype_policy("float64")
    try:
        model = compiled(make())
    finally:
        keras.config.set_dtype_policy("float32")
    for _ in range(3):
        model.train_on_batch(X, X)
    fast = fastgen.convert(model, verbose=False)
    ours = getattr(fastgen.optimizers, type(model.optimizer).__name__, None)
    assert type(fast.optimizer) is (ours or type(model.optimizer))
    assert replaced(fast)["optimizer"] == (f"fastgen.optimizers.{ours.__name__}" if ours else "")
    state = [v.numpy() for v in model.optimizer.variables]
    for now, kept in zip(fast.optimizer.variables, state, strict=True):
        np.testing.assert_array_equal(now, kept)
    for _ in range(3):
        fast.train_on_batch(X, X)
    for now, before in zip(model.optimizer.variables, state, strict=True):
        np.testing.assert_array_equal(now, before)
    for _ in range(3):
        model.train_on_batch(X, X)
    for ours, theirs in zip(fast.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e4 * REORDERED_FLOAT64)


def test_what_was_compiled_with_is_kept():
    arguments = {"metrics": ["mae", keras.metrics.MeanSquaredError()], "loss_weights": 2.0}
    model = compiled("sgd", weighted_metrics=["mse"], steps_per_execution=3, **arguments)
    model.train_on_batch(X, X)
    fast = fastgen.convert(model, verbose=False)
    kept = fast._compile_config.config
    for name, value in model._compile_config.config.items():
        if name not in ("optimizer", "loss", "metrics"):
            assert kept[name] == value
    assert kept["metrics"][1] is not arguments["metrics"][1]
    ours, theirs = (m.test_on_batch(X, X, return_dict=True) for m in (fast, model))
    assert ours.keys() == theirs.keys()
    model.reset_metrics()
    theirs = model.test_on_batch(X, X, return_dict=True)
    for name in ours:
        assert_close(ours[name], theirs[name], "float32")


def test_without_an_optimizer():
    model = models.sequential()
    model.compile(None, "mse")
    fast = fastgen.convert(model, verbose=False)
    assert fast.optimizer is None and fast.evaluate(X, X, verbose=0) > 0


def test_a_model_with_a_compile_of_its_own():
    vae = fastgen.models.variational_autoencoder((2, 3), codings=2, hidden=(4,), beta=0.5)
    vae.compile("nadam", run_eagerly=True)
    x = X.reshape(12, 2, 3)
    vae.fit(x, verbose=0)
    fast = fastgen.convert(vae, verbose=False)
    assert replaced(fast).keys() == {vae.name, "optimizer", "loss"}
    for ours, theirs in zip(fast.optimizer.variables, vae.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(fast.encode(x), vae.encode(x))
    assert fast.beta == 0.5 and fast.fit(x, verbose=0)


def test_loss_scaling_is_kept():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled("sgd")
    finally:
        keras.config.set_dtype_policy("float32")
    model.train_on_batch(X, X)
    model.optimizer.dynamic_scale.assign(64.0)
    fast = fastgen.convert(model, verbose=False)
    assert type(fast.optimizer) is keras.optimizers.LossScaleOptimizer
    assert fast.optimizer.dynamic_scale.numpy() == 64
    assert fast.optimizer.inner_optimizer is not model.optimizer.inner_optimizer
    fast.train_on_batch(X, X)


def test_gan_keeps_what_is_trainable_and_both_compilations():
    model = models.gan()
    fast = fastgen.convert(model, verbose=False)
    discriminator = fast.get_layer("discriminator")
    assert len(fast.trainable_variables) == 2 and not discriminator.trainable_variables
    discriminator.trainable = True
    assert len(discriminator.trainable_variables) == 4
    parts = replaced(fast)
    assert {"loss", "optimizer", "discriminator/loss", "discriminator/optimizer"} <= set(parts)
    before = [v.numpy() for v in model.variables]
    discriminator.train_on_batch(X, np.ones(12))
    fast.train_on_batch(X[:, :2], np.ones(12))
    for now, was in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(now, was)


def test_trainable_of_single_layers():
    model = models.autoencoder()
    model.get_layer("decoder").trainable = False
    model.get_layer("decoder").get_layer("out").trainable = True
    fast = fastgen.convert(model, verbose=False)
    names = [[v.name for v in m.trainable_variables] for m in (model, fast)]
    assert names[0] == names[1] and len(names[0]) == 6
    assert [x.trainable for x in fast.get_layer("decoder").layers[1:]] == [False, True]


def test_files_of_the_copy(tmp_path):
    fast = fastgen.convert(models.tied(), verbose=False)
    fast.save(tmp_path / "fast.keras")
    loaded = keras.saving.load_model(tmp_path / "fast.keras")
    np.testing.assert_array_equal(loaded(X), fast(X))
    again = fastgen.convert(loaded, verbose=False)
    assert {row["why"] for row in again.conversion} == {"fastgen's already"}
    assert again.count_params() == fast.count_params()


def test_it_prints_what_it_did(capsys):
    fastgen.convert(models.autoencoder())
    printed = capsys.readouterr().out
    assert "autoencoder" in printed and "encoder/dense" in printed and "FusedDense" in printed
