"""What a plan looks like: fusion, storage, memory."""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "backends"))

from running import laplacian, shifted, symbol
from test_loops import adaptive_heun

from ricci.backends.numba_cpu import compile_function
from ricci.dsl import build
from ricci.dsl.reference import call
from ricci.dsl.term import Function
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.lowering.interpret import UNWRITTEN, run_plan
from ricci.lowering.schedule import schedule
from ricci.lowering.schedule.plan import Launch, Place, steps_of
from ricci.lowering.schedule.storage import SLACK, layout


def nests(function):
    return [s.nest for s in steps_of(schedule(function).steps) if isinstance(s, Launch)]


def test_pointwise_terms_share_one_loop():
    u, v = symbol("u", x="x", y="y"), symbol("v", x="x", y="y")
    w = build.mul(u, build.apply("exp", v))
    total = build.sum_over(build.mul(w, w), ["x", "y"])
    function = Function(
        "f", (u, v), (("w", w), ("sin", build.apply("sin", w)), ("total", total), ("largest", build.reduce("max", w, ["x", "y"])))
    )
    (nest,) = nests(function)
    (one,) = nest.passes
    assert sorted(m.how for m in one.members) == ["store", "store", "total", "total"]


def test_reductions_of_rows_and_what_follows_them_share_the_loop_over_rows():
    """A normalization is one kernel: what is the same along a row has no say in which axis has the vectors."""
    x = symbol("x", b="b", i="i")
    many = build.size_term(x.axes["i"])
    mean = build.divide(build.sum_over(x, ["i"]), many)
    centred = build.sub(x, mean)
    variance = build.divide(build.sum_over(build.mul(centred, centred), ["i"]), many)
    scaled = build.divide(centred, build.apply("sqrt", build.add(variance, build.const(Fraction(1, 1000)))))
    results = (("mean", mean), ("y", scaled), ("largest", build.reduce("max", build.apply("tanh", scaled), ["i"])))
    function = Function("f", (x,), results)
    (nest,) = nests(function)
    assert all(one.order == ("b", "i") and one.vector == "i" for one in nest.passes if len(one.order) == 2)
    for shape in ((5, 7), (1, 1), (3, 64)):
        values = np.random.default_rng(0).standard_normal(shape)
        sizes = {"b": shape[0], "i": shape[1]}
        found = compile_function(function)({"x": values}, sizes)
        for name, wanted in zip(("mean", "y", "largest"), call(function, [values], sizes), strict=True):
            np.testing.assert_allclose(found[name], wanted, rtol=1e-13, atol=1e-13)


def test_cheap_terms_are_computed_again_and_dear_ones_stored():
    """A difference of a field is inlined at two points, the nonlinear chemical potential at five is not."""
    u = symbol("u", x="x", y="y")
    flux = build.sub(shifted(u, "x", 1), u)
    cheap = Function("cheap", (u,), (("r", build.sub(flux, shifted(flux, "x", -1))),))
    assert len([m for n in nests(cheap) for p in n.passes for m in p.members if m.term.op != "reindex"]) == 1
    potential = build.linear([(1, build.power(u, 3)), (-1, u), (Fraction(-1, 10), laplacian(u))])
    members = [m.term for n in nests(Function("dear", (u,), (("r", laplacian(potential)),))) for p in n.passes for m in p.members]
    assert potential in members


def test_rows_never_start_at_multiples_of_a_kilobyte():
    for n in (32, 64, 120, 128, 504, 512, 1000, 1024, 4096):
        for before, after in ((0, 0), (1, 1), (3, 4)):
            rows = layout((10, n), (0, before), (0, after), 8)
            assert rows.strides[0] * 8 % 1024 != 0
            assert rows.strides[0] % 8 == rows.origin % 8 == 0
            assert before <= rows.origin
            assert rows.strides[0] >= before + n + after


