"""What `explain` says about the linear systems of implicit steps, and that runs are the ones that it describes."""

import numpy as np
import pytest

from ricci.driver import Settings
from ricci.errors import Source
from ricci.faces.command_show import explain_source, explanation
from ricci.faces.execute import execute

HEAT = """
ricci 0.1
domain D: {domain}
field u(D)
param k = 1/10
equation dt(u) = {right}
{sides}
initial u = {start}
solve {{ grid: {grid}; until: t=1/2; time: {time}{space} }}
"""
BOX, RING = "x in 0..1, y in 0..1", "x in 0..1 periodic, y in 0..1 periodic"
SINES, COSINES = "sin(pi*x)*sin(pi*y)", "cos(pi*x)*cos(pi*y)"
VALUES = "boundary u on x.lo, x.hi, y.lo, y.hi: u = 0"
SLOPES = "boundary u on x.lo, x.hi, y.lo, y.hi: dn(u) = 0"
MIXED = "boundary u on x.lo, y.hi: u = 0\nboundary u on x.hi, y.lo: dn(u) = 0"
ROBIN = "boundary u on x.lo, x.hi: u = 0\nboundary u on y.lo, y.hi: dn(u) + u = 0"
CUBE = "boundary u on z.lo, z.hi: u = 0\nboundary u on x.lo: dn(u) = 0\nboundary u on x.hi: u = 0"


def model(domain=BOX, right="k*lap(u)", sides=VALUES, start=SINES, grid="x=33, y=49", time="trbdf2", space=""):
    text = HEAT.format(domain=domain, right=right, sides=sides, start=start, grid=grid, time=time, space=space)
    return Source("m.model", text.lstrip())


CASES = {
    "values": (
        model(),
        "by sine transform along x, band of width 3 along y: "
        "coefficients do not vary along x; the unknown continues as an odd function along x",
    ),
    "slopes": (
        model(sides=SLOPES, start=COSINES),
        "by cosine transform along x, band of width 3 along y: "
        "coefficients do not vary along x; the unknown continues as an even function along x",
    ),
    "periodic": (
        model(RING, "k*lap(u) - dx(u) + dx(dy(u))/100", "", "sin(2*pi*x)"),
        "by Fourier transform along x, y: coefficients do not vary along x, y; the unknown is periodic along x, y",
    ),
    "periodic, order 4": (
        model(RING, sides="", start="sin(2*pi*x)", space="; space: fd(order=4)"),
        "by Fourier transform along x, y: coefficients do not vary along x, y; the unknown is periodic along x, y",
    ),
    "one side each": (
        model(sides=MIXED, start=SINES),
        "by quarter-wave sine transform along x, band of width 3 along y: "
        "coefficients do not vary along x; the unknown continues as an odd function at the low and an even one at the high side along x",
    ),
    "Robin": (
        model(sides=ROBIN, start=SINES),
        "by sine transform along x, band of width 3 along y: "
        "coefficients do not vary along x; the unknown continues as an odd function along x",
    ),
    "three axes": (
        model("x in 0..1, y in 0..1 periodic, z in 0..2", sides=CUBE, start="cos(pi*x/2)*sin(pi*z)", grid="x=12, y=15, z=17"),
        "by Fourier transform along y, sine transform along z, band of width 3 along x: "
        "coefficients do not vary along y, z; the unknown is periodic along y and continues as an odd function along z",
    ),
    "coefficients along one axis": (
        model(right="dx((1 + x)*dx(u))*k + k*dyy(u)"),
        "by sine transform along y, band of width 3 along x: "
        "coefficients do not vary along y; the unknown continues as an odd function along y",
    ),
    "coefficients along both": (model(right="k*(1 + x*y)*lap(u)"), "by band LU: coefficients vary along several axes"),
    "nonlinear": (model(right="k*lap(u) - u^3"), "by band LU: coefficients vary along several axes"),
    "no closure that a transform has": (
        model(space="; space: fd(order=4)", grid="x=150, y=150"),
        "by BiCGStab iteration on sine transform along y, band of width 5 along x: "
        "a transform fits what happens along y all but next to the sides",
    ),
    "one axis": (
        model("x in 0..1", "k*dxx(u)", "boundary u on x.lo, x.hi: u = 0", "sin(pi*x)", "x=40"),
        "by band LU: each point reads a few neighbours",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_explained(name):
    source, wanted = CASES[name]
    lines = explain_source(source, Settings(opt=0)).splitlines()
    assert [line for line in lines if line.startswith("linear systems")] == [f"linear systems of `u` {wanted}"]


def test_explicit_methods_have_none():
    source = model(time="rk4(dt=1e-4)")
    assert "linear systems" not in explain_source(source, Settings(opt=0))
    entries = explanation(CASES["values"][0], Settings(opt=0))["choices"]
    assert [e["value"] for e in entries if e["what"] == "linear systems of `u`"] == ["by sine transform along x, band of width 3 along y"]


def final(source, folder, **settings):
    """The field at the end of a run."""
    return execute(source, Settings(**settings), str(folder)).results["u"].values


@pytest.mark.parametrize("name", ["periodic", "three axes"])
def test_generated_code_and_the_interpreter_agree(name, tmp_path):
    """The interpreter solves every system by its dense matrix."""
    grids = {"x=33, y=49": "x=7, y=8", "x=12, y=15, z=17": "x=5, y=4, z=6"}
    text = CASES[name][0].text.replace("trbdf2", "crank_nicolson(dt=0.1)")
    for large, small in grids.items():
        text = text.replace(large, small)
    source = Source("m.model", text)
    assert "transform along" in explain_source(source, Settings(opt=0))
    np.testing.assert_allclose(final(source, tmp_path), final(source, tmp_path, backend="reference"), rtol=0, atol=1e-12)


def test_order_in_time(tmp_path):
    """Half the step, a quarter of the error: the systems are solved to the last digits."""
    error = []
    for steps in (8, 16):
        source = model(right="k*lap(u)", time=f"crank_nicolson(dt=1/{steps})", grid="x=33, y=33")
        discrete = 4 / (1 / 32) ** 2 * np.sin(np.pi / 64) ** 2  # eigenvalue of the second difference
        x = np.linspace(0, 1, 33)
        exact = np.exp(-0.1 * 2 * discrete * 0.5) * np.outer(np.sin(np.pi * x), np.sin(np.pi * x))
        error.append(np.abs(final(source, tmp_path) - exact).max())
    assert 3.9 < error[0] / error[1] < 4.1
