"""What Python hands to a model: places of labelled data, missing values, kinds, units, settings."""

import importlib.util

import numpy as np
import pytest

import ricci as r
from ricci.errors import RicciError

ROD = """
domain D: x in 0..1
field T(D)
param q(D)
equation dt(T) = dxx(T)
boundary T on x.lo, x.hi: dn(T) = 0
initial T = q
solve { grid: x=11; until: t=1e-9 }
"""
VECTOR = "dim i = 4\ntensor A[i]\nlet s = sum[i](A[i])\n"
X = np.linspace(0, 1, 11)


def refused(code, text, **given):
    with pytest.raises(RicciError) as caught:
        r.model(text, **given)
    assert caught.value.diagnostics[0].code == code
    return caught.value.diagnostics[0]


def labelled(positions, units=None):
    xarray = pytest.importorskip("xarray")
    return xarray.DataArray(X, dims=("x",), coords={"x": ("x", positions, {} if units is None else {"units": units})})


@pytest.mark.parametrize("positions", [X[::-1], 5 * X, X + 0.01])
def test_labelled_data_lie_where_their_coordinates_say(positions):
    assert "`q` is at x = " in refused("E0801", ROD, q=labelled(positions)).message


def test_coordinates_that_agree_or_say_nothing():
    for given in (labelled(X), labelled(list("abcdefghijk")), X):
        assert np.allclose(r.model(ROD, q=given).T.values, X, atol=1e-6)


def test_units_of_coordinates():
    refused("E0802", ROD, q=labelled(X, "m"))


def test_results_go_where_they_were():
    solution = r.model(ROD, q=X)
    for given in (solution.T, solution.T.to_xarray()):
        assert np.allclose(r.model(ROD, q=given).T.values, X, atol=1e-6)
        refused("E0801", ROD.replace("0..1", "0..5"), q=given)


def test_missing_values_and_what_is_no_number():
    assert "masked" in refused("E0808", VECTOR, A=np.ma.masked_array([1.0, 2, 3, 1e20], mask=[0, 0, 0, 1])).message
    assert float(r.model(VECTOR, A=np.ma.masked_array([1.0, 2, 3, 4], mask=False)).s.values) == 10
    refused("E0806", VECTOR, A=np.array(["0", "1", "2", "3"]))
    refused("E0806", VECTOR, A=np.array(["2020-01-01"] * 4, dtype="datetime64[D]"))
    refused("E0806", VECTOR, A=np.zeros(4, [("a", float)]))


def test_lists_single_elements_and_quantities():
    assert float(r.model(VECTOR, A=[0.0, 1, 2, 3]).s.values) == 6
    assert float(r.model("dim i = 2\ntensor A[i, i']\nlet s = sum[i, i'](A[i, i'])\n", A=[[1, 2], [3, 4]]).s.values) == 10
    assert float(r.model("param k = 1\nlet s = k\n", k=np.array(2.0)).s.values) == 2
    s = r.model("param k = 1 [cm^2/s]\nlet s = k\n", k=r.quantity(2, "m^2/s")).s
    assert (float(s.values), s.unit) == (2, "m^2/s")
    given = [s] if importlib.util.find_spec("xarray") is None else [s, s.to_xarray()]
    for single in given:
        again = r.model("param k = 1 [cm^2/s]\nlet s = 3*k\n", k=single).s
        assert (float(again.values), again.unit) == (6, "m^2/s")
        refused("E0401", "param k = 1 [s]\nlet s = k\n", k=single)


def test_a_number_for_a_tensor():
    assert "takes an array" in refused("E0104", VECTOR, A=3.0).message


def test_expressions_cannot_be_iterated():
    w = r.Model("m").field("w")
    with pytest.raises(TypeError):
        list(w)
    with pytest.raises(TypeError):
        3 in w  # noqa: B015


@pytest.mark.parametrize("settings", [{"backend": "gpu"}, {"backend": None}, {"opt": 9}, {"opt": "x"}])
def test_settings(settings):
    m = r.Model("m")
    m.let("a", 1)
    with pytest.raises(RicciError) as caught:
        m.solve(**settings)
    assert caught.value.diagnostics[0].code == "E0104"


def test_a_linear_equation_with_values_at_a_side_is_ill_posed_at_all_times():
    text = """
        domain D: x in 0..1
        field u(D)
        param k = -1
        equation dt(u) = k*dxx(u)
        boundary u on x.lo: u = 1
        boundary u on x.hi: dn(u) = 0
        initial u = sin(2*pi*x)
        solve { grid: x=21; until: t=0.01 }"""
    refused("E0502", text)


def test_places_on_a_scale_and_their_differences():
    text = "param T = 20 [degC], a = 10 [degC]\nlet d = T - a\nlet twice = 2*(T - a)\nlet y = T\nlet back = a + (T - a)\n"
    found = r.model(text)
    assert {n: (round(float(found[n].values), 9), found[n].unit) for n in ("d", "twice", "y", "back")} == {
        "d": (10, "K"), "twice": (20, "K"), "y": (20, "degC"), "back": (20, "degC"),
    }  # fmt: skip
    cold = r.model(text, T=r.quantity(-5, "degC")).y
    assert (float(cold.values), cold.unit) == (pytest.approx(-5), "degC")
    assert float(r.model(text, T=cold).d.values) == pytest.approx(-15)
    refused("E0404", "param T = 20 [degC]\nlet y = -T\n")
