"""The disk cache: nothing is compiled twice, nothing damaged is trusted, and nothing fails for want of a folder."""

import os
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from running import laplacian, symbol

from ricci.backends import cache, machine_code
from ricci.backends.numba_cpu import compile_function
from ricci.dsl import build
from ricci.dsl.term import Function

ROOT = Path(__file__).resolve().parents[2]


def heat(name="heat"):
    u, k = symbol("u", x="x"), symbol("k")
    return Function(name, (u, k), (("du", build.mul(k, laplacian(u))),))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RICCI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fresh(function):
    """Compile as a new process would."""
    machine_code.forget_all()
    executable = compile_function(function)
    u = np.arange(5.0) ** 2
    found = executable({"u": u, "k": 2.0}, {"x": 5})["du"]
    np.testing.assert_allclose(found, 2 * (np.roll(u, 1) + np.roll(u, -1) - 2 * u))
    return executable


def from_disk(executable):
    return not executable.module.fresh


def test_second_process_compiles_nothing(folder):
    assert not from_disk(fresh(heat()))
    assert from_disk(fresh(heat()))
    assert len(cache.entries()) == 1


def test_a_second_process_needs_no_compiler(folder):
    """Code from the disk is loaded without numba, which takes longer to import than everything else."""
    fresh(heat())
    program = "import sys; sys.path[:0] = sys.argv[1:]; from test_cache import fresh, from_disk, heat; assert from_disk(fresh(heat()))"
    ending = "; assert not {'numba', 'sympy', 'egglog'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program + ending, str(ROOT), str(Path(__file__).parent)], check=True, timeout=120)


def test_sizes_and_parameters_are_arguments(folder):
    """Another size or parameter value is the same module."""
    executable = fresh(heat())
    before = {p.name for p in folder.rglob("*")}
    for n in (1, 7, 300):
        executable({"u": np.ones(n), "k": float(n)}, {"x": n})
        fresh(heat())
    assert {p.name for p in folder.rglob("*")} == before


def test_list_size_clear(folder):
    assert cache.entries() == []
    fresh(heat())
    fresh(heat("other"))
    entries = cache.entries()
    assert len(entries) == 2
    assert cache.size() == sum(e.bytes for e in entries) > 10_000
    assert all(abs(e.used - time.time()) < 600 for e in entries)
    assert cache.clear() == 2
    assert cache.entries() == []
    assert [p for p in folder.rglob("*") if p.is_file()] == []


def damage(path, how):
    data = path.read_bytes()
    if how == "cut":
        path.write_bytes(data[: len(data) // 3])
    elif how == "empty":
        path.write_bytes(b"")
    else:
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes(255 - b for b in data[middle : middle + 64]) + data[middle + 64 :])


@pytest.mark.parametrize("how", ["cut", "empty", "flip"])
def test_damage_is_rebuilt(folder, how):
    fresh(heat())
    for path in list(folder.rglob("*.code")):
        damage(path, how)
    assert not from_disk(fresh(heat()))
    assert from_disk(fresh(heat()))


def test_a_text_that_is_not_ours_never_runs(folder):
    fresh(heat())
    (text,) = folder.glob("*.py")
    text.write_text("raise SystemExit('ran')\n")
    assert from_disk(fresh(heat()))


def test_a_symbol_that_is_nowhere_is_no_crash(folder):
    """Code that needs a function which this process does not have is compiled anew: LLVM would end the process."""
    fresh(heat())
    (path,) = folder.rglob("*.code")
    pieces = machine_code.unpacked(path.read_bytes())
    path.write_bytes(machine_code.packed([replace(p, needs=("no_such_function_anywhere",)) for p in pieces]))
    assert not from_disk(fresh(heat()))
    with pytest.raises(RuntimeError, match="no_such_function_anywhere"):
        machine_code.link("broken", [replace(pieces[0], needs=("no_such_function_anywhere",))], fresh=True)


def test_the_least_recently_used_go(folder, monkeypatch):
    fresh(heat("one"))
    (first,) = cache.entries()
    for path in folder.iterdir():
        os.utime(path, (1, 1))
    monkeypatch.setenv("RICCI_CACHE_LIMIT", str(first.bytes + first.bytes // 2))
    fresh(heat("two"))
    (left,) = cache.entries()
    assert left.name != first.name
    monkeypatch.setenv("RICCI_CACHE_LIMIT", "1")
    fresh(heat("three"))
    assert len(cache.entries()) == 1


def test_no_folder(tmp_path, monkeypatch, capsys):
    """Where no folder can be made everything works, and that is said once."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RICCI_CACHE", str(tmp_path / "file" / "cache"))
    fresh(heat())
    fresh(heat("another"))
    assert capsys.readouterr().err.count("note: compiled code is not kept") == 1


def test_full_disk(folder, monkeypatch, capsys):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "write_atomically", full)
    fresh(heat())
    assert "No space left" in capsys.readouterr().err
    assert cache.entries() == []


def test_processes_at_once(folder):
    """Several processes that compile one model at the same time all get their numbers."""
    program = textwrap.dedent(
        """
        import sys
        sys.path[:0] = [sys.argv[1], sys.argv[2]]
        from test_cache import fresh, heat
        fresh(heat())
        """
    )
    command = [sys.executable, "-c", program, str(ROOT), str(Path(__file__).parent)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert from_disk(fresh(heat()))
    assert not list(folder.rglob("*.tmp"))


def test_a_limit_that_is_no_number_is_said_once(folder, monkeypatch, capsys):
    monkeypatch.setenv("RICCI_CACHE_LIMIT", "1 GB")
    assert cache.limit() == cache.limit() == cache.LIMIT
    assert capsys.readouterr().err.count("RICCI_CACHE_LIMIT=1 GB is no number of bytes") == 1
