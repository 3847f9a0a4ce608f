import doctest

import keras
import numpy as np
import pytest

import fastgen.data
from fastgen.evaluation import cache, classifier, feature_extractor, features

X = np.random.RandomState(0).random_sample((40, 28, 28)).astype("float32")
X[20:] *= 0.3
Y = np.repeat([7, 3], 20)


@pytest.fixture
def short(monkeypatch):
    """Training of a second rather than of ten."""
    monkeypatch.setattr(classifier, "LEAST_STEPS", 5)
    monkeypatch.setattr(classifier, "LEAST_EPOCHS", 1)


@pytest.fixture
def trained(monkeypatch):
    """No training: a classifier at random, and how often it was asked for."""
    shapes = [weight.shape for weight in classifier.build(2, 0)[0].weights]
    calls = []

    def train(x, y, seed):
        calls.append(seed)
        random = np.random.RandomState(seed)
        weights = [random.normal(size=shape).astype("float32") for shape in shapes]
        shift, scale = random.random_sample((2, classifier.FEATURES)).astype("float32")
        return classifier.Classifier(weights, shift, scale, 0.75)

    monkeypatch.setattr(features, "train", train)
    return calls


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_classifier_knows_digits(digits, extractor):
    _, (x, y) = digits
    assert extractor.accuracy > 0.9
    # Of the nearest of the other images, most are of the same class.
    f = extractor(x)
    distances = np.square(f[:, None] - f).sum(-1)
    np.fill_diagonal(distances, np.inf)
    assert (y[distances.argmin(1)] == y).mean() > 0.9


def test_features_are_standardised(digits, extractor):
    (x, _), _ = digits
    f = extractor(x)
    assert f.shape == (len(x), 64) and f.dtype == np.float32
    # Over these images, not over those that the classifier was trained on.
    assert np.abs(f.mean(0)).max() < 0.1 and np.abs(f.std(0) - 1).max() < 0.1


def test_images_of_any_dtype_size_and_colour(digits, extractor):
    (_, _), (x, _) = digits
    x = x[:30]
    expected = extractor(x)
    as_bytes = np.rint(x * 255).astype("uint8")
    np.testing.assert_allclose(extractor(as_bytes), expected, atol=1e-2)
    np.testing.assert_allclose(extractor(x[..., None].repeat(3, -1)), expected, atol=1e-4)
    np.testing.assert_allclose(extractor(x[..., None]), expected, atol=1e-4)
    assert extractor(np.zeros((3, 7, 50, 2))).shape == (3, 64)
    # Twice the size and back is nearly the same image, and so nearly the same features.
    double = extractor(x.repeat(2, 1).repeat(2, 2))
    assert np.square(double - expected).mean() < 0.1 * np.square(expected).mean()


def test_large_images_are_averaged():
    """Noise of pixels smaller than a pixel vanishes; without antialiasing it would stay."""
    noise = np.random.RandomState(1).random_sample((2, 280, 280))
    assert features.prepare(noise).std() < noise.std() / 5


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (X * 2 - 1, r"float x must be in \[0, 1\]"),
        (X * np.nan, r"float x must be in \[0, 1\]"),
        (X[0], r"\[n, height, width\] or"),
        (X[:0], "holds no pixels"),
        (X.astype("int32"), "must be uint8"),
    ],
)
def test_images_that_cannot_be_used(extractor, images, message):
    with pytest.raises(ValueError, match="^FeatureExtractor: images as x: .*" + message):
        extractor(images)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (X, None, "go together. Received: images without labels"),
        (None, Y, "go together. Received: labels without images"),
        (X, Y[:-1], "one label for each of the 40 images"),
        (X, Y / 2, "must be integers. Received: float64"),
        (X, Y * 0, "of 2 classes or more. Received: 1"),
        (X * 2, Y, r"in \[0, 1\]"),
    ],
)
def test_data_that_cannot_be_trained_on(images, labels, message):
    with pytest.raises(ValueError, match="^feature_extractor: .*" + message):
        feature_extractor(images, labels)


