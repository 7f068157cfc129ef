"""Data enter under the names of the model's text, and are refused in its words, at the statement that asks for them."""

import numpy as np
import pytest

from ricci.driver import Settings
from ricci.errors import CannotRun, Source
from ricci.faces.execute import execute

TEXT = """
domain D: x in 0..1, y in 0..2
field u(D): [cm]
param k(D): [m^2/s] = load("data.npz")
equation dt(u) = k*lap(u)
boundary u on x.lo, x.hi, y.lo, y.hi: dn(u) = 0
initial u = load("data.npz")
solve { grid: x=5, y=4; until: t=0 [s] }
""".replace("0..1,", "0 [m]..1 [m],").replace("0..2", "0 [m]..2 [m]")
START = np.arange(20.0).reshape(5, 4)


def run(folder, text=TEXT, **settings):
    source = Source(str(folder / "data.model"), text.strip())
    return execute(source, Settings(backend="reference", **settings), write=False)


def refusal(folder, text=TEXT, **settings):
    with pytest.raises(CannotRun) as caught:
        run(folder, text, **settings)
    return caught.value.diagnostics[0]


@pytest.fixture
def folder(tmp_path):
    np.savez(tmp_path / "data.npz", u=START, k=np.ones((5, 4)), other=START + 1)
    return tmp_path


def test_initial_data_are_found_under_the_name_of_the_field(folder):
    np.testing.assert_allclose(run(folder).results["u"].values, START, rtol=1e-15)
    np.testing.assert_allclose(run(folder, input=(("u", "data.npz:other"),)).results["u"].values, START + 1, rtol=1e-15)


def test_a_file_without_that_name_has_to_be_told(folder):
    np.savez(folder / "data.npz", k=np.ones((5, 4)), first=START, second=START + 1)
    error = refusal(folder)
    assert (error.code, error.span.line) == ("E0807", 6)
    assert error.help == 'initial u = load("data.npz", key="first")'
    fixed = TEXT.replace('initial u = load("data.npz")', error.help.replace("first", "second"))
    np.testing.assert_allclose(run(folder, fixed).results["u"].values, START + 1, rtol=1e-15)
    error = refusal(folder, input=(("u", "data.npz"),))
    assert error.help == "ricci run --input u=data.npz:first ..."
    assert run(folder, input=(tuple(error.help.split()[3].split("=")),)).results["u"].values[0, 1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("values", "code", "said"),
    [
        (START[:4], "E0801", "has 5 along `x`, `data.npz` gives 4"),
        (START[0], "E0801", "gives 4 numbers"),
        (START * 1j, "E0801", "gives complex numbers"),
        (np.where(START == 6, np.nan, START), "E0808", "the first at entry x=1, y=2, counted from 0"),
    ],
)
def test_data_that_do_not_fit_are_refused_in_the_words_of_the_text(folder, values, code, said):
    np.savez(folder / "data.npz", u=values, k=np.ones((5, 4)))
    error = refusal(folder)
    assert (error.code, error.span.line) == (code, 6)
    assert "`u`" in error.message
    assert said in error.render()


def test_input_names_what_the_model_has(folder):
    assert refusal(folder, input=(("w", "data.npz"),)).notes == ("it has k, u",)
    lone = "field u(t)\nequation dt(u) = -u\ninitial u = 1\nsolve { until: t=1 }"
    assert refusal(folder, lone, input=(("w", "data.npz"),)).notes == ("it has none",)


def test_a_rate_of_a_temperature_has_no_zero_of_a_scale(folder):
    """`initial dt(T) = load(...)` of T in degC: degrees per second, without the offset of the scale."""
    np.save(folder / "rate.npy", np.full(5, 2.0))
    text = """
domain D: x in 0 [m]..1 [m]
field T(D): [degC]
equation dtt(T) = 1 [m^2/s^2]*dxx(T)
boundary T on x.lo, x.hi: dn(T) = 0
initial T = 20 [degC]; initial dt(T) = load("rate.npy")
solve { grid: x=5; until: t=0.5 [s]; tol: 1e-8 }
"""
    np.testing.assert_allclose(run(folder, text).results["T"].values, 21.0, rtol=1e-7)
