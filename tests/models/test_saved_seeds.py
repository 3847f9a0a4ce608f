"""A training goes on from a file as one that never stopped: order, noise and steps in a call."""

import keras
import numpy as np
import pytest

from tests.models import gans
from tests.models.cases import images, small
from tests.models.test_kernel_fit import plain, variational

BATCH = 8
MAKERS = {"autoencoder": plain, "vae": variational, "gan": gans.compiled}


def data(kind):
    return gans.images(50) if kind == "gan" else images(50)


def fit(model, kind, **how):
    return model.fit(data(kind), batch_size=BATCH, verbose=0, **how).history


def assert_same(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        *(("vae", steps) for steps in (None, 1, 3, "auto")),
        *(("gan", steps) for steps in (None, 3, "auto")),
        *(("autoencoder", steps) for steps in (None, 3)),
    ],
)
def test_a_file(kind, steps, tmp_path):
    model = MAKERS[kind](steps_per_execution=steps)
    fit(model, kind)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.own_steps_per_execution == (None if steps == "auto" else steps)
    assert fit(model, kind) == fit(loaded, kind)
    assert_same(model, loaded)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_backup(kind, tmp_path):
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    whole, first, second = (MAKERS[kind]() for _ in range(3))
    fit(whole, kind, epochs=3)
    fit(first, kind, callbacks=[backup])
    fit(second, kind, callbacks=[backup], epochs=3)
    assert_same(whole, second)


def test_files_without_states(tmp_path, monkeypatch):
    vae = small()
    with monkeypatch.context() as before:
        before.setattr(type(vae), "save_own_variables", lambda self, store: None)
        vae.save_weights(tmp_path / "vae.weights.h5")
    other = small(seed=7)
    other.load_weights(tmp_path / "vae.weights.h5")
    assert_same(vae, other)
    assert other.latent.seed_generator.state.numpy()[0] == 7