def test_training_is_deterministic_and_leaves_global_state_alone(short):
    keras.utils.set_random_seed(1)
    drawn = np.random.random_sample(), keras.random.normal((1,)).numpy()
    keras.utils.set_random_seed(1)
    first = feature_extractor(X, Y, cache=False)
    assert (np.random.random_sample(), keras.random.normal((1,)).numpy()) == drawn
    np.testing.assert_array_equal(feature_extractor(X, Y, cache=False)(X), first(X))
    assert not np.array_equal(feature_extractor(X, Y, seed=1, cache=False)(X), first(X))


def test_keras_settings_change_nothing(short):
    expected = feature_extractor(X, Y, cache=False)(X)
    policy, layout = keras.config.dtype_policy(), keras.config.image_data_format()
    try:
        keras.config.set_dtype_policy("mixed_float16")
        keras.config.set_image_data_format("channels_first")
        np.testing.assert_array_equal(feature_extractor(X, Y, cache=False)(X), expected)
    finally:
        keras.config.set_dtype_policy(policy)
        keras.config.set_image_data_format(layout)


def test_the_second_extractor_comes_from_the_cache(trained, cache_folder):
    first = feature_extractor(X, Y)
    assert first.path is None
    second = feature_extractor(X, Y)
    assert len(trained) == 1
    assert second.path.parent == cache_folder and files(cache_folder) == [second.path.name]
    np.testing.assert_array_equal(second(X), first(X))
    assert second.accuracy == first.accuracy and second.classes == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda x, y: {"images": 1 - x, "labels": y},
        lambda x, y: {"images": x, "labels": y[::-1]},
        lambda x, y: {"images": x, "labels": y, "seed": 1},
    ],
    ids=["images", "labels", "seed"],
)
def test_other_arguments_are_another_file(trained, cache_folder, change):
    feature_extractor(X, Y)
    assert feature_extractor(**change(X, Y)).path is None
    assert len(files(cache_folder)) == 2


def test_no_cache(trained, cache_folder):
    assert feature_extractor(X, Y, cache=False).path is None
    assert not cache_folder.exists()


def test_a_damaged_file_is_made_anew(trained, cache_folder):
    first = feature_extractor(X, Y)
    (path,) = cache_folder.iterdir()
    whole = path.read_bytes()
    middle = bytearray(whole)
    middle[len(whole) // 2] ^= 255
    for content in (b"", whole[:-100], whole[: len(whole) // 2], bytes(middle), b"PK\3\4"):
        path.write_bytes(content)
        again = feature_extractor(X, Y)
        assert again.path is None
        np.testing.assert_array_equal(again(X), first(X))
        assert feature_extractor(X, Y).path == path and files(cache_folder) == [path.name]


def test_a_file_of_other_arrays_is_not_used(trained, cache_folder):
    feature_extractor(X, Y)
    (path,) = cache_folder.iterdir()
    with np.load(path) as file:
        arrays = dict(file)
    assert cache.load(path, 2) is not None
    assert cache.load(path, 3) is None
    for change in (
        {"weight_0": arrays["weight_0"][..., :3]},
        {"weight_1": arrays["weight_1"] * np.nan},
        {"shift": arrays["shift"].astype(object)},
    ):
        np.savez(path, **arrays | change)
        assert cache.load(path, 2) is None


def test_a_cache_that_cannot_be_written(trained, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FASTGEN_CACHE", str(tmp_path / "file" / "folder"))
    assert feature_extractor(X, Y).path is None
    assert feature_extractor(X, Y).path is None


def test_a_write_cut_short_leaves_nothing(trained, cache_folder, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    feature_extractor(X, Y)
    assert files(cache_folder) == []


def test_folder_of_the_cache(monkeypatch, tmp_path):
    assert cache.folder() == tmp_path / "cache"
    monkeypatch.delenv("FASTGEN_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "fastgen"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache/fastgen"


def test_examples_of_the_docstrings(extractor, cache_of_digits, monkeypatch):
    monkeypatch.setenv("FASTGEN_CACHE", str(cache_of_digits))
    results = doctest.testmod(features)
    assert results.attempted and not results.failed


def test_default_is_digits(cache_folder, monkeypatch):
    asked = []
    monkeypatch.setattr(features, "train", lambda x, y, seed: asked.append((x, y)) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        feature_extractor()
    ((x, y),) = asked
    np.testing.assert_array_equal(np.rint(x * 255), fastgen.data.digits()[0])
    assert set(y) == set(range(10))
