"""What a run that is refused offers is pasted in place of the statement, and then runs (or stops for another reason)."""

from __future__ import annotations

import pytest

from ricci.driver import Settings
from ricci.errors import RicciError, Source
from ricci.faces.execute import execute

PLATE = """domain D: x in 0..0.1 [m], y in 0..0.1 [m]
field T(D): [K]
param k = 1e-4 [m^2/s]
equation heat: dt(T) = k*lap(T)
boundary T on x.lo, x.hi, y.lo, y.hi: T = 300 [K]
initial T = 300 [K]
"""


def refusal(solve):
    with pytest.raises(RicciError) as caught:
        execute(Source("plate.model", PLATE + solve + "\n"), Settings(backend="reference"), write=False)
    return caught.value.diagnostics[0]


@pytest.mark.parametrize(
    ("solve", "code", "remedy"),
    [
        (
            "solve { grid: x=11, y=11; until: t=1 [min]; time: euler(dt=4 [s]) } # too long",
            "E0502",
            "solve { grid: x=11, y=11; until: t=1 [min]; time: euler(dt=0.25 [s]) }",
        ),
        ("solve {\n  time: dp54 # a comment\n  until: t=1 [s]\n}", "E0601", "solve { time: dp54; until: t=1 [s]; grid: x=101, y=101 }"),
        ("solve { grid: y=11; tol: 1e-3 }", "E0601", "solve { grid: y=11, x=101; tol: 1e-3; until: t=1 [s] }"),
        ("", "E0601", "solve { grid: x=101, y=101; until: t=1 [s] }"),
        ("solve { until: t=1 [s]; grid: x=11, y=2 }", "E0506", "solve { until: t=1 [s]; grid: x=11, y=3 }"),
        (
            "solve { until: t=1 [s]; space: fd(order=3); grid: x=11, y=11 }",
            "E0502",
            "solve { until: t=1 [s]; space: fd(order=4); grid: x=11, y=11 }",
        ),
        ("solve { grid: x=11, y=11 }", "E0707", "solve { grid: x=11, y=11; until: t=1 [s] }"),
    ],
)
def test_a_remedy_is_the_whole_statement_with_its_other_settings(solve, code, remedy):
    found = refusal(solve)
    assert (found.code, found.help) == (code, remedy)
    if "101" not in remedy:
        outcome = execute(Source("plate.model", PLATE + remedy + "\n"), Settings(backend="reference"), write=False)
        assert abs(outcome.results["T"].values - 300).max() < 1e-6


def test_no_remedy_where_the_statement_cannot_be_read():
    from ricci.dsl.remedies import instead, with_options
    from ricci.errors import Span

    broken = Source("m", "solve { grid: }\nlet a = 1")
    assert with_options(Span(broken, 0, 15), [("until", "t=1")]) == ""
    assert instead(Span(broken, 8, 12), "grid") == ""


def test_a_grid_is_set_along_one_coordinate():
    with pytest.raises(RicciError) as caught:
        execute(Source("plate.model", PLATE + "solve { grid: x=5, y=5; until: t=1 [s] }"), Settings(set=(("grid", "41"),)), write=False)
    assert (caught.value.code, caught.value.diagnostics[0].help) == ("E0104", "--set grid.x=41 --set grid.y=41")
