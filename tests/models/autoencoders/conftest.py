import keras
import pytest

import fastgen


@pytest.fixture(autouse=True)
def same_initial_weights():
    keras.utils.set_random_seed(1)


@pytest.fixture(scope="session")
def digits():
    """Training and validation images, then the digits they are of."""
    (x, y), (x_valid, y_valid) = fastgen.data.load("digits")
    return x, x_valid, y, y_valid
