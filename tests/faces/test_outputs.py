"""Result files: whole or not there, and complete enough to be read without the model."""

import json
import os

import numpy as np
import pytest

from ricci.errors import CannotWrite
from ricci.faces.outputs import Coordinate, Recorder, Variable, identifiers


def record(path, dtype=float):
    variables = (Variable("u", ("x", "y"), "K"), Variable("curl(u)", ("x",), ""))
    coordinates = {"x": Coordinate(np.linspace(0, 1, 3), "m"), "y": Coordinate(np.linspace(0, 1, 2), "m")}
    recorder = Recorder(path, variables, coordinates, {"model": "field u(D)", "parameters": {"k": 0.5}}, "s")
    for k in range(4):
        recorder.append(0.5 * k, {"u": np.full((3, 2), k, dtype), "curl(u)": np.arange(3.0) + k})
    return recorder


def test_npz_has_axes_units_and_model(tmp_path):
    path = record(tmp_path / "a.npz").close()
    with np.load(path) as data:
        assert data["u"].shape == (4, 3, 2)
        assert data["u"][3, 0, 0] == 3
        assert list(data["t"]) == [0, 0.5, 1.0, 1.5]
        metadata = json.loads(str(data["metadata"]))
    assert metadata["axes"]["u"] == ["t", "x", "y"]
    assert metadata["units"]["u"] == "K"
    assert metadata["labels"]["curl_u"] == "curl(u)"
    assert metadata["model"] == "field u(D)"
    assert os.listdir(tmp_path) == ["a.npz"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
def test_labelled_formats_read_back(tmp_path, name):
    xarray = pytest.importorskip("xarray")
    path = record(tmp_path / name).close()
    with (xarray.open_zarr if name.endswith("zarr") else xarray.open_dataset)(path) as data:  # a warning is an error here
        assert data["u"].dims == ("t", "x", "y")
        assert float(data["u"][2, 1, 1]) == 2
        assert data["u"].attrs["units"] == "K"
        assert data.attrs["model"] == "field u(D)"
    assert os.listdir(tmp_path) == [name]


def test_second_run_replaces_the_first(tmp_path):
    for name in ("a.npz", "a.zarr"):
        record(tmp_path / name).close()
        record(tmp_path / name).close()
    assert sorted(os.listdir(tmp_path)) == ["a.npz", "a.zarr"]


def test_complex_values_in_netcdf(tmp_path):
    netcdf = pytest.importorskip("netCDF4")
    with netcdf.Dataset(record(tmp_path / "c.nc", complex).close()) as data:
        assert set(data.variables) >= {"u_real", "u_imag"}


def test_abort_leaves_nothing(tmp_path):
    record(tmp_path / "a.npz").abort()
    assert os.listdir(tmp_path) == []


def test_unknown_extension_is_refused_before_computing(tmp_path):
    with pytest.raises(CannotWrite) as caught:
        Recorder(tmp_path / "a.csv", (), {}, {})
    assert caught.value.code == "E0811"
    assert os.listdir(tmp_path) == []


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    record(tmp_path / "a.npz").close()
    before = (tmp_path / "a.npz").read_bytes()
    recorder = record(tmp_path / "a.npz")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ricci.faces.outputs.os.replace", full)
    with pytest.raises(CannotWrite) as caught:
        recorder.close()
    assert caught.value.code == "E0810"
    assert "No space left" in caught.value.render()
    assert (tmp_path / "a.npz").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.npz"]


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite) as caught:
        Recorder(tmp_path / "file" / "a.npz", (), {}, {})
    assert caught.value.exit_code == 5


def test_no_snapshot_and_empty_axis(tmp_path):
    recorder = Recorder(tmp_path / "a.npz", (Variable("u", ("x",), ""),), {}, {})
    recorder.append(0.0, {"u": np.zeros(0)})
    with np.load(recorder.close()) as data:
        assert data["u"].shape == (1, 0)


@pytest.mark.parametrize("name", ["a.npz", "a.nc", "a.zarr"])
def test_numbers_beside_fields(tmp_path, name):
    """A quantity without axes is one number a time."""
    if name != "a.npz":
        pytest.importorskip("xarray")
    variables = (Variable("u", ("x",), ""), Variable("integral(u^2)", (), "m"))
    recorder = Recorder(tmp_path / name, variables, {"x": Coordinate(np.arange(3.0), "")}, {"model": ""})
    for k in range(2):
        recorder.append(k, {"u": np.ones(3), "integral(u^2)": np.asarray(2.0 + k)})
    path = recorder.close()
    if name == "a.npz":
        with np.load(path) as data:
            assert list(data["integral_u_2"]) == [2, 3]
        return
    import xarray

    options = {"engine": "zarr", "consolidated": False} if name == "a.zarr" else {}
    with xarray.open_dataset(path, **options) as data:
        assert data["integral_u_2"].dims == ("t",)
        assert float(data["integral_u_2"][1]) == 3


def test_a_name_of_the_model_is_the_name_in_the_file():
    assert identifiers(["w.x", "w.y", "w_x"]) == ["w_x_2", "w_y", "w_x"]
    assert identifiers(["w_x", "w.x", "w.x_2"], ("w_x_2",)) == ["w_x", "w_x_3", "w_x_2_2"]
