"""Blocks of pictures on a page, laid out by the pixel: no picture is resampled to fit."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from fastgen.plots.pictures import GAP, cell_size, mosaic

DPI = 100
# All in pixels.
MARGIN = 10
TITLE = 28
CAPTION = 20
FONT = 10  # points


@dataclass
class Block:
    """Rows of pictures under a title.

    Attributes:
        rows: uint8 pictures as `pictures.as_pictures` makes them, a list for each row; None leaves
            a cell empty.
        title: Line above the block, or None.
        labels: One text for each row, at its left; or none at all.
        captions: One text for each column, above it; or none at all.
    """

    rows: list
    title: str | None = None
    labels: list = field(default_factory=list)
    captions: list = field(default_factory=list)

    @property
    def header(self):
        """Pixels above the pictures."""
        return (TITLE if self.title else 0) + (CAPTION if self.captions else 0)


def page(blocks):
    """A figure with the blocks below one another, as large as they need."""
    images = [mosaic(block.rows) for block in blocks]
    left = MARGIN + max(text_width(label) for b in blocks for label in ("", *b.labels))
    left += MARGIN if left > MARGIN else 0
    widest = max(
        *(image.shape[1] for image in images), *(text_width(block.title or "") for block in blocks)
    )
    width = left + widest + MARGIN
    heights = [b.header + image.shape[0] for b, image in zip(blocks, images, strict=True)]
    height = sum(heights) + MARGIN * (len(blocks) + 1)
    figure = new_figure(width, height)
    top = MARGIN
    for block, image, used in zip(blocks, images, heights, strict=True):
        _draw(figure, block, image, left, top)
        top += used + MARGIN
    return figure


def _draw(figure, block, image, left, top):
    """Draws a block whose upper left picture begins at `left` and below `top`."""
    width, height = figure.get_size_inches() * figure.dpi
    rows, columns = image.shape[:2]
    below = height - top - block.header - rows
    box = (left / width, below / height, columns / width, rows / height)
    axes = figure.add_axes(box, label=block.title or "")
    axes.set_axis_off()
    axes.imshow(image, interpolation="nearest", aspect="auto")

    def write(x, y, text, **how):
        figure.text(x / width, 1 - y / height, text, fontsize=FONT, **how)

    if block.title:
        write(left, top + TITLE / 2, block.title, va="center", weight="bold")
    cell_height, cell_width = cell_size(block.rows)
    for number, label in enumerate(block.labels):
        y = top + block.header + number * (cell_height + GAP) + cell_height / 2
        write(left - MARGIN, y, label, ha="right", va="center")
    for number, caption in enumerate(block.captions):
        x = left + number * (cell_width + GAP) + cell_width / 2
        write(x, top + block.header - CAPTION / 2, caption, ha="center", va="center")


def text_width(text):
    """Pixels that a line of text takes."""
    if not text:
        return 0
    # A title is bold, and so wider than regular letters.
    return round(1.15 * TextPath((0, 0), text, size=FONT).get_extents().width * DPI / 72)


def new_figure(width, height, **options):
    """A figure of so many pixels that belongs to no window and no pyplot state."""
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, **options)
    FigureCanvasAgg(figure)
    return figure


def finish(figure, path):
    """Writes a figure as PNG if there is a path; returns the figure.

    The same figure gives the same bytes: the file carries neither a date nor a version. It is
    written beside its place and then moved, so that an interruption never leaves half a picture.
    """
    if path is None:
        return figure
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"path must end in .png. Received: {os.fspath(path)!r}")
    part = path.with_name(path.name + ".part")
    try:
        figure.savefig(part, format="png", dpi="figure", metadata={"Software": None})
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return figure
