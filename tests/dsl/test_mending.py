"""Remedies are tried before they are offered: pasted in place of the statement, the text checks."""

from __future__ import annotations

import pytest

from ricci.dsl.check import check, mending
from ricci.dsl.check.foreign import FORMS, OPERATORS
from ricci.dsl.check.operators import OPERATORS as KNOWN
from ricci.dsl.parse import parse
from ricci.errors import RicciError, Source

ROD = """domain D: x in 0..0.1 [m]
field T(D): [K]
param k = 1e-4 [m^2/s]
equation heat: dt(T) = k*dxx(T)
boundary T on x.lo: T = 300 [K]
boundary T on x.hi: dn(T) = 0
initial T = 400 [K]
solve { grid: x=101; until: t=20 [s]; tol: 1e-5 }
"""


def first(text):
    try:
        check(parse(Source("rod.model", text)))
    except RicciError as error:
        return error.diagnostics[0]
    raise AssertionError("the text passes")


SLIPS = [
    # units
    ("k*dxx(T)", "k*dx(T)", "E0401", "equation heat: dt(T) = k*dxx(T)"),
    ("dt(T) =", "dtt(T) =", "E0401", "equation heat: dt(T) = k*dxx(T)"),
    ("T = 300 [K]", "T = 300", "E0401", "boundary T on x.lo: T = 300 [K]"),
    ("T = 400 [K]", "T = 400", "E0401", "initial T = 400 [K]"),
    ("400 [K]", "400 [K] + 5*x", "E0401", "initial T = 400 [K] + 5 [K/m]*x"),
    ("t=20 [s]", "t=20", "E0401", "solve { grid: x=101; until: t=20 [s]; tol: 1e-5 }"),
    ("T(D): [K]", "T(D)", "E0402", "field T(D): [K]"),
    ("T(D): [K]", "T(D): real", "E0402", "field T(D): real [K]"),
    # names
    ("k*dxx", "K*dxx", "E0101", "equation heat: dt(T) = k*dxx(T)"),
    ("dxx(T)", "laplacian(T)", "E0101", "equation heat: dt(T) = k*lap(T)"),
    ("dxx(T)", "d2x(T)", "E0101", "equation heat: dt(T) = k*dxx(T)"),
    ("dxx(T)", "diff(T, x, 2)", "E0101", "equation heat: dt(T) = k*dxx(T)"),
    ("dt(T)", "diff(T, t)", "E0101", "equation heat: dt(T) = k*dxx(T)"),
    ("dt(T)", "dT/dt", "E0101", "equation heat: dt(T) = k*dxx(T)"),
    ("dxx(T)", "ΔT", "E0101", "equation heat: dt(T) = k*lap(T)"),
    ("400 [K]", "400 [K]*ln(2)", "E0101", "initial T = 400 [K]*log(2)"),
    ("400 [K]", "pow(2, 3)*400 [K]", "E0101", "initial T = (2)^(3)*400 [K]"),
    ("400 [K]", "400 [K]*clip(3, 1, 2)", "E0101", "initial T = 400 [K]*min(max(3, 1), 2)"),
    ("400 [K]", "400 [K]*where(x < 0.05 [m], 1, 2)", "E0101", "initial T = 400 [K]*(if x < 0.05 [m] then 1 else 2)"),
    # other notations
    ("dt(T)", "∂t(T)", "E0001", "equation heat: dt(T) = k*dxx(T)"),
    ("dt(T)", "∂T/∂t", "E0001", "equation heat: dt(T) = k*dxx(T)"),
    ("dxx(T)", "∂_xx(T)", "E0001", "equation heat: dt(T) = k*dxx(T)"),
    ("dxx(T)", "∇²(T)", "E0001", "equation heat: dt(T) = k*lap(T)"),
    ("dxx(T)", "∇^2 T", "E0001", ""),
    ("dxx(T)", "∇²T", "E0001", "equation heat: dt(T) = k*lap(T)"),
    ("k*dxx(T)", "∇·(k*∇T)", "E0001", "equation heat: dt(T) = div(k*grad(T))"),
    ("400 [K]", "5!*4 [K]", "E0001", "initial T = gamma(5 + 1)*4 [K]"),
    # sides
    ("x.hi", "x.right", "E0104", "boundary T on x.hi: dn(T) = 0"),
    ("x.hi", "xmax", "E0104", "boundary T on x.hi: dn(T) = 0"),
    ("x.hi", "right", "E0104", "boundary T on x.hi: dn(T) = 0"),
    ("x.lo", "x.min", "E0104", "boundary T on x.lo: T = 300 [K]"),
    ("x.lo", "x.l0", "E0104", "boundary T on x.lo: T = 300 [K]"),
    ("on x.hi", "on x.lo", "E0302", "boundary T on x.hi: dn(T) = 0"),
    # options
    ("until: t=20 [s]", "tend: 20 [s]", "E0104", "solve { grid: x=101; until: t=20 [s]; tol: 1e-5 }"),
    ("tol: 1e-5", "dt: 0.1 [s]", "E0104", "solve { grid: x=101; until: t=20 [s]; time: rk4(dt=0.1 [s]) }"),
    ("tol: 1e-5", "rtol: 1e-5", "E0104", "solve { grid: x=101; until: t=20 [s]; tol: 1e-5 }"),
    ("tol: 1e-5", "method: dp54", "E0104", "solve { grid: x=101; until: t=20 [s]; time: dp54 }"),
    ("tol: 1e-5", "solver: dp54", "E0104", "solve { grid: x=101; until: t=20 [s]; time: dp54 }"),
    ("tol: 1e-5", "order: 4", "E0104", "solve { grid: x=101; until: t=20 [s]; space: fd(order=4) }"),
    ("tol: 1e-5", "time: rk4", "E0104", "solve { grid: x=101; until: t=20 [s]; time: rk4(dt=0.01 [s]) }"),
    ("grid: x=101", "nx: 101", "E0104", "solve { grid: x=101; until: t=20 [s]; tol: 1e-5 }"),
    ("tol: 1e-5", "tole: 1e-5", "E0104", "solve { grid: x=101; until: t=20 [s]; tol: 1e-5 }"),
    # indices
    ("initial T =", "dim i = 5; tensor A[i]; let B[i] = A[i+1] - A[i]; initial T =", "E0208", "let B[i] = wrap(A)[i+1] - A[i]"),
    # statements
    ("initial T =", "initial T(x, 0) =", "E0203", "initial T = 400 [K]"),
]


