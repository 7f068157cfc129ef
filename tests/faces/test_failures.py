"""A run that cannot go on says which field, where, when, and which part of its equation; its remedy is one."""

import pytest

from ricci.driver import Settings
from ricci.errors import CannotRun, Source
from ricci.faces.execute import execute
from ricci.lowering.integrate.methods import METHODS

RING = """
domain D: x in 0 [cm]..1 [cm] periodic
field u(D): [K]
param b = 1 [K], s = 2 [1/s]
equation dt(u) = {rhs}
initial u = b + 0.5 [K]*sin(2*pi*x/1 [cm])
solve {{ grid: x=4; until: t=5000 [ms]; {more} }}
"""
ROOT = "1e-3 [1/s]*u - s*sqrt(u*1 [K])"


def run(text, backend="reference"):
    return execute(Source("ring.model", text.strip()), Settings(backend=backend), write=False)


def refusal(text, backend="reference"):
    with pytest.raises(CannotRun) as caught:
        run(text, backend)
    return caught.value.diagnostics[0]


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"leapfrog"}))  # the rate is of first order in time
def test_nan_of_every_integrator_names_field_step_time_place_and_part(method):
    """The smallest of the start, 0.5 K at x = 0.75 cm, is the first to fall below zero."""
    time = method if METHODS[method].adaptive else f"{method}(dt=50 [ms])"
    error = refusal(RING.format(rhs=ROOT, more=f"time: {time}; tol: 1e-2"))
    assert error.code == "E0701"
    assert "`u` becomes NaN at step " in error.message
    assert error.message.endswith("[ms], x = 0.75 [cm]")
    assert 600 < float(error.message.partition("t = ")[2].partition(" ")[0]) < 800
    assert error.span.line == 4
    assert error.label == "`-s*sqrt(u*1 [K])` is NaN there"
    assert error.notes[0].startswith("there `u` = -")


def test_generated_code_fails_as_the_reference_does():
    text = RING.format(rhs=ROOT, more="time: rk4(dt=50 [ms])")
    assert refusal(text, "cpu") == refusal(text)


def test_a_solution_that_blows_up_offers_a_run_that_ends_before():
    text = RING.format(rhs="1e-8 [m^2/s]*dxx(u) + s*u^2/1 [K]", more="tol: 1e-5")
    error = refusal(text)
    assert (error.code, error.span.line) == ("E0703", 4)
    assert error.message.startswith("`u` grows without bound")
    assert error.message.endswith("x = 0.25 [cm]")
    assert error.label.startswith("`s*u^2/1 [K]` is ")
    assert error.help == "solve { grid: x=4; until: t=330 [ms]; tol: 1e-5 }"
    lines = text.strip().splitlines()
    assert run("\n".join([*lines[:-1], error.help])).results["u"].values.max() > 50
    fixed = refusal(RING.format(rhs="s*u^2/1 [K]", more="time: rk4(dt=1 [ms])"))
    assert fixed.code == "E0701"
    assert fixed.message.startswith("`u` grows without bound: step ")


def test_a_rate_that_jumps_offers_a_fixed_step():
    text = """
field u(t), v(t)
equation dt(u) = -u
equation dt(v) = if u > 0.6 then 0 else 1e12
initial u = 1; initial v = 1
solve { until: t=1; tol: 1e-11 }
"""
    error = refusal(text)
    assert (error.code, error.span.line) == ("E0703", 3)
    assert error.message.startswith("the rate of `v` is not smooth")
    assert error.label == "`if u > 0.6 then 0 else 1e12` goes from 0 to 1e+12 there"
    assert run("\n".join([*text.strip().splitlines()[:-1], error.help])).results["v"].values == pytest.approx(4.89e11, rel=0.1)


def test_initial_data_are_named_with_their_place():
    text = RING.format(rhs="-s*u", more="tol: 1e-2").replace("initial u = b", "initial u = b*sqrt(-s/(2 [1/s]))")
    error = refusal(text)
    assert (error.code, error.span.line) == ("E0701", 5)
    assert error.message == "`u` starts as NaN at t = 0 [ms], x = 0 [cm]"
    assert error.notes == ("4 of its 4 values are not finite",)


def test_an_event_that_assigns_nan_is_named():
    text = "field u(t), v(t)\nequation dt(u) = 1\nequation dt(v) = 0\nevent when u > 0.5: v = log(0.1 - u)\n"
    error = refusal(text + "initial u = 0; initial v = 0\nsolve { until: t=1 }")
    assert (error.code, error.span.line) == ("E0701", 4)
    assert error.message.startswith("this event sets `v` to NaN at step ")
    assert error.message.endswith("t = 0.5")


def test_places_of_families_and_of_fields_without_their_ends():
    text = """
dim i = 4
domain D: x in 0..1
field w[i](t), u(D)
equation dt(w[i]) = -i*sqrt(w[i])
equation dt(u) = dxx(u) - 4 - sqrt(u - 0.5)
boundary u on x.lo: u = 1
boundary u on x.hi: dn(u) = 0
initial w = 1; initial u = 1
solve { grid: x=5; until: t=3; tol: 1e-3 }
"""
    error = refusal(text)
    assert error.message.endswith("x = 1")  # the last node; that at x = 0 is no part of the state
    error = refusal(text.replace("- 4 - sqrt(u - 0.5)", "").replace("dn(u) = 0", "u = 1"))
    assert error.message.endswith("i = 3")
    assert error.label == "`-i*sqrt(w[i])` is NaN there"
