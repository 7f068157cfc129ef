"""Times at which right-hand sides jump, and runs that must not step over them."""

import math

import numpy as np
import pytest

from ricci import driver
from ricci.errors import Source
from ricci.faces.execute import execute
from ricci.lowering.jumps import jumps

HEAD = "field u(t)\nparam T0 = 10, w = 0.01, P = 3\nequation dt(u) = -u + "
TAIL = "\ninitial u = 0\nsolve { until: t=20; tol: 1e-6 }\n"


def found(term, end=20.0, **values):
    model = driver.check_text(Source("pulse.model", HEAD + term + TAIL))
    program = driver.discretize(model)
    rhs = program.functions["rhs"]
    time = next(p for p in rhs.params if p.attrs[0] == "t")
    params = {"T0": 10.0, "w": 0.01, "P": 3.0, **values}
    switches = jumps(rhs.roots, time, [a.symbol for a in program.arguments])
    return sorted({round(t, 9) for j in switches for t in j.times(end, params, {})})


@pytest.mark.parametrize(
    ("term", "times"),
    [
        ("(if t > T0 and t < T0 + w then 100 else 0)", [10.0, 10.01]),
        ("(if 2*t - 5 >= 1 then 1 else 0)", [3.0]),
        ("(if T0*t < 5 or t > 30 then 1 else 0)", [0.5]),
        ("heaviside(t - 2)*u", [2.0]),
        ("sign(4 - t/2)", [8.0]),
        ("floor(t/6)", [6.0, 12.0, 18.0]),
        ("mod(t, 8)", [8.0, 16.0]),
        ("(if mod(t - 1, 2*P) < 0.5 then 1 else 0)", [1.0, 1.5, 7.0, 7.5, 13.0, 13.5, 19.0, 19.5]),
        ("(if mod(t, P) > 5 then 1 else 0)", [3.0, 6.0, 9.0, 12.0, 15.0, 18.0]),
        ("(if u > 1 then 1 else 0)", []),
        ("(if t > u then 1 else 0)", []),
        ("exp(-t)", []),
    ],
)
def test_switches_of_the_time_are_found(term, times):
    assert found(term) == times


def test_switches_follow_params_and_too_many_are_none():
    assert found("(if t > T0 then 1 else 0)", T0=7.25) == [7.25]
    assert found("(if t > T0 then 1 else 0)", T0=25.0) == []
    assert found("floor(t/w)", w=1e-9) == []


@pytest.mark.parametrize("method", ["", "time: rodas4p; ", "time: bs32; "])
def test_a_short_pulse_is_not_stepped_over(method):
    text = HEAD + "(if t > T0 and t < T0 + w then 100 else 0)" + TAIL.replace("until: t=20", method + "until: t=10.5")
    value = execute(Source("pulse.model", text), driver.Settings(), write=False).results["u"].values
    assert float(value) == pytest.approx(100 * (1 - math.exp(-0.01)) * math.exp(-0.49), abs=2e-5)


def test_repeated_doses_are_all_given():
    text = HEAD + "(if mod(t, P) < 0.001 then 1000 else 0)" + TAIL
    value = execute(Source("doses.model", text), driver.Settings(), write=False).results["u"].values
    one = 1000 * (1 - math.exp(-0.001))
    exact = sum(one * math.exp(-(20 - 0.001 - 3 * k)) for k in range(7))
    np.testing.assert_allclose(float(value), exact, rtol=1e-4)


def test_fixed_steps_stay_as_they_are():
    text = HEAD + "(if t > 0.45 then 1 else 0)" + TAIL.replace("until: t=20", "time: euler(dt=0.1); until: t=1")
    outcome = execute(Source("steps.model", text), driver.Settings(), write=False)
    assert outcome.steps == 10
    assert outcome.dt_min == pytest.approx(0.1)
