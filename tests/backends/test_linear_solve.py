"""Band LU against numpy, interpreted and compiled."""

import numpy as np
import pytest

from ricci.backends import linear_solve as ls


def band_of(matrix, lower, upper):
    n = len(matrix)
    band = np.zeros((n, 2 * lower + upper + 1), dtype=matrix.dtype)
    for i in range(n):
        for j in range(max(0, i - lower), min(n, i + upper + 1)):
            band[i, j - i + lower] = matrix[i, j]
    return band


def random_band(rng, n, lower, upper, dtype=float):
    matrix = rng.normal(size=(n, n)).astype(dtype)
    if dtype is complex:
        matrix = matrix + 1j * rng.normal(size=(n, n))
    i, j = np.indices((n, n))
    return np.where((j - i <= upper) & (i - j <= lower), matrix, 0)


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize(("n", "lower", "upper"), [(1, 0, 0), (1, 2, 2), (2, 3, 1), (7, 1, 2), (9, 3, 0), (12, 0, 2), (30, 4, 3)])
def test_band(n, lower, upper, dtype):
    rng = np.random.default_rng(n + 7 * lower)
    matrix = random_band(rng, n, lower, upper, dtype)
    band, pivots = band_of(matrix, lower, upper), np.zeros(n, dtype=np.int64)
    ls.band_factor(band, lower, upper, pivots)
    for _ in range(2):
        b = rng.normal(size=n).astype(dtype)
        x = b.copy()
        ls.band_solve(band, lower, upper, pivots, x)
        assert np.linalg.norm(matrix @ x - b) <= 1e-10 * np.linalg.norm(x) * max(np.linalg.norm(matrix), 1)


def test_band_exchanges_rows():
    """A zero diagonal is solved only with exchanges."""
    matrix = np.array([[0, 1, 0], [1, 0, 2], [0, 3, 0.0]]) + np.diag([0, 0, 1e-3])
    band, pivots = band_of(matrix, 1, 1), np.zeros(3, dtype=np.int64)
    ls.band_factor(band, 1, 1, pivots)
    x = np.array([1.0, 2, 3])
    ls.band_solve(band, 1, 1, pivots, x)
    assert np.allclose(x, np.linalg.solve(matrix, [1, 2, 3]))


def test_singular_is_nan():
    for matrix in (np.ones((3, 3)), np.zeros((1, 1))):
        n = len(matrix)
        band, pivots, x = band_of(matrix, n - 1, n - 1), np.zeros(n, dtype=np.int64), np.ones(n)
        ls.band_factor(band, n - 1, n - 1, pivots)
        ls.band_solve(band, n - 1, n - 1, pivots, x)
        assert np.isnan(x).any()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 9, 10])
def test_rings_keep_neighbours_near(n):
    places = [ls.ring_place(i, n, 1) for i in range(n)]
    assert sorted(places) == list(range(n))
    for reach in (1, 2):
        assert all(abs(ls.ring_place(i + reach, n, 1) - places[i]) <= 2 * reach for i in range(n))


def test_compiled_gives_the_same():
    numba = pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    matrix = random_band(rng, 20, 2, 3)
    b = rng.normal(size=20)
    factor, solve = numba.njit(ls.band_factor), numba.njit(ls.band_solve)
    band, pivots, x = band_of(matrix, 2, 3), np.zeros(20, dtype=np.int64), b.copy()
    factor(band, 2, 3, pivots)
    solve(band, 2, 3, pivots, x)
    assert np.allclose(matrix @ x, b)
    singular, pivots, y = np.zeros((2, 3)), np.zeros(2, dtype=np.int64), np.ones(2)
    factor(singular, 1, 0, pivots)
    solve(singular, 1, 0, pivots, y)
    assert np.isnan(y).all()
