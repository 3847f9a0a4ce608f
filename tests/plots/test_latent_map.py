import importlib

import numpy as np
import pytest
from matplotlib.offsetbox import AnnotationBbox

import fastgen.plots
from tests.plots.cases import PrincipalComponents


def points(figure):
    return np.asarray(figure.axes[0].collections[0].get_offsets())


def thumbnails(figure):
    return [a for a in figure.axes[0].get_children() if isinstance(a, AnnotationBbox)]


class Codes(PrincipalComponents):
    """Encodes images as what it was given."""

    def __init__(self, codes):
        self.codes = codes

    def encode(self, x):
        return self.codes[: len(x)]


IMAGES = np.random.RandomState(0).random_sample((90, 6, 6))


def test_two_codings_are_the_axes(digits):
    model = PrincipalComponents(digits[0], codings=2)
    figure = fastgen.plots.latent_map(model, digits[0])
    np.testing.assert_allclose(points(figure), model.encode(digits[0]), rtol=1e-5)
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("coding 0", "coding 1")


def test_one_coding_is_drawn_against_its_rank():
    codes = np.random.RandomState(1).normal(size=(90, 1)).astype("float32")
    x, y = points(fastgen.plots.latent_map(Codes(codes), IMAGES)).T
    np.testing.assert_array_equal(x, codes[:, 0])
    np.testing.assert_array_equal(y, [np.mean(codes < code) for code in codes[:, 0]])


def test_more_codings_keep_their_neighbours():
    """Three groups, far apart in eight dimensions, are three groups on the map."""
    rng = np.random.RandomState(2)
    group = np.repeat(np.arange(3), 30)
    codes = 20 * rng.normal(size=(3, 8))[group] + rng.normal(size=(90, 8))
    figure = fastgen.plots.latent_map(Codes(codes), IMAGES, group, seed=1)
    at = points(figure)
    distances = np.linalg.norm(at[:, None] - at, axis=-1) + 1e9 * np.eye(90)
    assert (group[distances.argmin(1)] == group).all()
    assert figure.axes[0].get_xticks().size == 0  # the axes of t-SNE mean nothing


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_few_images(n):
    codes = np.random.RandomState(3).normal(size=(n, 6))
    assert points(fastgen.plots.latent_map(Codes(codes), IMAGES[:n])).shape == (n, 2)


def test_the_same_point_for_all():
    """A collapsed encoder: one thumbnail, and no division by zero."""
    figure = fastgen.plots.latent_map(Codes(np.zeros((90, 2))), IMAGES)
    assert len(thumbnails(figure)) == 1


def test_many_images_are_thinned_by_the_seed(monkeypatch, digits):
    # The package has a function of the module's name.
    monkeypatch.setattr(importlib.import_module("fastgen.plots.latent_map"), "MOST", 40)
    model = PrincipalComponents(digits[0], codings=2)
    a, b, c = (
        points(fastgen.plots.latent_map(model, *digits, seed=seed)).tolist() for seed in (0, 0, 1)
    )
    assert a == b != c and len(a) == 40
    everything = points(fastgen.plots.latent_map(model, digits[0][:40])).shape
    assert everything == (40, 2)


def test_colours_are_those_of_the_labels(digits):
    model = PrincipalComponents(digits[0], codings=2)
    figure = fastgen.plots.latent_map(model, *digits)
    labels = digits[1]
    colours = figure.axes[0].collections[0].get_facecolors()
    assert len(np.unique(colours, axis=0)) == 10
    for label in range(10):
        assert len(np.unique(colours[labels == label], axis=0)) == 1
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [str(i) for i in range(10)]
    for handle, label in zip(legend.legend_handles, range(10), strict=True):
        np.testing.assert_array_equal(handle.get_facecolor()[0], colours[labels == label][0])


@pytest.mark.parametrize("classes", [11, 20, 21, 90])
def test_many_classes(classes):
    codes = np.random.RandomState(4).normal(size=(90, 2))
    figure = fastgen.plots.latent_map(Codes(codes), IMAGES, np.arange(90) % classes)
    colours = figure.axes[0].collections[0].get_facecolors()
    assert len(np.unique(colours, axis=0)) == classes
    assert len(figure.legends) == (classes <= 20)


@pytest.mark.parametrize("shape", [(40, 40), (10, 40), (300, 200)])
def test_thumbnails_lie_apart(shape):
    images = np.random.RandomState(5).random_sample((90, *shape))
    figure = fastgen.plots.latent_map(Codes(np.random.RandomState(6).normal(size=(90, 2))), images)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [thumbnail.offsetbox.get_window_extent(renderer) for thumbnail in thumbnails(figure)]
    assert len(boxes) > 20
    assert max(boxes[0].width, boxes[0].height) == pytest.approx(28, abs=1)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_wrong_labels():
    codes = np.zeros((90, 2))
    with pytest.raises(ValueError, match=r"latent_map: labels must be one for each of the 90"):
        fastgen.plots.latent_map(Codes(codes), IMAGES, np.arange(89))


def test_codings_that_are_not_finite():
    codes = np.zeros((90, 3))
    codes[4, 1] = np.nan
    with pytest.raises(ValueError, match=r"latent_map: codings must be finite\. Received: NaN"):
        fastgen.plots.latent_map(Codes(codes), IMAGES)