@pytest.mark.parametrize(("right", "wrong", "code", "remedy"), SLIPS, ids=[s[1] for s in SLIPS])
def test_a_slip_is_mended(right, wrong, code, remedy):
    assert ROD.count(right) == 1
    found = first(ROD.replace(right, wrong))
    assert (found.code, found.help) == (code, remedy), found.render()
    if remedy:
        line = next(line for line in ROD.splitlines() if right in line)
        if "; " not in wrong:
            check(parse(Source("rod.model", ROD.replace(line, remedy))))


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("dxx(T)", "dyy(T)", "`dyy` is along `y`, and the model has no such coordinate"),
        ("k*dxx", "q*dxx", "`q` is not declared"),
        ("400 [K]", "400*ln(2) [K]", "there is no operator or function `ln`"),  # and its unit stands behind a bracket
        ("1e-4 [m^2/s]", "1e-4 [m/s]", "the two sides of `heat` have different units"),  # the number could be meant as it stands
    ],
)
def test_no_remedy_that_does_not_check(right, wrong, message):
    found = first(ROD.replace(right, wrong))
    assert (found.message, found.help) == (message, ""), found.render()


def test_large_texts_are_not_checked_again_and_again(monkeypatch):
    trials = []
    monkeypatch.setattr(mending, "_mends", lambda *given: trials.append(given))
    comment = "# " + "x" * 98 + "\n"
    first(ROD.replace("dxx(T)", "laplacian(T)") + comment * 300)
    assert len(trials) == 1
    first(ROD.replace("dxx(T)", "laplacian(T)") + comment * 2000)
    assert len(trials) == 1
    first(ROD.replace("on x.hi", "on x.lo").replace("T = 300 [K]", "T = 300").replace("T = 400 [K]", "T = 400") + comment * 300)
    assert len(trials) <= 1 + mending.MOST // 30_000


def test_operators_of_other_tools_are_none_of_ours_and_their_names_here_are():
    assert not set(OPERATORS) & set(KNOWN)
    assert not set(FORMS) & set(KNOWN)
    assert set(OPERATORS.values()) <= set(KNOWN)
