"""`fit` of an autoencoder on what gives it batches."""

import keras
import pytest

import fastgen
from tests.models.cases import SHAPE, images

BATCH = 8


class Batches(keras.utils.PyDataset):
    """Three batches of inputs."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return images(BATCH)


@pytest.mark.parametrize("batches", [Batches, lambda: ((images(BATCH),) for _ in range(3))])
def test_inputs_are_their_own_targets(batches):
    model = fastgen.models.stacked_autoencoder(SHAPE, 3, hidden=(8,), seed=1)
    model.compile()
    history = model.fit(batches(), validation_data=batches(), verbose=0)
    assert model.optimizer.iterations == 3 and "val_loss" in history.history
