"""Unknowns that are coupled at their own point only leave a linear system before it is solved."""

import numpy as np
import pytest

from ricci.backends.numba_cpu import compile_plan
from ricci.driver import Settings
from ricci.dsl import build
from ricci.dsl.reference import call
from ricci.dsl.term import Function
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.errors import Source
from ricci.faces.execute import execute
from ricci.lowering.condensing import condensed
from ricci.lowering.schedule import schedule
from ricci.lowering.solvers import way_of, with_solvers
from ricci.lowering.windows import stencil

N, M = Dim("x", 4), Dim("y", 4)


def field(name):
    return build.symbol(name, Type(Kind.REAL, {"x": Size.of(N), "y": Size.of(M)}))


def lap(u):
    moved = [build.shift(u, axis, step, 0) for axis in ("x", "y") for step in (1, -1)]
    return build.add(*moved, build.scale(-4, u))


def system(moving, local, coupling):
    """apply(x, c_0..): row k is 3 x_k + sum_l c_kl x_l for the pairs in `coupling`, minus the Laplacian for those that move."""
    unknowns = [field(f"u{k}") for k in range(moving + local)]
    constants = [field(f"c{k}{m}") for k, m in coupling]
    roots = []
    for k, u in enumerate(unknowns):
        parts = [build.mul(c, unknowns[m]) for (row, m), c in zip(coupling, constants, strict=True) if row == k]
        roots.append(build.add(build.scale(3, u), *parts, *([build.neg(lap(u))] if k < moving else [])))
    return Function("apply", (*unknowns, *constants), tuple((str(k), r) for k, r in enumerate(roots)))


def solving(apply):
    count = len(apply.results)
    right = [field(f"b{k}") for k in range(count)]
    whole = build.library("solve", (*right, *apply.params[count:]), (apply,))
    results = tuple((f"x{k}", build.proj(whole, k)) for k in range(count))
    return Function("f", (*right, *apply.params[count:]), results)


@pytest.mark.parametrize(
    ("moving", "local", "coupling"),
    [
        (1, 2, [(0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 0), (1, 1)]),
        (2, 1, [(0, 2), (2, 1), (1, 0)]),
        (1, 1, [(0, 1)]),
        (1, 1, [(1, 0)]),
        (1, 4, [(k, m) for k in range(5) for m in range(5)]),
    ],
)
def test_solutions(moving, local, coupling):
    apply = system(moving, local, coupling)
    sizes = {"x": 7, "y": 6}
    assert way_of(apply, tuple(sizes.items())).name.startswith(f"elimination of {local} of {moving + local} fields at each point, then")
    function = solving(apply)
    draw = np.random.default_rng(0)
    arguments = [draw.uniform(-0.4, 0.4, (7, 6)) for _ in function.params]
    wanted = call(function, arguments, sizes)
    found = compile_plan(schedule(with_solvers(function, sizes)))(
        {p.attrs[0]: a for p, a in zip(function.params, arguments, strict=True)}, sizes
    )
    for k, value in enumerate(wanted):
        np.testing.assert_allclose(found[f"x{k}"], value, rtol=1e-11, atol=1e-12)


def test_a_pivot_that_vanishes_makes_the_solution_infinite():
    apply = system(1, 1, [(0, 1), (1, 0), (1, 1)])
    function, sizes = solving(apply), {"x": 5, "y": 5}
    values = {p.attrs[0]: np.ones((5, 5)) for p in function.params}
    values["c11"] = np.full((5, 5), -3.0)
    found = compile_plan(schedule(with_solvers(function, sizes)))(values, sizes)
    assert not np.isfinite(found["x0"]).any()


def test_nothing_to_eliminate():
    for moving, local in ((2, 0), (0, 2)):
        apply = system(moving, local, [(0, 1), (1, 0)])
        found = stencil(apply.roots, apply.params[:2])
        assert condensed(apply, found) is None


REACTION = """
domain D: x in 0..1, y in 0..1
field A(D), B(D), C(D)
equation dt(A) = lap(A) + x - A*B + C
equation dt(B) = 1 - A*B + C - B
equation dt(C) = A*B - 2*C
boundary A on x.lo, x.hi, y.lo, y.hi: SIDES
initial A = 0
initial B = 0
initial C = 0
solve { grid: x=9, y=8; until: t=0.5; tol: 1e-4METHOD }
"""


@pytest.mark.parametrize(
    ("sides", "method", "eliminated"), [("dn(A) = 0", "rodas3", True), ("A = 0", "rodas3", False), ("dn(A) = 0", "trbdf2", True)]
)
def test_a_run_is_that_of_an_explicit_method(sides, method, eliminated):
    """With values at the sides A lies on other points than B and C, which stay in the system."""
    text = REACTION.replace("SIDES", sides)
    outcome = execute(Source("m.model", text.replace("METHOD", f"; time: {method}")), Settings(), write=False)
    wanted = execute(Source("m.model", text.replace("METHOD", "; time: dp54")), Settings(), write=False)
    said = next(c.value for c in outcome.choices if c.what.startswith("linear systems"))
    assert said.startswith("by elimination of 2 of 3 fields") == eliminated
    for name in "ABC":
        assert np.abs(np.asarray(outcome.results[name].values) - np.asarray(wanted.results[name].values)).max() < 1e-4
