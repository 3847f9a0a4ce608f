"""Weights as pictures: which, and how bright."""

import keras
import numpy as np
import pytest

import fastgen
import fastgen.plots
from tests.plots.cases import cells, grey

WEIGHTS = np.random.RandomState(0).normal(size=(30, 4)).astype("float32")


def expected(units):
    """Pictures `[units, 60, 50, 4]` of weights `[units, 6, 5]`."""
    largest = np.abs(units).max((1, 2), keepdims=True)
    return grey(0.5 + units / largest / 2, factor=10)


def autoencoder(encoder_kernel, decoder_kernel):
    keras.utils.clear_session()
    layers = keras.layers
    encoder = [keras.Input((6, 5)), layers.Flatten(), layers.Dense(4, name="reads")]
    decoder = [keras.Input((4,)), layers.Dense(30, name="draws"), layers.Reshape((6, 5))]
    model = fastgen.models.Autoencoder(keras.Sequential(encoder), keras.Sequential(decoder))
    model.get_layer("sequential").get_layer("reads").kernel.assign(encoder_kernel)
    model.get_layer("sequential_1").get_layer("draws").kernel.assign(decoder_kernel)
    return model


def test_of_what_reads_pixels_and_of_what_draws_them():
    model = autoencoder(WEIGHTS, 2 * WEIGHTS.T + 1)
    pictures = cells(fastgen.plots.filters(model, columns=2), (2, 2), (60, 50))
    units = WEIGHTS.T.reshape(4, 6, 5)
    np.testing.assert_array_equal(pictures.reshape(4, 60, 50, 4), expected(units))
    pictures = cells(fastgen.plots.filters(model, "draws", columns=2), (2, 2), (60, 50))
    np.testing.assert_array_equal(pictures.reshape(4, 60, 50, 4), expected(2 * units + 1))


def test_units_of_zeros_are_grey_and_few_are_few():
    model = autoencoder(WEIGHTS * [0, 1, 1, 1], WEIGHTS.T)
    pictures = cells(fastgen.plots.filters(model, count=2, columns=2), (1, 2), (60, 50))
    assert np.unique(pictures[0, 0, ..., :3]).tolist() == [128]


def test_weights_that_are_no_numbers_show():
    model = autoencoder(WEIGHTS * [np.nan, 1, 1, 1], WEIGHTS.T)
    pictures = cells(fastgen.plots.filters(model, count=2, columns=2), (1, 2), (60, 50))
    assert np.unique(pictures[0, 0].reshape(-1, 4), axis=0).tolist() == [[255, 0, 255, 255]]
    assert np.unique(pictures[0, 1, ..., :3]).size > 10


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_of_convolutions(channels):
    conv = keras.layers.Conv2D(4, 3)
    model = keras.Sequential([keras.Input((8, 8, channels)), keras.layers.Dropout(0.1), conv])
    kernel = np.moveaxis(conv.kernel.numpy(), 3, 0)[..., :3]
    figure = fastgen.plots.filters(model, columns=4)
    pictures = cells(figure, (1, 4), (60, 60))[0, ..., :3]
    scaled = 0.5 + kernel / np.abs(kernel).max((1, 2, 3), keepdims=True) / 2
    levels = np.rint(255 * scaled).repeat(20, 1).repeat(20, 2)
    np.testing.assert_array_equal(pictures, np.broadcast_to(levels, pictures.shape))


def test_refusals():
    model = autoencoder(WEIGHTS, WEIGHTS.T)
    with pytest.raises(ValueError, match=r"one of reads, draws\. Received: 'other'"):
        fastgen.plots.filters(model, "other")
    with pytest.raises(ValueError, match=r"count must be at least 1\. Received: 0"):
        fastgen.plots.filters(model, count=0)
    deep = [keras.layers.Dense(n, name=name) for n, name in ((5, "reads"), (3, "inner"))]
    with pytest.raises(ValueError, match=r"one of reads\. Received: 'inner'"):
        fastgen.plots.filters(keras.Sequential([keras.Input((64,)), *deep]), "inner")
    deep = keras.Sequential([keras.Input((8, 8, 5)), keras.layers.Conv2D(4, 3)])
    with pytest.raises(ValueError, match=r"pixels of images \(8, 8, 5\), and this model has none"):
        fastgen.plots.filters(deep)
    with pytest.raises(ValueError, match="images of a known shape"):
        fastgen.plots.filters(keras.Sequential())
