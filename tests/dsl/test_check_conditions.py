"""Conditions of components: to which component each belongs, and what is counted by component."""

from __future__ import annotations

import pytest
from checking import error_of, model_of

BOX = """domain D: x in 0..1, y in 0..1
field u(D): vector, T(D)
equation dt(u) = lap(u)
equation dt(T) = lap(T)
CONDITIONS
initial u = (0, 0); initial T = 0
"""
REST = "boundary T on x.lo, x.hi, y.lo, y.hi: T = 0"
WALLS = "boundary u on x.lo, x.hi: u = (0, 0)"


def conditions_of(*statements):
    model = model_of(BOX.replace("CONDITIONS", "\n".join(statements)))
    return [(c.field, f"{c.coordinate}.{c.side}") for c in model.conditions if c.field != "T"]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("boundary u on y.lo, y.hi: u.x = 0; boundary u on y.lo, y.hi: dn(u.y) = 0", ["u.x", "u.x", "u.y", "u.y"]),
        ("boundary u.x on y.lo, y.hi: dy(u.x) + dx(u.y) = 0; boundary u.y on y.lo, y.hi: u.y = 0", ["u.x", "u.x", "u.y", "u.y"]),
        ("boundary u on y.lo, y.hi: dot(u, n) = 0; boundary u on y.lo, y.hi: cross(u, n) = 0", ["u.y", "u.y", "u.x", "u.x"]),
        ("boundary u on y.lo, y.hi: u - dot(u, n)*n = (0, 0); boundary u on y.lo, y.hi: dot(dn(u), n) = 1", ["u.x", "u.x", "u.y", "u.y"]),
        ("boundary u on y.lo, y.hi: (u.y, dn(u.x)) = (0, 1)", ["u.y", "u.x", "u.y", "u.x"]),
        ("boundary u on y.lo, y.hi: dot(n, grad(u)) = (0, 0)", ["u.x", "u.y", "u.x", "u.y"]),
        ("boundary u.x, u.y on y.lo, y.hi: u.x = 0, dn(u.y) = 0", ["u.x", "u.x", "u.y", "u.y"]),
        ("boundary u.x, u.y on y.lo, y.hi: dn(u.x) = u.x", ["u.x", "u.x", "u.y", "u.y"]),
        ("side ends = y.lo, y.hi; boundary u on ends: u = (0, 0)", ["u.x", "u.y", "u.x", "u.y"]),
    ],
)
def test_a_condition_belongs_to_the_component_that_it_names(statement, expected):
    found = conditions_of(WALLS, REST, statement)[4:]
    assert [field for field, _ in found] == expected
    assert {side for _, side in found} == {"y.lo", "y.hi"}


def test_one_equation_is_renamed_for_each_field():
    """`dn(u.x) + 2*u.x = exp(t)` for u.y and T means the same as the three written out."""
    one = "boundary u.x, u.y, T on y.lo, y.hi: dn(u.x) + 2*u.x(t=0) = exp(t)"
    three = "; ".join(f"boundary {f} on y.lo, y.hi: dn({f}) + 2*{f}(t=0) = exp(t)" for f in ("u.x", "u.y", "T"))
    found, expected = (
        model_of(BOX.replace("CONDITIONS", "\n".join([WALLS, "boundary T on x.lo, x.hi: T = 0", text]))).conditions for text in (one, three)
    )
    assert [c.residual for c in found] == [c.residual for c in expected]
    assert [c.field for c in found] == [c.field for c in expected]


def test_renaming_leaves_names_of_members_alone():
    text = BOX.replace("field u(D): vector", "field u(D): vector, x1(D): vector").replace("initial u", "initial x1 = (0, 0); initial u")
    text = text.replace("equation dt(T)", "equation dt(x1) = lap(x1); equation dt(T)")
    conditions = "boundary u, x1 on x.lo, x.hi, y.lo, y.hi: (dn(u.x), u.y) = (t, 0)"
    model = model_of(text.replace("CONDITIONS", f"{conditions}\n{REST}"))
    assert [c.field for c in model.conditions if c.field.startswith("x1")] == ["x1.x", "x1.y"] * 4


