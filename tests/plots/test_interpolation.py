import numpy as np
import pytest

import fastgen.plots
from tests.plots.cases import cells, grey, texts
from tests.tolerances import GREY_LEVEL


def test_line_has_the_inputs_at_its_ends(model, digits):
    start, end = digits[0][:2]
    figure = fastgen.plots.interpolation(model, start, end, steps=5)
    z = model.encode(digits[0][:2]).astype("float32")
    codings = [z[0] + t * (z[1] - z[0]) for t in np.linspace(0, 1, 5)]
    expected = grey(np.stack([start, *model.decode(np.array(codings)), end]))
    np.testing.assert_allclose(cells(figure, (1, 7), (56, 56))[0], expected, atol=GREY_LEVEL)
    assert texts(figure) == ["input", "0", "0.25", "0.5", "0.75", "1", "input"]


def test_spherical_line(model, digits):
    start, end = digits[0][:2]
    lines = [
        cells(fastgen.plots.interpolation(model, start, end, 5, kind=kind), (1, 7), (56, 56))[0]
        for kind in ("linear", "spherical")
    ]
    same = [np.array_equal(a, b) for a, b in zip(*lines, strict=True)]
    assert same == [True, True, False, False, False, True, True]


def test_ends_of_different_shapes(model, digits):
    with pytest.raises(ValueError, match=r"interpolation: images must be of one shape\. Received"):
        fastgen.plots.interpolation(model, digits[0][0], digits[0][0][:5])


@pytest.mark.parametrize(("rows", "columns"), [(3, 4), (2, 2)])
def test_grid_has_the_corners(model, digits, rows, columns):
    figure = fastgen.plots.interpolation_grid(model, digits[0][:4], rows, columns)
    pictures = cells(figure, (rows, columns), (56, 56))
    corners = np.stack([pictures[i, j] for i in (0, -1) for j in (0, -1)])
    np.testing.assert_allclose(corners, grey(model.predict(digits[0][:4])), atol=GREY_LEVEL)
    if rows > 2:
        z = model.encode(digits[0][:4])
        halfway = grey(model.decode((z[[0]] + z[[2]]) / 2))[0]
        np.testing.assert_allclose(pictures[1, 0], halfway, atol=GREY_LEVEL)


def test_grid_of_three_corners(model, digits):
    with pytest.raises(ValueError, match=r"interpolation_grid: corners must be four.*Received: 3"):
        fastgen.plots.interpolation_grid(model, digits[0][:3])


def test_arithmetic(model, digits):
    """The linear model's a − b + c in the latent space is that of its images."""
    x, y = digits
    a, b, c = x[y == 8], x[y == 3][:4], x[y == 5]
    figure = fastgen.plots.latent_arithmetic(model, a, b, c)
    pictures = cells(figure, (4, 7), (56, 56))
    np.testing.assert_array_equal(pictures[0, :6], grey(a[:6]))
    np.testing.assert_array_equal(pictures[1, :4], grey(b))
    np.testing.assert_array_equal(pictures[2, :6], grey(c[:6]))
    assert (pictures[1, 4:6] == 255).all()
    means = [model.predict(images).mean(0) for images in (a, b, c)]
    np.testing.assert_allclose(pictures[:3, 6], grey(np.stack(means)), atol=GREY_LEVEL)
    difference = means[0] - means[1]
    np.testing.assert_allclose(
        pictures[3, :6], grey(model.predict(c[:6]) + difference), atol=GREY_LEVEL
    )
    np.testing.assert_allclose(pictures[3, 6], grey(means[2] + difference), atol=GREY_LEVEL)
    assert texts(figure)[:4] == ["a", "b", "c", "a − b + c"]


def test_arithmetic_with_an_empty_set(model, digits):
    with pytest.raises(ValueError, match=r"latent_arithmetic: .* n > 0\. Received: \(0, 28, 28\)"):
        fastgen.plots.latent_arithmetic(model, digits[0], digits[0][:0], digits[0])
