"""Several figures on one sheet."""

import numpy as np
import pytest

import fastgen.plots
from fastgen.plots.page import new_figure
from tests.plots.cases import shown, texts


def plain(width, height, colour):
    return new_figure(width, height, facecolor=colour)


def test_each_figure_is_there_whole_under_its_title():
    figures = {"Red": plain(100, 50, "red"), "Green": plain(90, 70, "lime")}
    figures |= {"Blue": plain(95, 40, "blue")}
    sheet = fastgen.plots.gallery(figures, columns=2)
    assert texts(sheet) == list(figures)
    sizes = [shown(sheet, i).shape[:2] for i in range(3)]
    assert sizes[1:] == [(70, 90), (40, 95)] and sizes[0] == (
        48,
        97,
    )  # reduced to the 0.75 quantile
    for i, channel in enumerate(range(3)):
        colours = np.unique(shown(sheet, i).reshape(-1, 4), axis=0)
        assert colours.tolist() == [[255 * (c in (channel, 3)) for c in range(4)]]
    boxes = [axes.bbox for axes in sheet.axes]
    assert boxes[2].x0 == boxes[0].x0 and boxes[2].y1 < boxes[0].y0  # into the shorter column


def test_more_columns_than_figures_and_a_long_title():
    sheet = fastgen.plots.gallery(
        {"A title that is wider than its figure": plain(20, 20, "red")}, 5
    )
    sheet.draw_without_rendering()
    box = sheet.texts[0].get_window_extent(sheet.canvas.get_renderer())
    assert box.x0 >= 0 and box.x1 <= sheet.canvas.get_width_height()[0]


@pytest.mark.parametrize(("figures", "columns"), [({}, 2), ({"a": plain(9, 9, "red")}, 0)])
def test_refusals(figures, columns):
    with pytest.raises(ValueError, match=f"Received: {len(figures)} figures, columns={columns}"):
        fastgen.plots.gallery(figures, columns)
