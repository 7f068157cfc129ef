"""Maps that are matrices: products along axes inverted factor by factor, small maps written out; against the dense meaning of `solve`."""

import numpy as np
import pytest

from ricci.backends import dense_solve
from ricci.backends.numba_cpu import compile_plan
from ricci.dsl import build
from ricci.dsl.index import Guard, Index
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.reference import call
from ricci.dsl.term import Function, symbols, walk
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.lowering.schedule import schedule
from ricci.lowering.solvers import way_of, with_solvers

N, M = Size.of(Dim("n", 1)), Size.of(Dim("m", 1))
DIMS = {"n": 4, "m": 3}


def array(name, **axes):
    return build.symbol(name, Type(Kind.REAL, axes))


X, U, V, S = array("X", a=N, b=M), array("u", a=N), array("v", b=M), array("s")
A, B, C = array("A", i=N, a=N), array("B", j=M, b=M), array("C", a=N, b=M)
U2 = array("u2", a=N)
SAME = array("K", a=N, k=N)


def both(x=X):
    """A X B^T"""
    return build.contract([(A, {"a": "a"}), (B, {"b": "b"}), (x, {"a": "a", "b": "b"})], bound={"a": N, "b": M})


def along(matrix, axis, size, x):
    return build.contract([(matrix, {axis: axis}), (x, {axis: axis})], bound={axis: size})


def square(x, matrix=SAME):
    """sum_k K[a, k] x[k, ..]: the same axis in and out."""
    return build.contract([(matrix, {"k": "k"}), (x, {"a": "k"})], bound={"k": N})


def lower_triangle():
    return build.mul(SAME, build.indicator({"a": N, "k": N}, [Guard(Size.of(0), Index.axis("a") - Index.axis("k"), N)]))


def coupled():
    first = build.add(build.scale(3, U), along(C, "b", M, V))
    second = build.add(V, build.mul(S, along(C, "a", N, U)))
    return [U, V], [first, second]


CASES = {  # unknowns, results; how it is solved
    "kronecker product": ([X], [both()], "dense LU along i, j"),
    "scaled, in two steps": ([X], [build.mul(S, build.scale(2, along(B, "b", M, along(A, "a", N, X))))], "dense LU along i, j"),
    "one side": ([X], [along(A, "a", N, X)], "dense LU along i"),
    "same axis": ([X], [square(X)], "dense LU along a"),
    "diagonal": ([X], [build.mul(C, V, X)], "division"),
    "identity": ([X], [X], "division"),
    "diagonal behind a matrix": ([X], [along(A, "a", N, build.mul(C, X))], "dense LU"),
    "diagonal before a matrix": ([X], [build.mul(V, square(X))], "dense LU along a"),
    "triangular": ([U], [square(U, lower_triangle())], "dense LU along a"),
    "scaled columns": ([U], [build.contract([(SAME, {"k": "k"}), (U, {"a": "k"}), (U2, {"a": "k"})], bound={"k": N})], "dense LU along a"),
    "sum over all": ([X], [build.add(X, build.mul(C, build.sum_over(X, ["a", "b"])))], "dense LU"),
    "Kronecker sum": ([X], [build.add(square(X), build.scale(2, X))], "dense LU"),
    "two unknowns": (*coupled(), "dense LU"),
    "far neighbour": ([U], [build.add(build.scale(2, U), build.reindex(U, {"a": N}, {"a": N - 1 - Index.axis("a")}))], "dense LU"),
}


def function_of(unknowns, results):
    constants = [c for c in symbols(results) if c not in unknowns and not name_of(c).startswith("#")]
    apply = Function("apply", (*unknowns, *constants), tuple((str(k), r) for k, r in enumerate(results)))
    right = [build.symbol(f"right{k}", r.type) for k, r in enumerate(results)]
    whole = build.library("solve", (*right, *constants), (apply,))
    return Function("f", (*right, *constants), tuple((f"x{k}", build.proj(whole, k)) for k in range(len(unknowns))))


def arguments(function, dims, seed=0):
    rng = np.random.default_rng(seed)
    return {name_of(p): rng.normal(size=[n.evaluate(dims) for n in p.axes.values()])[()] for p in function.params}


