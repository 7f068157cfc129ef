"""What flows through sides: the outward normal derivative and integrals over sides, against exact values."""

from __future__ import annotations

import numpy as np
import pytest
from problems import Semidiscrete, measured_order
from scipy.integrate import quad

from ricci.driver import check_text
from ricci.dsl import reference
from ricci.errors import RicciError, Source
from ricci.lowering.discretize import discretize

BOX = """domain D: x in 0..1, y in 0..2
side ends = x.lo, x.hi
side rim = ends, y.lo, y.hi
field T(D), v(D): vector
param k = 2
fn flux(w) = -k*dn(w)
let q = -k*dn(T)
let loss = integral[rim](q)
equation dt(T) = k*lap(T); equation dt(v) = lap(v)
boundary T on x.lo, x.hi: T = exp(x)*sin(y + 1)
boundary T on y.lo: dn(T) = -exp(x)*cos(1); boundary T on y.hi: dn(T) = exp(x)*cos(3)
boundary v on x.lo, x.hi, y.lo, y.hi: v = (x*y, exp(x))
initial T = exp(x)*sin(y + 1); initial v = (x*y, exp(x))
solve { grid: x=9, y=9; space: fd(order=4); until: t=1 }
"""

CURVE = quad(lambda y: np.sin(y + 1), 0, 2)[0]
EXACT = [
    ("integral[x.lo](dn(T))", -CURVE),
    ("integral[x.hi](dn(T))", np.e * CURVE),
    ("integral[x.lo, x.hi](dn(T))", (np.e - 1) * CURVE),
    ("integral[ends](dn(T))", (np.e - 1) * CURVE),
    ("integral[y.lo](dn(T))", -(np.e - 1) * np.cos(1)),
    ("integral[y.hi](T)", (np.e - 1) * np.sin(3)),
    ("integral[rim](flux(T))", -2 * ((np.e - 1) * CURVE + (np.e - 1) * (np.cos(3) - np.cos(1)))),
    ("integral[rim](q)", -2 * ((np.e - 1) * CURVE + (np.e - 1) * (np.cos(3) - np.cos(1)))),
    ("loss", -2 * ((np.e - 1) * CURVE + (np.e - 1) * (np.cos(3) - np.cos(1)))),
    ("integral[x.hi](dot(v, n))", 2.0),
    ("integral[y.lo, y.hi](dot(v, n))", 0.0),
    ("integral[rim](v).y", 2 * (1 + np.e) + 2 * (np.e - 1)),
    ("integral[rim](1)", 6.0),
    ("integral[x.lo](y)", 2.0),
    ("integral[x.hi](x)", 2.0),
    ("dn(T)(x=x.hi, y=0.5)", np.e * np.sin(1.5)),
    ("dn(T)(x=0, y=0.5)", -np.sin(1.5)),
    ("q(x=x.hi, y=0.5)", -2 * np.e * np.sin(1.5)),
    ("max(abs(dn(T)(y=y.hi) - exp(x)*cos(3)))", 0.0),
]


def values_of(quantities, n):
    text = BOX + "".join(f"check {q} < 1e9\n" for q in quantities)
    program = discretize(check_text(Source("test.model", text)))
    sizes = {**program.sizes, "x": n, "y": n}
    found = Semidiscrete(program, sizes, {a.name: reference.evaluate([a.value], {}, sizes)[0] for a in program.arguments})
    known = {**found.values, **found.call("initial", found.values), "t": 0.0}
    return [float(found.call(f"check:{k}", known)["left:0"]) for k in range(len(quantities))]


def test_what_stands_at_sides_converges_to_its_exact_value():
    names, exact = [name for name, _ in EXACT], np.array([value for _, value in EXACT])
    grids = (17, 33)
    errors = [np.abs(values_of(names, n) - exact) for n in grids]
    for name, coarse, fine in zip(names, *errors, strict=True):
        assert fine < 1e-5, name
        assert fine < 1e-11 or measured_order([coarse, fine], [1 / (n - 1) for n in grids]) > 3, name


def test_what_flows_out_is_what_is_made():
    """Gauss: integral(lap(T)) = the integral of dn(T) over all sides."""
    text = """domain D: x in 0..1 [m], y in 0..1 [m]
field T(D): [K]
equation dt(T) = 1 [m^2/s]*lap(T)
boundary T on x.lo, x.hi, y.lo, y.hi: T = 1 [K]*exp(x/1 [m])*cos(y/1 [m])
initial T = 1 [K]*exp(x/1 [m])*cos(2*y/1 [m])
solve { grid: x=41, y=41; space: fd(order=4); until: t=1 [s] }
check integral(lap(T)) ~ integral[x.lo, x.hi, y.lo, y.hi](dn(T))
"""
    program = discretize(check_text(Source("test.model", text.replace("cos(y/", "cos(2*y/"))))
    found = Semidiscrete(program, {"x": 41, "y": 41}, {})
    values = found.call("check:0", {**found.call("initial", {}), "t": 0.0})
    assert values["left:0"] == pytest.approx(values["right:0"], rel=1e-5)
    assert abs(values["right:0"]) > 1


@pytest.mark.parametrize(
    ("quantity", "code", "column"),
    [
        ("dn(T)", "E0101", 7),
        ("max(dn(T))", "E0101", 11),
        ("q", "E0101", 7),
        ("dn(T)(x=0.5)", "E0101", 7),
        ("dn(T)(x=0, y=0)", "E0101", 7),
        ("dot(v, n)", "E0101", 14),
        ("integral(dn(T))", "E0101", 16),
        ("integral[x.lo, y](T)", "E0104", 22),
        ("integral[rum](T)", "E0201", 16),
        ("integral[x.mid](T)", "E0101", 18),
    ],
)
def test_where_no_side_is_at_hand(quantity, code, column):
    with pytest.raises(RicciError) as caught:
        check_text(Source("test.model", f"{BOX}check {quantity} < 1\n"))
    (found,) = caught.value.diagnostics
    assert (found.code, found.span.column) == (code, column), found.render()
    if code == "E0101" and "x.mid" not in quantity:
        assert "x.hi" in found.label


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("side a = x.left", "E0104"),
        ("side a = b\nside b = a", "E0106"),
        ("side a = a", "E0106"),
        ("side a = x.lo\nside a = x.hi", "E0102"),
        ("side a = y.lo\ncheck integral[a](T) < 1", "E0104"),
        ("let r = dn(S)", "E0101"),
        ("let r: int = dn(T)\ncheck integral[x.lo](r) < 1", "E0203"),
        ("let r = s + 1\nlet s = dn(T) + r", "E0106"),
    ],
)
def test_groups_of_sides_and_definitions_at_sides(line, code):
    text = "domain D: x in 0..1, y in 0..1 periodic\nfield T(D)\nequation dt(T) = lap(T)\nboundary T on x.lo, x.hi: T = 0\ninitial T = 0\n"
    with pytest.raises(RicciError) as caught:
        check_text(Source("test.model", text + line + "\n"))
    assert [d.code for d in caught.value.diagnostics] == [code], caught.value.render()
