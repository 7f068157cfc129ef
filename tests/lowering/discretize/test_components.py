"""Conditions on components of vectors: what runs, against exact solutions and against the same conditions written one by one."""

from __future__ import annotations

import numpy as np
import pytest
from problems import Semidiscrete

from ricci.driver import check_text
from ricci.errors import RicciError, Source
from ricci.lowering.discretize import discretize


def program(text):
    return discretize(check_text(Source("test.model", text)))


def bound(text, **sizes):
    return Semidiscrete(program(text), sizes, {})


BOX = """domain D: x in 0..1, y in 0..1
field u(D): vector
equation dt(u) = lap(u)
CONDITIONS
initial u = (sin(pi*x)*cos(pi*y), cos(pi*x)*sin(pi*y))
solve { grid: x=9, y=9; space: fd(order=ORDER); until: t=1 }
"""
SLIP = (
    "boundary u on x.lo, x.hi, y.lo, y.hi: dot(u, n) = 0; boundary u.y on x.lo, x.hi: dn(u.y) = 0; boundary u.x on y.lo, y.hi: dn(u.x) = 0",
    "boundary u on x.lo, x.hi, y.lo, y.hi: dot(u, n) = 0; boundary u on x.lo, x.hi, y.lo, y.hi: cross(dn(u), n) = 0",
    "boundary u on x.lo, x.hi: (u.x, dn(u.y)) = (0, 0); boundary u on y.lo, y.hi: (dn(u.x), u.y) = (0, 0)",
    "boundary u on x.lo, x.hi: (dn(u.y), u.x) = (0, 0); boundary u.x, u.y on y.lo, y.hi: dn(u.x) = 0, u.y = 0",
    "boundary u on x.lo, x.hi, y.lo, y.hi: dot(u, n) = 0; boundary u on x.lo, x.hi, y.lo, y.hi: dn(u - dot(u, n)*n) = (0, 0)",
)


def slip(conditions, order):
    return BOX.replace("CONDITIONS", conditions).replace("ORDER", str(order))


@pytest.mark.parametrize("conditions", SLIP)
def test_slip_of_a_box_in_several_words_is_one_program(conditions):
    expected = program(slip(SLIP[0], 2))
    found = program(slip(conditions, 2))
    assert [r for _, r in found.functions["rhs"].results] == [r for _, r in expected.functions["rhs"].results]
    assert [list(s.symbol.axes) for s in found.states] == [["x:11", "y"], ["x", "y:11"]]


@pytest.mark.parametrize("order", [2, 4])
def test_slip_of_a_box_converges(order):
    """(sin pi x cos pi y, cos pi x sin pi y) is an eigenvector of the Laplacian: -2 pi^2. Closures lose one order at a side."""
    errors = []
    for n in (9, 17, 33):
        found = bound(slip(SLIP[0], order), x=n, y=n)
        start = found.start()
        errors.append(np.abs(found.rhs(0.0, start) + 2 * np.pi**2 * start).max())
    assert np.log2(errors[1] / errors[2]) > (1.9 if order == 2 else 2.9)


LINE = """domain D: x in 0..1, y in 0..1 periodic
field u(D): vector
equation dt(u) = lap(u)
CONDITIONS
boundary u on x.hi: u = (0, 0)
initial u = (cos(x) + y*0, sin(2*x))
solve { grid: x=12, y=4; until: t=1 }
"""


