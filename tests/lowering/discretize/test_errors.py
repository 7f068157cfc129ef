"""What cannot be discretized is said with a code, the place in the text and a remedy."""

from __future__ import annotations

import pytest

from ricci.driver import check_text, supported
from ricci.errors import CannotLower, Source
from ricci.lowering.discretize import discretize

DOMAIN = "domain D: x in 0..1\nfield u(D)\n"
SIDES = "boundary u on x.lo, x.hi: u = 0\n"
START = "initial u = sin(pi*x)\n"


def failure(text):
    with pytest.raises(CannotLower) as caught:
        discretize(supported(check_text(Source("test.model", text))))
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


def heat(options, equation="dt(u) = dxx(u)", sides=SIDES):
    return f"{DOMAIN}equation {equation}\n{sides}{START}solve {{ {options} }}\n"


@pytest.mark.parametrize("order", [1, 3, 5, 10])
def test_orders_that_do_not_exist(order):
    found = failure(heat(f"grid: x=41; space: fd(order={order}); until: t=1"))
    assert (found.code, found.span.text) == ("E0502", f"fd(order={order})")


@pytest.mark.parametrize(
    ("size", "order", "least"),
    [(1, 2, 3), (2, 2, 3), (4, 4, 5), (6, 6, 7), (14, 8, 15)],
)
def test_too_few_points_name_the_smallest_number(size, order, least):
    found = failure(heat(f"grid: x={size}; space: fd(order={order}); until: t=1"))
    assert found.code == "E0506"
    assert f"need {least} points" in found.message
    assert f"x={least}" in found.help
    discretize(check_text(Source("test.model", heat(f"grid: x={least}; space: fd(order={order}); until: t=1"))))


def test_periodic_axes_need_the_width_of_the_stencil():
    text = "domain D: x in 0..1 periodic\nfield u(D)\nequation dt(u) = dxx(u)\ninitial u = 1\nsolve {{ grid: x={}; until: t=1 }}\n"
    assert failure(text.format(2)).code == "E0506"
    assert discretize(check_text(Source("test.model", text.format(3)))).sizes == {"x": 3}


def test_no_grid():
    found = failure(heat("until: t=1"))
    assert (found.code, found.help) == ("E0601", "solve { until: t=1; grid: x=101 }")


def test_sides_without_a_stable_closure():
    sides = SIDES + "boundary u on x.lo, x.hi: dn(dxx(u)) = 0\n"
    found = failure(heat("grid: x=41; until: t=1", "dt(u) = -dxxxx(u)", sides))
    assert found.code == "E0502"
    assert "x.lo" in found.message
    assert found.span.line == 3
    assert "0, 3" in found.notes[0]


def test_dynamic_and_nonlinear_conditions():
    for condition, why in (("dt(u) + dn(u) = 0", "time derivative"), ("dn(u)^2 = 1", "not linear"), ("u + u^3 = 1", "not linear")):
        sides = f"boundary u on x.lo: u = 0\nboundary u on x.hi: {condition}\n"
        found = failure(heat("grid: x=41; until: t=1", sides=sides))
        assert found.code == "E0601"
        assert why in found.message
        assert found.span.line == 5


def test_equations_that_cannot_be_solved_for_the_time_derivative():
    found = failure(heat("grid: x=41; until: t=1", "dt(u)^2 = dxx(u)"))
    assert (found.code, found.span.line) == ("E0601", 3)
    found = failure(heat("grid: x=41; until: t=1", "dt(u) - dxx(dt(u)) = dxx(u)"))
    assert (found.code, found.span.line) == ("E0601", 3)


@pytest.mark.parametrize("space", ["chebyshev", "fv(staggered=true)"])
def test_other_spaces_and_stretched_grids(space):
    assert failure(heat(f"grid: x=41; space: {space}; until: t=1")).code == "E0601"
    assert failure(heat("grid: x=41, stretch(x, center=0, by=20); until: t=1")).code == "E0601"


def test_a_value_at_another_time_inside_an_equation():
    assert failure(heat("grid: x=41; until: t=1", "dt(u) = dxx(u) - u(t=0)")).code == "E0601"


def test_times_inside_times():
    text = heat("grid: x=41; until: t=1") + "check max(abs((u(t=0.5) - u)(t=0.25))) < 1\n"
    found = failure(text)
    assert found.code == "E0601"
    assert found.span.line == 7
