"""Places and times that a run is asked to look at: outside of the domain or of the run there is no value, and no number is invented."""

from __future__ import annotations

import math

import pytest

from ricci.driver import Settings
from ricci.errors import CannotRun, RicciError, Source
from ricci.faces.execute import execute
from ricci.faces.repl import Session

PULSE = """
domain D: x in 0 [m]..L
field u(D): [K]
param L = 2 [m], a = 1 [m], k = 0.01 [m^2/s], end = 1 [s]
equation dt(u) = k*dxx(u)
boundary u on x.lo, x.hi: u = 0
initial u = sin(pi*x/L)*1 [K]
"""
SOLVE = "solve { grid: x=9; until: t=end }\n"


def run(text, *set_, **more):
    return execute(Source("pulse.model", text.strip()), Settings(set=set_, backend="reference"), write=False, **more)


def refusal(text, *set_):
    with pytest.raises(RicciError) as caught:
        run(text, *set_)
    return caught.value


def test_a_point_that_depends_on_params_is_looked_at_before_the_run():
    text = PULSE + SOLVE + "check u(x=a) > 0.5 [K]\n"
    assert run(text).checks[0].passed
    error = refusal(text, ("a", "3"))
    assert error.code == "E0704"
    assert error.diagnostics[0].span.line == 8
    assert "x = 3 [m]" in error.diagnostics[0].message
    assert "2 [m]" in error.diagnostics[0].label
    assert refusal(text, ("L", "0.5")).code == "E0704"
    assert run(text, ("a", "2")).checks[0].value == pytest.approx(0.0, abs=1e-12)  # the end itself


def test_a_point_of_a_periodic_coordinate_is_anywhere():
    text = PULSE.replace("0 [m]..L", "0 [m]..L periodic").replace("boundary u on x.lo, x.hi: u = 0\n", "").replace("pi*x", "2*pi*x")
    checks = run(text + SOLVE + "check u(x=0.3 [m]) == u(x=a + 1.3 [m])\n", ("a", "1")).checks
    assert checks[0].value == pytest.approx(checks[0].bound, rel=1e-12)


def test_a_point_that_leaves_the_domain_during_the_run_has_no_value():
    text = PULSE + SOLVE + "check u(x=1 [m/s]*t) > 0.9 [K]\ncheck u(x=2.1 [m/s]*t) > 0 [K]\ncheck u(x=-1 [m/s]*t) < 1 [K]\n"
    inside, right, left = run(text).checks
    assert inside.passed
    assert not right.passed
    assert not left.passed
    assert math.isnan(right.value)
    assert math.isnan(left.value)


def test_a_shifted_field_is_looked_at_on_the_whole_grid():
    refused = refusal(PULSE.replace("dxx(u)", "dxx(u) + 1 [1/s]*u(x=x + 0.5 [m])") + SOLVE)
    assert refused.code == "E0704"
    assert refused.diagnostics[0].span.line == 4
    assert run(PULSE.replace("dxx(u)", "dxx(u) + 1 [1/s]*u(x=L - x)") + SOLVE).steps > 0  # mirrored: stays inside


@pytest.mark.parametrize(("end", "code"), [("-1", "E0704"), ("inf", "E0704"), ("log(-1)", "E0203")])
def test_a_run_ends_after_its_start(end, code):
    assert refusal(PULSE.replace("end = 1 [s]", "end = 1 [s]*s, s = 1") + SOLVE, ("s", end)).code == code


def test_a_time_after_the_end_offers_the_solve_that_reaches_it():
    text = PULSE + "solve { grid: x=9; until: t=10 [ms]; tol: 1e-3 }\ncheck max(u(t=2.5 [s])) < 1 [K]\n"
    error = refusal(text)
    assert (error.code, error.diagnostics[0].span.line) == ("E0704", 8)
    assert error.diagnostics[0].help == "solve { grid: x=9; until: t=2500 [ms]; tol: 1e-3 }"
    assert run(text.replace("solve { grid: x=9; until: t=10 [ms]; tol: 1e-3 }", error.diagnostics[0].help)).checks[0].passed


def test_a_missing_end_offers_the_whole_solve():
    error = refusal(PULSE + "solve { grid: x=9; tol: 1e-3 }\n")
    assert error.code == "E0707"
    assert error.diagnostics[0].help == "solve { grid: x=9; tol: 1e-3; until: t=1 [s] }"


def test_counters_of_a_named_solve_can_be_checked():
    text = PULSE + SOLVE.replace("solve", "solve first:") + "check first.steps > 1 and first.seconds > 0\n"
    outcome = run(text)
    assert outcome.checks[0].passed
    assert outcome.checks[0].value == outcome.steps


def test_only_one_of_two_solves_is_run_and_that_is_said():
    error = refusal(PULSE + SOLVE.replace("solve", "solve first:") + SOLVE.replace("solve", "solve second:"))
    assert error.code == "E0601"
    assert error.diagnostics[0].span.line == 8


def test_every_component_of_a_plotted_vector_has_a_picture_of_its_own(tmp_path):
    text = """
domain D: x in 0..1 periodic, y in 0..1 periodic
field v(D): vector
equation dt(v) = lap(v)
initial v = (sin(2*pi*x), cos(2*pi*y))
solve { grid: x=8, y=8; until: t=1e-3 }
plot v to "v.png"
"""
    outcome = execute(Source("v.model", text), Settings(backend="reference"), out=str(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["v_x.png", "v_y.png"]
    assert len(outcome.outputs) == 2
    taken = text.replace('plot v to "v.png"', 'plot v.y to "v_x.png"; plot v to "v.png"')
    assert refusal(taken).code == "E0102"


def test_a_new_solve_at_the_prompt_takes_the_place_of_the_old_one():
    session = Session(settings=Settings(backend="reference"))
    for text in ("field u(t)", "equation dt(u) = -u", "initial u = 1; solve { until: t=1 }"):
        session.feed(text)
    assert "u = 0.1353" in session.feed("solve { until: t=2 }")
    assert session.feed(":list").count("solve") == 1
    assert "initial u = 1" in session.feed(":list")
    session.feed(":undo")
    assert "until: t=1" in session.feed(":list")
    assert "until: t=2" not in session.feed(":list")


def test_refusals_before_the_run_leave_with_the_code_of_data():
    assert CannotRun.exit_code == 3
