"""A run that is interrupted and goes on does what the same run does without a break, to the last bit."""

import json
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest

from ricci.driver import Settings
from ricci.errors import CannotRun, Source
from ricci.faces import execute as running
from ricci.faces import pictures
from ricci.faces.execute import execute

ROD = """
domain D: x in 0 [cm]..10 [cm]
field T(D): [degC], w(D): [cm], n(t): [1]
param k = 1e-4 [m^2/s]
equation dt(T) = k*dxx(T) + 0.01 [K/s]*w/1 [cm]
equation dtt(w) = 1e-5 [m^2/s^2]*dxx(w) - 1 [1/s^2]*w
equation dt(n) = 0
boundary T on x.lo: T = 20 [degC]
boundary T on x.hi: dn(T) = 0
boundary w on x.lo, x.hi: w = 0
initial T = 20 [degC] + 30 [K]*sin(pi*x/20 [cm]); initial w = 1 [cm]*sin(pi*x/10 [cm]); initial dt(w) = 0; initial n = 0
event when mean(w) < 0 [cm]: n = n + 1
solve { grid: x=11; until: t=4 [s]; TIME }
output T, w every 0.5 [s] to "rod.npz"
output T every 0.5 [s] to "rod.nc"
output T, n at t=1 [s], t=3.9 [s] to "rod.zarr"
plot n to "n.png"
plot T at t=0 [s], t=4 [s] to "T.png"
check max(T(t=0 [s])) > max(T)
check n(t=2 [s]) == 1
"""


def source(tmp_path, time="time: rk4(dt=0.03 [s])", text=ROD):
    return Source(str(tmp_path / "rod.model"), text.strip().replace("TIME", time))


