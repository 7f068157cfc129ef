"""Transforms along an axis against their sums, as numpy runs them and compiled."""

import numpy as np
import pytest

from ricci.backends import diagonal_solve, transforms

RING, SINE, COSINE, SINE_COSINE, COSINE_SINE = range(1, 6)
SHAPES = [(1, 20), (3, 2), (5, 1), (2, 17), (1, 8)]
GAP = 3


def tables(n, kind, fill=transforms.roots_fill):
    """Tables of an axis, and working memory that holds no numbers yet."""
    roots, work = np.full(GAP + 24 * 4 * (n + 2), np.nan), np.full(700 * n + 3000, np.nan)
    fill(roots, GAP, 0, work, 0, 0, 0, n, kind)
    return roots, work


def matrix(n, kind):
    """The transform as a matrix (frequency, point): the sum over a whole period of the continued line."""
    i = np.arange(n)
    if kind == RING:
        return np.exp(-2j * np.pi * np.outer(i, i) / n)
    period = transforms.period(n, kind)
    place = {SINE: i + 1, COSINE: i, SINE_COSINE: i + 1, COSINE_SINE: n - i}[kind]
    turns = {SINE: i + 1, COSINE: i}.get(kind, 2 * i + 1)
    wave = (np.cos if kind == COSINE else np.sin)(2 * np.pi * np.outer(turns, place) / period)
    times = np.full(n, 2.0 if kind <= COSINE else 4.0)  # how often a point occurs in a period
    if kind == COSINE:
        times[[0, -1]] = 1
    elif kind >= SINE_COSINE:
        times[place == n] = 2
    return wave * times


def line_of(values, image=None):
    """Flat memory behind a gap, with room for vectors that reach past the end."""
    parts = [np.full(GAP, 7.0), values.ravel(), *([] if image is None else [image.ravel()]), np.full(32, np.nan)]
    return np.concatenate(parts)


def moved(memory, tables, shape, kind, image, half, backward, run=transforms.transform):
    outer, n, inner = shape
    roots, work = tables
    run(memory, GAP, 0, work, 0, 0, roots, GAP, 0, 0, 0, image, outer, n, inner, 0, kind, half, backward, 0, 1)
    assert (memory[:GAP] == 7).all()
    count = outer * n * inner
    return memory[GAP : GAP + count].reshape(shape), memory[GAP + count : GAP + 2 * count]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 22, 30, 49])
@pytest.mark.parametrize("kind", [SINE, COSINE, SINE_COSINE, COSINE_SINE])
def test_sine_and_cosine_sums(kind, n):
    if kind == COSINE and n == 1:
        return
    rng = np.random.default_rng(n)
    made = tables(n, kind)
    for outer, inner in SHAPES:
        a = rng.normal(size=(outer, n, inner))
        memory = line_of(a)
        got, _ = moved(memory, made, a.shape, kind, 0, 0, 0)
        assert np.allclose(got, np.einsum("kj,ojm->okm", matrix(n, kind), a), rtol=0, atol=1e-12 * n)
        back, _ = moved(memory, made, a.shape, kind, 0, 0, 1)
        assert np.allclose(back / transforms.period(n, kind), a, rtol=0, atol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 12, 35, 83, 89])
def test_fourier_sums(n):
    """83 and 89 have no small factor: a convolution does them."""
    rng = np.random.default_rng(n)
    made = tables(n, RING)
    half = n // 2 + 1
    for outer, inner in SHAPES:
        shape = (outer, n, inner)
        a, b = rng.normal(size=shape), rng.normal(size=shape)
        whole = np.einsum("kj,ojm->okm", matrix(n, RING), a + 1j * b)
        memory = line_of(a, b)
        got, image = moved(memory, made, shape, RING, a.size, 0, 0)
        assert np.allclose(got + 1j * image.reshape(shape), whole, rtol=0, atol=1e-11)
        got, image = moved(memory, made, shape, RING, a.size, 0, 1)
        assert np.allclose((got + 1j * image.reshape(shape)) / n, a + 1j * b, rtol=0, atol=1e-13)
        memory = line_of(a, np.full(shape, np.nan))  # of real lines the frequencies up to the middle
        got, image = moved(memory, made, shape, RING, a.size, 1, 0)
        wanted = np.einsum("kj,ojm->okm", matrix(n, RING), a)[:, :half]
        assert np.allclose(got[:, :half] + 1j * image.reshape(shape)[:, :half], wanted, rtol=0, atol=1e-11)
        got, _ = moved(memory, made, shape, RING, a.size, 1, 1)
        assert np.allclose(got / n, a, rtol=0, atol=1e-13)


