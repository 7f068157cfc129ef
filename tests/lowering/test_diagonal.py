"""Systems that transforms take apart: what is recognized, the reason given, and solutions against the dense meaning of `solve`."""

from fractions import Fraction

import numpy as np
import pytest

from ricci.backends.numba_cpu import compile_plan
from ricci.dsl import build
from ricci.dsl.index import Guard, Index
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.reference import call
from ricci.dsl.term import Function, walk
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.lowering import diagonal as spectral
from ricci.lowering.diagonal import diagonal
from ricci.lowering.schedule import schedule
from ricci.lowering.solvers import way_of, with_solvers

DIMS = {"x": Dim("x", 4), "y": Dim("y", 4), "z": Dim("z", 3)}
REAL = Type(Kind.REAL)
SIZES = {"x": 40, "y": 40, "z": 40}


def field(name, axes="xy"):
    return build.symbol(name, Type(Kind.REAL, {a: Size.of(DIMS[a]) for a in axes}))


def scalar(name):
    return build.symbol(name, REAL)


def end(u, axis, at, read):
    """u[read] in the line `axis == at`, 0 elsewhere."""
    index = {a: Index.axis(a) for a in u.axes} | {axis: Index.of(read)}
    return build.reindex(u, dict(u.axes), index, [Guard.equal(Index.axis(axis), at)], 0)


def lap(u, axis, edge):
    return build.add(build.shift(u, axis, 1, edge), build.shift(u, axis, -1, edge), build.scale(-2, u))


def last(axis):
    return Size.of(DIMS[axis]) - 1


def ring(u, axis):
    return lap(u, axis, "wrap")


def values(u, axis):
    return lap(u, axis, 0)


def slope_at_end(u, axis):
    return build.add(lap(u, axis, 0), end(u, axis, last(axis), last(axis) - 1))


def slope_at_start(u, axis):
    return build.add(lap(u, axis, 0), end(u, axis, 0, 1))


def slopes(u, axis):
    return build.add(slope_at_end(u, axis), end(u, axis, 0, 1))


def robin(u, axis):
    return build.add(slopes(u, axis), end(u, axis, 0, 0))


def wind(u, axis):
    return build.add(ring(u, axis), build.shift(u, axis, 1, "wrap"))


def supported_plate(u, axis):
    """Minus the fourth difference, of a line that is odd at its ends."""
    return build.neg(lap(lap(u, axis, 0), axis, 0))


def fourth_order(u, axis):
    """The second derivative of order four around a ring."""
    near, far = (build.add(build.shift(u, axis, k), build.shift(u, axis, -k)) for k in (1, 2))
    return build.linear([(16, near), (-1, far), (-30, u)])


def varying(u, axis):
    k = build.symbol("k", Type(Kind.REAL, {axis: Size.of(DIMS[axis])}))
    return build.mul(k, lap(u, axis, 0))


def system(**operators):
    """(1 - sum c_a L_a) u = b, c_a = g + position of the axis."""
    u = field("u", operators)
    g = scalar("g")
    parts = [build.mul(build.add(g, build.const(k)), operator(u, axis)) for k, (axis, operator) in enumerate(operators.items())]
    result = build.sub(u, build.add(*parts))
    return shell([u], [result])


def shell(unknowns, results):
    constants = [
        c for c in dict.fromkeys(t for t in walk(results) if t.op == "symbol") if c not in unknowns and not name_of(c).startswith("#")
    ]
    apply = Function("apply", (*unknowns, *constants), tuple((str(k), r) for k, r in enumerate(results)))
    right = [build.symbol(f"b{k}", u.type) for k, u in enumerate(unknowns)]
    whole = build.library("solve", (*right, *constants), (apply,))
    return Function("f", (*constants, *right), tuple((f"x{k}", build.proj(whole, k)) for k in range(len(unknowns))))


def found(function, sizes=SIZES):
    """How the system of a function is taken apart."""
    (term,) = (t for t in walk(function.roots) if t.op == "library")
    apply = term.attrs[1]
    count = len(apply.results)
    results = [build.conform(r, u.type) for r, u in zip(apply.roots, apply.params, strict=False)]
    return diagonal(results, apply.params[:count], sizes)


def arguments(function, dims, seed=0):
    rng = np.random.default_rng(seed)
    out = {}
    for p in function.params:
        shape = [n.evaluate(dims) for n in p.axes.values()]
        out[name_of(p)] = 0.4 if not shape else rng.normal(size=shape) if name_of(p).startswith("b") else 1 + rng.random(shape)
    return out


@pytest.fixture
def always_transforms(monkeypatch):
    """Small systems too, and transforms along every axis that has one."""
    way_of.cache_clear()
    monkeypatch.setattr("ricci.lowering.solvers.ENTRY", 1.0)
    monkeypatch.setattr(spectral, "_may_be_band", lambda along: False)
    yield
    way_of.cache_clear()


