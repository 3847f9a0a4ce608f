"""Precision and recall of a set of samples, by the distances to nearest neighbours."""

from typing import NamedTuple

import numpy as np

from fastgen.evaluation.distances import check_features

# Distances held at a time: 32 MiB of float64, whatever the number of samples.
BLOCK = 4 << 20


class PrecisionRecall(NamedTuple):
    """Shares in [0, 1]."""

    precision: float
    recall: float


def precision_recall(real, generated, k=3):
    """How many generated samples look real, and how much of the real set is generated.

    A set's manifold is the union of balls round its samples, each reaching to the sample's k-th
    nearest neighbour in the set. Precision: the share of generated samples in the real manifold.
    Recall: the share of real samples in the generated one. Dropped modes lower recall alone. A
    smaller set has larger balls: compare values only between sets of equal counts.

    Example:
    >>> import numpy as np
    >>> from fastgen.evaluation import precision_recall
    >>> two_modes = np.random.RandomState(0).normal(size=(400, 2)) + np.repeat([[0], [9]], 200, 0)
    >>> one_mode = np.random.RandomState(1).normal(size=(400, 2))
    >>> precision, recall = precision_recall(two_modes, one_mode)
    >>> precision > 0.9, recall < 0.5
    (True, True)

    Args:
        real: Features `[n, d]`, n > k, finite.
        generated: Features `[m, d]`, m > k, finite.
        k: Which neighbour sets a ball's radius, at least 1.

    Returns:
        `PrecisionRecall(precision, recall)`, floats in [0, 1].

    Raises:
        ValueError: Wrong shapes, too few samples, NaN or infinity.

    Source: Kynkäänniemi et al., 2019, Improved Precision and Recall Metric.
    """
    if k < 1:
        raise ValueError(f"precision_recall: k must be at least 1. Received: {k}")
    real, generated = check_features("precision_recall", real, generated, least=k + 1)
    # The squares lose what the offset has in common: centred, they lose less.
    centre = real.mean(0)
    real, generated = real - centre, generated - centre
    return PrecisionRecall(
        _share_inside(generated, real, _radii(real, k)),
        _share_inside(real, generated, _radii(generated, k)),
    )


def _radii(x, k):
    """Squared distance from each row to its k-th nearest other row."""
    radii = np.empty(len(x))
    for rows, distances in _blocks(x, x):
        distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = np.inf
        radii[rows] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radii


def _share_inside(x, centres, radii):
    """Share of the rows of x that lie in at least one ball."""
    inside = sum((distances <= radii).any(1).sum() for _, distances in _blocks(x, centres))
    return float(inside / len(x))


def _blocks(x, y):
    """Slices of rows of x, each with its squared distances to all rows of y."""
    step = max(1, BLOCK // len(y))
    squares = np.square(y).sum(1)
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        distances = np.square(x[rows]).sum(1)[:, None] + squares - 2 * (x[rows] @ y.T)
        yield rows, np.maximum(distances, 0)
