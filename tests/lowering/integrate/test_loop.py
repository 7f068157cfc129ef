"""The loop itself: stops, slices, failures, scales, counters; and events against exact times."""

import numpy as np
import pytest

from ricci.dsl import build
from ricci.dsl.model import Unit
from ricci.dsl.types import Kind
from ricci.lowering.integrate import METHODS, Integrator, controls, integrate
from ricci.lowering.integrate.system import TIME, number
from tests.lowering.integrate import systems as s


@pytest.mark.parametrize("name", ["dp54", "bs32", "rodas4p"])
def test_stops_are_hit_exactly_and_do_not_hurt_the_controller(name):
    run = s.Runner(s.forced(), name, y=1.0)
    assert run.to(1.0, 1e-8) == 0
    before = float(run["ctl:dt"])
    for stop in (1.0 + 1e-9, 1.1, 1.1 + 1e-13, 1.3):
        assert run.to(stop, 1e-8) == 0
        assert run["t"] == stop
        assert run["ctl:dt"] > 0.3 * before
    assert abs(run["y"] - np.exp(np.sin(1.3))) < 1e-7


def test_no_tiny_last_step():
    run = s.Runner(s.forced(), "dp54", y=1.0)
    run.to(3.0, 1e-6)
    dts = []
    while run["t"] < 10.0:
        t = float(run["t"])
        run.to(10.0, 1e-6, max_steps=1)
        if run["ctl:steps"]:
            dts.append(float(run["t"]) - t)
    assert min(dts[-3:]) > 0.25 * max(dts[-3:])


@pytest.mark.parametrize(
    ("dt", "stop", "steps"), [("0.1", 1.0, 10), ("0.1", 1.05, 11), ("0.3", 1.0, 4), ("7", 1.0, 1), ("0.001", 1.0, 1000)]
)
def test_fixed_steps(dt, stop, steps):
    run = s.Runner(s.forced(), "rk4", dt=dt, y=1.0)
    assert run.to(stop) == 0
    assert run["t"] == stop
    assert run.steps == steps
    assert run.rejected == 0


def test_fixed_steps_of_a_parameter():
    step = s.real("step")
    y = s.real("y")
    program = integrate(s.system([y], [y], [(step, 0.25)]), Integrator(METHODS["euler"], step))
    function = program.functions["advance"]
    assert step in function.params
    values = {"t": 0.0, "y": 1.0, "step": 0.25, "ctl:t_stop": 1.0, "ctl:tol": 1e-4, "ctl:max_steps": 100}
    values |= controls(program, Integrator(METHODS["euler"], step), {}, {})
    results = s.reference.call(function, [np.asarray(values[s.name_of(p)]) for p in function.params], {})
    named = dict(zip((n for n, _ in function.results), results, strict=True))
    assert named["y"] == 1.25**4


def test_nothing_to_do():
    run = s.Runner(s.forced(), "dp54", y=1.0)
    for stop in (0.0, -1.0):
        assert run.to(stop) == 0
        assert (run["t"], run["y"], run.steps, run.rejected) == (0.0, 1.0, 0, 0)


@pytest.mark.parametrize("name", ["dp54", "rodas4p"])
def test_slices_give_the_same_as_one_call(name):
    whole = s.Runner(s.riccati(), name, y=1.0, z=0.5)
    assert whole.to(2.0, 1e-7) == 0
    parts = s.Runner(s.riccati(), name, y=1.0, z=0.5)
    statuses = []
    while parts["t"] < 2.0:
        statuses.append(parts.to(2.0, 1e-7, max_steps=3))
        assert parts["ctl:steps"] + parts["ctl:rejected"] <= 3
    assert set(statuses[:-1]) == {1}
    assert statuses[-1] == 0
    assert abs(parts["y"] - whole["y"]) < 1e-6
    assert parts.steps <= whole.steps + 3


def test_counters():
    run = s.Runner(s.forced(), "rk4", dt="0.25", y=1.0)
    run.to(1.1)
    assert (run["ctl:steps"], run["ctl:dt_min"], run["ctl:dt_max"]) == (5, 0.25, 0.25)
    run = s.Runner(s.forced(), "rk4", dt="0.25", y=1.0)
    run.to(0.1)
    assert (run["ctl:steps"], run["ctl:dt_min"], run["ctl:dt_max"]) == (1, 0.1, 0.1)


