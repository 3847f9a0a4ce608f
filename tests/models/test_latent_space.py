import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fastgen.models.latent_space import attribute_vector, interpolate, interpolation_grid
from tests.tolerances import assert_close

FINITE = {"allow_nan": False, "allow_infinity": False, "width": 32}
VECTORS = arrays.arrays(np.float32, 4, elements=st.floats(-1e6, 1e6, **FINITE))
GENERATOR = np.random.default_rng(0)


@given(VECTORS, VECTORS, st.integers(2, 9), st.sampled_from(["linear", "spherical"]))
def test_both_ends_are_exact(start, end, steps, kind):
    path = interpolate(start, end, steps, kind)
    assert path.shape == (steps, 4) and path.dtype == np.float32 and np.all(np.isfinite(path))
    np.testing.assert_array_equal(path[0], start)
    np.testing.assert_array_equal(path[-1], end)


def test_line():
    path = interpolate(np.zeros(2), np.array([4.0, 8.0]), 5)
    np.testing.assert_array_equal(path, [[0, 0], [1, 2], [2, 4], [3, 6], [4, 8]])
    assert interpolate([0, 0], [1, 2], 2).dtype == np.float64


def test_arc():
    path = interpolate(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 4, "spherical")
    angles = np.radians([0, 30, 60, 90])
    assert_close(path, np.stack([np.cos(angles), np.sin(angles)], axis=1), "float64")
    one, other = GENERATOR.standard_normal((2, 100))
    norms = np.linalg.norm(interpolate(one, other, 9, "spherical"), axis=1)
    line = np.linalg.norm(interpolate(one, other, 9), axis=1)
    ends = np.linalg.norm([one, other], axis=1)
    assert norms.min() > 0.95 * ends.min() and line.min() < 0.9 * ends.min()


@pytest.mark.parametrize("end", [[2.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], ids=str)
def test_arc_without_an_angle_is_a_line(end):
    np.testing.assert_array_equal(
        interpolate([1.0, 0.0], end, 5, "spherical"), interpolate([1.0, 0.0], end, 5)
    )


def test_grid():
    corners = GENERATOR.standard_normal((4, 3)).astype("float32")
    grid = interpolation_grid(corners, 3, 5)
    assert grid.shape == (3, 5, 3) and grid.dtype == np.float32
    np.testing.assert_array_equal(grid[[0, 0, -1, -1], [0, -1, 0, -1]], corners)
    assert_close(grid[1, 2], corners.mean(axis=0), "float32")
    assert_close(grid[0], interpolate(corners[0], corners[1], 5), "float32")


def test_attribute_vector():
    codings = GENERATOR.standard_normal((50, 4))
    has = GENERATOR.random(50) < 0.3
    expected = codings[has].mean(axis=0) - codings[~has].mean(axis=0)
    assert_close(attribute_vector(codings, has), expected, "float64")
    assert attribute_vector(codings.astype("float32"), has).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interpolate([0, 1], [1], 3), "vectors of one length"),
        (lambda: interpolate([[0, 1]], [[1, 1]], 3), "vectors of one length"),
        (lambda: interpolate([0], [1], 1), "steps must be an integer ≥ 2"),
        (lambda: interpolate([0], [1], 2.5), "steps must be an integer ≥ 2"),
        (lambda: interpolate([0], [1], 3, "curly"), "kind must be 'linear' or 'spherical'"),
        (lambda: interpolation_grid(np.zeros((3, 2)), 2, 2), r"corners must be \(4, codings\)"),
        (lambda: interpolation_grid(np.zeros((4, 2)), 1, 2), "rows must be an integer ≥ 2"),
        (lambda: interpolation_grid(np.zeros((4, 2)), 2, 1), "columns must be an integer ≥ 2"),
        (lambda: attribute_vector(np.zeros((3, 2)), [True, False]), "n times bool"),
        (lambda: attribute_vector(np.zeros((2, 2)), [1, 0]), "n times bool"),
        (lambda: attribute_vector(np.zeros((2, 2)), [True, True]), "some not"),
        (lambda: attribute_vector(np.zeros((2, 2)), [False, False]), "some codings must have"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=f"{message}.*Received"):
        call()
