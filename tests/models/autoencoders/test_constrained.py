"""Autoencoders that cannot just copy do what they are for: denoising, sparse, hashing."""

import numpy as np
import pytest

from fastgen import models
from tests.tolerances import SAME_FORMULA

P = 0.1


@pytest.mark.parametrize("corruption", ["gaussian", "dropout"])
def test_denoising(corruption, digits, fused):
    x, x_valid, *_ = digits
    model = models.denoising_autoencoder(corruption=corruption, seed=1)
    model.compile()
    assert model.why_stock() is None
    model.fit(x, epochs=12, verbose=0)
    noisy = model.encoder.layers[0](x_valid, training=True).numpy()
    denoised = model.predict(noisy, verbose=0)
    assert np.mean((denoised - x_valid) ** 2) < np.mean((noisy - x_valid) ** 2) / 2


@pytest.mark.parametrize("corruption", ["gaussian", "dropout"])
def test_nothing_is_corrupted_at_inference(corruption):
    model = models.denoising_autoencoder((4, 4), 3, corruption=corruption, hidden=(6,), seed=1)
    x = np.random.default_rng(1).random((8, 4, 4)).astype("float32")
    clean = models.stacked_autoencoder((4, 4), 3, hidden=(6,))
    clean.set_weights(model.get_weights())
    np.testing.assert_array_equal(model(x), clean(x))
    np.testing.assert_array_equal(model.encode(x), clean.encode(x))
    assert (model(x, training=True) != clean(x)).numpy().any()


def closed_form(penalty, q):
    if penalty == "l1":
        return np.abs(q).sum()
    if penalty == "mse":
        return np.sum((q - P) ** 2)
    return np.sum(P * np.log(P / q) + (1 - P) * np.log((1 - P) / (1 - q)))


def small(penalty, **arguments):
    arguments = {"penalty": penalty, "hidden": (), "weight": 0.5, "seed": 1, **arguments}
    return models.sparse_autoencoder((6,), 20, **arguments)


@pytest.mark.parametrize("penalty", ["kl", "l1", "mse"])
def test_the_penalty_is_the_closed_form_at_any_batch_size(penalty):
    model = small(penalty)
    x = np.random.default_rng(1).standard_normal((32, 6)).astype("float32")
    found = []
    for copies in 1, 4:
        q = model.encoder(np.tile(x, (copies, 1))).numpy().astype("float64").mean(0)
        (loss,) = model.encoder.losses
        assert float(loss) == pytest.approx(0.5 * closed_form(penalty, q), rel=SAME_FORMULA)
        found.append(float(loss))
    assert found[0] == pytest.approx(found[1], rel=SAME_FORMULA)


@pytest.mark.parametrize("penalty", ["kl", "l1", "mse"])
@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_all_is_finite_where_units_are_off_or_on(penalty, logit):
    model = small(penalty)
    kernel, _ = model.encoder.layers[0].get_weights()
    model.encoder.layers[0].set_weights([kernel, np.full(20, logit)])
    model.compile("sgd")
    logs = model.fit(np.ones((32, 6)), epochs=2, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.parametrize("penalty", ["kl", "l1", "mse"])
def test_mean_activity(penalty, digits):
    """That of L1, which has no target, by its default weight."""
    x, x_valid, *_ = digits
    model = models.sparse_autoencoder(penalty=penalty, seed=1)
    model.compile()
    assert model.why_stock() is None
    before = model.encode(x_valid).mean()
    model.fit(x, epochs=8, verbose=0)
    assert abs(before - P) > 0.3
    assert abs(model.encode(x_valid).mean() - P) < 0.05


def test_hashes(digits, fused):
    x, x_valid, y, y_valid = digits
    model = models.hashing_autoencoder(seed=1)
    model.compile(loss="binary_crossentropy")
    assert model.why_stock() is None
    model.fit(x, epochs=20, verbose=0)
    codings, asked = model.encode(x), model.encode(x_valid)
    assert np.mean(np.minimum(codings, 1 - codings)) < 0.02
    bits, asked = codings.round(), asked.round()
    distances = np.abs(asked[:, None] - bits).sum(-1)
    nearest = distances.argsort(axis=1, kind="stable")[:, :10]
    same = np.mean(y[nearest] == y_valid[:, None])
    assert same > 0.4  # by chance 0.1
