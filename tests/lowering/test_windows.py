"""Stencils of linear maps against their dense matrices."""

import numpy as np
import pytest

from ricci.dsl import build
from ricci.dsl.derivative import tangent
from ricci.dsl.index import Guard, Index
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.reference import evaluate
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.lowering.windows import grid_axis, stencil

N, M = Dim("x", 4), Dim("y", 4)
X = Index.axis("x")


def field(name, **axes):
    return build.symbol(name, Type(Kind.REAL, {a.replace("_", ":"): Size.of(n) for a, n in axes.items()}))


def jacobian(results, states, values, dims):
    """Dense matrix of d results / d states by unit directions."""
    directions = [build.symbol(f"d:{name_of(s)}", s.type) for s in states]
    moved = [build.conform(t, r.type) for t, r in zip(tangent(results, dict(zip(states, directions, strict=True))), results, strict=True)]
    shapes = [tuple(n.evaluate(dims) for n in s.axes.values()) for s in states]
    columns = []
    for k, shape in enumerate(shapes):
        for j in range(int(np.prod(shape))):
            given = dict(values)
            for d, other in zip(directions, shapes, strict=True):
                given[name_of(d)] = np.zeros(other)
            given[name_of(directions[k])].reshape(-1)[j] = 1
            columns.append(np.concatenate([np.ravel(v) for v in evaluate(moved, given, dims)]))
    return np.stack(columns, axis=1), moved, directions


def assembled(found, results, states, values, dims):
    """Dense matrix from the coefficients of a stencil."""
    shapes = [[n.evaluate(dims) for n in s.axes.values()] for s in states]
    starts = np.concatenate([[0], np.cumsum([int(np.prod(s)) for s in shapes])])
    matrix = np.zeros((starts[-1], starts[-1]))
    for (k, m), entry in found.entries.items():
        for offset, coefficient in entry.items():
            (c,) = evaluate([coefficient], values, dims)
            for place in np.ndindex(*shapes[k]):
                if c[place] == 0:
                    continue
                nodes = {grid_axis(a)[0]: i + grid_axis(a)[1] for a, i in zip(states[k].axes, place, strict=True)}
                to = []
                for a, n in zip(states[m].axes, shapes[m], strict=True):
                    grid, first = grid_axis(a)
                    j = nodes[grid] + offset[grid]
                    whole = n + sum(map(int, a.partition(":")[2]))
                    to.append((j % whole if grid in found.periodic else j) - first)
                row = starts[k] + (np.ravel_multi_index(place, shapes[k]) if shapes[k] else 0)
                column = starts[m] + (np.ravel_multi_index(to, shapes[m]) if shapes[m] else 0)
                matrix[row, column] += c[place]
    return matrix


def compare(results, states, dims, periodic=(), reach=None, **more):
    rng = np.random.default_rng(1)
    values = {name_of(s): rng.normal(size=[n.evaluate(dims) for n in s.axes.values()]) for s in states}
    values |= more
    dense, moved, directions = jacobian(results, states, values, dims)
    found = stencil(moved, directions)
    assert found is not None
    assert found.periodic == frozenset(periodic)
    assert np.allclose(assembled(found, results, states, values, dims), dense)
    if reach is not None:
        assert {a: found.reach(a) for a in reach} == reach
    return found


def lap(u, axis, edge="wrap"):
    return build.add(build.shift(u, axis, 1, edge), build.shift(u, axis, -1, edge), build.scale(-2, u))


@pytest.mark.parametrize("n", [4, 7])
def test_periodic(n):
    u = field("u", x=N)
    compare([build.add(lap(u, "x"), build.power(u, 3))], [u], {"x": n}, ["x"], {"x": (-1, 1)})


def test_nested_and_nonlinear():
    u, v = field("u", x=N), field("v", x=N)
    flux = build.mul(build.apply("exp", v), build.sub(build.shift(u, "x", 1), u))
    compare([build.sub(flux, build.shift(flux, "x", -1)), lap(lap(build.mul(u, v), "x"), "x")], [u, v], {"x": 7}, ["x"], {"x": (-2, 2)})


@pytest.mark.parametrize("edge", [0, "clamp", "mirror"])
def test_edges(edge):
    u = field("u", x=N)
    compare([lap(u, "x", edge)], [u], {"x": 6})


