"""Unknowns that an equation gives explicitly: the same program as with the formula written out, and conditions of them."""

from __future__ import annotations

import numpy as np
import pytest
from problems import Semidiscrete

from ricci.driver import check_text
from ricci.dsl import reference
from ricci.errors import RicciError, Source
from ricci.lowering.discretize import discretize

HEAD = "domain D: x in 0..1, y in 0..1 periodic\nparam k = 2\n"
TAIL = "\nsolve { grid: x=12, y=5; until: t=1 }\n"


def model(text):
    return check_text(Source("test.model", HEAD + text + TAIL))


def functions(text):
    return {name: [t for _, t in f.results] for name, f in discretize(model(text)).functions.items()}


def bound(text):
    program = discretize(model(text))
    values = {a.name: reference.evaluate([a.value], {}, program.sizes)[0] for a in program.arguments}
    return Semidiscrete(program, program.sizes, values)


PAIRS = {
    "a number of times": (
        "field u(D), p(D)\nequation dt(u) = lap(u) - dx(p)\nequation p = 3*u\nboundary u on x.lo, x.hi: u = y*0\ninitial u = x\ncheck max(p) < 1",
        "field u(D)\nlet p = 3*u\nequation dt(u) = lap(u) - dx(p)\nboundary u on x.lo, x.hi: u = y*0\ninitial u = x\ncheck max(p) < 1",
    ),
    "a value of the formula": (
        "field u(D), p(D)\nequation dt(u) = lap(p)\nequation p - 3*u = 1\nboundary p on x.lo: p = t\nboundary p on x.hi: dn(p) = p\ninitial u = x",
        "field u(D)\nequation dt(u) = lap(3*u + 1)\nboundary u on x.lo: u = (t - 1)/3\nboundary u on x.hi: dn(u) = u + 1/3\ninitial u = x",
    ),
    "a potential of fourth order": (
        "field c(D), mu(D)\nequation dt(c) = k*lap(mu)\nequation mu = c^3 - c - dxx(c)\nboundary c, mu on x.lo, x.hi: dn(c) = 0\ninitial c = cos(pi*x)",
        "field c(D)\nequation dt(c) = k*lap(c^3 - c - dxx(c))\nboundary c on x.lo, x.hi: dn(c) = 0\n"
        "boundary c on x.lo, x.hi: dn(c^3 - c - dxx(c)) = 0\ninitial c = cos(pi*x)",
    ),
    "a flux": (
        "field T(D), q(D): vector\nequation dt(T) = -div(q)\nequation q = -k*(1 + x)*grad(T)\nboundary T on x.lo: T = 0\n"
        "boundary q on x.hi: dot(q, n) = T\ninitial T = x*sin(2*pi*y)",
        "field T(D)\nequation dt(T) = div(k*(1 + x)*grad(T))\nboundary T on x.lo: T = 0\nboundary T on x.hi: -k*(1 + x)*dn(T) = T\n"
        "initial T = x*sin(2*pi*y)",
    ),
    "a stress": (
        "field u(D): vector, S(D): sym(2)\nequation dtt(u) = div(S)\nequation S = k*(grad(u) + transpose(grad(u)))\n"
        "boundary u on x.lo: u = (0, 0)\nboundary u on x.hi: dot(S, n) = (t, 0)\ninitial u = (x, y*0); initial dt(u) = (0, 0)",
        "field u(D): vector\nequation dtt(u) = div(k*(grad(u) + transpose(grad(u))))\nboundary u on x.lo: u = (0, 0)\n"
        "boundary u.x on x.hi: k*2*dx(u.x) = t\nboundary u.y on x.hi: k*(dx(u.y) + dy(u.x)) = 0\n"
        "initial u = (x, y*0); initial dt(u) = (0, 0)",
    ),
    "a chain in any order": (
        "field r(D), q(D), p(D), u(D)\nequation r = q^2 + t\nequation q = p + dx(u)\nequation p = k*u\nequation dt(u) = dxx(u) - r\n"
        "boundary u on x.lo, x.hi: u = 0\ninitial u = x",
        "field u(D)\nequation dt(u) = dxx(u) - (k*u + dx(u))^2 - t\nboundary u on x.lo, x.hi: u = 0\ninitial u = x",
    ),
    "two that need each other": (
        "field u(D), p(D), q(D)\nequation dt(u) = dxx(u) + q\nequation p + 2*q = u\nequation q - p = 1\nboundary u on x.lo, x.hi: u = 0\ninitial u = x",
        "field u(D)\nequation dt(u) = dxx(u) + (u + 1)/3\nboundary u on x.lo, x.hi: u = 0\ninitial u = x",
    ),
    "a rate": (
        "field u(D), v(D), q(D)\nequation dt(u) = dxx(u)\nequation q = dt(u)\nequation dt(v) = q\nboundary u on x.lo, x.hi: dn(u) = 0\ninitial u = x; initial v = q*0 + u",
        "field u(D), v(D)\nequation dt(u) = dxx(u)\nequation dt(v) = dxx(u)\nboundary u on x.lo, x.hi: dn(u) = 0\ninitial u = x; initial v = x",
    ),
    "a mean": (
        "field u(D), m(t)\nequation dt(u) = dxx(u) - m\nequation m = mean(u)\nboundary u on x.lo, x.hi: dn(u) = 0\ninitial u = x",
        "field u(D)\nequation dt(u) = dxx(u) - mean(u)\nboundary u on x.lo, x.hi: dn(u) = 0\ninitial u = x",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_a_formula_is_put_in(name):
    """Rates and starts of both texts agree on random states; where terms are the same, exactly."""
    first, second = (bound(text) for text in PAIRS[name])
    assert [s.name for s in first.program.states] == [s.name for s in second.program.states]
    assert [list(s.symbol.axes) for s in first.program.states] == [list(s.symbol.axes) for s in second.program.states]
    y = np.random.default_rng(1).normal(size=first.start().shape)
    scale = np.abs(second.rhs(0.3, y)).max()
    np.testing.assert_allclose(first.rhs(0.3, y), second.rhs(0.3, y), rtol=1e-9, atol=1e-9 * scale)
    np.testing.assert_allclose(first.start(), second.start(), atol=1e-14)
    assert scale > 0.1


def test_definitions_and_equations_give_the_same_terms():
    with_equation, with_let = (functions(text) for text in PAIRS["a number of times"])
    assert with_equation["rhs"] == with_let["rhs"]
    assert with_equation["check:0"] == with_let["check:0"]


def test_formulas_are_results_like_other_fields():
    found = bound(PAIRS["two that need each other"][0])
    final = found.final(0.0, found.start())
    x = np.linspace(0, 1, 12)[:, None]
    u = final["u"]
    np.testing.assert_allclose(u[1:-1], np.broadcast_to(x, u.shape)[1:-1], atol=1e-14)
    np.testing.assert_allclose(final["q"], (u + 1) / 3, atol=1e-14)
    np.testing.assert_allclose(final["p"], (u + 1) / 3 - 1, atol=1e-14)


def test_what_leaves_is_what_was_there():
    """Cahn-Hilliard with dn(c) = dn(mu) = 0 keeps the integral of c; the sum with trapezoidal weights, to the order of the scheme."""
    text = PAIRS["a potential of fourth order"][0]
    losses = []
    for n in (17, 33):
        program = discretize(model(text))
        found = Semidiscrete(program, {"x": n, "y": 3}, {"k": np.asarray(2.0)})
        rate = found.split(found.rhs(0.0, found.start()))["c"][:, 0]
        losses.append(abs(np.trapezoid(rate, dx=1 / (n - 1))))
        assert np.abs(rate).max() > 1
    assert losses[1] < max(losses[0] / 3, 1e-9)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("equation p = 3\nboundary p on x.lo: p = 0", "E0105", "`p` takes no condition"),
        ("equation p = 3*u\nboundary p on x.lo: p = 0", "E0302", "`u` has 2 conditions on x.lo"),
        ("equation p = 3*u\nboundary p on x.lo: u = 0", "E0105", "says nothing about `p`"),
        ("equation p = 3*u\ninitial p = 0", "E0105", "`p` has no time derivative"),
        ("equation p = 3*u\nevent when t > 0.5: p = 0", "E0203", "`p` cannot be set"),
        ("equation p^2 = u", "E0601", "`equation p^2 = u`"),
        ("equation dxx(p) = u\nboundary p on x.lo, x.hi: p = 0", "E0601", "`equation dxx(p) = u`"),
        ("equation p = im*u", "E0601", "`equation p = im*u`"),
        ("equation p = q + u\nequation q = p", "E0601", "`equation p = q + u`"),
        ("equation p = q^2 + u\nequation q = p^2", "E0601", "`equation p = q^2 + u`"),
        ("equation p = dx(q)\nequation q = dx(p) + u", "E0601", "`equation p = dx(q)`"),
        ("equation q = dt(u)\nequation p = dt(q)", "E0601", "`equation p = dt(q)`"),
        ("equation q = dt(u)\nequation p = u + t\nboundary q on x.lo: q = 0", "E0302", "`u` has 2 conditions on x.lo"),
        ("equation p = u\nequation p = 2*u", "E0303", "determines no unknown"),
    ],
)
def test_what_is_no_formula_or_takes_no_condition(text, code, words):
    fields = "field u(D), p(D), q(D)" if "q" in text.replace("equation", "") else "field u(D), p(D)"
    base = f"{fields}\nequation dt(u) = dxx(u)\nboundary u on x.lo, x.hi: u = 0\ninitial u = x*(1 - x)\n"
    with pytest.raises(RicciError) as caught:
        functions(base + text)
    (found,) = caught.value.diagnostics
    assert (found.code, words in found.message) == (code, True), found.render()
    assert found.span is not None


def test_systems_written_with_fluxes_count_their_order():
    """dt(p) = dx(u), u = dx(p) is of second order: two conditions along x, of either field."""
    text = "field p(D), u(D)\nequation u = dx(p)\nequation dt(p) = dx(u)\nCONDITIONS\ninitial p = x"
    both = [c.field for c in model(text.replace("CONDITIONS", "boundary p on x.lo: p = 0\nboundary u on x.hi: u = 1")).conditions]
    assert both == ["p", "p"]
    with pytest.raises(RicciError) as caught:
        model(text.replace("CONDITIONS", "boundary u on x.hi: u = 1"))
    assert caught.value.diagnostics[0].message == "`p` needs 2 conditions along `x`, 1 is given"