@pytest.mark.parametrize("name", CASES)
def test_ways(name):
    unknowns, results, wanted = CASES[name]
    (term,) = (t for t in walk(function_of(unknowns, results).roots) if t.op == "library")
    assert way_of(term.attrs[1], tuple(sorted(DIMS.items()))).name == wanted


@pytest.mark.parametrize("name", CASES)
def test_as_terms(name):
    function = function_of(*CASES[name][:2])
    lowered = with_solvers(function, DIMS)
    for dims in (DIMS, {"n": 1, "m": 2}, {"n": 3, "m": 1}):
        given = list(arguments(function, dims).values())
        for a, b in zip(call(function, given, dims), call(lowered, given, dims), strict=True):
            assert np.allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "name", ["kronecker product", "same axis", "diagonal before a matrix", "triangular", "two unknowns", "far neighbour"]
)
def test_generated_code(name):
    function = function_of(*CASES[name][:2])
    executable = compile_plan(schedule(function, sizes=DIMS))
    for dims in (DIMS, {"n": 11, "m": 19}, {"n": 1, "m": 1}):
        given = arguments(function, dims, 3)
        got = executable(dict(given), dims, 1)
        for k, wanted in enumerate(call(function, list(given.values()), dims)):
            assert np.allclose(got[f"x{k}"], wanted, rtol=1e-7, atol=1e-7)
        again = executable(dict(given), dims, 2)
        assert all(np.array_equal(got[k], again[k]) for k in got)


def test_axes_that_change_names_are_not_solved_one_after_another():
    """The result of a sits on the axis b of the unknown: all at once, by the whole matrix."""
    crossed = array("P", b=N, c=N), array("Q", c=N, d=N)
    unknown = array("Z", b=N, c=N)
    result = build.contract([(crossed[0], {"b": "b", "c": "c1"}), (crossed[1], {"c": "b1", "d": "d"}), (unknown, {"b": "b1", "c": "c1"})],
                            bound={"b1": N, "c1": N})  # fmt: skip
    function = function_of([unknown], [result])
    lowered = with_solvers(function, DIMS)
    given = list(arguments(function, DIMS).values())
    assert np.allclose(call(function, given, DIMS)[0], call(lowered, given, DIMS)[0])


def test_large_maps_are_not_written_out():
    function = function_of(*CASES["sum over all"][:2])
    assert not [t for t in walk(with_solvers(function, {"n": 200, "m": 200}).roots) if t.op == "library"]


@pytest.mark.parametrize("n", [1, 2, 9, 20])
@pytest.mark.parametrize("kind", ["any", "lower", "upper", "exchanges"])
def test_routines(kind, n):
    rng = np.random.default_rng(n)
    matrix = rng.normal(size=(n, n)) + np.diag(np.where(np.arange(n) % 2, 1e-9, 3.0))
    matrix = {"lower": np.tril, "upper": np.triu}.get(kind, lambda a: a)(matrix + (3 * np.eye(n) if kind in ("lower", "upper") else 0))
    if kind == "exchanges" and n > 1:
        np.fill_diagonal(matrix, 0)
    table, pivots, work = np.concatenate([matrix.ravel(), np.full(16, np.nan)]), np.zeros(n, np.int64), np.zeros(8 * n)
    dense_solve.dense_factor(table, 0, n * n, pivots, 0, n, n)
    assert np.isnan(table[n * n :]).all()
    for outer, inner in ((1, 1), (3, 1), (2, 9)):
        b = rng.normal(size=(outer, n, inner))
        memory = np.concatenate([b.ravel(), np.full(8, 7.0)])
        dense_solve.dense_solve(memory, 0, b.size, work, 0, 8 * n, table, 0, n * n, pivots, 0, n, outer, n, inner)
        x = memory[: b.size].reshape(b.shape)
        assert np.abs(np.einsum("ij,ojm->oim", matrix, x) - b).max() <= 1e-12 * np.linalg.norm(matrix) * max(np.abs(x).max(), 1)
        assert (memory[b.size :] == 7).all()


def test_singular_is_nan():
    table, pivots = np.ones(4 + 16), np.zeros(2, np.int64)
    dense_solve.dense_factor(table, 0, 4, pivots, 0, 2, 2)
    b, work = np.ones(2 + 8), np.zeros(16)
    dense_solve.dense_solve(b, 0, 2, work, 0, 16, table, 0, 4, pivots, 0, 2, 1, 2, 1)
    assert np.isnan(b[:2]).any()