class After:
    """Asks for an interruption after so many looks."""

    def __init__(self, looks):
        self.looks = looks

    def __call__(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def asked(self):
        self.looks -= 1
        return self.looks < 0


def interrupted(monkeypatch, text, out, looks, backend="reference", **settings):
    """The path of the state that a run leaves which is interrupted at that look."""
    with monkeypatch.context() as patch:
        patch.setattr(running, "Interruption", After(looks))
        with pytest.raises(KeyboardInterrupt):
            execute(text, Settings(backend=backend, **settings), out=str(out))
    return str(out / "rod.state.npz")


def arrays(path):
    xarray = pytest.importorskip("xarray")
    if path.suffix == ".npz":
        with np.load(path) as data:
            return {name: data[name] for name in data.files if name != "metadata"}
    with (xarray.open_zarr if path.suffix == ".zarr" else xarray.open_dataset)(path, decode_times=False) as data:
        return {name: data[name].values for name in data.variables}


@pytest.fixture
def drawn(monkeypatch):
    """Curves of every picture, by the name of its file; the last one of a name."""
    found = {}

    def series(path, title, axis, groups, events):
        found[path.name] = [axis.values, *(c.values for _, curves in groups for c in curves)]
        return path

    def lines(path, title, axis, curves, *_, **__):
        found[path.name] = [axis.values, *(c.values for c in curves)]
        return path

    monkeypatch.setattr(pictures, "series", series)
    monkeypatch.setattr(pictures, "lines", lines)
    return found


METHODS = ["rk4(dt=0.03 [s])", "euler(dt=0.01 [s])", "dp54", "bs32; tol: 1e-3", "backward_euler(dt=0.1 [s])"]


@pytest.mark.parametrize("method", METHODS)
def test_the_rest_of_an_interrupted_run_is_that_of_the_whole_one(monkeypatch, drawn, tmp_path, method):
    text = source(tmp_path, f"time: {method}")
    whole = execute(text, Settings(backend="reference"), out=str(tmp_path / "whole"))
    pictured = dict(drawn)
    for looks in (0, 1, 7):
        parts = tmp_path / f"parts{looks}"
        state = interrupted(monkeypatch, text, parts, looks)
        again = execute(text, Settings(backend="reference", start=state), out=str(parts))
        assert again.notes == whole.notes
        for name, result in whole.results.items():
            assert result.values.tobytes() == again.results[name].values.tobytes(), name
        assert (again.steps, again.rejected, again.dt_min, again.dt_max) == (whole.steps, whole.rejected, whole.dt_min, whole.dt_max)
        assert [c.to_json() for c in again.checks] == [c.to_json() for c in whole.checks]
        for name in ("rod.npz", "rod.nc", "rod.zarr"):
            old, new = arrays(tmp_path / "whole" / name), arrays(parts / name)
            assert old.keys() == new.keys()
            for key, array in old.items():
                assert array.tobytes() == new[key].tobytes(), (name, key)
        for name, curves in pictured.items():
            assert all(np.array_equal(a, b) for a, b in zip(curves, drawn[name], strict=True)), name
    assert whole.checks[0].passed
    assert float(whole.results["n"].values) >= 1


def test_a_run_can_be_interrupted_again_and_in_generated_code(monkeypatch, tmp_path):
    text = source(tmp_path)
    whole = execute(text, Settings(), out=str(tmp_path / "whole"))
    state = interrupted(monkeypatch, text, tmp_path, 3, "cpu")
    for looks in (2, 4):
        state = interrupted(monkeypatch, text, tmp_path, looks, "cpu", start=state)
    again = execute(text, Settings(start=state), out=str(tmp_path))
    for name, result in whole.results.items():
        assert result.values.tobytes() == again.results[name].values.tobytes(), name
    assert arrays(tmp_path / "rod.npz")["T"].tobytes() == arrays(tmp_path / "whole" / "rod.npz")["T"].tobytes()


def test_the_state_is_in_the_units_and_axes_of_the_text(monkeypatch, tmp_path, capsys):
    text = source(tmp_path)
    state = interrupted(monkeypatch, text, tmp_path, 4, set=(("k", "2e-4"),), seed=3)
    with np.load(state) as data:
        metadata = json.loads(str(data["metadata"]))
        assert data["T"].shape == data["w"].shape == data["dt_w"].shape == data["x"].shape == (11,)
        assert data["T"][0] == pytest.approx(20)
        assert 20 < data["T"].max() < 51
        assert data["x"][-1] == pytest.approx(10)
        assert (data["w"][0], data["w"][-1]) == (0, 0)
        assert data["t"] == pytest.approx(metadata["run"]["t"])
    assert metadata["axes"]["T"] == ["x"]
    assert {name: metadata["units"][name] for name in ("T", "w", "dt_w", "x", "t")} == {
        "T": "degC",
        "w": "cm",
        "dt_w": "cm/s",
        "x": "cm",
        "t": "s",
    }
    said = capsys.readouterr().err
    assert f"go on with: ricci run {tmp_path}/rod.model --set k=2e-4 --seed 3 --backend reference --out {tmp_path} --from {state}" in said
    start = ROD.replace("initial T = 20 [degC] + 30 [K]*sin(pi*x/20 [cm])", 'initial T = load("rod.state.npz")')
    assert execute(source(tmp_path, text=start), Settings(backend="reference"), write=False).results["T"].values[0] == pytest.approx(20)


def test_an_output_with_all_fields_is_a_state_too(tmp_path):
    text = """
domain D: x in 0..1 periodic
field u(D)
equation dt(u) = 0.1*dxx(u)
initial u = sin(2*pi*x)
solve { grid: x=8; until: t=1; time: rk4(dt=0.01) }
output u every 0.5 to "u.npz"
"""
    first = Source(str(tmp_path / "ring.model"), text.replace("t=1;", "t=0.5;").strip())
    execute(first, Settings(backend="reference"), out=str(tmp_path))
    second = Source(str(tmp_path / "ring.model"), text.strip())
    settings = Settings(backend="reference", start=str(tmp_path / "u.npz"))
    rest = execute(second, settings, out=str(tmp_path / "rest"))
    whole = execute(second, Settings(backend="reference"), write=False)
    np.testing.assert_allclose(rest.results["u"].values, whole.results["u"].values, rtol=1e-12)
    assert rest.steps == 50
    assert list(arrays(tmp_path / "rest" / "u.npz")["t"]) == [0.5, 1]
    np.savez(tmp_path / "mine.npz", u=np.ones(8), t=0.25)
    mine = execute(second, Settings(backend="reference", start=str(tmp_path / "mine.npz")), write=False)
    np.testing.assert_allclose(mine.results["u"].values, 1.0)
    assert mine.steps == 75


@pytest.mark.parametrize(
    ("held", "code", "said"),
    [
        ({"u": np.ones(8), "t": 2.0}, "E0704", "goes on from t = 2"),
        ({"u": np.ones(8)}, "E0803", "does not say its time"),
        ({"u": np.ones(8), "t": -1.0}, "E0803", "begin at 0"),
        ({"u": np.ones(8), "t": np.nan}, "E0803", "begin at 0"),
        ({"v": np.ones(8), "t": 0.5}, "E0803", "holds no `u`"),
        ({"u": np.ones(7), "t": 0.5}, "E0801", "`u` has 8 along `x`"),
        ({"u": np.full(8, np.nan), "t": 0.5}, "E0808", "not finite"),
        ({"u": np.ones(8), "t": 0.5}, "E0704", "the model looks at t = 0.25"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(tmp_path, held, code, said):
    text = """
domain D: x in 0..1 periodic
field u(D)
equation dt(u) = 0.1*dxx(u)
initial u = sin(2*pi*x)
solve { grid: x=8; until: t=1; time: rk4(dt=0.01) }
check max(u(t=0.25)) < 2
"""
    np.savez(tmp_path / "held.npz", **held)
    with pytest.raises(CannotRun) as caught:
        execute(Source("ring.model", text.strip()), Settings(backend="reference", start=str(tmp_path / "held.npz")), write=False)
    assert caught.value.code == code
    assert said in caught.value.diagnostics[0].message


def test_what_is_not_the_same_is_said(monkeypatch, tmp_path):
    text = source(tmp_path)
    state = interrupted(monkeypatch, text, tmp_path, 4)
    (tmp_path / "rod.npz").unlink()
    outcome = execute(text, Settings(backend="reference", start=state, set=(("k", "2e-4"),)), out=str(tmp_path))
    assert f"not the same as in the run that saved `{state}`: k" in outcome.notes
    assert any("rod.npz" in note and "begins anew" in note for note in outcome.notes)
    assert arrays(tmp_path / "rod.npz")["t"][0] > 0
    other = source(tmp_path, text=ROD.replace("- 1 [1/s^2]*w", "- 2 [1/s^2]*w"))
    outcome = execute(other, Settings(backend="reference", start=state), write=False)
    assert f"the equations are not those of the run that saved `{state}`" in outcome.notes


def test_a_model_in_python_goes_on(monkeypatch, tmp_path, capsys):
    import ricci as r

    monkeypatch.chdir(tmp_path)
    model = r.Model("decay")
    u = model.field("u", "t")
    model.eq(r.dt(u), -u)
    model.initial(u, 1)
    solve = {"until": 1, "time": "rk4(dt=0.01)", "backend": "reference"}
    whole = model.solve(**solve)
    with monkeypatch.context() as patch:
        patch.setattr(running, "Interruption", After(1))  # after the first 16 steps: how many more a slice has is the clock's
        with pytest.raises(KeyboardInterrupt):
            model.solve(**solve)
    assert 'go on with: solve(..., resume="decay.state.npz")' in capsys.readouterr().err
    again = model.solve(**solve, resume="decay.state.npz")
    assert again.u.values.tobytes() == whole.u.values.tobytes()


def test_a_model_without_time_has_no_state(tmp_path):
    np.savez(tmp_path / "held.npz", t=1.0)
    with pytest.raises(CannotRun) as caught:
        execute(Source("a.model", "dim i = 3\ntensor A[i] = i\nlet B = A"), Settings(start=str(tmp_path / "held.npz")), write=False)
    assert caught.value.code == "E0704"


ENDLESS = """
field u(t)
equation dt(u) = -u
initial u = 1
solve { until: t=1e9; time: rk4(dt=0.01) }
output u every 1e8 to "u.npz"
"""
PROGRAM = """
import sys
from ricci.driver import Settings, read
from ricci.faces.execute import execute
execute(read("endless.model"), Settings(), listen=lambda progress: print("running", flush=True))
"""


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    (tmp_path / "endless.model").write_text(ENDLESS)
    command = [sys.executable, "-c", PROGRAM]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said.rstrip().endswith("KeyboardInterrupt")  # the program did not catch it
    line = next(line for line in said.splitlines() if "go on with: " in line)
    with np.load(tmp_path / "endless.state.npz") as data:
        reached = float(data["t"])
    assert reached > 0
    words = shlex.split(line.partition("go on with: ")[2])
    assert words == ["ricci", "run", "endless.model", "--from", "endless.state.npz"]
    done = subprocess.run(
        [sys.executable, "-m", *words, "--set", f"until={reached + 1!r}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "u.npz") as data:
        assert list(data["t"]) == [0]
