"""Linear systems: as terms with factors or an iteration, through the interpreter and through generated code."""

import numpy as np
import pytest

from ricci.backends.numba_cpu import compile_plan
from ricci.dsl import build
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.reference import call
from ricci.dsl.term import Function, walk
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.lowering.schedule import schedule
from ricci.lowering.solvers import with_solvers

N, M = Dim("x", 4), Dim("y", 4)
REAL = Type(Kind.REAL)


def field(name, **axes):
    return build.symbol(name, Type(Kind.REAL, {a: Size.of(n) for a, n in axes.items()}))


def lap(u, axis, edge="wrap"):
    return build.add(build.shift(u, axis, 1, edge), build.shift(u, axis, -1, edge), build.scale(-2, u))


def shell(name, unknowns, results, constants, right_sets):
    """A function that solves one system for several right-hand sides."""
    apply = Function("apply", (*unknowns, *constants), tuple((str(k), r) for k, r in enumerate(results)))
    params = [*constants]
    out = []
    for number, right in enumerate(right_sets):
        params += right
        whole = build.library("solve", (*right, *constants), (apply,))
        out += [(f"{number}:{k}", build.proj(whole, k)) for k in range(len(unknowns))]
    return Function(name, tuple(params), tuple(out))


def case_periodic(edge="wrap"):
    u, c, g = field("u", x=N), field("c", x=N), build.symbol("g", REAL)
    result = build.sub(u, build.mul(g, build.add(build.mul(c, lap(u, "x", edge)), build.shift(u, "x", 2, edge))))
    return shell("f", [u], [result], [c, g], [[field("b", x=N)], [field("e", x=N)]])


def case_coupled():
    u, v, c = field("u", x=N), field("v", x=N), field("c", x=N)
    results = [
        build.sub(build.scale(3, u), build.mul(c, build.add(lap(u, "x", 0), v))),
        build.add(build.scale(2, v), build.shift(u, "x", -1, 0)),
    ]
    return shell("f", [u, v], results, [c], [[field("a", x=N), field("b", x=N)]])


def case_removed():
    """One state lacks its first node, the other none: rows of the unit matrix in between."""
    n = Size.of(N)
    u, v = build.symbol("u", Type(Kind.REAL, {"x:10": n - 1})), field("v", x=N)
    whole = build.reindex(u, {"x": n}, {"x:10": build.Index.axis("x") - 1}, (), 0)
    down = build.reindex(v, {"x:10": n - 1}, {"x": build.Index.axis("x:10") + 1})
    results = [build.add(build.scale(3, u), down), build.sub(build.scale(4, v), build.shift(whole, "x", 1, 0))]
    return shell("f", [u, v], results, [], [[build.symbol("a", u.type), field("b", x=N)]])


def case_plane():
    u, g = field("u", x=N, y=M), build.symbol("g", REAL)
    result = build.sub(u, build.mul(g, build.add(lap(u, "x"), lap(u, "y", 0), build.shift(build.shift(u, "x", 1), "y", 1, 0))))
    return shell("f", [u], [result], [g], [[field("b", x=N, y=M)], [field("e", x=N, y=M)]])


def case_points():
    a, b, c, g = (build.symbol(n, REAL) for n in "abcg")
    results = [build.sub(a, build.mul(g, b)), build.add(b, c), build.add(build.mul(g, a), build.scale(2, c))]
    return shell("f", [a, b, c], results, [g], [[build.symbol(n, REAL) for n in "uvw"]])


def case_mean():
    u, g = field("u", x=N), build.symbol("g", REAL)
    result = build.add(build.sub(u, build.mul(g, lap(u, "x"))), build.mul(g, build.sum_over(u, ["x"])))
    return shell("f", [u], [result], [g], [[field("b", x=N)]])


