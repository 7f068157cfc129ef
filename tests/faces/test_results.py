"""Results carry the units and axes of their declarations."""

import numpy as np
import pytest

from ricci.driver import Settings
from ricci.errors import Source
from ricci.faces.execute import execute

WARM = """domain D: x in 0..10 [cm]
field T(D): [degC]
param s(D): [degC] = 80 [degC]
equation dt(T) = 1e-4 [m^2/s]*dxx(T)
boundary T on x.lo: T = 20 [degC]
boundary T on x.hi: dn(T) = 0
initial T = s
solve { grid: x=21; until: t=5 [s]; tol: 1e-6 }
check T(x=0 [cm]) < 21 [degC]
output T to "T.npz"
"""


def test_temperatures_come_back_on_their_own_scale(tmp_path):
    outcome = execute(Source(str(tmp_path / "warm.model"), WARM), Settings(), out=str(tmp_path))
    temperature = outcome.results["T"]
    assert temperature.unit == "degC"
    assert temperature.values[0] == pytest.approx(20)
    assert temperature.values[-1] == pytest.approx(80, abs=2)
    assert temperature.coordinates["x"][0][-1] == pytest.approx(10)
    assert outcome.checks[0].value == pytest.approx(20)
    with np.load(tmp_path / "T.npz") as data:
        np.testing.assert_allclose(data["T"][-1], temperature.values)


def test_data_are_read_on_the_scale_of_their_declaration(tmp_path):
    np.save(tmp_path / "s.npy", np.full(21, 80.0))
    settings = Settings(input=(("s", "s.npy"),))
    given = execute(Source(str(tmp_path / "warm.model"), WARM), settings, write=False)
    default = execute(Source(str(tmp_path / "warm.model"), WARM), Settings(), write=False)
    np.testing.assert_allclose(given.results["T"].values, default.results["T"].values, rtol=1e-9)


def test_imaginary_part_and_imaginary_unit():
    text = """domain D: x in 0..1 periodic
field psi(D): complex
equation dt(psi) = im*dxx(psi)
initial psi = exp(2*pi*im*x)
solve { grid: x=32; until: t=0.01; tol: 1e-7 }
check abs(mean(im(psi)^2) - 0.5) < 1e-3
check abs(mean(abs2(psi)) - 1) < 1e-4
"""
    outcome = execute(Source("<model>", text), Settings(), write=False)
    assert all(c.passed for c in outcome.checks)


def test_definitions_of_numbers_alone_are_computed_without_code():
    text = "param k = 3 [m], big = 1e300\nlet a = 1/2\nlet b = a*k\nlet z = 3 + 2*im\nlet q = a < 1\nlet f(x) = x^2\nlet c = f(2)"
    outcome = execute(Source("<model>", text), Settings())
    assert {n: r.values[()] for n, r in outcome.results.items()} == {"a": 0.5, "b": 1.5, "z": 3 + 2j, "q": True, "c": 4}
    assert outcome.results["b"].unit == "m"
    assert not outcome.kernels


def test_definitions_beside_equations_only_name_their_parts():
    text = "field u(t)\nlet rate = 1/2\nequation dt(u) = -rate*u\ninitial u = 1\nsolve { until: t=1 }"
    assert set(execute(Source("<model>", text), Settings(backend="reference"), write=False).results) == {"u"}
