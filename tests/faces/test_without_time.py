"""`output` and `plot` of models without time: the numbers of the results, complete files, no axis `t`."""

import errno
import json
import os

import numpy as np
import pytest

from ricci import driver
from ricci.driver import Settings
from ricci.errors import CannotWrite, RicciError, Source
from ricci.faces import execute as execution
from ricci.faces.execute import execute

BACKENDS = ["cpu", "reference"]
SHORT = "dim i = 3\ntensor A[i] = i\nlet R[i] = 2*A[i]\nlet S[i] = 3*A[i]\n"


def run(folder, text, backend="cpu", plot=False, out=None, **inputs):
    settings = Settings(backend=backend, input=tuple((name.replace("_", "."), file) for name, file in inputs.items()))
    return execute(Source(str(folder / "case.model"), text), settings, out=str(out or folder / "out"), plot=plot)


def refused(folder, text):
    with pytest.raises(RicciError) as caught:
        run(folder, text)
    assert not (folder / "out").exists() or not os.listdir(folder / "out")
    return caught.value.diagnostics[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_definitions_and_expressions(tmp_path, backend):
    text = """dim i = 3, j = 4
tensor L[i]: [cm] = (1 + i)*1 [cm], M[j]: [m] = (2 - j)*1 [m]
let P[j, i]: [cm^2] = L[i]*M[j]
output P, L[i]*L[i], L[i] > 1.5 [cm] to "r.npz"
"""
    outcome = run(tmp_path, text, backend)
    lengths, widths = np.array([1.0, 2.0, 3.0]), np.array([200.0, 100.0, 0.0, -100.0])
    with np.load(tmp_path / "out" / "r.npz") as data:
        np.testing.assert_allclose(data["P"], np.outer(widths, lengths), rtol=1e-12)
        np.testing.assert_allclose(data["L_i_L_i"], 14, rtol=1e-12)
        assert data["L_i_1_5_cm"].tolist() == [False, True, True]
        assert "t" not in data
        metadata = json.loads(str(data["metadata"]))
    np.testing.assert_allclose(outcome.results["P"].values, np.outer(widths, lengths), rtol=1e-12)
    assert outcome.results["P"].unit == "cm^2"
    assert metadata["axes"] == {"P": ["j", "i"], "L_i_L_i": [], "L_i_1_5_cm": ["i"]}
    assert metadata["units"] == {"P": "cm^2", "L_i_L_i": "cm^2", "L_i_1_5_cm": ""}
    assert "let P[j, i]" in metadata["model"]
    assert metadata["settings"]["backend"] == backend
    assert outcome.outputs == [str(tmp_path / "out" / "r.npz")]


def test_values_come_from_generated_code_and_results_are_not_computed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("RICCI_CACHE", str(tmp_path / "cache"))  # nothing is known from before
    asked = []
    compute = execution._evaluate_function

    def counted(program, name, *rest):
        asked.append(name)
        return {label: values + 100 for label, values in compute(program, name, *rest).items()}

    monkeypatch.setattr(execution, "_evaluate_function", counted)
    text = SHORT + 'output R, A[i]*R[i] to "a.npz"\noutput S, A[i]*R[i] to "b.npz"\nplot A[i]*R[i]\nplot R\n'
    outcome = run(tmp_path, text)
    assert asked == ["let:*", "output:0"]
    assert outcome.kernels
    assert outcome.planned_bytes > 0
    assert outcome.steps == 0
    assert {"optimize", "compile", "run", "write"} <= set(outcome.seconds)
    with np.load(tmp_path / "out" / "a.npz") as data:
        np.testing.assert_array_equal(data["R"], 2 * np.arange(3) + 100)
        np.testing.assert_array_equal(data["A_i_R_i"], np.arange(3) @ (2 * np.arange(3) + 100) + 100)


KINDS = """dim i = 3, j = 0
tensor A[i] = i - 1, C[i]: complex = i + 2*im*i, E[j] = 1.0*j, K[i]: int = i
let neg[i] = A[i] < 0
let z[i] = C[i]*C[i]
let n[i] = K[i]*K[i]
let total = sum[i](C[i])
let some = min(A) < 0
let count = sum[i](K[i])
let e[j] = 2*E[j]
let ee[j, i] = E[j]*A[i]
let z_real[i] = A[i]
let h' = 3*sum[i](A[i]*A[i])
"""
EXPECTED = {
    "neg": np.array([True, False, False]),
    "z": (np.arange(3) * (1 + 2j)) ** 2,
    "n": np.array([0, 1, 4]),
    "total": np.array(3 + 6j),
    "some": np.array(True),
    "count": np.array(3),
    "e": np.zeros(0),
    "ee": np.zeros((0, 3)),
    "z_real": np.array([-1.0, 0.0, 1.0]),
    "h_prime": np.array(6.0),
}


def test_every_kind_of_value_in_every_format(tmp_path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("zarr")
    pytest.importorskip("netCDF4")
    text = KINDS + "".join(f'output neg, z, n, total, some, count, e, ee, z_real, h\' to "k.{ext}"\n' for ext in ("npz", "nc", "zarr"))
    run(tmp_path, text)
    with (
        np.load(tmp_path / "out" / "k.npz") as plain,
        xarray.open_dataset(tmp_path / "out" / "k.nc") as classic,
        xarray.open_dataset(tmp_path / "out" / "k.zarr", engine="zarr") as store,
    ):
        for name, wanted in EXPECTED.items():
            parts = [name] if wanted.dtype.kind != "c" else [{"z": "z_real_2"}.get(name, f"{name}_real"), f"{name}_imag"]
            pieces = [classic[part].values for part in parts]
            for found in (plain[name], store[name].values, pieces[0] if len(pieces) == 1 else pieces[0] + 1j * pieces[1]):
                assert found.shape == wanted.shape, name
                assert found.dtype == wanted.dtype, name
                np.testing.assert_array_equal(found, wanted)
        assert "t" not in classic.dims
        assert store["ee"].dims == ("j", "i")
        assert classic.attrs["model"] == store.attrs["model"]
    assert sorted(os.listdir(tmp_path / "out")) == ["k.nc", "k.npz", "k.zarr"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_formulas_on_a_grid(tmp_path, backend):
    text = """domain D: x in 0..2 [m], y in 0..1 [m]
field p(D): [K], v(D): vector [K/m]
equation p = 3 [K/m^2]*x*y
equation v = grad(p)
solve { grid: x=5, y=3 }
output p, v, integral[y](p) to "deep/p.npz"
check abs(integral(p) - 3 [K m^2]) < 1e-9 [K m^2]
"""
    outcome = run(tmp_path, text, backend)
    x, y = np.linspace(0, 2, 5), np.linspace(0, 1, 3)
    with np.load(tmp_path / "out" / "deep" / "p.npz") as data:
        np.testing.assert_allclose(data["p"], 3 * np.outer(x, y), atol=1e-12)
        np.testing.assert_allclose(data["v_y"], 3 * np.repeat(x[:, None], 3, 1), atol=1e-12)
        np.testing.assert_allclose(data["integral_y_p"], 1.5 * x, atol=1e-12)
        np.testing.assert_allclose(data["x"], x)
        metadata = json.loads(str(data["metadata"]))
    assert metadata["units"]["x"] == "m"
    np.testing.assert_allclose(outcome.results["p"].values, 3 * np.outer(x, y), atol=1e-12)
    assert outcome.results["p"].coordinates["x"][1] == "m"
    assert outcome.checks[0].passed


LAYER = """dim b, d = 3, k = 2
layer Net(x[b, d]) -> z[b, k], w[b] {
  weight W[k, d]
  z[b, k] = W[k, d]*x[b, d]
  w[b] = sum[d](x[b, d])
}
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_of_a_layer(tmp_path, backend):
    x, w = np.arange(12.0).reshape(4, 3), np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "w.npy", w)
    run(tmp_path, LAYER + 'output Net to "z.npz"\nplot Net to "z.png"\n', backend, Net_x="x.npy", Net_W="w.npy")
    with np.load(tmp_path / "out" / "z.npz") as data:
        np.testing.assert_allclose(data["Net_z"], x @ w.T)
        np.testing.assert_allclose(data["Net_w"], x.sum(1))
    assert sorted(os.listdir(tmp_path / "out")) == ["z.npz", "z_w.png", "z_z.png"]


def test_what_has_no_value_is_said_before_anything_is_written(tmp_path):
    problem = refused(tmp_path, LAYER + 'output Net to "z.npz"\n')
    assert (problem.code, problem.help) == ("E0707", "ricci run --input Net.x=... ...")
    problem = refused(tmp_path, "dim i\ntensor A[i]\nlet R[i] = 2*A[i]\nplot R\n")
    assert problem.code == "E0707"
    assert problem.span.line == 4
    problem = refused(tmp_path, 'domain D: x in 0..1\nlet g = sin(x)\noutput g to "g.npz"\n')
    assert (problem.code, problem.help) == ("E0601", "solve { grid: x=101 }")


MIXED = """dim i = 2
tensor A[i] = i + 1
layer Net(x[i]) -> z[i] { z[i] = 2*x[i] }
let R[i] = Net(A)
let g = max(R)
field u(t)
equation dt(u) = -g*u
initial u = 1
solve { until: t=1; tol: 1e-8 }
output u, R, R[i]*u every 0.5 to "m.npz"
output R to "r.npz"
check abs(u - exp(-4)) < 1e-5
check sum(R) == 6
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_definitions_beside_unknowns_in_time(tmp_path, backend):
    outcome = run(tmp_path, MIXED, backend)
    assert all(c.passed for c in outcome.checks)
    assert outcome.steps > 0
    assert set(outcome.results) == {"u", "R", "g"}
    with np.load(tmp_path / "out" / "m.npz") as data, np.load(tmp_path / "out" / "r.npz") as single:
        np.testing.assert_allclose(data["t"], [0, 0.5, 1])
        np.testing.assert_allclose(data["u"], np.exp(-4 * data["t"]), atol=1e-5)
        np.testing.assert_allclose(data["R"], [[2, 4]] * 3)
        np.testing.assert_allclose(data["R_i_u"], data["R"] * data["u"][:, None])
        assert single["R"].tolist() == [[2, 4]]
    assert len({k.partition(".")[0] for k in outcome.kernels}) == (2 if backend == "cpu" else 0)


@pytest.mark.parametrize(
    ("statement", "code", "help"),
    [
        ('output R every 1 to "r.npz"', "E0704", 'output R to "r.npz"'),
        ('output R, S at t=1, t=2 to "r.npz"', "E0704", 'output R, S to "r.npz"'),
        ("plot R at t=1", "E0704", "plot R"),
        ('output R*t to "r.npz"', "E0704", ""),
        ("check max(R(t=2)) < 1", "E0704", ""),
        ("solve { until: t=1 }", "E0704", ""),
        ('output R, R to "r.npz"', "E0102", ""),
        ('output R to "a/r.npz"\noutput S to "a/b/../r.npz"', "E0102", 'output S to "a/r_2.npz"'),
        ('output R to "r.zarr"\noutput S to "r.zarr/s.npz"', "E0102", 'output S to "s.npz"'),
        ('output R to "../r.npz"', "E0804", 'output R to "r.npz"'),
        ('output R to "/r.npz"', "E0804", 'output R to "r.npz"'),
        ('output R to "C:r.npz"', "E0804", 'output R to "r.npz"'),
        ('plot R to "a/../../r.png"', "E0804", 'plot R to "r.png"'),
        ('plot R to "r.npz"', "E0811", 'plot R to "r.png"'),
        ('output R to "r.png"', "E0811", 'output R to "r.npz"'),
        ('output R to ".npz"', "E0811", 'output R to "npz.npz"'),
        ('output R to "r.onnx"', "E0811", ""),
    ],
)
def test_what_is_refused(tmp_path, statement, code, help):
    problem = refused(tmp_path, SHORT + statement + "\n")
    assert (problem.code, problem.help) == (code, help), problem.render()
    assert problem.span.line == 4 + len(statement.splitlines())
    if help:
        driver.check_text(Source("pasted.model", SHORT + "\n".join([*statement.splitlines()[:-1], help]) + "\n"))


def test_a_formula_that_depends_on_time_needs_one(tmp_path):
    problem = refused(tmp_path, "domain D: x in 0..1\nfield p(D)\nequation p = x*t\nsolve { grid: x=5 }\n")
    assert (problem.code, problem.span.line) == ("E0704", 3)


def test_pictures_of_all_results(tmp_path):
    pytest.importorskip("matplotlib")
    run(tmp_path, KINDS + "let many[j, i, i'] = E[j]*A[i]*A[i']\nplot n to \"own.svg\"\nplot count\n", plot=True)
    names = {"e", "ee", "many", "neg", "numbers", "z", "z_real"}
    assert {f"case_{n}.png" for n in names} | {"own.svg", "case_1.png"} == set(os.listdir(tmp_path / "out"))


@pytest.mark.parametrize("extension", ["npz", "zarr"])
def test_a_folder_of_the_user_is_not_replaced(tmp_path, extension):
    if extension == "zarr":
        pytest.importorskip("zarr")
    mine = tmp_path / "out" / f"r.{extension}"
    mine.mkdir(parents=True)
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(CannotWrite, match=f"cannot write .*r.{extension}"):
        run(tmp_path, SHORT + f'output R to "r.{extension}"\n')
    assert (mine / "thesis.txt").read_text() == "years of work"
    assert os.listdir(tmp_path / "out") == [mine.name]


def test_a_failing_netcdf_library_says_that_the_disk_is_full(tmp_path, monkeypatch):
    netcdf = pytest.importorskip("netCDF4")

    def full(*_, **__):
        raise RuntimeError("NetCDF: HDF error")

    monkeypatch.setattr(netcdf, "Dataset", full)
    monkeypatch.setattr("ricci.faces.outputs.shutil.disk_usage", lambda _: type("usage", (), {"free": 0}))
    with pytest.raises(CannotWrite, match=os.strerror(errno.ENOSPC)):
        run(tmp_path, SHORT + 'output R to "r.nc"\n')
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("stage", ["_evaluate_function", "_write"])
def test_ctrl_c_leaves_no_file(tmp_path, monkeypatch, stage):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(execution, stage, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, SHORT + 'output R to "r.npz"\noutput R to "r.nc"\nplot R\n')
    assert os.listdir(tmp_path / "out") == []


def test_ctrl_c_while_a_picture_is_drawn_leaves_no_part_of_it(tmp_path, monkeypatch):
    figure = pytest.importorskip("matplotlib.figure")

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(figure.Figure, "savefig", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, SHORT + 'output R to "r.npz"\nplot R\n')
    assert os.listdir(tmp_path / "out") == ["r.npz"]
