"""The losses and metrics of a training, epoch by epoch."""

import math

import numpy as np
from matplotlib.ticker import MaxNLocator

from fastgen.plots.page import finish, new_figure

WIDTH, HEIGHT = 420, 300  # pixels of a panel
COLUMNS = 3
VALIDATION = "val_"


def history(logs, path=None, *, validation_freq=1):
    """Draws every quantity that `fit` logged against the epochs, its validation beside it.

    Example:
    >>> import fastgen.plots
    >>> logs = {"loss": [210.0, 170.0, 160.0], "val_loss": [180.0, 168.0, 163.0]}
    >>> figure = fastgen.plots.history(logs, path="history.png")

    Args:
        logs: What `fit` returns, or its `history`: a list of numbers for each name. Names that
            begin with `val_` are drawn into the panel of the name without it.
        path: `.png` to write.
        validation_freq: As it was given to `fit`.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: No logs, values that are not numbers, or series that do not fit each other.
    """
    logs = getattr(logs, "history", logs)
    series = {name: np.asarray(values, "float64") for name, values in logs.items()}
    names = list(dict.fromkeys(name.removeprefix(VALIDATION) for name in series))
    if not names or any(values.ndim != 1 or not len(values) for values in series.values()):
        raise ValueError(f"history: logs must hold lists of numbers. Received: {logs!r}")
    columns = min(COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = new_figure(columns * WIDTH, rows * HEIGHT, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    epochs = max(map(len, series.values()))
    margin = max(0.5, epochs / 25)
    for axes, name in zip(panels, names, strict=False):
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlim(1 - margin, epochs + margin)
        for key, label, step in (
            (name, "training", 1),
            (VALIDATION + name, "validation", validation_freq),
        ):
            if key in series:
                _check_length(key, len(series[key]), epochs // step)
                at = step * np.arange(1, len(series[key]) + 1)
                axes.plot(at, series[key], label=label, marker="o", markersize=3)
        if VALIDATION + name in series:
            axes.legend(frameon=False)
    for axes in list(figure.axes)[len(names) :]:
        axes.remove()
    return finish(figure, path)


def _check_length(name, length, expected):
    if length != expected:
        raise ValueError(
            f"history: {name} must have {expected} values, one for each epoch that logs it "
            f"(validation_freq says which). Received: {length}"
        )
