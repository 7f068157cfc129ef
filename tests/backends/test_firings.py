"""Events that fire ever faster end a run with the instant where they accumulate; all others are left alone."""

import numpy as np
import pytest

from ricci.backends.firings import Firings
from ricci.driver import Settings
from ricci.dsl.program import Program
from ricci.errors import RicciError, Source
from ricci.faces.execute import execute

BALL = """field y(t), v(t)
equation dt(y) = v
equation dt(v) = -9.81
initial y = 1; initial v = 0
event when y < 0: v = -{e}*v
solve {{ until: t={end}; {options} }}
"""


def run(e, end, options="tol: 1e-6"):
    text = BALL.format(e=e, end=end, options=options)
    return execute(Source("<text>", text), Settings(), write=False)


@pytest.mark.parametrize("e", [0.02, 0.5, 0.8])
def test_bounces_of_a_ball_accumulate(e):
    fall = np.sqrt(2 / 9.81)
    with pytest.raises(RicciError) as error:
        run(e, 30)
    diagnostic = error.value.diagnostics[0]
    assert diagnostic.code == "E0706"
    assert diagnostic.span.text == f"event when y < 0: v = -{e}*v"
    when = fall * (1 + 2 * e / (1 - e))
    assert diagnostic.message.endswith(f"t = {when:.6g}")
    assert diagnostic.help.startswith("solve { until: t=")
    assert float(diagnostic.help.partition("t=")[2].partition(";")[0]) == pytest.approx(0.99 * when, rel=1e-5)


def test_a_fixed_step_cannot_follow_as_far():
    with pytest.raises(RicciError) as error:
        run(0.5, 3, "time: rk4(dt=0.001)")
    assert error.value.code == "E0706"


def test_before_that_every_bounce_is_seen():
    """Between two bounces that are a thousandth of a step apart the ball is above the floor."""
    fall, e = np.sqrt(2 / 9.81), 0.5
    end = fall * (1 + 2 * e / (1 - e)) * (1 - 1e-5)
    outcome = run(e, repr(float(end)))
    assert 0 <= float(outcome.results["y"].values) < 1e-8
    assert abs(float(outcome.results["v"].values)) < 1e-4


def firings():
    return Firings(Program("test", {}), {})


def test_regular_and_slowing_events_go_on():
    for times in (np.arange(1, 400) * 1e-12 + 1, np.cumsum(1 / np.arange(1, 400)), np.logspace(0, 3, 100), np.repeat(2.0, 30)):
        watch = firings()
        bounds = [watch.enter(0, float(t), None) for t in times]
        assert bounds[0] is None
        assert all(b is not None and b >= 0 for b in bounds[1:])


def test_events_are_told_apart():
    """Two events that take turns, each ever faster, and one that is regular."""
    watch = firings()

    def both():
        for k in range(60):
            watch.enter(0, 1 - 0.5**k, None)
            watch.enter(1, float(k), None)

    with pytest.raises(RicciError):
        both()
    assert len(watch.times[1]) == 6
    watch = firings()
    for k in range(60):
        watch.enter(k % 2, float(k), None)


def test_bound_of_the_next_step():
    watch = firings()
    assert watch.enter(0, 1.0, None) is None
    assert watch.enter(0, 3.0, None) == pytest.approx(0.02)


FLOOR = """field y(t), v(t), n(t)
equation dt(y) = v
equation dt(v) = -9.81
equation dt(n) = 0
initial y = {start}; initial v = {speed}; initial n = 0
event when y < {floor}: v = {v}
event when y < {floor}: n = n + 1
solve {{ until: t={end}; {options} }}
"""


def bounce(end, floor="0", start="1", speed="0", v="-0.5*v", options="tol: 1e-6"):
    text = FLOOR.format(end=end, floor=floor, start=start, speed=speed, v=v, options=options)
    return execute(Source("<text>", text), Settings(backend="reference"), write=False)


@pytest.mark.parametrize("options", ["tol: 1e-6", "time: trbdf2; tol: 1e-4", "time: rodas4p; tol: 1e-8"])
@pytest.mark.parametrize("floor", ["1", "1e6"])
def test_a_floor_at_any_height_holds(floor, options):
    """Roundings of y hide small bounces: nothing falls through, and nothing stands still."""
    with pytest.raises(RicciError) as error:
        bounce("3", floor, f"{floor} + 1", options=options)
    assert error.value.code == "E0706"
    before, _, when = error.value.diagnostics[0].message.partition("accumulate at t = ")
    assert float(when) == pytest.approx(1.35457, rel=1e-4), before


def test_a_ball_thrown_from_the_floor_does_not_bounce_at_once():
    outcome = bounce("1.1", speed="5", start="0")
    assert float(outcome.results["n"].values) == 1
    since = 1.1 - 10 / 9.81
    assert float(outcome.results["v"].values) == pytest.approx(2.5 - 9.81 * since, rel=1e-9)
    assert float(outcome.results["y"].values) == pytest.approx(2.5 * since - 9.81 / 2 * since**2, rel=1e-9)


@pytest.mark.parametrize(("start", "v"), [("1", "0"), ("1", "-1e-9*v"), ("0", "-0.5*v")])
def test_a_ball_that_is_put_to_rest_on_the_floor_does_not_fall_through(start, v):
    with pytest.raises(RicciError) as error:
        bounce("3", start=start, v=v)
    diagnostic = error.value.diagnostics[0]
    assert diagnostic.code == "E0706"
    assert diagnostic.span.line == 6
    assert diagnostic.help.startswith("solve { until: t=0.4") == (start == "1")


def test_events_that_undo_each_other_end_the_run():
    text = """field u(t)
equation dt(u) = 1
initial u = 0
event when u > 1: u = -1
event when u < -0.5: u = 2
solve { until: t=3 }
"""
    with pytest.raises(RicciError) as error:
        execute(Source("<text>", text.replace("initial u = 0", "initial u = 0.5")), Settings(backend="reference"), write=False)
    assert error.value.code == "E0706"
    assert "again and again at t = 0.5" in error.value.diagnostics[0].message


def test_a_condition_that_stays_true_fires_once():
    text = """field u(t), n(t)
equation dt(u) = 2*cos(t)
equation dt(n) = 0
initial u = 0; initial n = 0
event when u > 1: n = n + 1
event when t > 1: n = n + 10
solve { until: t=12 }
"""
    outcome = execute(Source("<text>", text), Settings(backend="reference"), write=False)
    assert float(outcome.results["n"].values) == 12
