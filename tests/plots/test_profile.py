import pytest

import fastgen.plots
from fastgen.plots.profile import COLOURS, MOST, STOCK


def row(op="kl", path="fused", total=2e-3, **more):
    return {"op": op, "path": path, "shape": "9×4", "total": total, **more}


def bars(axes):
    """Of each bar its place, its length and its colour, as matplotlib reads colours."""
    return [
        (round(b.get_y() + b.get_height() / 2), b.get_width(), b.get_facecolor())
        for b in axes.patches
    ]


def colour(name):
    from matplotlib.colors import to_rgba

    return to_rgba(name)


def test_bars_are_times_and_shares():
    rows = [
        row("a", total=1e-3, stock=3.0, share=0.25, bound="memory"),
        row("b", "composite", 4e-3),
        row("c", "stock", 2e-3),
    ]
    times, shares = fastgen.plots.profile(rows).axes
    assert [t.get_text() for t in times.get_yticklabels()] == ["b 9×4", "c 9×4", "a 9×4"]
    assert bars(times) == [
        (0, 4.0, colour(COLOURS["composite"])),
        (1, 2.0, colour(COLOURS["stock"])),
        (2, 3.0, colour(STOCK)),
        (2, 1.0, colour(COLOURS["fused"])),
    ]
    assert times.get_xlabel() == "ms" and [t.get_text() for t in times.texts] == [" 3.0×"]
    assert bars(shares) == [(2, 25.0, colour(COLOURS["fused"]))]
    assert [t.get_text() for t in shares.texts] == [" 25% memory"]
    assert times.get_ylim()[0] > times.get_ylim()[1]  # the first on top


def test_those_of_the_most_time():
    rows = [row(f"op{i}", total=1e-6 * (i + 1)) for i in range(2 * MOST)]
    times, _ = fastgen.plots.profile(rows).axes
    labels = [t.get_text() for t in times.get_yticklabels()]
    assert len(labels) == MOST and labels[0].startswith(f"op{2 * MOST - 1} ")
    assert times.get_xlabel() == "µs"
    times, _ = fastgen.plots.profile([row("long"), row("short", total=1e-5)]).axes
    assert [t.get_text() for t in times.get_yticklabels()] == ["long 9×4"]


@pytest.mark.parametrize("share", [0.01, 0.5, 1.2, 3.0])
def test_texts_stay_in_the_picture(share):
    """A ratio or a share beyond the others has its text beside it all the same."""
    more = {"stock": 40.0, "share": share, "bound": "arithmetic"}
    figure = fastgen.plots.profile([row("gaussian_sample_kl_grad", **more), row(total=1e-3)])
    figure.draw_without_rendering()
    renderer, width = figure.canvas.get_renderer(), figure.canvas.get_width_height()[0]
    for axes in figure.axes:
        for text in (*axes.texts, *axes.get_yticklabels()):
            box = text.get_window_extent(renderer)
            assert box.x0 >= 0 and box.x1 <= width, text


def test_no_rows():
    with pytest.raises(ValueError, match=r"^profile: rows must be .* Received: 0$"):
        fastgen.plots.profile([])
