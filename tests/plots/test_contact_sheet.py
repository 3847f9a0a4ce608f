import numpy as np
import pytest

import fastgen.plots
from fastgen.plots.contact_sheet import in_turn
from tests.plots.cases import cells, grey, texts
from tests.tolerances import GREY_LEVEL


def test_three_blocks(model, digits):
    images, labels = digits
    figure = fastgen.plots.contact_sheet(model, images, labels, seed=5)
    assert [axes.get_label() for axes in figure.axes] == [
        "Samples from the prior",
        "Images, and below them their reconstructions",
        "Interpolation between two images",
    ]
    assert {axes.get_label() for axes in figure.axes} < set(texts(figure))
    left, right = {axes.bbox.x0 for axes in figure.axes}, {axes.bbox.x1 for axes in figure.axes}
    assert len(left) == len(right) == 1
    samples = cells(figure, (5, 12), (56, 56), number=0)
    expected = grey(model.generate(60, seed=5))
    np.testing.assert_array_equal(samples.reshape(expected.shape), expected)
    chosen = images[in_turn(labels, 12)]
    pairs = cells(figure, (2, 12), (56, 56), number=1)
    np.testing.assert_array_equal(pairs, grey(np.stack([chosen, model.predict(chosen)])))
    lines = cells(figure, (3, 12), (56, 56), number=2)
    np.testing.assert_array_equal(lines[:, 0], grey(chosen[:3]))
    np.testing.assert_array_equal(lines[:, -1], grey(chosen[3:6]))
    np.testing.assert_allclose(lines[:, 1], grey(model.predict(chosen[:3])), atol=GREY_LEVEL)


@pytest.mark.parametrize(("n", "blocks"), [(1, 2), (2, 3), (5, 3)])
def test_few_images(model, digits, n, blocks):
    figure = fastgen.plots.contact_sheet(model, digits[0][:n])
    assert len(figure.axes) == blocks
    np.testing.assert_array_equal(cells(figure, (2, n), (56, 56), number=1)[0], grey(digits[0][:n]))


def test_images_are_taken_from_all_classes_in_turn():
    labels = np.array([2, 2, 0, 2, 1, 0, 2])
    assert in_turn(labels, 7).tolist() == [2, 4, 0, 5, 1, 3, 6]
    assert in_turn(labels, 2).tolist() == [2, 4]


def test_wrong_labels(model, digits):
    with pytest.raises(ValueError, match=r"contact_sheet: labels must be one for each of the 180"):
        fastgen.plots.contact_sheet(model, digits[0], digits[1][:7])


def test_a_model_without_a_prior(digits):
    with pytest.raises(ValueError, match=r"contact_sheet: model must have generate"):
        fastgen.plots.contact_sheet(object(), digits[0])
