import numpy as np
import pytest

import fastgen.plots
from tests.plots.cases import cells, grey, texts


def test_image_grid_shows_every_pixel(digits):
    images, _ = digits
    figure = fastgen.plots.image_grid(images[:6], columns=3)
    expected = grey(images[:6]).reshape(2, 3, 56, 56, 4)
    np.testing.assert_array_equal(cells(figure, (2, 3), (56, 56)), expected)


def test_image_grid_in_colour():
    images = np.random.RandomState(0).randint(0, 256, (4, 64, 32, 3)).astype(np.uint8)
    pictures = cells(fastgen.plots.image_grid(images), (2, 2), (64, 32))
    np.testing.assert_array_equal(pictures[..., :3].reshape(images.shape), images)


def test_image_grid_of_another_range():
    images = np.random.RandomState(0).uniform(-1, 1, (1, 10, 10))
    figure = fastgen.plots.image_grid(images, value_range=(-1, 1))
    np.testing.assert_array_equal(
        cells(figure, (1, 1), (60, 60))[0], grey((images + 1) / 2, factor=6)
    )


@pytest.mark.parametrize(
    ("n", "columns", "shape"),
    [(1, None, (1, 1)), (5, None, (2, 3)), (64, None, (8, 8)), (5, 4, (2, 4)), (3, 7, (1, 3))],
)
def test_image_grid_shape(n, columns, shape):
    figure = fastgen.plots.image_grid(np.zeros((n, 10, 10)), columns)
    black = (cells(figure, shape, (60, 60))[..., :3] == 0).all((-1, -2, -3))
    assert black.ravel().tolist() == [True] * n + [False] * (shape[0] * shape[1] - n)


def test_image_grid_of_no_columns():
    with pytest.raises(ValueError, match=r"image_grid: columns must be at least 1\. Received: 0"):
        fastgen.plots.image_grid(np.zeros((2, 3, 3)), columns=0)


def test_samples_are_those_of_the_seed(model):
    pictures = cells(fastgen.plots.samples(model, 4, seed=7), (2, 2), (56, 56))
    np.testing.assert_array_equal(pictures.reshape(4, 56, 56, 4), grey(model.generate(4, seed=7)))


@pytest.mark.parametrize("count", [0, -1, 2.5, "9"])
def test_samples_of_a_wrong_count(model, count):
    with pytest.raises(ValueError, match=r"samples: count must be an integer above 0\. Received"):
        fastgen.plots.samples(model, count)


def test_reconstructions_are_below_their_inputs(model, digits):
    images, _ = digits
    figure = fastgen.plots.reconstructions(model, images)
    expected = grey(np.stack([images[:12], model.predict(images[:12])]))
    np.testing.assert_array_equal(cells(figure, (2, 12), (56, 56)), expected)
    assert texts(figure) == ["input", "reconstruction"]


def test_reconstructions_of_bytes(model, digits):
    """The model is given floats in [0, 1] of uint8 images."""
    as_bytes = np.rint(digits[0][:3] * 255).astype(np.uint8)
    pictures = cells(fastgen.plots.reconstructions(model, as_bytes), (2, 3), (56, 56))
    expected = grey(np.stack([as_bytes / 255, model.predict(as_bytes / np.float32(255))]))
    np.testing.assert_array_equal(pictures, expected)


def test_reconstructions_by_an_autoencoder(model, digits):
    class Autoencoder:
        predict = staticmethod(model.predict)

    pictures = cells(fastgen.plots.reconstructions(Autoencoder(), digits[0][:2]), (2, 2), (56, 56))
    np.testing.assert_array_equal(pictures[1], grey(model.predict(digits[0][:2])))


def test_a_model_without_the_methods(digits):
    with pytest.raises(ValueError, match=r"reconstructions: model must have predict.*: object"):
        fastgen.plots.reconstructions(object(), digits[0])
    gan = fastgen.models.dense_gan(seed=0)
    with pytest.raises(ValueError, match=r"model must have encode and decode.* Received: GAN"):
        fastgen.plots.reconstructions(gan, digits[0])
    with pytest.raises(ValueError, match=r"samples: model must have generate.*Received: object"):
        fastgen.plots.samples(object())
