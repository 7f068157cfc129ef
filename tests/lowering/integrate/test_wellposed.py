"""Equations whose waves grow without bound on finer grids are refused, those with bounded growth are not."""

import numpy as np
import pytest

from ricci import driver
from ricci.backends.binding import bind
from ricci.backends.data import Reader
from ricci.errors import RicciError, Source
from ricci.lowering.integrate.wellposed import ill_posed, unbounded_growth

DOMAINS = {
    1: "domain D: x in 0..{L} periodic",
    2: "domain D: x in 0..{L} periodic, y in 0..1 periodic",
    3: "domain D: x in 0..1, y in 0..1, z in 0..1",
}


def text_of(equations, fields="u(D)", dimensions=1, length="1", initial="u = sin(2*pi*x)", sides=(), grid="x=32", options=""):
    lines = [DOMAINS[dimensions].format(L=length), f"field {fields}"]
    lines += [f"equation {e}" for e in equations.split("; ")]
    lines += [f"initial {i}" for i in initial.split("; ")]
    lines += [f"boundary {s}" for s in sides]
    return "\n".join([*lines, f"solve {{ grid: {grid}; until: t=0.01 {options}}}"]) + "\n"


def growth_of(text):
    model = driver.check_text(Source("test", text))
    program = driver.derive(driver.discretize(model))
    binding = bind(program, Reader.for_model(None, ()), {}, None, 0)
    return model, program, binding


BOX = ["u on x.lo, x.hi, y.lo, y.hi, z.lo, z.hi: u = 0"]
PLANE = {"dimensions": 2, "grid": "x=16, y=20", "initial": "u = sin(2*pi*x)*cos(2*pi*y)"}
SPACE = {"dimensions": 3, "grid": "x=11, y=12, z=13", "initial": "u = 1", "sides": BOX}
TWO = {"fields": "u(D), v(D)", "initial": "u = sin(2*pi*x); v = 0"}
WAVE = {"initial": "u = sin(2*pi*x); dt(u) = 0"}
ENDS = ["u on x.lo: u = 0", "u on x.hi: dn(u) = 0"]

BAD = {
    "heat backwards": (text_of("dt(u) = -dxx(u)"), 2),
    "on a fine grid": (text_of("dt(u) = -dxx(u)", grid="x=200"), 2),
    "of order 6": (text_of("dt(u) = -1e-3*dxx(u)", grid="x=40", options="; space: fd(order=6) "), 2),
    "under a load": (text_of("dt(u) = 3 - dxx(u)"), 2),
    "wrong sign of the fourth derivative": (text_of("dt(u) = dxx(dxx(u))"), 4),
    "Laplace as a wave": (text_of("dtt(u) = -dxx(u)", **WAVE), 1),
    "Cauchy, Riemann": (text_of("dt(u) = dx(v); dt(v) = -dx(u)", **TWO), 1),
    "in a current": (text_of("dt(u) = 10*dx(u) - 1e-2*dxx(u)"), 2),
    "where a coefficient is negative": (text_of("dt(u) = dx((x-0.3)*dx(u))"), 2),
    "at the present state": (text_of("dt(u) = -dx((1+u^2)*dx(u))"), 2),
    "along one axis": (text_of("dt(u) = dxx(u) - 0.1*dyy(u)", **PLANE), 2),
    "along a diagonal": (text_of("dt(u) = dxx(u) + 3*dxy(u) + dyy(u)", **PLANE), 2),
    "along a diagonal in a box": (text_of("dt(u) = lap(u) + 2.5*dyz(u)", **SPACE), 2),
    "complex": (text_of("dt(u) = (im-0.5)*dxx(u)", fields="u(D): complex"), 2),
}


@pytest.mark.parametrize("name", BAD)
def test_unbounded_growth_is_found(name):
    text, power = BAD[name]
    _, program, binding = growth_of(text)
    found = unbounded_growth(program, binding.values, binding.sizes)
    assert found is not None
    assert found.power == power