@pytest.mark.parametrize(
    ("coupled", "alone"),
    [
        ("u.x + 2*u.y = 3; boundary u.y on x.lo: u.x - u.y = t", "u.x = 1 + 2*t/3; boundary u.y on x.lo: u.y = 1 - t/3"),
        ("dn(u.x) + 2*dn(u.y) = u.x; boundary u.y on x.lo: dn(u.x) = dn(u.y)", "dn(u.x) = u.x/3; boundary u.y on x.lo: dn(u.y) = u.x/3"),
        ("u.x = dn(u.y); boundary u.y on x.lo: dn(u.y) + u.x = sin(y) + u.y", "u.x = (sin(y) + u.y)/2; boundary u.y on x.lo: dn(u.y) = (sin(y) + u.y)/2"),
        ("u.x = 2*u.y; boundary u.y on x.lo: dn(u.y) = 1", "u.x = 2*u.y; boundary u.y on x.lo: dn(u.y) = 1"),
        ("u.x = u.y; boundary u.y on x.lo: dn(u.y) = dn(u.x)", "dn(u.y) = dn(u.x); boundary u.x on x.lo: u.x = u.y"),
    ],
)  # fmt: skip
def test_conditions_of_one_side_are_solved_together(coupled, alone):
    first = bound(LINE.replace("CONDITIONS", "boundary u.x on x.lo: " + coupled), x=12, y=4)
    other = "boundary u.y on x.lo: " if alone.startswith("dn(u.y)") else "boundary u.x on x.lo: "
    second = bound(LINE.replace("CONDITIONS", other + alone), x=12, y=4)
    y = np.random.default_rng(0).normal(size=first.start().shape)
    assert np.allclose(first.rhs(0.3, y), second.rhs(0.3, y), rtol=1e-12, atol=1e-10)
    assert np.abs(first.rhs(0.3, y)).max() > 1


def test_normal_velocity_of_sound_in_a_box():
    """p = cos(pi x) cos(2 pi y), dt(v) = -grad(p): the walls hold the normal velocity, the other one is free."""
    text = """domain D: x in 0..1, y in 0..1
field p(D), v(D): vector
equation dt(p) = -div(v)
equation dt(v) = -grad(p)
boundary v on x.lo, x.hi, y.lo, y.hi: dot(v, n) = 0
initial p = cos(pi*x)*cos(2*pi*y); initial v = (0, 0)
solve { grid: x=9, y=9; space: fd(order=4); until: t=1 }
"""
    errors = []
    for n in (17, 33):
        found = bound(text, x=n, y=n)
        rate = found.split(found.rhs(0.0, found.start()))
        x, y = np.meshgrid(found.points("x"), found.points("y"), indexing="ij")
        assert rate["v.x"].shape == (n - 2, n)
        assert rate["v.y"].shape == (n, n - 2)
        exact = (np.pi * np.sin(np.pi * x) * np.cos(2 * np.pi * y))[1:-1]
        errors.append(np.abs(rate["v.x"] - exact).max())
    assert errors[1] < errors[0] / 7
    assert errors[1] < 1e-3


@pytest.mark.parametrize(
    ("conditions", "code", "words"),
    [
        ("boundary u.x on x.lo: u.x = dy(u.y); boundary u.y on x.lo: u.y = dy(u.x)", "E0601", "`u.x` on x.lo"),
        ("boundary u.x on x.lo: u.x = u.y^2; boundary u.y on x.lo: u.y = u.x^2", "E0601", "`u.x` on x.lo"),
        ("boundary u.x on x.lo: u.x = u.y; boundary u.y on x.lo: u.y = 1 + u.x", "E0302", "say the same or contradict"),
        ("boundary u.x on x.lo: u.x^2 = 1; boundary u.y on x.lo: u.y = 0", "E0601", "not linear"),
        ("boundary u.x on x.lo: u.x = dn(u.y); boundary u.y on x.lo: u.y = dn(u.x)", "E0601", "given by each other"),
    ],
)
def test_what_cannot_be_solved_is_named_at_its_statement(conditions, code, words):
    with pytest.raises(RicciError) as caught:
        program(LINE.replace("CONDITIONS", conditions))
    assert caught.value.code == code
    assert words in caught.value.diagnostics[0].message
    assert caught.value.diagnostics[0].span.text.startswith("boundary")


def test_tractions_that_meet_in_a_corner_are_named():
    stress = "dot(grad(u) + transpose(grad(u)), n) = (0, 0)"
    conditions = f"boundary u on x.lo, x.hi: {stress}\nboundary u on y.lo, y.hi: {stress}"
    with pytest.raises(RicciError) as caught:
        program(slip(conditions, 2))
    assert caught.value.code == "E0601"
    assert caught.value.diagnostics[0].span.text.startswith("boundary u on")
    assert "given by each other" in caught.value.diagnostics[0].message
