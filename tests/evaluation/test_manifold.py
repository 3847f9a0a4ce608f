import doctest
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastgen.evaluation import manifold, precision_recall


def normals(n, d=3, seed=0):
    return np.random.RandomState(seed).normal(size=(n, d))


def share_by_loops(x, centres, k):
    """Share of x within a centre's distance to its k-th nearest other centre."""
    radii = [
        sorted(np.linalg.norm(c - other) for j, other in enumerate(centres) if j != i)[k - 1]
        for i, c in enumerate(centres)
    ]
    balls = list(zip(centres, radii, strict=True))
    return np.mean([any(np.linalg.norm(p - c) <= r for c, r in balls) for p in x])


@given(st.integers(5, 25), st.integers(5, 25), st.integers(1, 4), st.integers(0, 50))
def test_equals_the_definition(n, m, k, seed):
    real, generated = normals(n, seed=seed), 1 + 0.7 * normals(m, seed=seed + 1)
    assert precision_recall(real, generated, k) == (
        share_by_loops(generated, real, k),
        share_by_loops(real, generated, k),
    )


def test_a_set_and_itself():
    assert precision_recall(normals(50), normals(50)) == (1, 1)


def test_sets_far_apart():
    assert precision_recall(normals(50), 100 + normals(50, seed=1)) == (0, 0)


def test_a_dropped_mode_lowers_recall_only():
    modes = np.repeat([[0, 0, 0], [20, 0, 0]], 100, 0)
    real = modes + normals(200)
    whole, half = modes + normals(200, seed=1), modes[:1] + normals(200, seed=2)
    (whole_precision, whole_recall), (precision, recall) = (
        precision_recall(real, generated) for generated in (whole, half)
    )
    assert precision > whole_precision - 0.05
    assert recall < whole_recall / 2 + 0.05


def test_wild_samples_lower_precision_only():
    real = normals(200)
    generated = np.concatenate([normals(200, seed=1), 50 + normals(100, seed=2) * 9])
    precision, recall = precision_recall(real, generated)
    assert precision < 0.7 and recall > 0.9


def test_blocks_change_nothing(monkeypatch):
    real, generated = normals(50), 0.5 + normals(41, seed=1)
    whole = precision_recall(real, generated)
    for block in (1, 130, 1000):
        monkeypatch.setattr(manifold, "BLOCK", block)
        assert precision_recall(real, generated) == whole


def test_memory_does_not_grow_with_the_square_of_the_samples(monkeypatch):
    monkeypatch.setattr(manifold, "BLOCK", 1 << 16)  # 2000² distances are 61 of them
    real, generated = normals(2000, 2), normals(2000, 2, seed=1)
    tracemalloc.start()
    try:
        precision_recall(real, generated)
        assert tracemalloc.get_traced_memory()[1] < 6 * 8 * manifold.BLOCK
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("n", "k", "message"),
    [
        (3, 3, r"at least 4 samples in each set.*shapes \(3, 3\) and \(9, 3\)"),
        (9, 0, "k must be at least 1. Received: 0"),
    ],
)
def test_arguments_out_of_range(n, k, message):
    with pytest.raises(ValueError, match="^precision_recall: .*" + message):
        precision_recall(normals(n), normals(9), k)


def test_nan():
    with pytest.raises(ValueError, match="precision_recall: features must be finite"):
        precision_recall(normals(9), normals(9) * np.nan)


def test_examples_of_the_docstrings():
    results = doctest.testmod(manifold)
    assert results.attempted and not results.failed
