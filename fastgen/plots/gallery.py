"""Figures on one sheet."""

import numpy as np
from PIL import Image

from fastgen.plots.page import FONT, MARGIN, TITLE, finish, new_figure, text_width


def gallery(figures, columns=2, path=None):
    """Draws figures on one sheet, each under its title.

    Each goes into the column that is the shortest so far. Figures wider than the narrowest column
    that fits most of them are reduced; none is enlarged.

    Example:
    >>> import fastgen.data
    >>> import fastgen.plots
    >>> _, (images, _) = fastgen.data.load("digits")
    >>> figures = {f"From {i}": fastgen.plots.image_grid(images[i : i + 9]) for i in (0, 9, 18)}
    >>> figure = fastgen.plots.gallery(figures, path="gallery.png")

    Args:
        figures: `matplotlib.figure.Figure` by title, such as the other plots return.
        columns: Columns of the sheet.
        path: `.png` to write.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: No figures, or columns below 1.
    """
    if not figures or columns < 1:
        raise ValueError(
            "gallery: figures must be one or more, columns at least 1. "
            f"Received: {len(figures)} figures, columns={columns}"
        )
    pictures = {title: _rendered(figure) for title, figure in figures.items()}
    width = int(np.quantile([x.width for x in pictures.values()], 0.75))
    width = max(width, *(text_width(title) + 2 * MARGIN for title in figures))
    heights, placed = [MARGIN] * min(columns, len(figures)), []
    for title, picture in pictures.items():
        if picture.width > width:
            height = round(picture.height * width / picture.width)
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        column = heights.index(min(heights))
        placed.append((title, picture, MARGIN + column * (width + MARGIN), heights[column]))
        heights[column] += TITLE + picture.height + MARGIN
    sheet = new_figure(MARGIN + len(heights) * (width + MARGIN), max(heights))
    for title, picture, left, top in placed:
        _draw(sheet, title, picture, left, top)
    return finish(sheet, path)


def _rendered(figure):
    figure.canvas.draw()
    return Image.fromarray(np.asarray(figure.canvas.buffer_rgba()).copy())


def _draw(sheet, title, picture, left, top):
    """Draws a picture with its title; `left` and `top` are pixels from the upper left corner."""
    width, height = sheet.get_size_inches() * sheet.dpi
    below = height - top - TITLE - picture.height
    box = (left / width, below / height, picture.width / width, picture.height / height)
    axes = sheet.add_axes(box, label=f"{title}@{left},{top}")
    axes.set_axis_off()
    axes.imshow(np.asarray(picture), interpolation="nearest", aspect="auto")
    at = {"x": (left + MARGIN) / width, "y": 1 - (top + TITLE / 2) / height}
    sheet.text(**at, s=title, fontsize=FONT, va="center", weight="bold")
