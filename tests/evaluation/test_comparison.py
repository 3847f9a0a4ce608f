import numpy as np
import pytest

import fastgen.data
from fastgen.evaluation import compare, feature_extractor, frechet_distance
from fastgen.evaluation.comparison import frechet_floor
from tests.real_images import real_images

NOISE = np.random.RandomState(5)


def noises(x):
    """Uniform, and normal with each pixel's mean and deviation."""
    yield NOISE.random_sample(x.shape)
    yield np.clip(x.mean(0) + x.std(0) * NOISE.normal(size=x.shape), 0, 1)


def check_measures(seen, unseen, extractor):
    """All that must hold of real images, and of others of the same kind in a generator's place."""
    (x, y), (real, _) = seen, unseen
    held_out = compare(real, x, extractor)
    assert held_out.frechet_distance < 2 * held_out.frechet_floor
    assert abs(held_out.kernel_distance) < 3 * held_out.kernel_distance_std
    assert min(held_out.precision, held_out.recall) > 0.8

    for noise in noises(real):
        far = compare(real, noise, extractor)
        assert far.frechet_distance > 20 * held_out.frechet_distance
        assert far.kernel_distance > 10 * held_out.kernel_distance_std
        assert far.recall < 0.05 and far.precision < held_out.precision - 0.1

    some, fewer = compare(real, x[y < 5], extractor), compare(real, x[: sum(y < 5)], extractor)
    assert abs(some.precision - fewer.precision) < 0.07
    assert some.recall < fewer.recall - 0.25
    assert some.frechet_distance > 3 * fewer.frechet_distance


def test_measures_of_digits(digits, extractor):
    check_measures(*((x[:600], y[:600]) for x, y in digits), extractor)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist_10k", "fashion_mnist_900"])
def test_measures_of_real_images(name):
    parts = fastgen.data.load(real_images(name), validation_split=0.5)
    seen, unseen = ((x[:1500], y[:1500]) for x, y in parts)
    images, labels = (np.concatenate(pair) for pair in zip(seen, unseen, strict=True))
    extractor = feature_extractor(images, labels, cache=False)
    assert extractor.accuracy > {"mnist_10k": 0.93, "fashion_mnist_900": 0.7}[name]
    check_measures(seen, unseen, extractor)


def test_images_and_themselves(digits, extractor):
    x = digits[1][0][:100]
    same = compare(x, x, extractor)
    assert same.precision == same.recall == 1
    assert abs(same.frechet_distance) < 1e-6 < same.frechet_floor


def test_counts_are_stated(digits, extractor):
    (x, _), (real, _) = digits
    result = compare(real[:200], x[:100], extractor)
    assert (result.real_count, result.generated_count) == (200, 100)
    assert result.note.startswith("200 real and 100 generated images: ")
    assert f"about {result.frechet_floor:.2g}, not 0" in result.note
    assert result.accuracy == extractor.accuracy
    assert compare(real[:200], x[:100], extractor) == result


@pytest.mark.parametrize(("n", "m"), [(1000, 1000), (1000, 100), (100, 1000)])
def test_the_floor_is_what_a_perfect_generator_gets(n, m):
    def draw(count, seed):
        return np.random.RandomState(seed).normal(size=(count, 8))

    pairs = [(draw(n, i), draw(m, 100 + i)) for i in range(20)]
    found = np.mean([frechet_distance(a, b) for a, b in pairs])
    floor = np.mean([frechet_floor(a, m) for a, _ in pairs])
    assert 0.8 < floor / found < 1.25


def test_any_function_can_extract():
    x = NOISE.random_sample((50, 4, 4))
    result = compare(x, x, extractor=lambda images: images.reshape(-1, 16))
    assert result.precision == 1 and np.isnan(result.accuracy)


def test_too_few_images():
    with pytest.raises(ValueError, match=r"compare: .* at least 8 .* Received: 9 real and 7"):
        compare(np.zeros((9, 4, 4)), np.zeros((7, 4, 4)))
