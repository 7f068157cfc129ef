"""Notes about data: every corner with two values is named; what the run does not resolve is no difference."""

import pytest

from ricci import driver
from ricci.errors import Source


def notes(text):
    return [(d.code, d.span.line, d.message, d.label) for d in driver.check_text(Source("<model>", text.strip())).notes]


BOX = """
domain D: x in 0..1, y in 0..1
field u(D)
equation dt(u) = lap(u)
boundary u on x.lo, x.hi: u = {side}
boundary u on y.lo: u = {low}
boundary u on y.hi: u = {high}
initial u = {start}
solve {{ grid: x=9, y=9; until: t=1; tol: {tol} }}
"""


def box(side="0", low="0", high="0", start="0", tol="1e-4"):
    return notes(BOX.format(side=side, low=low, high=high, start=start, tol=tol))


def test_every_corner_of_two_values_is_named():
    corners = [n for n in box(low="1", high="3", start="0*x") if n[0] == "N0312"]
    assert [(line, message) for _, line, message, _ in corners] == [
        (5, "`u` has two values at the corners (x.lo, y.lo) and (x.hi, y.lo): this statement holds there"),
        (6, "`u` has two values at the corners (x.lo, y.hi) and (x.hi, y.hi): this statement holds there"),
    ]
    assert {label for *_, label in corners} == {"the other is in line 4"}
    (one,) = [n for n in box(high="x") if n[0] == "N0312"]
    assert "the corner (x.hi, y.hi):" in one[2]


def test_a_difference_below_tol_is_none():
    start = "sin(pi*x)*sin(pi*y) + 1e-6"
    assert box(start=start) == []
    assert [n[0] for n in box(start=start, tol="1e-8")] == ["N0311"] * 4
    assert box(low="1e-6*x*(1 - x) + 1e-7", start="sin(pi*x)*sin(pi*y)") == []


@pytest.mark.parametrize("size", ["1e-12", "1", "1e12"])
def test_a_difference_is_one_at_every_scale(size):
    start = f"{size}*sin(pi*x)*sin(pi*y)"
    assert box(start=start) == []
    assert [n[0] for n in box(start=f"{start} + 0.1*{size}")] == ["N0311"] * 4
    assert len([n for n in box(high=size, start="0") if n[0] == "N0312"]) == 1
