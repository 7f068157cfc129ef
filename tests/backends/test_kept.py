"""Compiled functions on disk: the second process of a model starts where the first one had its code, and computes the same bits."""

import importlib
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ricci import driver
from ricci.backends import cache, kept, machine_code
from ricci.driver import Settings
from ricci.errors import Source
from ricci.faces.execute import execute

HEAT = """
domain D: x in 0..1, y in 0..1
field T(D)
param k = 0.1
equation dt(T) = k*lap(T) + sin(t)*T^2
boundary T on x.lo, x.hi, y.lo, y.hi: T = 0
initial T = sin(pi*x)*sin(pi*y)
solve { grid: x=21, y=17; until: t=0.2; TIME }
"""
TENSORS = "dim i = 40, j = 30, l = 30\ntensor A[i, j] = sin(i + 2*j), b[j] = 1/(1 + j)\nlet c = A*b[j]\nlet d[i] = sum[j](exp(A)*b)\nlet F[i, l] = sum[j](A[i, j]*sin(j - l))"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RICCI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(text, **settings):
    """As a new process would."""
    machine_code.forget_all()
    return execute(Source("m.model", text), Settings(**settings), write=False)


def same(first, second):
    assert first.results.keys() == second.results.keys()
    for name, result in first.results.items():
        assert np.asarray(result.values).tobytes() == np.asarray(second.results[name].values).tobytes(), name
    assert first.kernels == second.kernels
    assert first.planned_bytes == second.planned_bytes


@pytest.mark.parametrize("time", ["", "time: rk4(dt=1e-4)", "time: trbdf2"])
def test_a_time_loop(folder, time):
    text = HEAT.replace("TIME", time)
    first = run(text)
    second = run(text)
    assert "optimize" in first.seconds
    assert not {"optimize", "integrate", "compile"} - {"compile"} & second.seconds.keys()
    same(first, second)


def test_definitions_and_calls_into_python(folder):
    first, second = run(TENSORS), run(TENSORS)
    assert "optimize" in first.seconds
    assert "optimize" not in second.seconds
    same(first, second)


def test_parameters_are_no_part_of_it(folder):
    run(HEAT.replace("TIME", ""))
    other = run(HEAT.replace("TIME", ""), set=(("k", "0.2"),))
    assert "optimize" not in other.seconds
    same(other, run(HEAT.replace("TIME", ""), set=(("k", "0.2"),), backend="cpu", opt=2))


def test_grids_are_no_part_of_it_where_nothing_is_solved(folder):
    explicit, implicit = (HEAT.replace("TIME", f"time: {method}") for method in ("bs32", "trbdf2"))
    for text, known in ((explicit, True), (implicit, False)):
        run(text)
        other = run(text, set=(("grid.x", "33"),))
        assert ("optimize" not in other.seconds) is known
        machine_code.forget_all()
        for path in folder.glob("*.json"):
            path.unlink()
        same(other, run(text, set=(("grid.x", "33"),)))


def test_a_grid_in_another_level_of_memory_compiles_nothing(folder):
    text = HEAT.replace("TIME", "time: rk4(dt=1e-5)").replace("t=0.2", "t=1e-4")
    run(text)
    codes = set(folder.glob("*.code"))
    other = run(text, set=(("grid.x", "201"),))
    assert "optimize" in other.seconds
    assert codes == set(folder.glob("*.code"))


@pytest.mark.parametrize(
    ("change", "settings"),
    [
        (lambda s: s, {"opt": 0}),
        (lambda s: s.replace("sin(t)*T^2", "cos(t)*T^2"), {}),
        (lambda s: s.replace("TIME", "time: rk4(dt=1e-4)"), {}),
        (lambda s: s.replace("y.hi: T = 0", "y.hi: dn(T) = 0"), {}),
    ],
)
def test_what_changes_the_code_is_part_of_it(folder, change, settings):
    run(HEAT.replace("TIME", ""))
    other = run(change(HEAT).replace("TIME", ""), **settings)
    assert "compile" in other.seconds
    assert "integrate" in other.seconds


def test_the_compiler_itself_is_part_of_it(folder, monkeypatch):
    run(HEAT.replace("TIME", ""))
    monkeypatch.setattr(kept, "compiler", lambda: "another")
    assert "optimize" in run(HEAT.replace("TIME", "")).seconds


@pytest.mark.parametrize("suffix", [".json", ".code"])
@pytest.mark.parametrize("how", ["cut", "flip", "gone"])
def test_damage_is_rebuilt(folder, suffix, how):
    first = run(HEAT.replace("TIME", ""))
    for path in folder.glob(f"*{suffix}"):
        data = path.read_bytes()
        if how == "gone":
            path.unlink()
        else:
            middle = len(data) // 2
            path.write_bytes(data[:middle] if how == "cut" else data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    same(first, run(HEAT.replace("TIME", "")))
    again = run(HEAT.replace("TIME", ""))
    assert "optimize" not in again.seconds


def test_a_warning_of_the_optimizer_is_said_every_time(folder, monkeypatch, defects):
    optimizer = importlib.import_module("ricci.egraph.optimize")

    def broken(self):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(optimizer.Optimization, "result", broken)
    for _ in range(2):
        assert [d.code for d in run(HEAT.replace("TIME", "")).warnings] == ["W0902"]


def test_a_second_process_imports_no_compiler(folder, tmp_path):
    (tmp_path / "heat.model").write_text(HEAT.replace("TIME", "time: rk4(dt=1e-4)"))
    command = [sys.executable, "-X", "importtime", "-m", "ricci", "run", "heat.model", "--json"]
    for _ in range(2):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "ricci.backends.kept" in imported
    assert not {"numba", "sympy", "egglog", "scipy"} & imported
    assert "optimize" not in json.loads(done.stdout)["seconds"]


def test_a_program_comes_back_as_it_was(folder):
    program = driver.discretize(driver.check_text(Source("m.model", TENSORS)))
    program = driver.only(program, "let:c", {"i": 40, "j": 30})
    ready = driver.compiled(program, "let:c", Settings())
    kept.keep("ricci_generated_x", program.functions["let:c"], ready)
    found = kept.find("ricci_generated_x")
    assert replace(found.executable.program, signature=None) == replace(ready.program, signature=None)
    assert found.executable.program.signature == ready.program.signature
    assert [e.name for e in cache.entries() if e.name == "ricci_generated_x"]
