"""What random numbers should look like: statistics in standard errors from their expectation."""

import numpy as np
from scipy import special

# A right provider strays past this many standard errors about once in 1e8 statistics.
SIGMAS = 6


def normal(noise):
    """Moments, distribution and independence of draws that should be standard normal."""
    flat = noise.ravel()
    n = flat.size
    return {
        "mean": np.mean(flat) * np.sqrt(n),
        "variance": (np.mean(flat**2) - 1) * np.sqrt(n / 2),
        # Kolmogorov and Smirnov's statistic passes 3 once in 3e7.
        "distribution": _distance(flat[:: n // 2**18 + 1]) * SIGMAS / 3,
        **_independence(noise),
    }


def bernoulli(noise, p):
    """Mean and independence of a mask that should keep each element with probability p."""
    standard = (noise - p) / np.sqrt(p * (1 - p))
    return {"mean": np.mean(standard) * np.sqrt(noise.size), **_independence(standard)}


def variance(standard):
    """That of numbers that should be normal, of variance 1."""
    return {"variance": np.mean(standard**2 - 1) * np.sqrt(standard.size / 2)}


def _independence(noise):
    flat, rows = noise.ravel(), noise.reshape(-1, noise.shape[-1])
    half = flat.size // 2
    return {
        "neighbours": np.mean(flat[1:] * flat[:-1]) * np.sqrt(flat.size),
        "rows": np.mean(rows[1:] * rows[:-1]) * np.sqrt(flat.size),
        "halves": np.mean(flat[:half] * flat[-half:]) * np.sqrt(half),
    }


def _distance(draws):
    n = draws.size
    ordered, steps = special.ndtr(np.sort(draws)), np.arange(n + 1) / n
    return np.sqrt(n) * max(np.max(ordered - steps[:-1]), np.max(steps[1:] - ordered))


def assert_right(deviations):
    """Fail where a statistic is further off than chance can take it."""
    for name, deviation in deviations.items():
        assert abs(deviation) < SIGMAS, f"noise: {name} is {deviation:.1f} standard errors off"
