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
