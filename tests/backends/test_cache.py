"""The disk cache: nothing is compiled twice, nothing damaged is trusted, and nothing fails for want of a folder."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from running import laplacian, symbol

from ricci.backends import cache
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
    for name in [n for n in sys.modules if n.startswith("ricci_generated_")]:
        del sys.modules[name]
    executable = compile_function(function)
    u = np.arange(5.0) ** 2
    found = executable({"u": u, "k": 2.0}, {"x": 5})["du"]
    np.testing.assert_allclose(found, 2 * (np.roll(u, 1) + np.roll(u, -1) - 2 * u))
    return executable


def hits(executable):
    return sum(getattr(executable.module, name).stats.cache_hits.total() for name in executable.program.signature.drivers)


def test_second_process_compiles_nothing(folder):
    assert hits(fresh(heat())) == 0
    assert hits(fresh(heat())) == 1
    assert len(cache.entries()) == 1


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


@pytest.mark.parametrize("suffix", ["py", "nbi", "nbc", "seal"])
@pytest.mark.parametrize("how", ["cut", "empty", "flip"])
def test_damage_is_rebuilt(folder, suffix, how):
    fresh(heat())
    for path in list(folder.rglob(f"*.{suffix}")):
        damage(path, how)
    assert hits(fresh(heat())) == 0
    assert hits(fresh(heat())) == 1


def test_a_text_that_is_not_ours_never_runs(folder):
    fresh(heat())
    (text,) = folder.glob("*.py")
    text.write_text("raise SystemExit('ran')\n")
    fresh(heat())


def test_no_folder(tmp_path, monkeypatch, capsys):
    """Where no folder can be made everything works, and that is said once."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RICCI_CACHE", str(tmp_path / "file" / "cache"))
    fresh(heat())
    fresh(heat("another"))
    assert capsys.readouterr().err.count("note: compiled code is not kept") == 1


def test_full_disk(folder, monkeypatch, capsys):
    def full(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "write_atomically", full)
    fresh(heat())
    assert "No space left" in capsys.readouterr().err
    assert list(folder.glob("*.py")) == []


def test_disk_full_while_compiled_code_is_written(folder, monkeypatch):
    from numba.core.caching import IndexDataCacheFile

    def full(self, key, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(IndexDataCacheFile, "save", full)
    fresh(heat())


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
    assert hits(fresh(heat())) == 1
    assert not list(folder.rglob("*.tmp"))
