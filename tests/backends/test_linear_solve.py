"""Band LU against numpy, interpreted and compiled."""

import numpy as np
import pytest

from ricci.backends import linear_solve as ls
from ricci.backends import routines


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


GAP = 3  # elements of other arrays before the one that a routine works on
SLACK = 16  # elements behind it, which whole vectors may read


def factored(matrix, lower, upper, factor=ls.band_factor):
    """Flat memory with the factors, and the pivots, as the solver wants them."""
    band = band_of(matrix, lower, upper)
    rows, width = band.shape
    memory = np.concatenate([np.full(GAP, 7.0), band.ravel(), np.full(SLACK, 3.0)])
    pivots = np.zeros(rows + 1, dtype=np.int64)
    factor(memory, GAP, rows, width, lower, upper, pivots, 1, rows)
    assert (memory[:GAP] == 7).all()
    assert (memory[-SLACK:] == 3).all()
    return (memory, GAP, rows, width, lower, upper, pivots, 1, rows)


def solved(factors, b, solve=ls.band_solve):
    memory = np.concatenate([np.full(GAP, 5.0), b, np.full(SLACK, 3.0)])
    solve(*factors, memory, GAP, len(b))
    assert (memory[:GAP] == 5).all()
    assert (memory[-SLACK:] == 3).all()
    return memory[GAP:-SLACK]


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize(("n", "lower", "upper"), [(1, 0, 0), (1, 2, 2), (2, 3, 1), (7, 1, 2), (9, 3, 0), (12, 0, 2), (30, 4, 3)])
def test_band(n, lower, upper, dtype):
    rng = np.random.default_rng(n + 7 * lower)
    matrix = random_band(rng, n, lower, upper, dtype)
    factors = factored(matrix, lower, upper)
    for _ in range(2):
        b = rng.normal(size=n).astype(dtype)
        x = solved(factors, b)
        assert np.linalg.norm(matrix @ x - b) <= 1e-10 * np.linalg.norm(x) * max(np.linalg.norm(matrix), 1)


def test_band_exchanges_rows():
    """A zero diagonal is solved only with exchanges."""
    matrix = np.array([[0, 1, 0], [1, 0, 2], [0, 3, 0.0]]) + np.diag([0, 0, 1e-3])
    assert np.allclose(solved(factored(matrix, 1, 1), np.array([1.0, 2, 3])), np.linalg.solve(matrix, [1, 2, 3]))


def test_singular_is_nan():
    for matrix in (np.ones((3, 3)), np.zeros((1, 1))):
        n = len(matrix)
        assert np.isnan(solved(factored(matrix, n - 1, n - 1), np.ones(n))).any()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 9, 10])
def test_rings_keep_neighbours_near(n):
    places = [ls.ring_place(i, n, 1) for i in range(n)]
    assert sorted(places) == list(range(n))
    for reach in (1, 2):
        assert all(abs(ls.ring_place(i + reach, n, 1) - places[i]) <= 2 * reach for i in range(n))


@pytest.mark.parametrize(("n", "lower", "upper"), [(1, 0, 0), (20, 2, 3), (40, 9, 8), (61, 17, 12), (100, 24, 24)])
@pytest.mark.parametrize("dominant", [True, False])
def test_compiled_gives_the_same(n, lower, upper, dominant):
    """With rows that are exchanged, and with a diagonal that needs none."""
    pytest.importorskip("numba")
    space = {}
    exec(compile(routines.text(), "<routines>", "exec"), space)
    factor, solve = (callable_of(space[name]) for name in ("band_factor", "band_solve"))
    rng = np.random.default_rng(0)
    matrix = random_band(rng, n, lower, upper) + (5 * (lower + upper) * np.eye(n) if dominant else 0)
    b = rng.normal(size=n)
    found = solved(factored(matrix, lower, upper, factor), b, solve)
    assert np.linalg.norm(matrix @ found - b) <= 1e-12 * np.linalg.norm(found) * np.linalg.norm(matrix)
    wanted = solved(factored(matrix, lower, upper), b)
    assert np.allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_compiled_singular_is_nan():
    pytest.importorskip("numba")
    space = {}
    exec(compile(routines.text(), "<routines>", "exec"), space)
    factor, solve = (callable_of(space[name]) for name in ("band_factor", "band_solve"))
    assert np.isnan(solved(factored(np.zeros((2, 2)), 1, 0, factor), np.ones(2), solve)).all()


def callable_of(routine):
    """A routine that only compiled code calls, for Python."""
    import numba

    return numba.njit(error_model="numpy")(routine.py_func)


def test_generated_modules_share_their_routines():
    """They are compiled once, by themselves; a driver calls them by address."""
    from ricci.backends.numba_cpu import compile_plan
    from ricci.dsl import build
    from ricci.dsl.term import Function
    from ricci.dsl.types import Dim, Kind, Size, Type
    from ricci.lowering.schedule import schedule

    n = Size.of(Dim("x", 3))
    d, b = (build.symbol(name, Type(Kind.REAL, {"x": n})) for name in "db")

    def system(k):
        apply = Function("apply", (d,), (("r", build.add(build.scale(k, d), build.shift(d, "x", 1, 0))),))
        return Function("f", (b,), (("x", build.proj(build.library("solve", (b,), (apply,)), 0)),))

    libraries = []
    for k in (4, 5):
        executable = compile_plan(schedule(system(k), sizes={"x": 5}))
        assert "def band_factor" not in executable.source
        x = executable({"b": np.ones(5)}, {"x": 5})["x"]
        assert np.allclose(k * x + np.append(x[1:], 0), 1)
        libraries.append(list(executable.code[len(executable.program.signature.kernels) : -1]))
    assert libraries[0] == libraries[1]
    assert "def band_factor" in routines.text()