@pytest.mark.parametrize("element", [1, 8, 16])
def test_arrays_one_behind_the_other_begin_at_different_places_of_their_pages(element):
    for extents in ((8192,), (65536,), (1000, 1001), (64, 64, 64)):
        length = layout(extents, (1,) * len(extents), (1,) * len(extents), element).length
        starts = [k * length * element % 4096 for k in range(8)]
        apart = [(a - b) % 4096 for a in starts for b in starts if a != b]
        assert len(set(starts)) == 8
        assert min(apart) >= 256
        assert length * element % 64 == 0


def test_short_rows_are_dense():
    assert layout((1000, 3), (0, 0), (0, 0), 8).strides == (3, 1)


def test_memory_is_shared_by_what_never_lives_together():
    """A chain of stored terms needs two temporary arrays at a time, not ten."""
    u = symbol("u", x="x")
    chain = u
    for _ in range(10):
        chain = build.apply(
            "tanh", build.linear([(1, shifted(chain, "x", 1)), (2, shifted(chain, "x", -1)), (1, build.apply("exp", chain))])
        )
    executable = compile_function(Function("chain", (u,), (("r", chain),)), use_cache=False)
    n = 1_000_000
    arrays = (executable.storage({"x": n}).lengths[Kind.REAL] - SLACK) / n
    assert len([s for s in executable.program.needs.slots if s.role == "temporary"]) >= 10
    assert arrays < 4.1


def test_planned_bytes():
    """Arenas, and two states as arguments and as results."""
    executable = compile_function(adaptive_heun(), use_cache=False)
    n, m = 300, 500
    planned = executable.planned_bytes({"x": n, "y": m}) / (8 * n * m)
    stored = sum(executable.storage({"x": n, "y": m}).lengths.values()) / (n * m)
    assert 6 < stored < 12
    assert planned == pytest.approx(stored + 4, rel=0.05)


def test_show():
    text = schedule(adaptive_heun()).show()
    for part in ("while:", "swap u, u_next if", "in vectors", "(+1 before, +1 after)", "shared by threads", "result u: u[x, y]"):
        assert part in text


def test_results_that_are_arguments():
    u, s = symbol("u", x="x"), symbol("s")
    plan = schedule(Function("same", (u, s), (("u", u), ("s", s), ("two", build.const(2)), ("row", build.slice_at(u, "x", 0)))))
    assert isinstance(plan.results["u"], Place)
    assert not nests(Function("same", (u,), (("u", u),)))


def test_periodic_ghosts_of_an_extended_field_are_filled_after_its_own():
    """Around an end of x and across the periodic y: the corner reads what the ghosts along x hold, so those come first."""
    u = symbol("u", x="x", y="y")
    inner = build.linear([(1, u), (Fraction(1, 2), build.power(u, 2))])

    def corners(t):
        beside = [build.shift(t, "x", k, 0) for k in (-1, 1)]
        return build.add(*[build.shift(b, "y", k, "wrap") for b in beside for k in (-1, 1)], *beside)

    function = Function("f", (u,), (("r", corners(corners(inner))),))
    values, dims = np.random.default_rng(3).normal(size=(5, 7)), {"x": 5, "y": 7}
    (expected,) = call(function, [values], dims)
    np.testing.assert_allclose(run_plan(schedule(function), {"u": values}, dims)["r"], expected, rtol=1e-12)


def test_memory_holds_no_number_before_it_is_written():
    """Otherwise a plan that reads too early could look right."""
    assert all(value != 0 for value in UNWRITTEN.values())
    assert np.isnan(UNWRITTEN[Kind.REAL])


def test_a_box_with_conditions_on_all_sides_is_not_copied():
    """Ghosts along every axis lie around one array, in three dimensions too."""
    axes = {"x": "x", "y": "y", "z": "z"}
    u = build.symbol("u", Type(Kind.REAL, {a: Size.of(Dim(n)) for a, n in axes.items()}))
    reads = [(1, build.shift(u, axis, k, 0)) for axis in axes for k in (-1, 1)]
    plan = schedule(Function("f", (u,), (("r", build.linear([(-6, u), *reads])),)))
    slot, result = plan.slots
    assert plan.results["r"].slot is result
    assert [n.constant for n in slot.before] == [n.constant for n in slot.after] == [1, 1, 1]
