"""Parity finds twins that train alike, and those that do not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import verification
from fastgen.ops import adversary
from fastgen.verification import kinks
from tests.ops import gan
from tests.tolerances import LOGGED

STEPS = 4
FORMS = verification.FORMS[:2]
SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772


def autoencoder(optimizer=fastgen.optimizers.Nadam, loss="binary_crossentropy"):
    keras.utils.set_random_seed(0)
    layers = [fastgen.layers.FusedDense(5, "selu"), fastgen.layers.FusedDense(12, "sigmoid")]
    model = keras.Sequential([keras.Input((12,)), *layers])
    model.compile(optimizer(), loss)
    return model


def images(*shape):
    return np.random.default_rng(0).random((64, *shape)).astype("float32")


def pair():
    return gan.small("float32"), gan.optimizers(keras.optimizers.RMSprop)


class WrongStep(keras.optimizers.RMSprop):
    """Keeps a thousandth of each step."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, 0.999 * learning_rate)


@pytest.mark.parametrize("book", [False, True])
def test_gan(book, capsys):
    networks, optimizers = pair()
    model = tuple(networks), optimizers
    if book:
        model = keras.Sequential(networks)
        networks[1].compile("rmsprop", "binary_crossentropy")
        model.compile("rmsprop", "binary_crossentropy")
    before = [m.get_weights() for m in networks]
    forms = verification.FORMS[: 2 if book else 3]
    found = fastgen.parity(model, data=images(3, 3), steps=STEPS, batch_size=8, forms=forms)
    assert found.ok and len(found.rows) == STEPS * len(forms)
    assert {row.bound for row in found.rows if row.counts} == {1e-6, 1e-9}
    assert {row.form for row in found.rows} == set(forms)
    for model, weights in zip(networks, before, strict=True):
        for a, b in zip(model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(a, b)
    assert "within all bounds" in capsys.readouterr().out


def test_a_wrong_reference_is_found(capsys):
    networks, optimizers = pair()
    reference = networks, (WrongStep(), WrongStep())
    forms = ["teacher-forced", "float64"]
    found = fastgen.parity(
        (networks, optimizers), reference, images(3, 3), steps=STEPS, batch_size=8, forms=forms
    )
    assert not found.ok and not any(row.ok for row in found.rows)
    assert "bounds are exceeded" in capsys.readouterr().out


@tf.custom_gradient
def selu_of_slope(x, slope):
    return keras.activations.selu(x), lambda d_y: (d_y * slope, None)


@keras.saving.register_keras_serializable("tests")
def selu_from_below(x):
    """SELU, but at 0 itself, where TensorFlow takes the slope above."""
    return selu_of_slope(x, tf.where(x > 0, SCALE, SCALE * ALPHA * tf.exp(x)))


@keras.saving.register_keras_serializable("tests")
def selu_too_flat(x):
    """A wrong gradient: by a thousandth, below 0."""
    return selu_of_slope(x, tf.where(x >= 0, SCALE, 0.999 * SCALE * ALPHA * tf.exp(x)))


@pytest.mark.parametrize(("activation", "ok"), [(selu_from_below, True), (selu_too_flat, False)])
def test_slopes_at_a_jump_may_differ_and_no_others(activation, ok):
    """A unit without weights has inputs of 0."""
    sides = []
    for function in (activation, keras.activations.selu):
        networks = gan.small("float32")
        hidden = networks[1].layers[1]
        hidden.set_weights([w * np.arange(5).clip(0, 1) for w in hidden.get_weights()])
        networks[0].layers[0].activation = hidden.activation = function
        sides.append((tuple(networks), gan.optimizers(keras.optimizers.SGD)))
    forms = ["teacher-forced"]
    found = fastgen.parity(*sides, images(3, 3), steps=STEPS, batch_size=8, forms=forms)
    assert found.ok == ok
    first = found.rows[0]
    if ok:
        assert first.bound > first.difference > 1e-5
        assert all(row.bound == 1e-6 for row in found.rows[1:])


def test_lean():
    layer = keras.layers.Dense(2, "selu")
    layer.build((None, 1))
    layer.set_weights([np.ones((1, 2)), np.zeros(2)])
    x = tf.constant([[-1.0], [-1e-8], [0.0], [1e-8], [1.0]])
    expected = layer(x)
    slopes = []
    for side in (-1, 1):
        layer.activation = keras.activations.selu
        kinks.lean(layer, side)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        np.testing.assert_array_equal(y, expected)
        slopes.append(tape.gradient(y, x)[:, 0] / 2)
    below, above = SCALE * ALPHA, SCALE
    ends = SCALE * ALPHA * np.exp(-1), SCALE
    for found, middle in zip(slopes, (below, above), strict=True):
        np.testing.assert_allclose(found, [ends[0], *[middle] * 3, ends[1]], rtol=LOGGED)
    layer.activation = keras.activations.tanh
    kinks.lean(layer, 1)
    assert layer.activation is keras.activations.tanh


def test_autoencoder():
    found = fastgen.parity(
        autoencoder(), data=images(12), steps=STEPS, batch_size=8, forms=["teacher-forced"]
    )
    assert found.ok
    (first, *_) = found.rows
    assert first.losses == pytest.approx(first.reference_losses, rel=1e-5)


def test_refused():
    with pytest.raises(TypeError, match="parity: model must be a compiled Keras model"):
        fastgen.parity(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]))
    with pytest.raises(ValueError, match=r"forms must be some of .*Received: \['b'\]"):
        fastgen.parity(autoencoder(), forms=["b"])
    other = keras.Sequential([keras.Input((12,)), keras.layers.Dense(12)])
    other.compile("sgd", "mse")
    with pytest.raises(ValueError, match="parity: reference must have weights of"):
        fastgen.parity(autoencoder(), other)


