"""Neighbour reads at all kinds of edges: small and odd sizes, threads, periodic and extended fields."""

from fractions import Fraction

import numpy as np
import pytest
from running import assert_close, everywhere, expected, laplacian, shifted, size, symbol, values_for

from ricci.backends.executable import CACHE_LINE, aligned_zeros
from ricci.dsl import build
from ricci.dsl.index import Index
from ricci.dsl.term import Function

SIZES_1D = [{"x": n} for n in (1, 2, 3, 5, 8, 17, 4099)]
SIZES_2D = [{"x": n, "y": m} for n, m in ((1, 1), (1, 4), (4, 1), (2, 3), (9, 8), (7, 33), (129, 71))]


def test_one_dimension():
    u = symbol("u", x="x")
    results = [
        (str(edge), build.add(shifted(u, "x", 2, edge), build.scale(3, shifted(u, "x", -1, edge))))
        for edge in ("wrap", "clamp", "mirror", 0, 7)
    ]
    upwind = build.sub(u, shifted(u, "x", -1, 0))
    everywhere(Function("edges", (u,), (*results, ("upwind", upwind))), SIZES_1D)


def test_two_dimensions():
    u, v = symbol("u", x="x", y="y"), symbol("v", x="x", y="y")
    results = [(str(edge), build.mul(laplacian(u, edge), v)) for edge in ("wrap", "mirror", 0)]
    mixed = shifted(shifted(u, "x", 1), "y", -1)
    everywhere(Function("edges", (u, v), (*results, ("mixed", mixed))), SIZES_2D)


def test_empty_axis():
    u = symbol("u", x=size("x", 0))
    everywhere(
        Function(
            "empty", (u,), (("shifted", build.add(shifted(u, "x", 1, 0), shifted(u, "x", -1, 0), u)), ("sum", build.sum_over(u, ["x"])))
        ),
        [{"x": n} for n in (0, 1, 6)],
    )


def extended(u, axis, low, high):
    """u on axis:e1 with one ghost a side: the given terms."""
    n, wide = u.axes[axis], f"{axis}:e1"
    axes = {(wide if a == axis else a): (s + 2 if a == axis else s) for a, s in u.axes.items()}
    inside = build.reindex(u, axes, {axis: Index.axis(wide) - 1}, (), 0)
    return build.add(inside, build.place(low, wide, 0, n + 2), build.place(high, wide, n + 1, n + 2))


def robin(u, axis, data):
    """Ghosts that depend on the field and on data: 2 data - u[0] below, a combination of the last nodes above."""
    n = u.axes[axis]
    first, last = build.slice_at(u, axis, Index.of(0)), build.slice_at(u, axis, Index.of(n - 1))
    return extended(u, axis, build.sub(build.scale(2, data), first), build.add(build.mul(data, last), build.scale(Fraction(1, 3), first)))


def second_difference(e, axis):
    wide = f"{axis}:e1"
    axes = {(axis if a == wide else a): (s - 2 if a == wide else s) for a, s in e.axes.items()}
    return build.linear([(c, build.reindex(e, axes, {wide: Index.axis(axis) + k})) for k, c in ((0, 1), (1, -2), (2, 1))])


def temporaries(executable):
    return {s.name for s in executable.program.needs.slots if s.role == "temporary"}


def test_extended_fields():
    """Extended fields lie around the field inside them: no array of their own is planned."""
    u, g = symbol("u", x="x", y="y"), symbol("g")
    ex, ey = robin(u, "x", g), robin(u, "y", g)
    lap = build.add(second_difference(ex, "x"), second_difference(ey, "y"))
    assert temporaries(everywhere(Function("robin", (u, g), (("lap", lap),)), SIZES_2D)) == {"lap"}


def test_corners():
    u, g = symbol("u", x="x", y="y"), symbol("g")
    corner = robin(robin(u, "x", g), "y", g)
    wide = build.reindex(corner, dict(u.axes), {"x:e1": Index.axis("x") + 2, "y:e1": Index.axis("y")})
    wider = build.reindex(corner, dict(u.axes), {"x:e1": Index.axis("x"), "y:e1": Index.axis("y") + 2})
    assert temporaries(everywhere(Function("corners", (u, g), (("mixed", build.sub(wide, wider)),)), SIZES_2D)) == {"mixed"}


def test_two_extensions_of_one_side():
    """Two different continuations of one field past one side cannot share its surroundings."""
    u, g = symbol("u", x="x", y="y"), symbol("g")
    both = build.sub(second_difference(robin(u, "x", g), "x"), second_difference(robin(u, "x", build.scale(2, g)), "x"))
    assert len(temporaries(everywhere(Function("two", (u, g), (("both", both),)), SIZES_2D))) == 2


def test_inputs_of_any_layout():
    u = symbol("u", x="x", y="y")
    function = Function("lap", (u,), (("lap", laplacian(u)),))
    executable = everywhere(function, [{"x": 6, "y": 5}])
    whole = values_for(function, {"x": 20, "y": 30})["u"]
    for view in (whole[::4, 3:20:2], whole.T[:5, :6].T, whole[5::-1, :5].astype(np.float32), np.asfortranarray(whole[:6, :5])):
        n, m = view.shape
        assert_close(executable({"u": view}, {"x": n, "y": m}), expected(function, {"u": view.astype(float)}, {"x": n, "y": m}))


def test_results_are_fresh():
    u = symbol("u", x="x")
    executable = everywhere(Function("double", (u,), (("twice", build.scale(2, u)), ("same", u))), [{"x": 5}])
    first = executable({"u": np.arange(5.0)}, {"x": 5})
    executable({"u": np.zeros(5)}, {"x": 5})
    assert first["twice"].tolist() == [0, 2, 4, 6, 8]
    assert first["same"].tolist() == [0, 1, 2, 3, 4]
    assert first["twice"].flags.writeable


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.bool_, np.complex128])
@pytest.mark.parametrize("length", [1, 7, 100_003])
def test_arenas_begin_on_a_cache_line(dtype, length):
    arena = aligned_zeros(length, dtype)
    assert arena.shape == (length,)
    assert not arena.any()
    assert arena.ctypes.data % CACHE_LINE == 0
    assert arena.flags.c_contiguous