KURAMOTO = "dt(u) = -u*dx(u) - dxx(u) - dxx(dxx(u))"
SHALLOW = {
    "fields": "u(D), v(D), h(D)",
    "dimensions": 2,
    "grid": "x=20, y=20",
    "initial": "h = 1 + 0.1*sin(2*pi*x); u = 0; v = 0.3*sin(2*pi*x)",
}
LEGAL = {
    "heat": text_of("dt(u) = dxx(u)"),
    "between sides": text_of("dt(u) = dxx(u)", sides=ENDS).replace(" periodic", ""),
    "growth by reaction": text_of("dt(u) = 1e-4*dxx(u) + 50*u"),
    "growth without space": text_of("dt(u) = 50*u"),
    "Kuramoto, Sivashinsky, too coarse": text_of(KURAMOTO, length="100", initial="u = cos(2*pi*x/100)"),
    "Kuramoto, Sivashinsky": text_of(KURAMOTO, length="100", initial="u = cos(2*pi*x/100)", grid="x=200"),
    "Cahn, Hilliard": text_of("dt(u) = lap(u^3 - u - 1e-4*lap(u))", **PLANE),
    "Cahn, Hilliard, thin layers": text_of("dt(u) = lap(u^3 - u - 1e-7*lap(u))", **PLANE),
    "Swift, Hohenberg": text_of("dt(u) = 0.3*u - u^3 - (u + 2e-3*lap(u) + 1e-6*lap(lap(u)))", **PLANE),
    "transport": text_of("dt(u) = -dx(u)"),
    "steepening": text_of("dt(u) = -u*dx(u)"),
    "a jump": text_of("dt(u) = -u*dx(u)", initial="u = if x < 0.5 then 1 else 0", grid="x=64"),
    "Korteweg, de Vries": text_of("dt(u) = -6*u*dx(u) - 1e-4*dxxx(u)", grid="x=64"),
    "wave": text_of("dtt(u) = dxx(u)", **WAVE),
    "beam": text_of("dtt(u) = -dxx(dxx(u))", **WAVE),
    "wave of two fields": text_of("dt(u) = dx(v); dt(v) = dx(u)", **TWO),
    "Schrödinger": text_of("dt(u) = im*dxx(u) + im*abs(u)^2*u", fields="u(D): complex"),
    "Ginzburg, Landau": text_of("dt(u) = u + (1+2*im)*1e-3*dxx(u) - (1+0.5*im)*abs(u)^2*u", fields="u(D): complex"),
    "coefficient with a jump": text_of("dt(u) = dx((if x < 0.5 then 1 else 1e-3)*dx(u))"),
    "elliptic mixed derivative": text_of("dt(u) = dxx(u) + 1.5*dxy(u) + dyy(u)", **PLANE),
    "shallow water": text_of(
        "dt(h) = -dx(h*u) - dy(h*v); dt(u) = -u*dx(u) - v*dy(u) - 10*dx(h); dt(v) = -u*dx(v) - v*dy(v) - 10*dy(h)", **SHALLOW
    ),
    "Keller, Segel": text_of("dt(u) = dx(dx(u) - 20*u*dx(v)); dt(v) = dxx(v) + u - v", **TWO),
    "Turing": text_of("dt(u) = 1e-4*dxx(u) + 10*u - 12*v; dt(v) = 1e-2*dxx(v) + 14*u - 14*v", **TWO),
    "one diffuses by the other": text_of("dt(u) = dxx(u) + 3*dxx(v); dt(v) = dxx(v)", **TWO),
    "reaction in a box": text_of("dt(u) = lap(u) + 300*u", **SPACE),
    "few points": text_of("dt(u) = 50*u + dxx(u)", grid="x=3"),
}


@pytest.mark.parametrize("name", LEGAL)
def test_bounded_growth_passes(name):
    _, program, binding = growth_of(LEGAL[name])
    assert unbounded_growth(program, binding.values, binding.sizes) is None


def test_a_linear_equation_is_refused_at_its_statement():
    model, program, binding = growth_of(BAD["heat backwards"][0])
    with pytest.raises(RicciError) as error:
        ill_posed(model, program, binding.values, binding.sizes)
    diagnostic = error.value.diagnostics[0]
    assert diagnostic.code == "E0502"
    assert diagnostic.span.text == "equation dt(u) = -dxx(u)"
    assert "along `x`" in diagnostic.message
    assert "on 64 points" in diagnostic.notes[0]
    # (2 - 2 cos(pi/8)) n^2
    assert f"{(2 - 2 * np.cos(np.pi / 8)) * 64**2:.3g}" in diagnostic.notes[0]