BAND, DENSE = {"factor", "solve_factored"}, {"factor_dense", "solve_dense"}
CASES = {
    "periodic": (case_periodic(), BAND),
    "open": (case_periodic(0), BAND),
    "clamped": (case_periodic("clamp"), BAND),
    "coupled": (case_coupled(), BAND),
    "removed": (case_removed(), BAND),
    "plane": (case_plane(), BAND),
    "points": (case_points(), BAND),
    "mean": (case_mean(), DENSE),
}
SIZES = [{"x": 7, "y": 4}, {"x": 4, "y": 9}, {"x": 30, "y": 5}]


def arguments(function, dims, seed=0):
    rng = np.random.default_rng(seed)
    values = {}
    for p in function.params:
        shape = [n.evaluate(dims) for n in p.axes.values()]
        values[name_of(p)] = 0.3 + 0.2 * rng.random() if not shape else rng.normal(size=shape)
    if "c" in values and np.ndim(values["c"]):
        values["c"] = 1 + np.abs(values["c"])
    return values


@pytest.mark.parametrize("dims", SIZES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_as_terms(name, dims):
    """The dense meaning of `solve` against factors at offsets, or of a matrix."""
    function, routines = CASES[name]
    lowered = with_solvers(function, dims)
    used = {t.attrs[0] for t in walk(lowered.roots) if t.op == "library"}
    assert used == routines
    values = list(arguments(function, dims).values())
    for a, b in zip(call(function, values, dims), call(lowered, values, dims), strict=True):
        assert np.allclose(a, b, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("dims", SIZES, ids=str)
def test_iteration(dims):
    """Where sizes are not known, a map that is no stencil is solved without its matrix."""
    function, _ = CASES["mean"]
    lowered = with_solvers(function, {})
    assert not [t for t in walk(lowered.roots) if t.op == "library"]
    values = list(arguments(function, dims).values())
    for a, b in zip(call(function, values, dims), call(lowered, values, dims), strict=True):
        assert np.allclose(a, b, rtol=1e-8, atol=1e-9)


def test_one_matrix_is_factored_once():
    lowered = with_solvers(CASES["plane"][0], SIZES[0])
    names = [t.attrs[0] for t in walk(lowered.roots) if t.op == "library"]
    assert sorted(names) == ["factor", "solve_factored", "solve_factored"]


def test_wide_bands_iterate():
    function, _ = CASES["plane"]
    dims = {"x": 150, "y": 140}
    lowered = with_solvers(function, dims)
    assert not [t for t in walk(lowered.roots) if t.op == "library"]
    values = arguments(function, dims)
    got = call(lowered, list(values.values()), dims)
    u, b = got[0], values["b"]
    up = np.pad(u, ((0, 0), (1, 1)))
    star = np.roll(u, 1, 0) + np.roll(u, -1, 0) + up[:, 2:] + up[:, :-2] - 4 * u + np.roll(up[:, 2:], -1, 0)
    assert np.allclose(u - values["g"] * star, b, atol=1e-8)


def test_no_right_hand_side_and_no_convergence():
    """b = 0 has the solution 0; a singular system says infinite (the loop then rejects the step)."""
    u, g = field("u", x=N), build.symbol("g", REAL)
    function = shell("f", [u], [build.mul(g, build.add(u, build.scale(-1, u), build.sum_over(u, ["x"])))], [g], [[field("b", x=N)]])
    dims = {"x": 5}
    lowered = with_solvers(function, {})
    assert np.all(call(lowered, [1.0, np.zeros(5)], dims)[0] == 0)
    with np.errstate(all="ignore"):
        assert not np.isfinite(call(lowered, [1.0, np.arange(5.0)], dims)[0]).any()


@pytest.mark.parametrize("name", ["periodic", "removed", "plane", "points", "mean"])
def test_generated_code(name):
    """One compilation serves every size that keeps the order of the unknowns."""
    function, _ = CASES[name]
    executable = compile_plan(schedule(function, sizes=SIZES[0]))
    for dims in SIZES[::2]:
        values = arguments(function, dims)
        got = executable(dict(values), dims, 1)
        for (result, _), right in zip(function.results, call(function, list(values.values()), dims), strict=True):
            assert np.allclose(got[result], right, rtol=1e-8, atol=1e-9)