REASONS = {
    "Fourier transform along x, y": {"x": ring, "y": ring},
    "sine transform along x, y": {"x": values, "y": values},
    "cosine transform along x, y": {"x": slopes, "y": slopes},
    "sine transform along x, Fourier transform along y": {"x": values, "y": ring},
    "quarter-wave sine transform along x, quarter-wave cosine transform along y": {"x": slope_at_end, "y": slope_at_start},
    "sine transform along x, band of width 3 along y": {"x": values, "y": robin},
    "Fourier transform along x, band of width 3 along y": {"x": fourth_order, "y": varying},
    "Fourier transform along x, sine transform along y, cosine transform along z": {"x": wind, "y": supported_plate, "z": slopes},
}


@pytest.mark.usefixtures("always_transforms")
@pytest.mark.parametrize("reason", REASONS)
def test_reasons(reason):
    one = found(system(**REASONS[reason]))
    assert not isinstance(one, str)
    assert one.name == reason


def rough(u, axis):
    """A second difference whose first and last two rows are anything but that."""
    out = lap(u, axis, 0)
    for at, read, c in ((0, 1, 3), (0, 2, -1), (1, 0, 2), (last(axis), last(axis) - 1, 3), (last(axis), last(axis), -1)):
        out = build.add(out, build.scale(Fraction(c, 4), end(u, axis, at, read)))
    return out


NEARLY = {
    "cosine transform along y, band of width 3 along x": ({"x": robin, "y": robin}, ("y",)),
    "cosine transform along y, band of width 3 along x ": ({"x": varying, "y": robin}, ("y",)),
    "Fourier transform along x, cosine transform along y": ({"x": wind, "y": robin}, ("y",)),
    "sine transform along y, band of width 4 along x": ({"x": rough, "y": rough}, ("y",)),
    "sine transform along y, z, band of width 4 along x": ({"x": rough, "y": rough, "z": rough}, ("y", "z")),
}


@pytest.mark.parametrize("name", NEARLY)
def test_systems_near_by(name):
    """Where no transform fits the sides, the iteration is preconditioned by one that nearly does."""
    operators, changed = NEARLY[name]
    one = found(system(**operators))
    assert not isinstance(one, str)
    assert (one.name, one.changed) == (name.strip(), changed)


@pytest.mark.parametrize("name", [n for n in NEARLY if " z" not in n])
def test_preconditioned_iteration(name, monkeypatch):
    """The system solved is the given one, in a few turns however stiff it is."""
    monkeypatch.setattr("ricci.lowering.solvers.ENTRY", 1.0)
    monkeypatch.setattr("ricci.lowering.solvers.MOST_ITERATIONS", 25)
    way_of.cache_clear()
    function = system(**NEARLY[name][0])
    executable = compile_plan(schedule(function, sizes=SIZES))
    way_of.cache_clear()
    assert "transform" in executable.program.signature.routines
    for dims in ({"x": 6, "y": 7, "z": 5}, {"x": 9, "y": 20, "z": 4}):
        given = arguments(function, dims) | {"g": 40.0}
        got = executable(dict(given), dims, 1)["x0"]
        (wanted,) = call(function, list(given.values()), dims)
        assert np.allclose(got, wanted, rtol=1e-7, atol=1e-8)


def test_the_continuation_is_compared_to_the_last_entry():
    """An end that is almost a mirror is none; closures are told apart by symbols, not by values."""
    u, g, h = field("u"), scalar("g"), scalar("h")
    almost = build.add(build.mul(g, slope_at_end(u, "x")), build.mul(h, end(u, "x", 0, 1)), ring(u, "y"))
    one = found(shell([u], [build.sub(u, almost)]))
    assert not isinstance(one, str)
    assert [a.kind for a in one.spectrum.axes] == ["band", "ring"]
    exact = build.add(build.mul(g, slope_at_end(u, "x")), build.mul(build.group(g), end(u, "x", 0, 1)), ring(u, "y"))
    one = found(shell([u], [build.sub(u, exact)]), {"x": 65, "y": 64})
    assert not isinstance(one, str)
    assert one.spectrum.axes[1].kind == "ring"
    assert "x" in one.name


def test_coefficients_that_vary_along_two_axes():
    u = field("u")
    k = build.symbol("k", u.type)
    assert found(shell([u], [build.sub(u, build.mul(k, ring(u, "x")))])) == "coefficients vary along several axes"


@pytest.mark.usefixtures("always_transforms")
@pytest.mark.parametrize("reason", REASONS)
def test_terms_mean_the_same(reason):
    """The matrix that a spectrum describes against the dense meaning of `solve`, odd and even sizes."""
    function = system(**REASONS[reason])
    lowered = with_solvers(function, SIZES)
    assert {t.attrs[0] for t in walk(lowered.roots) if t.op == "library"} == {"diagonalize", "solve_diagonal"}
    for dims in ({"x": 4, "y": 5, "z": 3}, {"x": 7, "y": 4, "z": 4}):
        given = list(arguments(function, dims).values())
        for a, b in zip(call(function, given, dims), call(lowered, given, dims), strict=True):
            assert np.allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("always_transforms")
