"""What a model can do, on one page."""

import numpy as np

from fastgen.plots.grid import RECONSTRUCTIONS, reconstruction_block, rows_of
from fastgen.plots.interpolation import interpolation_block
from fastgen.plots.latent_map import check_labels
from fastgen.plots.model_output import generate
from fastgen.plots.page import Block, finish, page
from fastgen.plots.pictures import as_pictures

COLUMNS = RECONSTRUCTIONS
SAMPLE_ROWS = 5
LINES = 3


def contact_sheet(model, images, labels=None, path=None, seed=0):
    """Draws samples, reconstructions and interpolations on one page.

    Example:
    >>> import fastgen.data
    >>> import fastgen.models
    >>> import fastgen.plots
    >>> _, (images, labels) = fastgen.data.load("digits")
    >>> vae = fastgen.models.variational_autoencoder((28, 28), seed=0)
    >>> figure = fastgen.plots.contact_sheet(vae, images, labels, path="contact_sheet.png")

    Args:
        model: Has `encode(images)`, `decode(codings)` and `generate(n, seed)`, such as
            `fastgen.models.VariationalAutoencoder`.
        images: As the model takes them, best some that it was not trained on; uint8 is divided by
            255. With one image there are no interpolations.
        labels: Classes `[n]`: the images are then taken from all classes in turn. Otherwise they
            are the first.
        path: `.png` to write.
        seed: Of the samples; the same seed draws the same page.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: A model without these methods, images that cannot be shown, or labels of another
            number.
    """
    op = "contact_sheet"
    images = np.asarray(images)
    labels = check_labels(op, labels, len(images))
    images = images[in_turn(labels, COLUMNS) if labels is not None else slice(COLUMNS)]
    drawn = as_pictures(op, generate(op, model, SAMPLE_ROWS * COLUMNS, seed))
    # No labels at the left: they would push aside all that has none.
    pairs = reconstruction_block(op, model, images)
    pairs.title, pairs.labels = "Images, and below them their reconstructions", []
    blocks = [Block(rows_of(drawn, COLUMNS), "Samples from the prior"), pairs]
    lines = min(LINES, len(images) // 2)
    if lines:
        starts, ends = images[:lines], images[lines : 2 * lines]
        title = "Interpolation between two images"
        blocks.append(interpolation_block(op, model, starts, ends, COLUMNS - 2, title=title))
    return finish(page(blocks), path)


def in_turn(labels, count):
    """Row numbers of so many images: the first of each class, then the second of each."""
    _, classes = np.unique(labels, return_inverse=True)
    seen = np.zeros(len(labels), int)
    for number in range(classes.max(initial=-1) + 1):
        of_class = classes == number
        seen[of_class] = np.arange(of_class.sum())
    return np.lexsort((classes, seen))[:count]
