"""Quantities without axes are drawn over the whole run, and drawing changes no number."""

import numpy as np
import pytest

from ricci.driver import Settings
from ricci.errors import Source
from ricci.faces import pictures
from ricci.faces.execute import execute

FALL = """
field y(t), v(t)
equation dt(y) = v
equation dt(v) = -9.81
initial y = 1; initial v = 0
solve {{ until: t=1; {time} }}
{more}
"""
ROD = """
domain D: x in 0..1
field T(D)
equation dt(T) = 0.1*dxx(T)
boundary T on x.lo, x.hi: T = 0
initial T = sin(pi*x)
solve { grid: x=9; until: t=1; tol: 1e-6 }
plot mean(T) to "mean.png"
"""


@pytest.fixture
def drawn(monkeypatch):
    """Axis and curves of every line picture, by the name of its file."""
    found = {}
    monkeypatch.setattr(
        pictures, "lines", lambda path, title, axis, curves, label, **more: found.update({path.name: (axis, curves)}) or path
    )
    return found


def run(text, folder, **more):
    return execute(Source("fall.model", text.strip()), Settings(backend="reference"), str(folder), **more)


def test_a_field_of_time_alone_is_a_series(drawn, tmp_path):
    run(FALL.format(time="tol: 1e-8", more='plot y to "y.png"'), tmp_path)
    axis, (curve,) = drawn["y.png"]
    assert axis.name == "t"
    assert len(axis.values) > 100
    assert (axis.values[0], axis.values[-1]) == (0, 1)
    np.testing.assert_allclose(curve.values, 1 - 9.81 / 2 * axis.values**2, atol=1e-6)


def test_a_number_of_a_field_is_a_series(drawn, tmp_path):
    run(ROD, tmp_path)
    axis, (curve,) = drawn["mean.png"]
    rate = np.log(curve.values[0] / curve.values[-1])
    assert rate == pytest.approx(0.1 * np.pi**2, rel=0.02)
    assert np.all(np.diff(curve.values) < 0)
    assert len(axis.values) > 100


def test_all_results_are_drawn_over_time_on_request(drawn, tmp_path):
    run(FALL.format(time="tol: 1e-8", more='plot y to "y.png"'), tmp_path, plot=True)
    assert len(drawn) == 2
    assert {curves[0].label for _, curves in drawn.values()} == {"y", "v"}


@pytest.mark.parametrize("dt", ["0.01", "0.003", "0.4"])
def test_fixed_steps_are_not_cut_by_a_series(drawn, tmp_path, dt):
    plain = run(FALL.format(time=f"time: rk4(dt={dt})", more=""), tmp_path)
    seen = run(FALL.format(time=f"time: rk4(dt={dt})", more='plot y to "y.png"'), tmp_path)
    assert seen.steps == plain.steps
    assert float(seen.results["y"].values) == pytest.approx(float(plain.results["y"].values), rel=1e-12)
    assert len(drawn["y.png"][0].values) > 2
