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
    """Axis and curves of every series that is drawn in one panel, by the name of its file; of the others also panels and events."""
    found = {}

    def series(path, title, axis, groups, events):
        assert draw(path, title, axis, groups, events).exists()
        found[path.name] = (axis, groups[0][1]) if len(groups) == 1 and not events else (axis, groups, events)
        return path

    draw = pictures.series
    monkeypatch.setattr(pictures, "series", series)
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


BOUNCE = """
field y(t): [m], v(t): [m/s], h(t): [cm]
equation dt(y) = v
equation dt(v) = -9.81 [m/s^2]
equation dt(h) = v
initial y = 1 [m]; initial v = 0; initial h = 100 [cm]
event when y < 0: v = -0.8*v
solve { until: t=1500 [ms]; tol: 1e-8 }
plot y, v, h, t to "all.png"
"""


def test_several_numbers_share_a_picture_with_a_panel_for_each_unit_and_marks_of_events(drawn, tmp_path):
    run(BOUNCE, tmp_path)
    axis, groups, events = drawn["all.png"]
    assert [label for label, _ in groups] == ["y [m]", "v [m/s]", "h [cm]", "t [s]"]
    assert events == pytest.approx([np.sqrt(2 / 9.81), np.sqrt(2 / 9.81) * 2.6])
    (speed,) = groups[1][1]
    before, after = speed.values[axis.values == events[0]]
    assert (before, after) == (pytest.approx(-np.sqrt(2 * 9.81)), pytest.approx(0.8 * np.sqrt(2 * 9.81)))
    (height,) = groups[0][1]
    np.testing.assert_allclose(groups[2][1][0].values, 100 * height.values, atol=1e-6)
    assert height.values.min() > -1e-9


FAMILY = """
dim i = {n}
field X[i](t)
equation dt(X[i]) = -(i + 1)*X[i]
initial X[i] = i + 1
solve {{ until: t=1; tol: 1e-8 }}
plot X to "family.png"
plot X at t=0, t=1 to "ends.png"
"""


def test_a_small_family_is_a_curve_for_each_member(drawn, tmp_path):
    run(FAMILY.format(n=3), tmp_path)
    axis, curves = drawn["family.png"]
    assert [c.label for c in curves] == ["i = 0", "i = 1", "i = 2"]
    for k, curve in enumerate(curves):
        np.testing.assert_allclose(curve.values, (k + 1) * np.exp(-(k + 1) * axis.values), atol=1e-6)
    assert "ends.png" not in drawn
    assert (tmp_path / "ends.png").exists()


def test_a_large_family_is_a_map_over_time(monkeypatch, drawn, tmp_path):
    found = {}
    monkeypatch.setattr(
        pictures, "maps", lambda path, title, first, second, frames, unit: found.update({path.name: (first, second, frames)}) or path
    )
    run(FAMILY.format(n=20), tmp_path)
    first, second, (frame,) = found["family.png"]
    assert (first.name, second.name) == ("t", "i")
    exact = np.exp(-np.outer(first.values, np.arange(1, 21))) * np.arange(1, 21)
    np.testing.assert_allclose(frame.values, exact, atol=1e-5)


def test_fields_beside_numbers_have_files_of_their_own(drawn, tmp_path):
    run(ROD.replace('plot mean(T) to "mean.png"', 'plot mean(T), T, max(T) to "rod.png"'), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rod_T.png", "rod_numbers.png"]
    assert [c.label for c in drawn["rod_numbers.png"][1]] == ["mean(T)", "max(T)"]


def test_components_of_a_vector_of_time_are_drawn_together(drawn, tmp_path):
    text = """
domain D: x in 0..1, y in 0..1
field u(D)
let r = (cos(t), sin(t))
equation dt(u) = lap(u)
boundary u on x.lo, x.hi, y.lo, y.hi: u = 0
initial u = 0
solve { grid: x=5, y=5; until: t=1 }
plot r to "r.png"
"""
    run(text, tmp_path)
    axis, curves = drawn["r.png"]
    assert [c.label for c in curves] == ["r.x", "r.y"]
    np.testing.assert_allclose(curves[1].values, np.sin(axis.values), atol=1e-12)
