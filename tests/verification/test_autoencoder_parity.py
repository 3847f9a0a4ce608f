"""`fit` of our autoencoders takes the steps of Keras' own: teacher-forced and in float64."""

import keras
import numpy as np
import pytest

import fastgen
from fastgen import models, verification
from fastgen.layers import Corruption
from tests.tolerances import LOGGED, REORDERED_FLOAT64

FORMS = verification.FORMS[:2]
KINDS = {
    "stacked": {},
    "tied": {},
    "gaussian": {"corruption": "gaussian"},
    "dropout": {"corruption": "dropout"},
    "kl": {"penalty": "kl"},
}
MORE_KINDS = [x for x in KINDS if x not in ("dropout", "kl")]


def images():
    return np.random.default_rng(0).random((64, 5, 4)).astype("float32")


def build(case, optimizer="nadam", loss="mse", **more):
    how = KINDS[case]
    kind = {"corruption": "denoising", "penalty": "sparse"}.get(next(iter(how), None), case)
    model = models.AUTOENCODERS[kind]((5, 4), 6, hidden=(9,), seed=1, **how, **more)
    model.compile(optimizer, loss)
    return model


def compare(*sides, steps=20, forms=FORMS):
    how = {"steps": steps, "batch_size": 16, "forms": forms, "verbose": False}
    return fastgen.parity(*sides, data=images(), **how)


def kernel_calls():
    return fastgen.stats().get("autoencoder_step", {}).get("fused", 0)


@pytest.mark.parametrize(
    "case", ["dropout", "kl", *(pytest.param(x, marks=pytest.mark.slow) for x in MORE_KINDS)]
)
def test_the_kernel_of_a_fit_beside_the_steps_of_keras(case):
    model, calls = build(case), kernel_calls()
    before = model.get_weights()
    found = compare(model)
    assert found.ok and len(found.rows) == 40
    assert model.why_stock() is None and kernel_calls() > calls
    for row in found.rows:
        assert row.losses == pytest.approx(row.reference_losses, rel=LOGGED)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("case", KINDS)
def test_a_hundred_steps(case):
    assert compare(build(case), steps=100).ok


def test_entropy_in_float64():
    model = build("stacked", "rmsprop", "binary_crossentropy", output_activation="sigmoid")
    assert compare(model, forms=["float64"]).ok


def test_the_twin_computes_its_losses_in_float64():
    """Else they would be 1e-8 apart, and so would be that which the bound is taken from."""
    model = build("stacked", loss=keras.losses.MeanSquaredError())
    rows = compare(model, steps=3, forms=["float64"]).rows
    assert {row.bound for row in rows} == {1e-9}
    for row in rows:
        assert row.losses == pytest.approx(row.reference_losses, rel=REORDERED_FLOAT64)


@pytest.mark.parametrize("case", ["gaussian", "dropout"])
def test_the_noise_is_that_of_keras(case):
    """Of a twin with Keras' own layer in place of ours."""
    model, stock = build(case), build(case)
    first = stock.encoder.layers[0]
    assert isinstance(first, Corruption)
    layer = {"gaussian": keras.layers.GaussianNoise, "dropout": keras.layers.Dropout}[case]
    layers = [layer(first.amount, seed=first.seed), *stock.encoder.layers[1:]]
    encoder = keras.Sequential([keras.Input((5, 4)), *layers], name="encoder")
    reference = models.Autoencoder(encoder, stock.decoder, seed=1)
    reference.compile("nadam")
    assert compare(model, reference, steps=4, forms=["float64"]).ok


def test_other_steps_are_found():
    other = build("gaussian", keras.optimizers.Nadam(1.001e-3))
    rows = compare(build("gaussian"), other, steps=4, forms=["float64"]).rows
    assert not any(row.ok for row in rows)


def test_an_autoencoder_of_a_config_is_tied():
    model = build("tied")
    copy = models.Autoencoder.from_config(model.get_config())
    assert copy.count_params() == model.count_params()
    copy.compile()
    assert copy.why_stock() is None
    copy.fit(images(), verbose=0)
    assert copy.decoder.layers[-3].kernel is copy.encoder.layers[1].kernel
