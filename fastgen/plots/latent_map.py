"""Where images lie in the latent space."""

import numpy as np
from matplotlib import colormaps
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from fastgen.plots.model_output import encode
from fastgen.plots.page import DPI, finish, new_figure
from fastgen.plots.pictures import as_pictures

SIZE = 900  # pixels of a side
# t-SNE takes 6 s for so many on one core, and 12 s for half as many again.
MOST = 1000
THUMBNAIL = 28  # pixels that a thumbnail's longer side has
APART = 0.045  # of the map's side: thumbnails are no nearer


def latent_map(model, images, labels=None, seed=0, path=None):
    """Draws the mean codings of images as points, some of them as thumbnails.

    With two codings they are the axes. More are laid out by t-SNE (scikit-learn), of which near
    points mean similar codings, and distances and axes mean nothing. A single coding is drawn
    against the fraction of the images that lie below it.

    Example:
    >>> import fastgen.data
    >>> import fastgen.models
    >>> import fastgen.plots
    >>> _, (images, labels) = fastgen.data.load("digits")
    >>> vae = fastgen.models.variational_autoencoder((28, 28), codings=2, seed=0)
    >>> figure = fastgen.plots.latent_map(vae, images, labels, path="map.png")

    Args:
        model: Has `encode(images)`.
        images: As the model takes them; uint8 is divided by 255. Of more than 1000, so many are
            chosen by the seed.
        labels: Classes `[n]`, which give the points their colours, or None.
        seed: Of the choice and of t-SNE; the same seed draws the same map.
        path: `.png` to write.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: Images that cannot be shown, labels of another number, or codings that are not
            finite.
    """
    images, labels = np.asarray(images), check_labels("latent_map", labels, len(images))
    if len(images) > MOST:
        # RandomState: NumPy promises that its stream never changes between versions.
        chosen = np.sort(np.random.RandomState(seed).permutation(len(images))[:MOST])
        images, labels = images[chosen], None if labels is None else labels[chosen]
    pictures = as_pictures("latent_map", images)
    codings = encode("latent_map", model, images)
    if not np.isfinite(codings).all():
        raise ValueError("latent_map: codings must be finite. Received: NaN or infinity")
    points, names = layout(codings, seed)
    figure = new_figure(SIZE, SIZE, layout="constrained")
    axes = figure.add_subplot(xlabel=names[0], ylabel=names[1])
    if not names[0]:
        axes.set(xticks=[], yticks=[])
    colours = _scatter(axes, points, labels)
    _thumbnails(axes, points, pictures, colours)
    return finish(figure, path)


def check_labels(op, labels, n):
    """Labels as an array with one for each image, or None."""
    if labels is None:
        return None
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise ValueError(
            f"{op}: labels must be one for each of the {n} images. Received: shape {labels.shape}"
        )
    return labels


def layout(codings, seed):
    """Codings in two dimensions, and what the axes are called."""
    n, count = codings.shape
    if count == 2:
        return codings, ("coding 0", "coding 1")
    if count == 1:
        below = np.argsort(np.argsort(codings[:, 0], kind="stable")) / n
        return np.stack([codings[:, 0], below], 1), ("coding 0", "fraction of the images below")
    if n < 4:
        return codings[:, :2], ("coding 0", "coding 1")  # too few for t-SNE to have neighbours
    return t_sne(codings, seed), ("", "")


def t_sne(codings, seed):
    """Two dimensions in which neighbours stay neighbours (van der Maaten and Hinton 2008)."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30, (len(codings) - 1) / 3)
    # Sums of several threads come in any order, and t-SNE makes another map of another rounding.
    with threadpool_limits(1):
        return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(codings)


def _scatter(axes, points, labels):
    """Draws the points, with a legend of the classes; returns each point's colour."""
    small = {"s": 10, "linewidths": 0}
    if labels is None:
        axes.scatter(*points.T, color="tab:blue", **small)
        return np.tile(colormaps["tab10"](0), (len(points), 1))
    classes, numbers = np.unique(labels, return_inverse=True)
    palette = colormaps["tab10" if len(classes) <= 10 else "tab20"]
    if len(classes) > 20:
        palette = colormaps["viridis"].resampled(len(classes))
    colours = palette(numbers % palette.N)
    axes.scatter(*points.T, color=colours, **small)
    if len(classes) <= 20:
        handles = [
            axes.scatter([], [], color=palette(number), label=str(name))
            for number, name in enumerate(classes)
        ]
        axes.figure.legend(handles=handles, loc="outside right upper", frameon=False)
    return colours


def _thumbnails(axes, points, pictures, colours):
    """Draws images at their points, in frames of their colours, none on top of another."""
    low, high = points.min(0), points.max(0)
    placed = (points - low) / np.where(high > low, high - low, 1)
    zoom = THUMBNAIL / max(pictures.shape[1:3]) * 72 / DPI
    kept = np.empty((0, 2))
    for point, place, picture, colour in zip(points, placed, pictures, colours, strict=True):
        if len(kept) and np.abs(kept - place).max(1).min() < APART:
            continue
        kept = np.vstack([kept, place])
        image = OffsetImage(picture, zoom=zoom)
        frame = {"edgecolor": colour, "linewidth": 1.5}
        axes.add_artist(AnnotationBbox(image, point, pad=0.1, bboxprops=frame))
