"""Walks through the latent space: along a line, over a grid, and by arithmetic."""

import importlib

import numpy as np

from fastgen.plots.model_output import decode, encode
from fastgen.plots.page import Block, finish, page
from fastgen.plots.pictures import as_pictures

EXAMPLES = 6


def latent_space():
    """`fastgen.models.latent_space`, loaded here because its package needs TensorFlow."""
    return importlib.import_module("fastgen.models.latent_space")


def interpolation(model, start, end, steps=9, path=None, *, kind="linear"):
    """Draws the images decoded along a line between the codings of two images.

    The two images stand at the ends, outside the line; the numbers above it run from 0 to 1.

    Example:
    >>> import fastgen.data
    >>> import fastgen.models
    >>> import fastgen.plots
    >>> _, (images, _) = fastgen.data.load("digits")
    >>> vae = fastgen.models.variational_autoencoder((28, 28), seed=0)
    >>> figure = fastgen.plots.interpolation(vae, images[0], images[1], path="line.png")

    Args:
        model: Has `encode(images)` and `decode(codings)`.
        start: One image as the model takes it; uint8 is divided by 255.
        end: Another.
        steps: Images on the line, its ends included.
        path: `.png` to write.
        kind: `"linear"` or `"spherical"`, as in `fastgen.models.latent_space.interpolate`.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: Images that differ in shape or cannot be shown, or fewer than two steps.
    """
    ends = stacked("interpolation", start, end)
    block = interpolation_block("interpolation", model, ends[:1], ends[1:], steps, kind)
    return finish(page([block]), path)


def interpolation_block(op, model, starts, ends, steps, kind="linear", title=None):
    """A row for each start and end: the start, the decoded line, the end."""
    codings = [
        latent_space().interpolate(start, end, steps, kind=kind)
        for start, end in zip(encode(op, model, starts), encode(op, model, ends), strict=True)
    ]
    between = as_pictures(op, decode(op, model, np.stack(codings)))
    lines = np.split(between, len(codings))
    first, last = as_pictures(op, starts), as_pictures(op, ends)
    rows = [[a, *line, b] for a, line, b in zip(first, lines, last, strict=True)]
    fractions = [f"{t:.2f}".rstrip("0").rstrip(".") for t in np.linspace(0, 1, steps)]
    return Block(rows, title, captions=["input", *fractions, "input"])


def interpolation_grid(model, corners, rows=7, columns=7, path=None):
    """Draws the images decoded on a grid between the codings of four images.

    Example:
    >>> import fastgen.data
    >>> import fastgen.models
    >>> import fastgen.plots
    >>> _, (images, _) = fastgen.data.load("digits")
    >>> vae = fastgen.models.variational_autoencoder((28, 28), seed=0)
    >>> figure = fastgen.plots.interpolation_grid(vae, images[:4], rows=5, path="grid.png")

    Args:
        model: Has `encode(images)` and `decode(codings)`.
        corners: Four images as the model takes them: upper left, upper right, lower left, lower
            right. uint8 is divided by 255.
        rows: Images from top to bottom.
        columns: Images from left to right.
        path: `.png` to write.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: Not four images, images that cannot be shown, or a side below 2.
    """
    op = "interpolation_grid"
    if len(corners) != 4:
        raise ValueError(f"{op}: corners must be four images. Received: {len(corners)}")
    codings = latent_space().interpolation_grid(
        encode(op, model, stacked(op, *corners)), rows, columns
    )
    pictures = as_pictures(op, decode(op, model, codings))
    return finish(page([Block([list(row) for row in np.split(pictures, rows)])]), path)


def latent_arithmetic(model, a, b, c, path=None):
    """Draws what a − b + c is, where each is a set of images: a king − a man + a woman.

    What a has and b has not is the difference of the means of their codings (Radford et al. 2015,
    section 6.3.2), and it is added to the coding of each image of c. Three rows show the sets, up
    to six images each, and last the decoded mean of all of its images; the fourth shows each image
    of c, and their mean, with the difference added.

    Example:
    >>> import fastgen.data
    >>> import fastgen.models
    >>> import fastgen.plots
    >>> _, (images, labels) = fastgen.data.load("digits")
    >>> vae = fastgen.models.variational_autoencoder((28, 28), seed=0)
    >>> eights, threes, fives = (images[labels == digit] for digit in (8, 3, 5))
    >>> figure = fastgen.plots.latent_arithmetic(vae, eights, threes, fives, path="sum.png")

    Args:
        model: Has `encode(images)` and `decode(codings)`.
        a: Images as the model takes them; uint8 is divided by 255.
        b: More of them.
        c: More of them.
        path: `.png` to write.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: A set that is empty or cannot be shown.
    """
    op = "latent_arithmetic"
    sets = [as_pictures(op, images[:EXAMPLES]) for images in (a, b, c)]
    codings = [encode(op, model, images) for images in (a, b, c)]
    has_attribute = np.repeat([True, False], [len(codings[0]), len(codings[1])])
    difference = latent_space().attribute_vector(np.concatenate(codings[:2]), has_attribute)
    means = [z.mean(0, keepdims=True) for z in codings]
    # Each image of c that is shown, then the mean of them all.
    moved = np.concatenate([codings[2][:EXAMPLES], means[2]]) + difference
    decoded = as_pictures(op, decode(op, model, np.concatenate([*means, moved])))
    rows = list(zip(sets, decoded[:3], strict=True))
    rows.append((decoded[3:-1], decoded[-1]))
    rows = [[*pictures, *[None] * (EXAMPLES - len(pictures)), mean] for pictures, mean in rows]
    captions = [""] * EXAMPLES + ["mean"]
    return finish(page([Block(rows, labels=["a", "b", "c", "a − b + c"], captions=captions)]), path)


def stacked(op, *images):
    """Single images as one array."""
    shapes = {np.shape(image) for image in images}
    if len(shapes) > 1:
        raise ValueError(f"{op}: images must be of one shape. Received: {sorted(shapes)}")
    return np.stack(images)
