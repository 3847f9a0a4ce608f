"""The recurrent autoencoder trains on sequences."""

import keras
import numpy as np

from fastgen import models


def sines(n, steps=12, seed=0):
    rng = np.random.default_rng(seed)
    phases, speeds = 2 * np.pi * rng.random((n, 1)), 1 + rng.random((n, 1))
    times = np.linspace(0, 2 * np.pi, steps)
    return np.sin(phases + speeds * times)[..., None].astype("float32")


def test_sines():
    x, x_valid = sines(512), sines(128, seed=1)
    model = models.recurrent_autoencoder((12, 1), 6, hidden=(24,), seed=1)
    model.compile(keras.optimizers.Nadam(1e-2))
    logs = model.fit(x, validation_data=x_valid, epochs=20, verbose=0).history
    assert logs["val_loss"][-1] < 0.1 * x_valid.var()


def test_images_are_read_row_by_row():
    model = models.recurrent_autoencoder((5, 4, 2), 3, hidden=(4,), seed=1)
    x = np.random.default_rng(1).random((2, 5, 4, 2)).astype("float32")
    rows = models.recurrent_autoencoder((5, 8), 3, hidden=(4,), seed=1)
    np.testing.assert_array_equal(model.encoder(x), rows.encoder(x.reshape(2, 5, 8)))
    codings = model.encoder(x)
    np.testing.assert_array_equal(model.decoder(codings), model(x))
    np.testing.assert_array_equal(
        np.reshape(model.decoder(codings), (2, 5, 8)), rows.decoder(codings)
    )
