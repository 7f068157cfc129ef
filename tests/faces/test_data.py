"""Data from files: what the file says about its numbers is believed over their order, and never silently contradicted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ricci.driver import Settings
from ricci.errors import RicciError, Source
from ricci.faces.execute import execute

WRITER = """
unit cell = 5 cm
domain D: x in 0..20 [cell], y in 0..2 [m] periodic
field T(D): [K]
equation dt(T) = 0.01 [m^2/s]*lap(T)
boundary T on x.lo, x.hi: dn(T) = 0
initial T = 300 [K] + 10 [K]*x/1 [m]
solve { grid: x=5, y=4; until: t=1 [min]; time: rk4(dt=1 [s]) }
output T every 0.5 [min] to "T.npz"
"""
READER = """
domain D: y in 0..2 [m] periodic, x in 0..1 [m]
field u(D): [K]
param s(D): [K] = load("T.npz", t=last)
equation dt(u) = 0 [1/s]*s
boundary s on x.lo: dn(s) = 0
initial u = s
solve { grid: x=5, y=4; until: t=1 [s] }
""".replace("boundary s on x.lo: dn(s) = 0\n", "")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    run(WRITER, folder)
    return folder


def run(text, folder, write=True, **settings):
    source = Source(str(folder / "m.model"), text.strip())
    return execute(source, Settings(backend="reference", **settings), out=str(folder), write=write)


def refusal(text, folder, **settings):
    with pytest.raises(RicciError) as caught:
        run(text, folder, write=False, **settings)
    return caught.value.diagnostics[0]


def test_a_run_goes_on_from_a_file_of_another_with_axes_by_name_and_units_by_text(written):
    with np.load(written / "T.npz") as data:
        last, middle = data["T"][-1], data["T"][1]
    assert last.shape == (5, 4)
    assert not np.allclose(last, middle)
    np.testing.assert_allclose(run(READER, written, False).results["u"].values, last.T)
    at = READER.replace("t=last", "t=30 [s]")
    np.testing.assert_allclose(run(at, written, False).results["u"].values, middle.T)
    other = READER.replace("s(D): [K]", "s(D): [mK]").replace("u(D): [K]", "u(D): [degC]")
    np.testing.assert_allclose(run(other, written, False).results["u"].values, last.T - 273.15)


def test_initial_data_find_their_field_in_the_file(written):
    text = READER.replace("initial u = s", 'initial u = load("T.npz", key="T", t=last)').replace(", t=last)\n", ', t=last, key="T")\n', 1)
    with np.load(written / "T.npz") as data:
        np.testing.assert_allclose(run(text, written, False).results["u"].values, data["T"][-1].T)


def test_another_quantity_is_refused(written):
    wrong = refusal(READER.replace("[K]", "[Pa]"), written)
    assert (wrong.code, wrong.span.line) == ("E0802", 3)
    assert "[Pa]" in wrong.message
    assert "[K]" in wrong.message
    assert (
        refusal(READER.replace("[K] = load", "[Pa] = load").replace("[1/s]*s", "[K/Pa/s]*s").replace("u = s", "u = 0"), written).code
        == "E0802"
    )
    assert refusal(READER.replace("[K]", "[1]"), written).code == "E0802"


def test_other_points_are_refused(written):
    wrong = refusal(READER.replace("0..1 [m]", "0..2 [m]"), written)
    assert (wrong.code, wrong.span.line) == ("E0801", 3)
    assert "0 [m] to 1 [m]" in wrong.message
    assert "0 [m] to 2 [m]" in wrong.message
    lengths = refusal(READER.replace("0..1 [m]", "0..1 [s]"), written)
    assert lengths.code == "E0802"


def test_a_file_of_several_times_needs_one_named(written):
    wrong = refusal(READER.replace(", t=last", ""), written)
    assert wrong.code == "E0801"
    assert wrong.help == 'param s(D): [K] = load("T.npz", t=last)'
    wrong = refusal(READER.replace("t=last", "t=7 [s]"), written)
    assert wrong.code == "E0801"
    assert "60 [s]" in wrong.label or "1 [min]" in wrong.label
    np.save(written / "plain.npy", np.zeros((5, 4)))
    assert refusal(READER.replace("T.npz", "plain.npy"), written).code == "E0801"


def test_other_numbers_of_points_offer_the_grid_of_the_file(written):
    wrong = refusal(READER.replace("grid: x=5, y=4", "tol: 1e-3; grid: x=9, y=4"), written)
    assert wrong.code == "E0801"
    assert wrong.help == "solve { tol: 1e-3; grid: x=5, y=4; until: t=1 [s] }"


def test_one_of_several_arrays_is_named_in_the_text_or_on_the_command_line(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.ones(5), b=np.zeros(5))
    text = 'dim i = 5\nparam k[i] = load("two.npz")\ncheck max(k) < 2'
    wrong = refusal(text, tmp_path)
    assert (wrong.code, wrong.help) == ("E0807", 'param k[i] = load("two.npz", key="a")')
    assert run(text.replace('param k[i] = load("two.npz")', wrong.help), tmp_path).checks[0].value == 1
    wrong = refusal("dim i = 5\nparam k[i]: real\ncheck max(k) < 2", tmp_path, input=(("k", "two.npz"),))
    assert "--input k=two.npz:a" in wrong.help


def test_tensors_are_read_in_their_unit(tmp_path):
    np.save(tmp_path / "A.npy", np.full(3, 5.0))
    outcome = run("dim i = 3\ntensor A[i]: [mm]\nlet b = sum[i](A)\ncheck b < 0.02 [m]", tmp_path, input=(("A", "A.npy"),))
    assert outcome.checks[0].value == pytest.approx(0.015)


def test_damaged_descriptions_are_no_descriptions(tmp_path):
    for k, metadata in enumerate(
        ["", "[1, 2", "7", json.dumps({"axes": 3}), json.dumps({"axes": {"k": ["x"]}, "units": {"k": "[[", "x": "m"}})]
    ):
        np.savez(tmp_path / f"{k}.npz", k=np.ones(5), metadata=np.array(metadata))
        text = f'dim i = 5\nparam k[i]: [m] = load("{k}.npz", key="k")\ncheck max(k) < 2 [m]'
        assert run(text, tmp_path).checks[0].value == 1


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"x,y\n1,2\n", "another kind"), (b"", "another kind"), (b"PK\x03\x04rest", ""), (b"\x93NUMPYrest", "")],
)
def test_what_is_no_data_file_is_said_without_advice_to_trust_it(content, word, tmp_path):
    (tmp_path / "k.npy").write_bytes(content)
    wrong = refusal('dim i = 5\nparam k[i] = load("k.npy")\ncheck max(k) < 2', tmp_path)
    assert (wrong.code, wrong.span.line) == ("E0806", 2)
    assert word in wrong.notes[0]
    assert "pickle" not in wrong.render()


def test_objects_and_texts_are_no_numbers(tmp_path):
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "t.npy", np.array(["a"]))
    for name, word in (("o", "objects of Python"), ("t", "text")):
        wrong = refusal(f'dim i = 1\nparam k[i] = load("{name}.npy")\ncheck max(k) < 2', tmp_path)
        assert wrong.code == "E0806"
        assert word in wrong.render()
        assert "``" not in wrong.render()


def test_the_place_of_a_value_that_is_not_finite(tmp_path):
    array = np.ones((2, 3))
    array[1, 2] = np.nan
    np.save(tmp_path / "k.npy", array)
    wrong = refusal('dim i = 2, j = 3\nparam k[i, j] = load("k.npy")\ncheck max(k) < 2', tmp_path)
    assert (wrong.code, wrong.span.line, wrong.label) == ("E0808", 2, "the first at entry i=1, j=2, counted from 0")
