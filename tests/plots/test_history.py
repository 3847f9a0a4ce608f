import numpy as np
import pytest

import fastgen.plots

LOGS = {
    "loss": [3.0, 2.0, 1.5, 1.2],
    "kl": [0.1, 0.2, np.nan, 0.4],
    "val_loss": [3.5, 2.5, 2.0, 1.9],
    "beta": [0.0, 0.5, 1.0, 1.0],
}


def lines(axes):
    return {line.get_label(): line.get_xydata().T.tolist() for line in axes.get_lines()}


def test_a_panel_for_each_quantity():
    figure = fastgen.plots.history(LOGS)
    assert [axes.get_title() for axes in figure.axes] == ["loss", "kl", "beta"]
    epochs = [1, 2, 3, 4]
    assert lines(figure.axes[0]) == {
        "training": [epochs, LOGS["loss"]],
        "validation": [epochs, LOGS["val_loss"]],
    }
    assert lines(figure.axes[2]) == {"training": [epochs, LOGS["beta"]]}
    assert [axes.get_legend() is not None for axes in figure.axes] == [True, False, False]


def test_what_fit_returns():
    class History:
        history = LOGS

    figure = fastgen.plots.history(History())
    assert lines(figure.axes[0]) == lines(fastgen.plots.history(LOGS).axes[0])


def test_validation_alone():
    (axes,) = fastgen.plots.history({"val_loss": [2.0, 1.0]}).axes
    assert axes.get_title() == "loss"
    assert lines(axes) == {"validation": [[1, 2], [2.0, 1.0]]}


def test_validation_now_and_then():
    logs = {"loss": list(range(10)), "val_loss": [7.0, 8.0, 9.0]}
    (axes,) = fastgen.plots.history(logs, validation_freq=3).axes
    assert lines(axes)["validation"] == [[3, 6, 9], [7.0, 8.0, 9.0]]
    with pytest.raises(ValueError, match=r"history: val_loss must have 10 values.*Received: 3"):
        fastgen.plots.history(logs)


@pytest.mark.parametrize("epochs", [1, 2, 7, 200])
def test_ticks_are_whole_epochs(epochs):
    (axes,) = fastgen.plots.history({"loss": [1.0] * epochs}).axes
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks and all(tick == round(tick) for tick in ticks)


@pytest.mark.parametrize("logs", [{}, {"loss": 3.0}, {"loss": [[1.0]]}, {"loss": []}])
def test_what_cannot_be_drawn(logs):
    with pytest.raises(ValueError, match=r"history: logs must hold lists of numbers\. Received"):
        fastgen.plots.history(logs)
