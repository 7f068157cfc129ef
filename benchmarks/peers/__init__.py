"""Time loops beside those of other tools: the same problem, boundary, type of numbers and steps, outputs compared.

`python -m benchmarks peers` needs the `bench` extra. Every measurement is a process of its own (`python -m benchmarks.peers TOOL CASE THREADS`),
turn by turn; of each tool the best of several runs after one that compiles.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Line = tuple[str, str, str, bool | None]
ROUNDS = 2
RING = "domain D: x in 0..1 periodic, y in 0..1 periodic\n"
WAVES = "initial u = sin(2*pi*x)*sin(2*pi*y)\n"
SQUARE = "domain D: x in 0..1, y in 0..1\nfield u(D)\nequation dt(u) = 1e-5*lap(u)\nboundary u on x.lo, x.hi, y.lo, y.hi: u = 0\n" + WAVES


@dataclass(frozen=True)
class Case:
    """A model without its `solve`, options of it, points along each axis, steps of one measurement, and how many times faster than a tool
    ricci shall be, on one and on two threads. `tolerance`: how far the outputs may be apart, relative to the largest value (None: other points)."""

    name: str
    text: str
    options: str
    points: tuple[int, ...]
    steps: int
    bars: Mapping[str, tuple[float, float]]
    threads: tuple[int, ...] = (1, 2)
    tolerance: float = 1e-9
    apart: tuple[str, ...] = ("pde",)  # tools whose points lie elsewhere: their outputs are not compared


def _heat(n: int, steps: int, bars: Mapping[str, tuple[float, float]]) -> Case:
    return Case(f"heat {n}^2", SQUARE, "time: euler(dt=1e-5)", (n, n), steps, bars)


CASES = {
    "heat4096": _heat(4096, 60, {"devito": (2.5, 2.7), "torch": (2.5, 2.5), "pde": (10, 10)}),
    "heat8192": _heat(8192, 30, {"devito": (2.5, 2.7), "torch": (2.5, 2.5)}),
    "heat512": _heat(512, 2000, {"devito": (1.3, 1.3), "torch": (0, 0)}),
    "heat128": _heat(128, 20_000, {"pde": (10, 10)}),
    "heat64": _heat(64, 50_000, {"pde": (10, 10)}),
    "heat3d": Case(
        "heat 256^3",
        "domain D: x in 0..1, y in 0..1, z in 0..1\nfield u(D)\nequation dt(u) = 1e-5*lap(u)\n"
        "boundary u on x.lo, x.hi, y.lo, y.hi, z.lo, z.hi: u = 0\ninitial u = sin(pi*x)*sin(pi*y)*sin(pi*z)\n",
        "time: euler(dt=1e-4)",
        (256, 256, 256),
        16,
        {"devito": (1.9, 1.9)},
    ),
    "wave3d": Case(
        "wave of 8th order 256^3 f32, variable speed",
        "domain D: x in 0..1 periodic, y in 0..1 periodic, z in 0..1 periodic\nfield u(D)\nparam c2(D) = 1 + 0.5*sin(2*pi*x)\n"
        "equation dt(dt(u)) = c2*lap(u)\ninitial u = exp(-200*((x - 0.5)^2 + (y - 0.5)^2 + (z - 0.5)^2)); initial dt(u) = 0\n",
        "time: leapfrog(dt=1e-3); space: fd(order=8); dtype: f32",
        (256, 256, 256),
        24,
        {"devito": (1.8, 1.35)},
        tolerance=1e-4,
    ),
    "grayscott": Case(
        "Gray-Scott 2048^2",
        RING + "field u(D), v(D)\nequation dt(u) = 2e-5*lap(u) - u*v^2 + 0.04*(1 - u)\nequation dt(v) = 1e-5*lap(v) + u*v^2 - 0.1*v\n"
        "initial u = 1 - 0.5*sin(pi*x)^2; initial v = 0.25*sin(2*pi*y)^2\n",
        "time: euler(dt=1e-4)",
        (2048, 2048),
        80,
        {"devito": (2.3, 2.3), "torch": (2.3, 2.3)},
    ),
    "cahnhilliard": Case(
        "Cahn-Hilliard 2048^2",
        RING + "field u(D)\nequation dt(u) = 1e-9*lap(u^3 - u - 1e-6*lap(u))\n" + WAVES,
        "time: euler(dt=1e-4)",
        (2048, 2048),
        60,
        {"torch": (2.5, 2.5)},
    ),
    "kdv": Case(
        "Korteweg-de Vries, 1000 points, Runge-Kutta 4",
        "domain D: x in 0..50 periodic\nfield u(D)\nequation dt(u) = -6*u*dx(u) - dxxx(u)\ninitial u = 0.5*exp(-(x - 20)^2/9)\n",
        "time: rk4(dt=1e-4)",
        (1000,),
        20_000,
        {"jax": (1.3, 1.3), "pde": (4, 4)},
        threads=(1,),
    ),
    "burgers": Case(
        "Burgers, 1000 points, Runge-Kutta 4",
        "domain D: x in 0..1 periodic\nfield u(D)\nequation dt(u) = 1e-3*dxx(u) - u*dx(u)\ninitial u = sin(2*pi*x)\n",
        "time: rk4(dt=2e-4)",
        (1000,),
        20_000,
        {"jax": (1.3, 1.3), "pde": (4, 4)},
        threads=(1,),
    ),
}


@dataclass
class Runs:
    """Best seconds a step of each tool, and what the fields were after the steps."""

    seconds: dict[str, float] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)


def measured(tool: str, case: str, threads: int, folder: Path) -> tuple[float, Any]:
    """Seconds a step of one process, and its field."""
    import numpy as np

    out = folder / f"{tool}.npy"
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "OMP_PROC_BIND": "close",  # two threads that land on one core take 2 to 4 times as long
        "OMP_WAIT_POLICY": "active",
        "NUMBA_NUM_THREADS": str(threads),
        "MALLOC_MMAP_THRESHOLD_": "4294967296",
        "MALLOC_TRIM_THRESHOLD_": "17179869184",
    }
    command = [sys.executable, "-m", "benchmarks.peers", tool, case, str(threads), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"]), np.load(out)


def _difference(mine: Any, theirs: Any) -> float:
    """Largest difference relative to the largest value; sides that are given are no unknowns of ours."""
    import numpy as np

    inner = tuple(slice((m - n) // 2, m - (m - n) // 2) for n, m in zip(mine.shape, theirs.shape, strict=True))
    return float(np.abs(mine - theirs[inner]).max() / np.abs(mine).max())


def lines(chosen: tuple[str, ...] = ()) -> Iterator[Line]:
    """Every case on one and on two threads: ricci and its peers in turns."""
    import numpy as np

    for key, case in CASES.items():
        if chosen and key not in chosen:
            continue
        for threads in case.threads:
            runs = Runs()
            with tempfile.TemporaryDirectory() as folder:
                for _ in range(ROUNDS):
                    for tool in ("ricci", *case.bars):
                        seconds, values = measured(tool, key, threads, Path(folder))
                        runs.seconds[tool] = min(seconds, runs.seconds.get(tool, float("inf")))
                        runs.fields[tool] = values
            ours = runs.seconds["ricci"]
            points = float(np.prod(case.points))
            for tool, bars in case.bars.items():
                ratio, bar = runs.seconds[tool] / ours, bars[threads - 1]
                mine, theirs = runs.fields["ricci"], runs.fields[tool]
                apart = _difference(mine, theirs) if tool not in case.apart else 0.0
                speed = f"{ratio:.2f}x ({ours * 1e6:.3g} us a step, {points / ours / 1e6:.0f} Mpt/s)"
                compared = f", outputs differ by {apart:.0e}" if tool not in case.apart else ""
                name = f"{case.name}, {threads} thread{'s' * (threads > 1)}, against {tool}"
                reached = (ratio >= bar and apart <= case.tolerance) if bar else None
                yield name, speed + compared, f">= {bar}x" if bar else "", reached