@pytest.mark.parametrize(
    ("statements", "code", "message", "remedy"),
    [
        ([WALLS], "E0301", "`u` needs 2 conditions along `y`, 0 are given", "boundary u on y.lo, y.hi: dn(u) = (0, 0)"),
        ([WALLS, "boundary u on y.lo: u = (0, 0)"], "E0301", "`u` needs 2 conditions along `y`, 1 is given", "boundary u on y.hi: dn(u) = (0, 0)"),
        ([WALLS, "boundary u on y.lo, y.hi: dot(u, n) = 0"], "E0301", "`u.x` needs 2 conditions along `y`, 0 are given", "boundary u.x on y.lo, y.hi: dn(u.x) = 0"),
        ([WALLS, "boundary u.x on y.lo, y.hi: u.x = 0", "boundary u.y on y.hi: u.y = 0"], "E0301", "`u.y` needs 2 conditions along `y`, 1 is given", "boundary u.y on y.lo: dn(u.y) = 0"),
        ([WALLS, "boundary u on y.lo, y.hi, y.hi: u = (0, 0)"], "E0302", "`u` has 2 conditions on y.hi, it takes 1", ""),
        ([WALLS, "boundary u on y.lo, y.hi: u.x*u.y = 0"], "E0206", "one condition for 2 components of `u`", "boundary u.x on y.lo, y.hi: u.x*u.y = 0"),
    ],
)  # fmt: skip
def test_the_count_names_the_component(statements, code, message, remedy):
    text = BOX.replace("CONDITIONS", "\n".join([REST, *statements]))
    found = error_of(text)
    assert (found.code, found.message, found.help) == (code, message, remedy)
    if code == "E0301":
        model_of(text.replace("initial u", f"{remedy}\ninitial u"))


def test_zeros_have_the_rank_of_the_field():
    text = "domain D: x in 0..1, y in 0..1, z in 0..1 periodic\nfield S(D): tensor(2)\nequation dt(S) = lap(S)\ninitial S = ZERO\n"
    zero = "((0, 0, 0), (0, 0, 0), (0, 0, 0))"
    assert error_of(text.replace("ZERO", zero)).help == f"boundary S on x.lo, x.hi: dn(S) = {zero}"
    assert error_of(text.replace("initial S = ZERO", "boundary S on x.lo, x.hi, y.lo, y.hi: S = " + zero)).help == f"initial S = {zero}"


WAVES = """domain D: x in 0..1, y in 0..1
field p(D), v(D): vector
equation dt(p) = -div(v)
equation dt(v) = -grad(p)
CONDITIONS
initial p = 0; initial v = (0, 0)
"""


def test_a_system_of_first_order_takes_the_normal_component():
    model = model_of(WAVES.replace("CONDITIONS", "boundary v on x.lo, x.hi, y.lo, y.hi: dot(v, n) = 0"))
    assert [(c.field, c.coordinate) for c in model.conditions] == [("v.x", "x"), ("v.x", "x"), ("v.y", "y"), ("v.y", "y")]
    model_of(WAVES.replace("CONDITIONS", "boundary p on x.lo, y.lo: p = 0; boundary v on x.hi, y.hi: dot(v, n) = 0"))
    few = error_of(WAVES.replace("CONDITIONS", "boundary v on x.lo, x.hi, y.lo: dot(v, n) = 0"))
    assert (few.code, few.message) == ("E0301", "`p`, `v` need 2 conditions along `y` together, 1 is given")
    assert few.help == "boundary p on y.hi: p = 0"
    many = error_of(WAVES.replace("CONDITIONS", "boundary v on x.lo, x.hi, y.lo, y.hi: dot(v, n) = 0; boundary p on x.lo: p = 0"))
    assert (many.code, many.message) == ("E0302", "`p`, `v` take 2 conditions along `x` together, 3 are given")
    free = error_of(WAVES.replace("CONDITIONS", "boundary v.y on x.lo, x.hi: v.y = 0; boundary v on y.lo, y.hi: dot(v, n) = 0"))
    assert (free.code, free.message) == ("E0105", "`v.y` takes no condition along `x`")


HOLE = """domain D = box(x=0..1, y=0..1) - disk(center=(0.5, 0.5), radius=0.1, name="hole")
field u(D): vector
equation dt(u) = lap(u)
boundary u on x.lo, x.hi, y.lo, y.hi: u = (0, 0)
CONDITIONS
initial u = (0, 0)
"""


def test_conditions_on_a_surface_are_counted_together():
    model = model_of(HOLE.replace("CONDITIONS", "boundary u on hole: dot(u, n) = 0; boundary u on hole: cross(dn(u), n) = 0"))
    assert any("curved side" in u.what for u in model.unsupported)
    found = error_of(HOLE.replace("CONDITIONS", "boundary u on hole: dot(u, n) = 0"))
    assert (found.code, found.message, found.help) == ("E0301", "`u` needs 2 conditions on `hole`", "boundary u on hole: dn(u) = (0, 0)")