def variational(beta=1.0, cls=fastgen.models.VariationalAutoencoder, optimizer="nadam"):
    vae = fastgen.models.variational_autoencoder((3, 3), 2, hidden=(4,), beta=beta, seed=1)
    model = cls(vae.encoder, vae.decoder, beta=beta)
    model.compile(optimizer)
    return model


@pytest.mark.parametrize(
    "optimizer", ["nadam", *(pytest.param(x, marks=pytest.mark.slow) for x in ("rmsprop", "adam"))]
)
def test_the_kernel_of_a_fit_beside_the_steps_of_keras(optimizer):
    model = variational(optimizer=optimizer)
    before, calls = model.get_weights(), fastgen.stats().get("autoencoder_step", {}).get("fused", 0)
    found = fastgen.parity(model, data=images(3, 3), steps=20, batch_size=8, forms=FORMS)
    assert fastgen.stats()["autoencoder_step"]["fused"] > calls
    assert found.ok and len(found.rows) == 40
    for row in found.rows:
        assert row.losses == pytest.approx(row.reference_losses, rel=1e-5)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_targets_of_a_vae():
    x, targets = images(3, 3), images(3, 3)[::-1].copy()
    how = {"steps": STEPS, "batch_size": 8, "forms": ["teacher-forced"]}
    plain, found = (fastgen.parity(variational(), data=data, **how) for data in (x, (x, targets)))
    assert found.ok and found.rows[0].losses != plain.rows[0].losses


def test_another_weight_of_the_divergence_is_found():
    sides = variational(), variational(beta=1.01)
    found = fastgen.parity(*sides, images(3, 3), steps=STEPS, batch_size=8, forms=FORMS)
    assert not any(all(row.ok for row in found.rows if row.form == form) for form in FORMS)


def test_steps_that_copies_would_lose_are_refused():
    class Own(fastgen.models.VariationalAutoencoder):
        pass

    with pytest.raises(TypeError, match="or be one of our autoencoders itself, no.*Received"):
        fastgen.parity(variational(cls=Own), data=images(3, 3))


@pytest.mark.parametrize(
    "change", [{"n_critic": 3}, {"label_smoothing": 0.1}, {"label_noise": 0.1}]
)
def test_gan_of_other_steps_is_refused(change):
    model = fastgen.GAN(*gan.small("float32"))
    with pytest.raises(TypeError, match="parity: model must be a compiled Keras model"):
        fastgen.parity(model)
    model.compile(**change)
    (name,) = change
    with pytest.raises(ValueError, match=f"a GAN must have {name}=.*Received: {change[name]}"):
        fastgen.parity(model)


@pytest.mark.parametrize("frozen", [pytest.param(False, marks=pytest.mark.slow), True])
def test_gan_with_regularizers(frozen, monkeypatch):
    networks, optimizers = pair()
    for model in networks:
        for layer in model.layers:
            layer.trainable = not frozen
            if isinstance(layer, keras.layers.Dense):
                layer.kernel_regularizer = keras.regularizers.L2(0.01)
                layer.activity_regularizer = keras.regularizers.L2(0.1)
    model = tuple(networks), optimizers
    how = {"steps": STEPS, "batch_size": 8, "forms": ["float64"]}
    assert fastgen.parity(model, data=images(3, 3), **how).ok
    monkeypatch.setattr(adversary, "penalized", lambda loss, *models: loss)
    assert not fastgen.parity(model, data=images(3, 3), **how).ok


@pytest.mark.parametrize("kind", ["dense-gan", "vae", "stacked", "tied", "sparse", "denoising"])
def test_command(kind, monkeypatch):
    from typer.testing import CliRunner

    from fastgen.cli import app

    for ok in (True, False):
        rows = [verification.Row("float64", 0, [1.0], [1.0], 0.0, 1e-9, True)]
        result = verification.Parity(["loss"], rows)
        rows[0] = rows[0]._replace(difference=0.0 if ok else 1.0)
        given = []
        told = lambda model, r=result, to=given, **how: to.append(model) or r  # noqa: E731
        monkeypatch.setattr(fastgen, "parity", told, raising=False)
        arguments = ["parity", "--kind", kind, "--optimizer", "adam", "--steps", "2"]
        assert CliRunner().invoke(app, arguments).exit_code == (0 if ok else 1)
        assert kind == "dense-gan" or given[0].why_stock() is None
    assert CliRunner().invoke(app, ["parity", "--steps", "0"]).exit_code == 2
