"""Walks and arithmetic in a latent space. NumPy alone: codings in, codings out."""

import numbers

import numpy as np


def interpolate(start, end, steps, kind="linear"):
    """Codings on the way from one to another, both ends exact.

    `(1 - t) * start + t * end`, or on the arc between them,
    `(sin((1 - t) ω) * start + sin(t ω) * end) / sin ω`, where ω is their angle.

    Example:
    >>> from fastgen.models import latent_space
    >>> latent_space.interpolate([0.0, 1.0], [1.0, 0.0], steps=3)
    array([[0. , 1. ],
           [0.5, 0.5],
           [1. , 0. ]])

    Args:
        start: `(codings,)` array.
        end: `(codings,)` array.
        steps: integer ≥ 2, both ends counted.
        kind: `"linear"`, or `"spherical"`, which keeps to the norms that a Gaussian prior has in
            many dimensions. Where the angle is 0 or π there is no one arc, and a line is taken.

    Returns:
        `(steps, codings)` array, of the dtype of the codings if it is a float and float64 if not.

    Raises:
        ValueError: if the ends are no vectors of one length, or another argument is out of range.

    Source: Shoemake (1985), Animating Rotation with Quaternion Curves; in latent spaces: White
    (2016), Sampling Generative Networks, https://arxiv.org/abs/1609.04468.
    """
    start, end = _floats(start, end)
    if start.ndim != 1 or start.shape != end.shape:
        raise ValueError(
            "interpolate: start and end must be vectors of one length. "
            f"Received: shapes {start.shape} and {end.shape}"
        )
    _check_count("interpolate", "steps", steps, 2)
    if kind not in ("linear", "spherical"):
        raise ValueError(f"interpolate: kind must be 'linear' or 'spherical'. Received: {kind!r}")
    t = np.linspace(0, 1, steps)[:, None]
    a, b = 1 - t, t
    if kind == "spherical":
        a, b = _arc(start.astype("float64"), end.astype("float64"), a, b)
    path = (a * start + b * end).astype(start.dtype)
    path[0], path[-1] = start, end
    return path


def interpolation_grid(corners, rows, columns):
    """Codings between four corners, which are exact: bilinear interpolation.

    Example:
    >>> from fastgen.models import latent_space
    >>> corners = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    >>> latent_space.interpolation_grid(corners, rows=3, columns=2)[1]
    array([[0.5, 0. ],
           [0.5, 1. ]])

    Args:
        corners: `(4, codings)` array: top left, top right, bottom left, bottom right.
        rows: integer ≥ 2.
        columns: integer ≥ 2.

    Returns:
        `(rows, columns, codings)` array, of the dtype of the corners if it is a float and float64
        if not.

    Raises:
        ValueError: if an argument is out of its range.
    """
    (corners,) = _floats(corners)
    if corners.ndim != 2 or len(corners) != 4:
        raise ValueError(
            f"interpolation_grid: corners must be (4, codings). Received: shape {corners.shape}"
        )
    _check_count("interpolation_grid", "rows", rows, 2)
    _check_count("interpolation_grid", "columns", columns, 2)
    top_left, top_right, bottom_left, bottom_right = corners
    left = interpolate(top_left, bottom_left, rows)
    right = interpolate(top_right, bottom_right, rows)
    lines = zip(left, right, strict=True)
    return np.stack([interpolate(start, end, columns) for start, end in lines])


def attribute_vector(codings, has_attribute):
    """The direction of an attribute: mean of the codings that have it, minus mean of the others.

    Example:
    >>> from fastgen.models import latent_space
    >>> latent_space.attribute_vector([[1.0, 0.0], [3.0, 0.0], [0.0, 1.0]], [True, True, False])
    array([ 2., -1.])

    Args:
        codings: `(n, codings)` array.
        has_attribute: `(n,)` array of bool.

    Returns:
        `(codings,)` array, to be added to a coding that is to get the attribute.

    Raises:
        ValueError: if there is not one bool for each coding, or all of them are equal.

    Source: Larsen et al. (2016), Autoencoding beyond pixels, https://arxiv.org/abs/1512.09300,
    section 4.2.
    """
    (codings,) = _floats(codings)
    has_attribute = np.asarray(has_attribute)
    fits = codings.ndim == 2 and has_attribute.shape == codings.shape[:1]
    if not fits or has_attribute.dtype != bool:
        raise ValueError(
            "attribute_vector: codings must be (n, codings) and has_attribute n times bool. "
            f"Received: {codings.shape}, and {has_attribute.dtype} of shape {has_attribute.shape}"
        )
    if has_attribute.all() or not has_attribute.any():
        raise ValueError(
            "attribute_vector: some codings must have the attribute and some not. "
            f"Received: {has_attribute.sum()} of {len(has_attribute)} that have it"
        )
    with_it = codings[has_attribute].mean(axis=0, dtype="float64")
    without = codings[~has_attribute].mean(axis=0, dtype="float64")
    return (with_it - without).astype(codings.dtype)


def _arc(start, end, a, b):
    """The factors of both ends on the arc; those of the line where there is no one arc."""
    norms = np.linalg.norm(start) * np.linalg.norm(end)
    if norms == 0:
        return a, b
    angle = np.arccos(np.clip(start @ end / norms, -1, 1))
    if np.sin(angle) < 1e-6:
        return a, b
    return np.sin(a * angle) / np.sin(angle), np.sin(b * angle) / np.sin(angle)


def _floats(*arrays):
    arrays = [np.asarray(x) for x in arrays]
    dtype = np.result_type(*arrays)
    return [x.astype(dtype if dtype.kind == "f" else "float64") for x in arrays]


def _check_count(function, name, value, least):
    if not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{function}: {name} must be an integer ≥ {least}. Received: {value!r}")
