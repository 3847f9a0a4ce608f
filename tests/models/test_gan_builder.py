"""The GANs that builders make."""

import keras
import numpy as np
import pytest

import fastgen
from fastgen.models import dcgan, dense_gan


def counts(gan):
    return gan.generator.count_params(), gan.discriminator.count_params()


def test_parameters_of_the_book():
    assert counts(dense_gan()) == (136_634, 132_951)
    gan = dcgan()
    assert counts(gan) == (840_705, 212_865)
    assert counts(dcgan(image_shape=(28, 28))) == (840_705, 212_865)
    assert gan.image_shape == (28, 28, 1) and gan.codings == 100
    kinds = [type(layer).__name__ for layer in gan.generator.layers]
    transposed, norm = "Conv2DTranspose", "BatchNormalization"
    assert kinds == ["Dense", "Reshape", norm, transposed, norm, transposed]
    convolution = ["Conv2D", "LeakyReLU", "Dropout"]
    kinds = [type(layer).__name__ for layer in gan.discriminator.layers]
    assert kinds == [*convolution, *convolution, "Flatten", "Dense"]
    assert gan.generator.layers[-1].activation is keras.activations.tanh


def test_a_dense_gan_takes_the_kernel(fused):
    gan = dense_gan(3, (4, 4), hidden=(8, 6), seed=1)
    gan.compile()
    assert gan.why_stock() is None
    units = [layer.units for layer in gan.generator.layers if hasattr(layer, "units")]
    assert units == [8, 6, 16]
    units = [layer.units for layer in gan.discriminator.layers if hasattr(layer, "units")]
    assert units == [6, 8, 1]


def test_a_step_of_a_dcgan():
    gan = dcgan(3, (8, 4), filters=(2, 3), seed=1)
    gan.compile()
    assert "BatchNormalization" in gan.why_stock()
    before = [model.get_weights() for model in (gan.generator, gan.discriminator)]
    images = np.random.default_rng(0).uniform(-1, 1, (6, 8, 4)).astype("float32")
    logs = gan.fit(images, batch_size=6, verbose=0).history
    assert all(np.isfinite(values).all() for values in logs.values())
    for model, old in zip((gan.generator, gan.discriminator), before, strict=True):
        assert all((a != b).any() for a, b in zip(model.get_weights(), old, strict=True))
    with pytest.raises(ValueError, match=r"in \[-1, 1\], as the tanh"):
        gan.fit((images + 1) / 2)


def test_a_seed_determines_the_training():
    found = []
    for seed in (1, 1, 2):
        gan = dense_gan(2, (4, 6), hidden=(4,), seed=seed)
        gan.compile()
        gan.fit(np.random.default_rng(0).random((8, 4, 6)), verbose=0)
        found.append(gan.generate(2, seed=1))
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_a_seed_determines_a_dcgan():
    found = [dcgan(2, (4, 4), filters=(2,), seed=seed).get_weights() for seed in (1, 1, 2)]
    for a, b in zip(found[0], found[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert (found[0][0] != found[2][0]).any()


@pytest.mark.parametrize("shape", [(6,), (4, 4), (4, 4, 3), (2, 2, 2, 2)])
def test_shapes_of_dense_images(shape):
    gan = dense_gan(2, shape, hidden=(4,))
    assert gan.generate(2).shape == (2, *shape)


def test_colour():
    assert dcgan(2, (4, 8, 3), filters=(2,)).generate(2).shape == (2, 4, 8, 3)
    assert isinstance(dcgan(2, (8, 8), filters=(2, 2, 2)), fastgen.GAN)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: dense_gan(0), "dense_gan: codings must be an integer ≥ 1"),
        (lambda: dense_gan(hidden=()), "dense_gan: hidden must be integers ≥ 1"),
        (lambda: dense_gan(image_shape=(0, 3)), "dense_gan: image_shape must be"),
        (lambda: dcgan(image_shape=(28, 30)), r"multiples of 4 for 2 .* Received: \(28, 30\)"),
        (lambda: dcgan(image_shape=(28,)), "height, width, channels"),
        (lambda: dcgan(filters=(2.5,)), "dcgan: filters must be"),
    ],
)
def test_arguments_out_of_range(build, message):
    with pytest.raises(ValueError, match=message):
        build()
