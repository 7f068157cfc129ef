"""The command line as a user meets it: exit codes, messages, files, JSON."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "examples" / "programs"

ROD = """domain D: x in 0..1
field u(D)
param k = 1, s(D) = 0
equation dt(u) = k*dxx(u) + s
boundary u on x.lo, x.hi: u = 0
initial u = sin(pi*x)
solve { grid: x=21; until: t=0.05; tol: 1e-6 }
check abs(max(u) - exp(-pi^2*t)) < 2e-2
"""


def ricci(*arguments, folder=None, env=None, stdin=None):
    environment = {**os.environ, **(env or {})}
    return subprocess.run(
        [sys.executable, "-m", "ricci", *map(str, arguments)],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def rod(tmp_path):
    (tmp_path / "rod.model").write_text(ROD)
    return tmp_path


def test_help_and_usage():
    assert ricci("--help").returncode == 0
    assert ricci().returncode == 64
    assert ricci("frobnicate").returncode == 64
    assert "Traceback" not in ricci("run").stderr


def test_version():
    assert ricci("--version").stdout.startswith("ricci 0.")


@pytest.mark.parametrize("path", sorted(PROGRAMS.glob("*.model")), ids=lambda p: p.stem)
def test_every_program_checks_and_is_formatted_to_a_fixed_point(path, tmp_path):
    done = ricci("check", path, "--json")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["ok"]
    copy = tmp_path / path.name
    copy.write_text(path.read_text())
    assert ricci("fmt", copy).returncode == 0
    once = copy.read_text()
    assert ricci("fmt", "--check", copy).returncode == 0
    assert copy.read_text() == once
    assert once.count("#") == path.read_text().count("#")


@pytest.mark.parametrize(
    "name",
    [
        "03_lid_driven_cavity",
        "05_acoustic_inversion",
        "06_poisson_hole",
        "07_schroedinger",
        "08_kuramoto_sivashinsky",
        "09_tensor_networks",
        "13_fourier_neural_operator",
        "15_rayleigh_benard",
    ],
)
def test_what_cannot_run_yet_says_so(name):
    done = ricci("run", PROGRAMS / f"{name}.model")
    assert done.returncode == 3, done.stdout
    assert "error[E0601]" in done.stderr
    assert "Traceback" not in done.stderr
    assert f"{name}.model:" in done.stderr


def test_run_prints_one_object(rod):
    done = ricci("run", "rod.model", "--json", folder=rod)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (check,) = report["checks"]
    assert check["passed"]
    assert check["bound"] == pytest.approx(2e-2)
    assert check["value"] < 2e-2
    assert report["steps"] > 0
    assert 0 < report["dt"]["min"] <= report["dt"]["max"]
    assert report["kernels"]
    assert report["seconds"]["run"] >= 0


def test_both_backends_agree(rod):
    # a fixed step: step control near a stability limit amplifies rounding
    model = ROD.replace("tol: 1e-6", "time: rk4(dt=5e-4)") + 'output u at 0.05 to "u.npz"\n'
    (rod / "rod.model").write_text(model)
    found = {}
    for backend in ("cpu", "reference"):
        done = ricci("run", "rod.model", "--backend", backend, "--out", backend, folder=rod)
        assert done.returncode == 0, done.stderr
        with np.load(rod / backend / "u.npz") as data:
            found[backend] = data["u"][-1]
    np.testing.assert_allclose(found["cpu"], found["reference"], rtol=1e-9, atol=1e-12)


def test_changed_value_and_grid_compile_nothing(rod):
    kernels = [
        json.loads(ricci("run", "rod.model", "--json", *extra, folder=rod).stdout)["kernels"]
        for extra in ((), ("--set", "k=0.9"), ("--set", "grid.x=31"), ("--set", "until=0.01"))
    ]
    assert all(k == kernels[0] for k in kernels)


def test_failed_check_leaves_with_four(rod):
    (rod / "rod.model").write_text(ROD + "check max(u) > 5\n")
    done = ricci("run", "rod.model", folder=rod)
    assert done.returncode == 4
    assert "FAILED: max(u) > 5" in done.stdout


def test_mutation_is_noticed(rod):
    done = ricci("test", "rod.model", "--mutate", folder=rod)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "noticed by" in done.stdout
    (rod / "rod.model").write_text(ROD.replace("check abs(max(u) - exp(-pi^2*t)) < 2e-2", "check max(u) < 5"))
    done = ricci("test", "rod.model", "--mutate", folder=rod)
    assert done.returncode == 4
    assert "NOT NOTICED" in done.stdout


def test_input_file(rod):
    np.save(rod / "s.npy", np.zeros(21))
    assert ricci("run", "rod.model", "--input", "s=s.npy", folder=rod).returncode == 0
    np.save(rod / "s.npy", np.zeros(20))
    done = ricci("run", "rod.model", "--input", "s=s.npy", folder=rod)
    assert done.returncode == 3
    assert "E0801" in done.stderr


def test_files_outside_the_folder_are_not_read(rod, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    np.save(elsewhere / "s.npy", np.zeros(21))
    done = ricci("run", "rod.model", "--input", f"s={elsewhere / 's.npy'}", folder=rod)
    assert done.returncode == 3
    assert "E0804" in done.stderr
    assert ricci("run", "rod.model", "--input", f"s={elsewhere / 's.npy'}", "--allow-read", elsewhere, folder=rod).returncode == 0


@pytest.mark.parametrize(
    ("flag", "code"), [("k", "E0104"), ("q=1", "E0104"), ("k=", "E0104"), ("grid.z=4", "E0104"), ("k=1 +", "E0001"), ("k=foo", "E0101")]
)
def test_wrong_settings(rod, flag, code):
    done = ricci("run", "rod.model", "--set", flag, folder=rod)
    assert done.returncode in (2, 64), done.stderr
    assert code in done.stderr
    assert "Traceback" not in done.stderr


def test_nan_is_located(rod):
    (rod / "rod.model").write_text(ROD.replace("+ s", "+ s + sqrt(0.01 - t)"))
    done = ricci("run", "rod.model", folder=rod)
    assert done.returncode == 3
    assert "E0701" in done.stderr or "E0703" in done.stderr
    assert "t = 0.01" in done.stderr or "t = 0.00999" in done.stderr


def test_unstable_fixed_step(rod):
    (rod / "rod.model").write_text(ROD.replace("tol: 1e-6", "time: euler(dt=0.01)"))
    done = ricci("run", "rod.model", folder=rod)
    assert done.returncode in (2, 3)
    assert "E0502" in done.stderr
    assert "dt" in done.stderr


def test_unwritable_output(rod):
    (rod / "rod.model").write_text(ROD + 'output u at 0.05 to "blocked/u.npz"\n')
    (rod / "blocked").write_text("a file")
    done = ricci("run", "rod.model", folder=rod)
    assert done.returncode == 5
    assert "E0810" in done.stderr


def test_missing_file():
    done = ricci("run", "nothing.model")
    assert done.returncode == 3
    assert "E0805" in done.stderr


def test_interrupt_saves_the_state(rod):
    (rod / "rod.model").write_text(ROD.replace("t=0.05", "t=1e7").replace("tol: 1e-6", "time: euler(dt=1e-3)"))
    process = subprocess.Popen(
        [sys.executable, "-m", "ricci", "run", "rod.model"], cwd=rod, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.time() + 60
    while time.time() < deadline and process.poll() is None:
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        time.sleep(2)
        break
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said


def test_names_are_never_code(tmp_path):
    (tmp_path / "evil.model").write_text('tensor a[i] = load("__import__(os).system(1)", x=[i])\n')
    done = ricci("run", "evil.model", folder=tmp_path)
    assert done.returncode in (2, 3)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("stage", ["parse", "check", "discretize", "derive", "optimize", "integrate", "schedule", "loops", "source", "asm"])
def test_every_stage_can_be_shown(rod, stage):
    done = ricci("show", stage, "rod.model", folder=rod)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 40


def test_explain(rod):
    assert "E0301" in ricci("explain", "E0301").stdout
    done = ricci("explain", "rod.model", folder=rod)
    assert done.returncode == 0, done.stderr
    assert "time" in done.stdout


def test_pictures_and_outputs(rod):
    (rod / "rod.model").write_text(ROD + 'plot u at t=0, t=0.05 to "u.png"\noutput u every 0.01 to "u.npz"\n')
    done = ricci("run", "rod.model", "--plot", "--out", "results", folder=rod)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(rod / "results")) == ["u.npz", "u.png"]
    with np.load(rod / "results" / "u.npz") as data:
        np.testing.assert_allclose(data["t"], [0, 0.01, 0.02, 0.03, 0.04, 0.05], atol=1e-12)
        assert data["u"].shape == (6, 21)


def test_prompt_reads_statements(tmp_path):
    said = ricci("repl", stdin=ROD.replace("solve", "solve") + ":quit\n", folder=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "passed" in said.stdout or "steps" in said.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_standard_output_is_said_and_no_defect(rod):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ricci", "check", str(rod / "rod.model")], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 5
    assert "cannot write standard output" in done.stderr
    assert "Traceback" not in done.stderr
    assert "internal" not in done.stderr


def test_a_grid_beyond_memory_is_refused_before_anything_is_taken(rod):
    done = ricci("run", "rod.model", "--set", "grid.x=100000000000", folder=rod)
    assert done.returncode == 3
    assert "E0602" in done.stderr
    assert "GiB" in done.stderr or "TiB" in done.stderr


@pytest.mark.parametrize(
    ("flags", "word"), [(("--set", "k"), "NAME=VALUE"), (("--input", "k="), "NAME=VALUE"), (("--threads", "0"), "one thread")]
)
def test_flags_without_a_meaning_are_usage(rod, flags, word):
    done = ricci("run", "rod.model", *flags, folder=rod)
    assert done.returncode == 64
    assert word in done.stderr


def test_codes_are_explained_in_small_letters_too(rod):
    assert ricci("explain", "e0301", folder=rod).stdout == ricci("explain", "E0301", folder=rod).stdout != ""