def test_what_lies_behind_an_array_does_not_reach_it():
    """Lines are transformed eight at a time: the bits do not depend on what fills the last eight."""
    a = np.random.default_rng(0).normal(size=(1, 12, 9))
    results = []
    for junk in (0.0, 1e300, np.nan):
        memory = np.concatenate([np.full(GAP, 7.0), a.ravel(), np.full(32, junk)])
        results.append(moved(memory, tables(12, SINE), a.shape, SINE, 0, 0, 0)[0].copy())
        assert np.array_equal(memory[GAP + a.size :], np.full(32, junk), equal_nan=True)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_roots_of_unity_are_symmetric_and_accurate():
    for n in (1, 3, 8, 12, 1000):
        roots = np.zeros(2 * n)
        transforms.circle_fill(roots, 0, n)
        angle = 2 * np.arccos(np.longdouble(-1)) * np.arange(n) / n
        assert np.allclose(roots[:n], np.cos(angle), rtol=0, atol=2e-16)
        assert np.allclose(roots[n:], np.sin(angle), rtol=0, atol=2e-16)
        assert np.array_equal(roots[1:n], roots[1:n][::-1])
        assert np.array_equal(roots[n + 1 :], -roots[n + 1 :][::-1])


@pytest.mark.parametrize("image", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_inverse_matrices(count, image):
    rng = np.random.default_rng(count)
    points = 11
    values = rng.normal(size=(count, count, 2 if image else 1, points))
    values[0, 0, :, 3] = 0  # needs an exchange of rows, if there are two
    if count == 1:
        values[..., 3] = 1
    memory = line_of(values)
    whole = values[:, :, 0] + (1j * values[:, :, 1] if image else 0)
    diagonal_solve.modes_invert(memory, GAP, 0, 0, points, count, points if image else 0, 5, 0, 1)
    got = memory[GAP : GAP + values.size].reshape(values.shape)
    got = got[:, :, 0] + (1j * got[:, :, 1] if image else 0)
    assert np.allclose(np.moveaxis(got, -1, 0) * 5, np.linalg.inv(np.moveaxis(whole, -1, 0)))


@pytest.mark.parametrize(("lower", "upper"), [(0, 0), (1, 1), (2, 1), (0, 2), (3, 3)])
@pytest.mark.parametrize(("outer", "inner"), [(1, 9), (3, 1), (2, 11)])
def test_bands_of_many_lines(outer, inner, lower, upper):
    """Small diagonals: without exchanges of rows these systems have no accurate solution."""
    rng = np.random.default_rng(outer)
    n, across = 13, 3 * lower + upper + 1
    blocks = (outer + 7) // 8 if inner == 1 else outer * ((inner + 7) // 8)
    table, work = np.zeros(blocks * n * across * 8 + 32), np.zeros(8 * n + 64)
    roots = np.ones(8)
    matrix = np.zeros((n, n))
    i = np.arange(n)
    for offset in range(-lower, upper + 1):
        values = rng.normal(size=n) * (0.01 if offset == 0 and lower else 1)
        numbers = (0, 1, 0, lower, upper, offset, outer, n, inner, 0, outer, 0, 0, 0, inner, 0, 0, 0)
        diagonal_solve.lines_add(table, 0, 0, values, 0, n, roots, 0, 0, work, 0, 0, *numbers)
        good = (i + offset >= 0) & (i + offset < n)
        matrix[i[good], i[good] + offset] += values[good]
    diagonal_solve.lines_factor(table, 0, 0, 0, lower, upper, outer, n, inner, 0, 0, 1)
    b = rng.normal(size=(outer, n, inner))
    memory = line_of(b)
    diagonal_solve.lines_solve(memory, GAP, 0, work, 0, 0, table, 0, 0, 0, 0, lower, upper, outer, n, inner, 0, 0, 1)
    x = memory[GAP : GAP + b.size].reshape(b.shape)
    size = np.linalg.norm(matrix) * np.linalg.norm(x)
    assert np.linalg.norm(np.einsum("ij,ojm->oim", matrix, x) - b) <= 1e-11 * size