def test_two_dimensions_are_a_star():
    u = field("u", x=N, y=M)
    found = compare([build.add(lap(u, "x"), lap(u, "y", 0))], [u], {"x": 5, "y": 4}, ["x"], {"x": (-1, 1), "y": (-1, 1)})
    assert len(found.entries[0, 0]) == 5


def test_removed_ends_and_pinned_rows():
    """States without their Dirichlet nodes, read through an extended axis with edge rows that read fixed points."""
    n = Size.of(N)
    u, v = field("u", x_11=N), field("v", x=N)
    u = build.symbol("u", Type(Kind.REAL, {"x:11": n - 2}))
    whole = build.reindex(u, {"x": n}, {"x:11": X - 1}, (), 0)
    last = build.slice_at(v, "x", Index.of(n - 2))
    whole = build.add(whole, build.mul(build.place(last, "x", Index.of(n - 1), n), build.apply("exp", build.slice_at(v, "x", 1))))
    rate = lap(whole, "x", 0)
    results = [build.reindex(build.mul(rate, v), {"x:11": n - 2}, {"x": Index.axis("x:11") + 1}), build.add(lap(v, "x", 0), whole)]
    # v[1] in the row of the last node: near if the axis is taken for a ring
    compare(results, [u, v], {"x": 7}, ["x"], reach={"x": (-1, 3)})
    whole = build.add(build.reindex(u, {"x": n}, {"x:11": X - 1}, (), 0), build.place(build.power(last, 2), "x", Index.of(n - 1), n))
    first = build.place(build.scale(3, build.slice_at(v, "x", 2)), "x", 0, n)
    results = [
        build.reindex(build.mul(lap(whole, "x", 0), v), {"x:11": n - 2}, {"x": Index.axis("x:11") + 1}),
        build.add(lap(v, "x", 0), whole, first),
    ]
    middle = build.place(build.slice_at(v, "x", Index.of(n - 2)), "x", 2, n)
    assert stencil(*_moved([results[0], build.add(results[1], middle)], [u, v])) is not None
    compare(results, [u, v], {"x": 7}, reach={"x": (-1, 2)})


def _moved(results, states):
    directions = [build.symbol(f"d:{name_of(s)}", s.type) for s in states]
    moved = tangent(results, dict(zip(states, directions, strict=True)))
    return [build.conform(t, r.type) for t, r in zip(moved, results, strict=True)], directions


def test_guarded_rows():
    """A wide stencil inside, a narrow one at the sides: rows by guards."""
    n = Size.of(N)
    u = field("u", x=N)
    inside = build.indicator({"x": n}, [Guard(2, X, n - 2)])
    wide = build.mul(inside, build.add(build.shift(u, "x", 2, 0), build.shift(u, "x", -2, 0)))
    side = build.place(build.slice_at(u, "x", 3), "x", 0, n)
    compare([build.add(wide, side, u)], [u], {"x": 8}, reach={"x": (-2, 3)})


def test_small_families_are_written_out():
    a = build.symbol("a", Type(Kind.REAL, {"i": Size.of(3), "j": Size.of(3)}))
    u = field("u", i=3, x=N)
    coupled = build.contract([(a, {}), (u, {"i": "j"})], {"j": Size.of(3)})
    compare([build.add(coupled, lap(u, "x"))], [u], {"x": 4}, ["x"], {"i": (-2, 2), "x": (-1, 1)}, a=np.arange(9.0).reshape(3, 3) + 1)


def test_choices():
    u = field("u", x=N)
    upwind = build.where(build.apply("lt", u, build.const(0)), build.shift(u, "x", 1), build.shift(u, "x", -1))
    compare([build.mul(u, build.sub(u, upwind))], [u], {"x": 6}, ["x"])


def test_systems_without_space():
    a, b = field("a"), field("b")
    compare([build.mul(a, b), build.sub(a, build.power(b, 2))], [a, b], {})


def test_other_maps_are_none():
    u, c = field("u", x=N), field("c")
    mean = build.sum_over(u, ["x"])
    assert stencil(*_moved([build.mul(u, mean)], [u])) is None
    assert stencil(*_moved([build.mul(u, c), mean], [u, c])) is None
    assert stencil(*_moved([build.reindex(u, u.axes, {"x": Size.of(N) - 1 - X})], [u])) is None
