"""The convolutional autoencoder trains, and what its transposed convolutions are."""

import numpy as np
import pytest
import tensorflow as tf

from fastgen import models
from tests.tolerances import assert_close


def test_it_trains(digits):
    x, x_valid, *_ = digits
    model = models.convolutional_autoencoder(seed=1)
    model.compile()
    logs = model.fit(x, validation_data=x_valid, epochs=4, verbose=0).history
    assert logs["val_loss"][-1] < 0.7 * np.mean((x_valid - x.mean(0)) ** 2)
    assert "(Conv2D)" in model.why_stock()


def as_convolution(layer, x):
    """Zeros between the inputs, then a convolution with the kernel turned round."""
    n, height, width, channels = x.shape
    stuffed = np.zeros((n, 2 * height - 1, 2 * width - 1, channels), x.dtype)
    stuffed[:, ::2, ::2] = x
    padded = np.pad(stuffed, [(0, 0), (2, 2), (2, 2), (0, 0)])
    kernel = layer.kernel.numpy()[::-1, ::-1].swapaxes(2, 3)  # (3, 3, inputs, filters)
    found = tf.nn.conv2d(padded, kernel, strides=1, padding="VALID") + layer.bias
    if layer.padding == "same":
        found = found[:, : 2 * height, : 2 * width]
    return layer.activation(found)


@pytest.mark.parametrize(("shape", "padding"), [((4, 6), "same"), ((5, 7), "valid")])
def test_a_transposed_convolution_is_one_of_inputs_with_zeros_between(shape, padding):
    model = models.convolutional_autoencoder((*shape, 2), 3, filters=(4,), seed=1)
    layer = model.decoder.layers[2]
    assert layer.padding == padding
    layer.bias.assign([0.1, -0.2])
    x = np.random.default_rng(1).standard_normal((3, 2, 3, 4)).astype("float32")
    assert layer(x).shape == (3, *shape, 2)
    assert_close(layer(x), as_convolution(layer, x), "float32", n=9 * 4)


def test_an_odd_size_beside_an_even_one():
    """The even one is cropped."""
    model = models.convolutional_autoencoder((5, 4), 3, filters=(4,), seed=1)
    *_, transposed, crop, reshape, _ = model.decoder.layers
    assert transposed.output.shape[1:] == (5, 5, 1) and crop.cropping == ((0, 0), (0, 1))
    assert reshape.output.shape[1:] == (5, 4)
