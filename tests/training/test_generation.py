"""A VAE that was trained for a while: its samples, the way between two images, an attribute."""

import keras
import numpy as np
import pytest

import fastgen
from fastgen.evaluation import feature_extractor, frechet_distance
from fastgen.models import latent_space

pytestmark = pytest.mark.slow

EPOCHS = 60
BAR = (slice(None), slice(None), slice(0, 3))  # the three columns at the left
SAMPLES = 1000


def with_bar(images):
    images = images.copy()
    images[BAR] = 1
    return images


def has_bar(images):
    return images[BAR].mean(axis=(1, 2)) > 0.5


@pytest.fixture(scope="module")
def trained():
    """A model of digits half of which have a bar, and the images held out, without and with it."""
    (x, _), (valid, _) = fastgen.data.load("digits")
    half = len(x) // 2
    keras.utils.set_random_seed(0)
    vae = fastgen.models.variational_autoencoder((28, 28), seed=0)
    vae.compile("nadam")
    vae.fit(np.concatenate([x[:half], with_bar(x[half:])]), epochs=EPOCHS, verbose=0)
    return vae, valid, with_bar(valid)


def test_samples_are_nearer_to_images_than_noise_is(trained, monkeypatch, tmp_path):
    monkeypatch.setenv("FASTGEN_CACHE", str(tmp_path))
    vae, *images = trained
    features = feature_extractor()
    real = features(np.concatenate(images))
    noise = np.random.default_rng(0).random((SAMPLES, 28, 28), "float32")
    of_samples = frechet_distance(real, features(vae.generate(SAMPLES, seed=0)))
    assert of_samples < frechet_distance(real, features(noise)) / 5


def test_attribute_vector_flips_the_attribute(trained):
    vae, without, with_it = trained
    codings = vae.encode(np.concatenate([without, with_it]))
    attribute = np.repeat([False, True], len(without))
    vector = latent_space.attribute_vector(codings, attribute)
    plain, barred = codings[~attribute], codings[attribute]
    assert has_bar(vae.decode(plain)).mean() < 0.1 and has_bar(vae.decode(barred)).mean() > 0.9
    assert has_bar(vae.decode(plain + vector)).mean() >= 0.8
    assert (~has_bar(vae.decode(barred - vector))).mean() >= 0.8


def test_ends_of_an_interpolation_are_the_reconstructions(trained):
    vae, without, with_it = trained
    start, end = vae.encode(without[:1])[0], vae.encode(with_it[1:2])[0]
    line = latent_space.interpolate(start, end, steps=7)
    np.testing.assert_array_equal(line[[0, -1]], [start, end])
    drawn = vae.decode(line)
    assert not has_bar(drawn)[0] and has_bar(drawn)[-1]
    assert np.all(np.diff(has_bar(drawn).astype(int)) >= 0), "the bar comes once, and stays"