def test_blow_up_is_a_step_underflow_or_not_finite():
    """y' = y^2 leaves every bound at t = 1."""
    y = s.real("y")
    program = s.system([y], [build.mul(y, y)])
    run = s.Runner(program, "dp54", y=1.0)
    assert run.to(2.0, 1e-6) in (2, 3)
    assert abs(run["t"] - 1) < 1e-3
    assert np.isfinite(run["y"])


def test_underflow():
    """A rate that grows without bound towards t = 1 asks for ever smaller steps."""
    y = s.real("y")
    program = s.system([y], [build.apply("recip", build.power(build.sub(TIME, number(1)), 2))])
    run = s.Runner(program, "bs32", y=1.0)
    assert run.to(2.0, 1e-4) in (2, 3)
    assert run["t"] < 1


@pytest.mark.parametrize("name", ["dp54", "bs32", "rodas4p"])
def test_nan_is_status_two_with_the_last_finite_state(name):
    """sqrt of a negative number from t = 1 on."""
    y = s.real("y")
    program = s.system([y], [build.apply("sqrt", build.sub(number(1), TIME))])
    run = s.Runner(program, name, y=0.0)
    with np.errstate(invalid="ignore"):
        assert run.to(3.0, 1e-6) == 2
    assert np.isfinite(run["y"])
    assert run["t"] <= 1.0


