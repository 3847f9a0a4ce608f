"""examples/custom_kernel.py trains, on its kernels, and its model can be saved."""

import runpy
from pathlib import Path

import keras
import numpy as np

import fastgen

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/custom_kernel.py"


def test_it_trains(fused, tmp_path):
    keras.utils.set_random_seed(1)
    example = runpy.run_path(str(EXAMPLE))
    losses = example["main"](epochs=2)
    assert losses[-1] < losses[0]
    stats = fastgen.stats()
    assert stats["jit.swish"]["fused"] and stats["jit.corrupt"]["fused"]
    model = example["autoencoder"](16)
    x = np.ones((3, 16), "float32")
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(x), model(x))