@pytest.mark.parametrize("reason", REASONS)
def test_generated_code(reason):
    """One compilation for all sizes; the same bits on two threads."""
    function = system(**REASONS[reason])
    executable = compile_plan(schedule(function, sizes=SIZES))
    for dims in ({"x": 6, "y": 7, "z": 3}, {"x": 9, "y": 4, "z": 8}, {"x": 4, "y": 19, "z": 5}):
        given = arguments(function, dims)
        got = executable(dict(given), dims, 1)
        (wanted,) = call(function, list(given.values()), dims)
        assert np.allclose(got["x0"], wanted, rtol=1e-9, atol=1e-11)
        assert np.array_equal(executable(dict(given), dims, 2)["x0"], got["x0"])


@pytest.mark.usefixtures("always_transforms")
@pytest.mark.parametrize("single", [False, True])
def test_lengths_with_large_prime_factors(single):
    """Periods of 83 and of 2 * 83: convolutions, the largest tables. Also with 32 bits."""
    function = system(x=ring, y=values)
    executable = compile_plan(schedule(function, sizes=SIZES), single)
    dims = {"x": 83, "y": 82}
    given = arguments(function, dims)
    got = executable(dict(given), dims, 1)["x0"]
    back = sum(c * second(got, axis) for c, second, axis in ((0.4, around, 0), (1.4, between, 1)))
    assert np.allclose(got - back, given["b0"], rtol=0, atol=2e-5 if single else 1e-12)


def around(u, axis):
    return np.roll(u, 1, axis) + np.roll(u, -1, axis) - 2 * u


def between(u, axis):
    padded = np.pad(u, [(1, 1) if d == axis else (0, 0) for d in range(u.ndim)])
    return np.delete(around(padded, axis), [0, -1], axis)


def coupled(edge):
    """Two unknowns at every point, a directed and a mixed derivative among them."""
    u, v, g = field("u"), field("v"), scalar("g")
    mixed = build.sub(build.shift(build.shift(u, "x", 1), "y", 1, edge), build.shift(build.shift(u, "x", -1), "y", 1, edge))
    mixed = build.sub(
        mixed, build.sub(build.shift(build.shift(u, "x", 1), "y", -1, edge), build.shift(build.shift(u, "x", -1), "y", -1, edge))
    )
    first = build.add(u, build.neg(build.mul(g, build.add(ring(u, "x"), lap(u, "y", edge), build.scale(2, v)))), build.mul(g, mixed))
    second = build.add(build.mul(g, build.add(u, build.shift(u, "x", 1))), build.scale(3, v), build.neg(lap(v, "y", edge)))
    return shell([u, v], [first, second])


def test_coupled_unknowns():
    function = coupled("wrap")
    one = found(function)
    assert not isinstance(one, str)
    assert one.spectrum.count == 2
    assert one.spectrum.is_complex
    assert isinstance(found(coupled(0)), str)  # the mixed derivative is no product of sines
    dims = {"x": 30, "y": 30}
    executable = compile_plan(schedule(function, sizes=dims))
    for dims in ({"x": 7, "y": 6}, {"x": 4, "y": 9}):
        given = arguments(function, dims)
        got = executable(dict(given), dims, 1)
        for k, wanted in enumerate(call(function, list(given.values()), dims)):
            assert np.allclose(got[f"x{k}"], wanted, rtol=1e-9, atol=1e-11)


def test_the_cheaper_way_is_taken():
    """Transforms along a line of 2^k points, elimination along one whose period has a large prime factor."""
    function = system(x=values, y=values)
    for sizes, kinds in (({"x": 255, "y": 256}, ["sine", "band"]), ({"x": 256, "y": 255}, ["band", "sine"])):
        one = found(function, sizes)
        assert not isinstance(one, str)
        assert [a.kind for a in one.spectrum.axes] == kinds


def test_singular_systems_give_no_numbers():
    """The periodic Laplacian alone: the time loop sees that and makes its step smaller."""
    u = field("u")
    function = shell([u], [build.add(ring(u, "x"), ring(u, "y"))])
    dims = {"x": 30, "y": 30}
    executable = compile_plan(schedule(function, sizes=dims))
    assert not np.isfinite(executable(arguments(function, dims), dims, 1)["x0"]).any()


def test_empty_and_single_points():
    axes = {"x": Size.of(Dim("x", 0)), "y": Size.of(Dim("y", 0))}
    u = build.symbol("u", Type(Kind.REAL, axes))
    function = shell([u], [build.sub(u, build.add(lap(u, "x", 0), lap(u, "y", 0)))])
    executable = compile_plan(schedule(function, sizes={"x": 60, "y": 60}))
    assert "transform" in executable.program.signature.routines
    for dims in ({"x": 0, "y": 5}, {"x": 5, "y": 0}, {"x": 1, "y": 1}, {"x": 1, "y": 6}, {"x": 6, "y": 1}):
        given = arguments(function, dims)
        got = executable(dict(given), dims, 1)["x0"]
        assert np.allclose(got, call(function, list(given.values()), dims)[0], rtol=1e-9, atol=1e-12)