def test_a_nonlinear_equation_is_warned_about():
    model, program, binding = growth_of(BAD["at the present state"][0])
    (warning,) = ill_posed(model, program, binding.values, binding.sizes)
    assert (warning.code, warning.severity) == ("W0507", "warning")
    assert "at the initial data" in warning.message


def test_coefficients_from_files_are_carried_to_other_grids():
    """`k` is given on the grid of the run; the finer grids read it at the nearest point."""
    text = text_of("dt(u) = k*dxx(u)").replace("equation", "param k(D)\nequation", 1)
    model = driver.check_text(Source("test", text))
    program = driver.derive(driver.discretize(model))
    for sign, found in ((1, False), (-1, True)):
        values = {"k": np.full(32, 0.5 * sign)}
        assert (unbounded_growth(program, values, {"x": 32}) is not None) is found


LINE = "domain D: x in 0..1\nfield u(D)\n{}\nequation {}\nboundary u on x.{}: u = 0\ninitial u = exp(-100*(x-0.3)^2)\n{}"
SOLVE = "solve { grid: x=101; until: t=1 }\n"


@pytest.mark.parametrize(
    ("equation", "params", "side"),
    [("dt(u) + dx(u) = 0", "", "hi"), ("dt(u) = dx(u)", "", "lo"), ("dt(u) + dx(c*u) = 0", "param c(D) = x + 0.1", "hi")],
)
def test_what_enters_needs_its_condition_there(equation, params, side):
    other = {"lo": "hi", "hi": "lo"}[side]
    model, program, binding = growth_of(LINE.format(params, equation, side, SOLVE))
    with pytest.raises(RicciError) as error:
        ill_posed(model, program, binding.values, binding.sizes)
    diagnostic = error.value.diagnostics[0]
    assert diagnostic.code == "E0301"
    assert diagnostic.help == f"boundary u on x.{other}: u = 0"
    assert diagnostic.span.text == f"boundary u on x.{side}: u = 0"
    model, program, binding = growth_of(LINE.format(params, equation, other, SOLVE))
    assert ill_posed(model, program, binding.values, binding.sizes) == []


@pytest.mark.parametrize("side", ["lo", "hi"])
def test_flow_out_of_both_ends_takes_any_side(side):
    model, program, binding = growth_of(LINE.format("", "dt(u) + dx((x - 0.5)*u) = 0", side, SOLVE))
    assert ill_posed(model, program, binding.values, binding.sizes) == []


AIRY = "domain D: x in 0..1\nfield u(D)\nequation dt(u) = {}\n{}\ninitial u = sin(pi*x)\nsolve {{ grid: x=40; until: t=0.01 }}\n"
ONE_AND_TWO = "boundary u on x.{}: u = 0\nboundary u on x.{}: u = 0\nboundary u on x.{}: dn(u) = 0"


@pytest.mark.parametrize(("equation", "one", "two"), [("-dxxx(u)", "lo", "hi"), ("dxxx(u)", "hi", "lo"), ("dxxx(u) - u*dx(u)", "hi", "lo")])
def test_conditions_of_third_order_on_the_wrong_sides(equation, one, two):
    model, program, binding = growth_of(AIRY.format(equation, ONE_AND_TWO.format(one, two, two)))
    assert ill_posed(model, program, binding.values, binding.sizes) == []
    model, program, binding = growth_of(AIRY.format(equation, ONE_AND_TWO.format(two, one, one)))
    if "u*" in equation:
        (found,) = ill_posed(model, program, binding.values, binding.sizes)
        assert found.code == "W0507"
    else:
        with pytest.raises(RicciError) as error:
            ill_posed(model, program, binding.values, binding.sizes)
        found = error.value.diagnostics[0]
        assert found.code == "E0502"
    assert "at a side of `x`" in found.message
    assert found.notes[0].endswith("like n^3")
