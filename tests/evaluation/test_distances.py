import doctest
import math

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from fastgen.evaluation import distances, frechet_distance, kernel_distance
from tests.tolerances import FRECHET, assert_close


def normals(n, d=8, seed=0):
    return np.random.RandomState(seed).normal(size=(n, d))


def frechet_with_a_matrix_root(a, b):
    """The formula word for word."""
    c_a, c_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(c_a @ c_b)
    means = a.mean(0) - b.mean(0)
    return means @ means + np.trace(c_a + c_b - 2 * root.real)


def squared_mmd_by_loops(x, y):
    def k(u, v):
        return (u @ v / len(u) + 1) ** 3

    m = len(x)
    inside = [k(z[i], z[j]) for z in (x, y) for i in range(m) for j in range(m) if i != j]
    between = [k(u, v) for u in x for v in y]
    return sum(inside) / (m * (m - 1)) - 2 * sum(between) / m**2


def test_frechet_distance_equals_the_formula():
    a = normals(60) @ normals(8, seed=1)
    b = 3 + normals(45, seed=2) @ normals(8, seed=3)
    assert_close(frechet_distance(a, b), frechet_with_a_matrix_root(a, b), "float64")
    assert_close(frechet_distance(a, b), frechet_distance(b, a), "float64")


def test_frechet_distance_of_a_shift_and_of_a_scale():
    a = normals(300)
    assert_close(frechet_distance(a, a + 2), 4 * 8, "float64")
    spread = a.var(0, ddof=1).sum()
    assert_close(frechet_distance(a, 3 * (a - a.mean(0)) + a.mean(0)), 4 * spread, "float64")


@given(
    n=st.integers(2, 40),
    d=st.integers(1, 30),
    offset=st.floats(-1e6, 1e6),
    scale=st.floats(1e-3, 1e3),
    seed=st.integers(0, 100),
)
def test_frechet_distance_of_a_set_to_itself(n, d, offset, scale, seed):
    """Also with fewer samples than features, where the covariance is singular."""
    a = offset + scale * normals(n, d, seed)
    assert abs(frechet_distance(a, a)) <= FRECHET * a.var(0, ddof=1).sum()


def test_frechet_distance_of_constant_features():
    a = normals(50)
    a[:, 3] = 7
    assert abs(frechet_distance(a, a)) <= FRECHET
    assert frechet_distance(np.ones((5, 2)), np.zeros((4, 2))) == 2


def test_frechet_distance_is_biased_as_one_over_n():
    """What the docstring says, in figures: a tenth of the samples, ten times the distance."""

    def mean_distance(n):
        return np.mean(
            [frechet_distance(normals(n, 8, i), normals(n, 8, 50 + i)) for i in range(9)]
        )

    few, many = mean_distance(200), mean_distance(2000)
    assert 8 < few / many < 12.5


def test_kernel_distance_equals_the_formula():
    a, b = normals(12, 5), normals(12, 5, seed=1) + 0.5
    mean, std = kernel_distance(a, b, subset_size=12, subsets=3)  # all of both, in any order
    assert_close(mean, squared_mmd_by_loops(a, b), "float64")
    assert_close(std, 0, "float64")


def test_kernel_distance_is_unbiased():
    values = [
        kernel_distance(normals(20, 4, 2 * i), normals(20, 4, 2 * i + 1), 20, 1).mean
        for i in range(400)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / math.sqrt(len(values))


def test_kernel_distance_draws_by_its_seed():
    a, b = normals(40), normals(50, seed=1)
    assert kernel_distance(a, b, seed=3) == kernel_distance(a, b, seed=3)
    assert kernel_distance(a, b, seed=3) != kernel_distance(a, b, seed=4)
    assert kernel_distance(a, b, subset_size=20) == kernel_distance(a, b)
    assert kernel_distance(a, b).std > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"subset_size": 41}, "from 2 to the smaller set's 40 samples. Received: 41"),
        ({"subset_size": 1}, "from 2 to .* Received: 1"),
        ({"subsets": 0}, "subsets must be at least 1. Received: 0"),
    ],
)
def test_subsets_out_of_range(settings, message):
    with pytest.raises(ValueError, match="kernel_distance: .*" + message):
        kernel_distance(normals(40), normals(50), **settings)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (normals(5), normals(5, 7), r"\[n, d\] and \[m, d\].*shapes \(5, 8\) and \(5, 7\)"),
        (normals(5)[0], normals(5)[0], r"Received: shapes \(8,\) and \(8,\)"),
        (normals(1), normals(5), "at least 2 samples in each set"),
        (normals(5)[:, :0], normals(5)[:, :0], "at least 2 samples"),
        (normals(5), np.full((5, 8), np.nan), "must be finite"),
        (np.full((5, 8), np.inf), normals(5), "must be finite"),
    ],
)
def test_features_that_cannot_be_used(distance, a, b, message):
    with pytest.raises(ValueError, match=f"^{distance.__name__}: .*{message}"):
        distance(a, b)


def test_examples_of_the_docstrings():
    results = doctest.testmod(distances)
    assert results.attempted and not results.failed
