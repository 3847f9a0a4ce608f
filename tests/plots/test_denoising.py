"""The denoising triptych."""

import keras
import numpy as np
import pytest

import fastgen
import fastgen.plots
from tests.plots.cases import cells, grey, texts


class Negative:
    """Takes images for their negatives."""

    def predict(self, x, verbose="auto"):
        return 1 - x


def test_rows(digits):
    images = digits[0][:3]
    figure = fastgen.plots.denoising(Negative(), images, images / 2)
    rows = cells(figure, (3, 3), (56, 56))
    for row, shown in zip(rows, (images, images / 2, 1 - images / 2), strict=True):
        np.testing.assert_array_equal(row, grey(shown.astype("float64")))
    assert texts(figure) == ["image", "corrupted", "denoised"]


@pytest.mark.parametrize(
    "corrupt",
    [
        lambda: fastgen.layers.Corruption("gaussian", 0.3),
        lambda: fastgen.layers.Corruption("dropout", 0.5),
        lambda: keras.layers.GaussianNoise(0.3),
        lambda: keras.layers.Dropout(0.5),
    ],
)
def test_the_models_own_noise(digits, corrupt):
    layer = corrupt()
    dense = keras.layers.Dense(784, "sigmoid")
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), layer, dense])
    model = keras.Sequential([model, keras.layers.Reshape((28, 28))])
    images, state = digits[0][:4], layer.seed_generator.state.numpy()
    rows, same, other = (
        cells(fastgen.plots.denoising(model, images, seed=seed), (3, 4), (56, 56))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(rows, same)
    np.testing.assert_array_equal(rows[0], grey(images))
    assert (rows[1] != rows[0]).mean() > 0.05 and (rows[1] != other[1]).any()
    np.testing.assert_array_equal(layer.seed_generator.state.numpy(), state)


def test_refusals(digits):
    images = digits[0][:3]
    with pytest.raises(ValueError, match=r"must have the shape .*\(3, 28, 28\).*\(2, 28, 28\)"):
        fastgen.plots.denoising(Negative(), images, images[:2])
    layers = [keras.layers.Flatten(), keras.layers.Dense(5), keras.layers.GaussianNoise(1.0)]
    deep = keras.Sequential([keras.Input((28, 28)), *layers, keras.layers.Dense(784)])
    for model in (Negative(), deep):
        with pytest.raises(ValueError, match="does not begin with noise or dropout"):
            fastgen.plots.denoising(model, images)
