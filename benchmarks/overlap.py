"""Time loops whose launches overlap beside the same loops one launch after the other: `python -m benchmarks overlap`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Line = tuple[str, str, str, bool | None]
ROUNDS = 4
SQUARE = "domain D: x in 0..1, y in 0..1\nfield u(D)\n"
RING = "domain D: x in 0..1 periodic, y in 0..1 periodic\nfield u(D)\n"
FIXED = "boundary u on x.lo, x.hi, y.lo, y.hi: u = 0\n"
WAVES = "initial u = sin(2*pi*x)*sin(2*pi*y)\n"


@dataclass(frozen=True)
class Case:
    """A model without its `solve`, its method, points along each axis, steps that are timed, times faster that it shall be (0: as it is)."""

    name: str
    text: str
    method: str
    points: tuple[int, ...]
    steps: int
    bar: float = 0.0


CASES = (
    Case("heat 2-D", SQUARE + "equation dt(u) = 1e-5*lap(u)\n" + FIXED + WAVES, "euler(dt=1e-5)", (4096, 4096), 60, 1.9),
    Case("heat 2-D", SQUARE + "equation dt(u) = 1e-5*lap(u)\n" + FIXED + WAVES, "euler(dt=1e-5)", (512, 512), 1000),
    Case(
        "heat 2-D, radius 2",
        RING + "equation dt(u) = 1e-5*lap(u)\n" + WAVES,
        "euler(dt=1e-5)|space: fd(order=4)",
        (4096, 4096),
        40,
        1.9,
    ),
    Case(
        "heat 2-D, radius 4",
        RING + "equation dt(u) = 1e-5*lap(u)\n" + WAVES,
        "euler(dt=1e-5)|space: fd(order=8)",
        (4096, 4096),
        30,
        1.35,
    ),
    Case(
        "Gray-Scott",
        "domain D: x in 0..1 periodic, y in 0..1 periodic\nfield u(D), v(D)\nequation dt(u) = 2e-5*lap(u) - u*v^2 + 0.04*(1 - u)\n"
        "equation dt(v) = 1e-5*lap(v) + u*v^2 - 0.1*v\ninitial u = 1 - 0.5*sin(pi*x)^2; initial v = 0.25*sin(2*pi*y)^2\n",
        "euler(dt=1e-4)",
        (2048, 2048),
        80,
        2.2,
    ),
    Case("Cahn-Hilliard", RING + "equation dt(u) = 1e-9*lap(u^3 - u - 1e-6*lap(u))\n" + WAVES, "euler(dt=1e-4)", (2048, 2048), 60, 2.5),
    Case("advection, Runge-Kutta 4", RING + "equation dt(u) = 1e-5*lap(u) - dx(u)\n" + WAVES, "rk4(dt=1e-5)", (2048, 2048), 30, 2.2),
    Case("advection, adaptive dp54", RING + "equation dt(u) = 1e-5*lap(u) - dx(u)\n" + WAVES, "dp54", (2048, 2048), 8),
    Case(
        "heat 3-D",
        "domain D: x in 0..1, y in 0..1, z in 0..1\nfield u(D)\nequation dt(u) = 1e-5*lap(u)\n"
        "boundary u on x.lo, x.hi, y.lo, y.hi, z.lo, z.hi: u = 0\ninitial u = sin(pi*x)*sin(pi*y)*sin(pi*z)\n",
        "euler(dt=1e-4)",
        (256, 256, 256),
        16,
        1.9,
    ),
)


def loop_of(case: Case) -> tuple[Any, dict[str, Any], dict[str, int]]:
    """The compiled time loop of a case with the arguments of its first call."""
    from ricci.backends.executable import Executable
    from ricci.errors import Source
    from ricci.faces.execute import Settings, execute

    found: list[tuple[Any, dict[str, Any], dict[str, int]]] = []
    plain = Executable.__call__

    def call(self: Any, arguments: Any, sizes: Any = None, threads: int = 1) -> Any:
        if "ctl:status" in self.program.results:
            found.append((self, dict(arguments), dict(sizes)))
        return plain(self, arguments, sizes, threads)

    grid = ", ".join(f"{a}={n}" for a, n in zip("xyz", case.points, strict=False))
    method, _, space = case.method.partition("|")
    text = f"{case.text}solve {{ grid: {grid}; time: {method}; {space + '; ' if space else ''}until: t=1e-5 }}\n"
    Executable.__call__ = call  # type: ignore[method-assign]
    try:
        execute(Source("case.model", text), Settings(), write=False)
    finally:
        Executable.__call__ = plain  # type: ignore[method-assign]
    return found[0]


def lines(threads: int) -> Iterator[Line]:
    """Times of both loops, alternating; results compared bit by bit."""
    import numpy as np

    for case in CASES:
        loop, arguments, sizes = loop_of(case)
        arguments |= {"ctl:t_stop": np.float64(1e9), "ctl:max_steps": np.int64(case.steps)}
        least: dict[Any, float] = {None: float("inf"), (0, 1): float("inf")}
        results: dict[Any, dict[str, Any]] = {}
        for _ in range(ROUNDS):
            for block in least:
                loop.block, loop._bound = block, {}
                ready = loop.ready(arguments, sizes)
                begin = time.perf_counter()
                ready.run(threads)
                least[block] = min(least[block], time.perf_counter() - begin)
                results[block] = {k: np.asarray(v) for k, v in ready.results().items()}
        same = all(v.tobytes() == results[None][k].tobytes() for k, v in results[0, 1].items())
        taken = int(results[None]["ctl:steps"]) + int(results[None]["ctl:rejected"])
        speed = [float(np.prod(case.points)) * taken / least[block] / 1e6 for block in ((0, 1), None)]
        ratio = speed[1] / speed[0]
        name = f"{case.name} {' x '.join(map(str, case.points))}, {threads} thread{'s' * (threads > 1)}: launches overlap"
        figure = f"{ratio:.2f}x ({speed[0]:.0f} -> {speed[1]:.0f} Mpt/s){'' if same else ', OTHER BITS'}"
        yield name, figure, f">= {case.bar}x" if case.bar else "", (ratio >= case.bar and same) if case.bar else None
