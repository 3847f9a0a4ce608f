"""Distances between two sets of features: Fréchet (FID) and kernel (KID). NumPy, in float64."""

from typing import NamedTuple

import numpy as np


class KernelDistance(NamedTuple):
    """Mean and standard deviation of the squared MMD over the subsets."""

    mean: float
    std: float


def frechet_distance(a, b):
    """Fréchet distance between the Gaussians fitted to two sets of features.

    |μ_a − μ_b|² + tr(C_a + C_b − 2 (C_a C_b)^½), with the unbiased covariances. With X_aᵀX_a = C_a
    the last trace is the sum of the singular values of X_a X_bᵀ, which keeps full precision where a
    matrix square root of a singular product would not.

    Biased upward with few samples, about as 1 / n: compare distances only between sets of equal
    counts, and see `compare`.

    Example:
    >>> import numpy as np
    >>> from fastgen.evaluation import frechet_distance
    >>> a = np.random.RandomState(0).normal(size=(1000, 4))
    >>> abs(frechet_distance(a, a)) < 1e-9, round(frechet_distance(a, a + 1), 6)
    (True, 4.0)

    Args:
        a: Features `[n_a, d]`, n_a ≥ 2, finite.
        b: Features `[n_b, d]`, n_b ≥ 2, finite.

    Returns:
        A float, ≥ 0; 0 for equal sets but for rounding.

    Raises:
        ValueError: Wrong shapes, too few samples, NaN or infinity.

    Source: Dowson and Landau, 1982; Heusel et al., 2017.
    """
    a, b = check_features("frechet_distance", a, b, least=2)
    mean_a, mean_b = a.mean(0), b.mean(0)
    root_a, root_b = _covariance_root(a - mean_a), _covariance_root(b - mean_b)
    cross = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    spread = np.square(root_a).sum() + np.square(root_b).sum()
    # Rounding can leave equal sets a little below 0.
    return max(0.0, float(np.square(mean_a - mean_b).sum() + spread - 2 * cross))


def _covariance_root(centred):
    """R with RᵀR = the covariance: at most `[d, d]`, however many samples there are."""
    return np.linalg.qr(centred, mode="r") / np.sqrt(len(centred) - 1)


def kernel_distance(a, b, subset_size=None, subsets=50, seed=0):
    """Squared maximum mean discrepancy with the kernel (x·y / d + 1)³: unbiased.

    Averaged over random subsets, each drawn without replacement, as Bińkowski et al. do it. A
    subset's value is an unbiased estimate, so the mean does not depend on the number of samples,
    and can be below 0 for sets of one distribution.

    Example:
    >>> import numpy as np
    >>> from fastgen.evaluation import kernel_distance
    >>> a, b = np.random.RandomState(0).normal(size=(2, 500, 4))
    >>> same, other = kernel_distance(a, b), kernel_distance(a, b + 1)
    >>> abs(same.mean) < 2 * same.std, other.mean > 10 * other.std
    (True, True)

    Args:
        a: Features `[n_a, d]`, finite.
        b: Features `[n_b, d]`, finite.
        subset_size: Samples of each set in a subset, at least 2. None: half of the smaller set, at
            most 1000.
        subsets: Number of subsets.
        seed: Chooses the subsets.

    Returns:
        `KernelDistance(mean, std)`, floats; std is the spread of the subsets' values.

    Raises:
        ValueError: Wrong shapes, subset_size beyond the smaller set, NaN or infinity.

    Source: Bińkowski et al., 2018, Demystifying MMD GANs.
    """
    a, b = check_features("kernel_distance", a, b, least=2)
    smaller = min(len(a), len(b))
    size = max(2, min(1000, smaller // 2)) if subset_size is None else subset_size
    if not 2 <= size <= smaller:
        raise ValueError(
            f"kernel_distance: subset_size must be from 2 to the smaller set's {smaller} samples. "
            f"Received: {subset_size}"
        )
    if subsets < 1:
        raise ValueError(f"kernel_distance: subsets must be at least 1. Received: {subsets}")
    random = np.random.RandomState(seed)
    values = [
        _squared_mmd(
            a[random.choice(len(a), size, replace=False)],
            b[random.choice(len(b), size, replace=False)],
        )
        for _ in range(subsets)
    ]
    return KernelDistance(float(np.mean(values)), float(np.std(values)))


def _squared_mmd(x, y):
    """The unbiased estimate for x, y `[m, d]`: a sample is not compared with itself."""
    m, d = x.shape
    inside = _kernel_sum(x, x) + _kernel_sum(y, y)
    itself = sum(((np.square(z).sum(1) / d + 1) ** 3).sum() for z in (x, y))
    return (inside - itself) / (m * (m - 1)) - 2 * _kernel_sum(x, y) / m**2


def _kernel_sum(x, y):
    """Σ (x_i·y_j / d + 1)³ over all pairs, as an inner product, which makes no third matrix."""
    base = x @ y.T
    base /= x.shape[1]
    base += 1
    return np.vdot(base, np.square(base))


def check_features(name, a, b, least):
    """Both sets as finite float64 `[n, d]` with at least `least` rows, or ValueError."""
    a, b = (np.asarray(features, "float64") for features in (a, b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1:] != b.shape[1:]:
        raise ValueError(
            f"{name}: expected two sets of features, [n, d] and [m, d]. "
            f"Received: shapes {a.shape} and {b.shape}"
        )
    if min(len(a), len(b)) < least or a.shape[1] == 0:
        raise ValueError(
            f"{name}: expected at least {least} samples in each set. "
            f"Received: shapes {a.shape} and {b.shape}"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError(f"{name}: features must be finite. Received: NaN or infinity")
    return a, b
