"""The same program is chosen in every process: hash seeds, and the order in which outputs are written, decide nothing."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from ricci import driver
from ricci.driver import Settings, read
from ricci.egraph import optimize
for path in sys.argv[1:]:
    program = driver.discretize(driver.check(driver.parse(read(path), Settings())))
    better, report = optimize(program)
    for name, function in better.functions.items():
        print(path, name, function.digest.hex(), [s.count for f in report.functions if f.name == name for s in f.steps])
"""
ATTENTION = """
dim b = 2, h = 4, s = 16, r = 16, d = 8
tensor q[b, h, s, d] = sin(b + h + s + d), k[b, h, r, d] = cos(b - h + r*d), v[b, h, r, d] = sin(b*h + r + d)
let a[b, h, s, r] = softmax[r](q*k[b, h, r, d])
let y[b, h, s, d] = a*v[b, h, r, d]
let z[s] = exp(sin(s))*exp(cos(s)) + sin(s)^2 + cos(s)^2
"""


def test_hash_seeds_decide_nothing(tmp_path):
    (tmp_path / "attention.model").write_text(ATTENTION)
    files = [str(tmp_path / "attention.model"), str(ROOT / "examples" / "gray_scott.model"), str(ROOT / "examples" / "heat_robin.model")]
    command = [sys.executable, "-c", PROGRAM, *files]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": str(seed)})
        for seed in range(5)
    ]
    printed = [process.communicate(timeout=120)[0] for process in running]
    assert all(process.returncode == 0 for process in running)
    assert len(printed[0].splitlines()) > 8
    assert len(set(printed)) == 1
