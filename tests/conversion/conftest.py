import keras
import pytest


@pytest.fixture(autouse=True)
def same_initial_weights():
    keras.utils.set_random_seed(1)