def test_nan_of_a_fixed_step_is_in_the_state():
    y = s.real("y")
    program = s.system([y], [build.apply("sqrt", build.sub(number(1), TIME))])
    run = s.Runner(program, "rk4", dt="0.3", y=0.0)
    with np.errstate(invalid="ignore"):
        assert run.to(3.0) == 2
    assert np.isnan(run["y"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bad_initial_data_end_at_once(value):
    run = s.Runner(s.forced(), "dp54", y=value)
    with np.errstate(invalid="ignore"):
        assert run.to(1.0) == 2
    assert run.steps == 0


@pytest.mark.parametrize("name", ["dp54", "rodas4p", "rk4"])
def test_no_points(name):
    """States without points, and a state that has some beside them."""
    u = s.real("u", x=0)
    y = s.real("y")
    run = s.Runner(s.system([u, y], [build.neg(u), build.neg(y)]), name, dt="0.1" if name == "rk4" else None, u=np.zeros(0), y=1.0)
    assert run.to(1.0, 1e-8) == 0
    assert abs(run["y"] - np.exp(-1)) < 1e-5
    assert run["u"].shape == (0,)


# scales


def test_zero_data_take_a_share_of_the_scale_of_their_unit():
    a, b, c = s.real("a"), s.real("b"), s.real("c")
    other = Unit(powers=(("m", build.Fraction(1)),))
    program = s.system([a, b, c], [build.neg(a), a, number(0)], units={"c": other})
    run = s.Runner(program, "dp54", a=8.0, b=0.0, c=0.0)
    run.to(1e-9, 1e-6, max_steps=1)
    assert run["scale:a"] == 8.0
    assert run["scale:b"] == pytest.approx(8e-3)
    assert run["scale:c"] == 0.0
    assert run.to(10.0, 1e-6) == 0
    assert abs(run["b"] - 8 * (1 - np.exp(-10))) < 1e-4
    assert run["scale:b"] == pytest.approx(float(run["b"]))
    assert run["c"] == 0.0


def test_everything_starts_at_zero():
    """x'' = cos t from rest, with nothing that gives a scale."""
    x, v = s.real("x"), s.real("v")
    run = s.Runner(s.system([x, v], [v, build.apply("cos", TIME)]), "dp54", x=0.0, v=0.0)
    assert run.to(3.0, 1e-8) == 0
    assert abs(run["x"] - (1 - np.cos(3.0))) < 1e-6


def test_rounding_is_not_a_scale():
    """A velocity that starts as 1e-17 instead of 0 costs no more steps than 0."""
    x, v = s.real("x"), s.real("v")
    program = s.system([x, v], [v, build.neg(x)])
    counts = []
    for tiny in (0.0, 1e-17):
        run = s.Runner(program, "dp54", x=1.0, v=tiny)
        assert run.to(5.0, 1e-8) == 0
        counts.append(run.steps)
    assert counts[0] == counts[1]


# events


@pytest.mark.parametrize("name", ["dp54", "rodas4p", "rk4"])
@pytest.mark.parametrize("at", [30.0, 29.7, 1e-3, 77.123456789])
def test_time_event_is_exact(name, at):
    y = s.real("y")
    program = s.system([y], [build.neg(y)], events=[build.sub(TIME, number(str(at)))])
    run = s.Runner(program, name, dt="0.1" if name == "rk4" else None, y=1.0)
    assert run.to(100.0, 1e-6) == 10
    assert abs(run["t"] - at) <= 1e-12 * at
    assert abs(run["y"] - np.exp(-at)) < 1e-5
    run.values["y"] = run["y"] + 1.0
    assert run.to(100.0, 1e-6) == 0
    assert run["t"] == 100.0


def test_state_event():
    """y = exp(-t) falls below 1/2 at log 2."""
    y = s.real("y")
    program = s.system([y], [build.neg(y)], events=[build.sub(number("0.5"), y)])
    for name, tol in (("dp54", 1e-10), ("bs32", 1e-7), ("rodas5p", 1e-10)):
        run = s.Runner(program, name, y=1.0)
        assert run.to(3.0, tol) == 10
        assert abs(run["t"] - np.log(2)) < 10 * tol
        assert 0.5 - 1e-11 < run["y"] < 0.5  # just after the crossing of the computed solution
        assert run.to(3.0, tol) == 0  # not armed again while y stays below


def test_event_count_is_small():
    y = s.real("y")
    program = s.system([y], [build.apply("sin", TIME)], events=[build.sub(y, number("0.7"))])
    plain = s.Runner(s.system([y], [build.apply("sin", TIME)]), "dp54", y=0.0)
    plain.to(1.5, 1e-9)
    run = s.Runner(program, "dp54", y=0.0)
    assert run.to(1.5, 1e-9) == 10
    assert run.steps + run.rejected < plain.steps + 20


@pytest.mark.parametrize("method", ["bs32", "dp54", "trbdf2", "rodas3"])
def test_where_a_call_ends_changes_no_bit(method):
    """Also behind a rejected attempt: how much the next step may grow is carried from call to call."""
    y = s.real("y")
    spike = build.divide(number(1), build.add(number("1/1000"), build.power(build.sub(TIME, number("1/2")), 2)))
    program = s.system([y], [build.mul(spike, build.apply("cos", y))])
    whole, slices = s.Runner(program, method, y=0.1), s.Runner(program, method, y=0.1)
    assert whole.to(1.0, 1e-5) == 0
    while slices.to(1.0, 1e-5, max_steps=1) == 1:
        pass
    assert whole.rejected > 1
    assert (slices.steps, slices.rejected) == (whole.steps, whole.rejected)
    assert slices["y"] == whole["y"]


def test_event_in_slices_of_one_step():
    y = s.real("y")
    run = s.Runner(s.system([y], [y], events=[build.sub(build.power(y, 2), number(3))]), "dp54", y=1.0)
    statuses = []
    while not statuses or statuses[-1] == 1:
        statuses.append(run.to(2.0, 1e-9, max_steps=1))
    assert statuses[-1] == 10
    assert abs(run["t"] - np.log(3) / 2) < 1e-8


def test_bouncing_ball():
    """Every bounce is an event; heights and times are known. The assignment puts the margin to exactly zero."""
    h, v = s.real("h"), s.real("v")
    program = s.system([h, v], [v, number(-10)], events=[build.neg(h)])
    run = s.Runner(program, "dp54", h=5.0, v=0.0)
    t, speed = 1.0, 10.0
    for _ in range(6):
        assert run.to(100.0, 1e-10) == 10
        assert abs(run["t"] - t) < 1e-8
        run.values["h"] = np.asarray(0.0)
        run.values["v"] = -0.8 * run["v"]
        speed *= 0.8
        t += 2 * speed / 10


def test_two_events_in_one_step_come_in_order():
    y = s.real("y")
    late, early = build.sub(TIME, number("2.5")), build.sub(TIME, number("2.25"))
    run = s.Runner(s.system([y], [number(0)], events=[late, early]), "dp54", y=1.0)
    assert run.to(100.0) == 11
    assert abs(run["t"] - 2.25) < 1e-11
    assert run.to(100.0) == 10
    assert abs(run["t"] - 2.5) < 1e-11
    assert run.to(100.0) == 0


def test_simultaneous_events_all_fire():
    y = s.real("y")
    same = build.sub(TIME, number(3))
    run = s.Runner(s.system([y], [build.neg(y)], events=[same, build.scale(2, same)]), "dp54", y=1.0)
    statuses = [run.to(10.0), run.to(10.0), run.to(10.0)]
    assert sorted(statuses) == [0, 10, 11]


def test_event_at_a_stop_fires_after_it():
    """`t > 30` is false at t = 30: the stop comes first, then the event at the same time."""
    y = s.real("y")
    run = s.Runner(s.system([y], [build.neg(y)], events=[build.sub(TIME, number(30))]), "dp54", y=1.0)
    assert run.to(30.0) == 0
    assert run["t"] == 30.0
    assert run.to(40.0) == 10
    assert abs(run["t"] - 30) < 1e-10
    assert run.to(40.0) == 0


def test_condition_true_from_the_start_does_not_fire_but_a_zero_margin_does():
    y = s.real("y")
    held = s.Runner(s.system([y], [number(1)], events=[build.sub(y, number(0))]), "dp54", y=1.0)
    assert held.to(1.0) == 0
    zero = s.Runner(s.system([y], [number(1)], events=[TIME]), "dp54", y=1.0)
    assert zero.to(1.0) == 10
    assert abs(zero["t"]) < 1e-10
    assert zero.to(1.0) == 0


def test_an_assignment_that_makes_another_condition_true_fires_it():
    y = s.real("y")
    program = s.system([y], [number(0)], events=[build.sub(TIME, number(1)), build.sub(y, number(5))])
    run = s.Runner(program, "dp54", y=1.0)
    assert run.to(3.0) == 10
    run.values["y"] = np.asarray(6.0)
    assert run.to(3.0) == 11
    assert run["ctl:steps"] == 0
    assert run.to(3.0) == 0


def test_event_of_a_fixed_step_does_not_change_the_step():
    y = s.real("y")
    run = s.Runner(s.system([y], [build.neg(y)], events=[build.sub(TIME, number("0.55"))]), "rk4", dt="0.1", y=1.0)
    assert run.to(1.0) == 10
    before = run.steps
    assert run.to(1.0) == 0
    assert run.steps - before == 5


def test_margins_of_fields():
    """The largest value of a field crosses a level: events may reduce."""
    u = s.real("u", x=5)
    program = s.system([u], [u], events=[build.sub(build.reduce("max", u, ["x"]), number(2))])
    run = s.Runner(program, "dp54", u=np.linspace(0, 1, 5))
    assert run.to(3.0, 1e-9) == 10
    assert abs(run["t"] - np.log(2)) < 1e-7


def test_result_kinds():
    run = s.Runner(s.forced(), "dp54", y=1.0)
    run.to(1.0)
    assert run["y"].dtype == float
    assert np.asarray(run["ctl:status"]).dtype.kind == "i"
    assert run.program.states[0].symbol.kind == Kind.REAL


@pytest.mark.parametrize("name", ["trbdf2", "rodas4p", "dp54"])
def test_what_begins_at_zero_and_grows_slowly_does_not_stop_the_run(name):
    """c ~ t^3 beside a, b ~ t: at first the error of c is as large as c, however short the step."""
    a, b, c = s.real("a"), s.real("b"), s.real("c")
    one = number(1)
    product = build.mul(a, b)
    run = s.Runner(s.system([a, b, c], [one, build.sub(one, build.scale(2, b)), build.sub(product, c)]), name, a=0.0, b=0.0, c=0.0)
    assert run.to(1.0, 1e-3) == 0
    assert run.steps + run.rejected < 500
    assert abs(run["c"] - np.exp(-2.0)) < 1e-3  # c(t) = (t - 1)/2 + (t + 1) exp(-2 t)/2
