"""`python -m benchmarks.solves`: one backward Euler step of the heat equation on a box, by every way that ricci has, beside scipy.fft by hand.

A step solves (1 - c Laplacian) u = b. Times are the least of several repeats on one thread, preparation (eigenvalues or factors of
bands) included; scipy gets its eigenvalues for free. The last column is the largest difference to scipy's solution.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from ricci.backends.numba_cpu import compile_plan
from ricci.dsl import build
from ricci.dsl.term import Function, Term
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.lowering import solvers
from ricci.lowering.schedule import schedule

AXES = ("x", "y")
STRENGTH = 50.0  # c in units of the squared distance of points
REPEATS = 7
Array = np.ndarray[Any, Any]


def step(edge: str | int) -> Function:
    """b -> u on points that continue around ("wrap") or as zero (0)."""
    u, b = (build.symbol(name, Type(Kind.REAL, {a: Size.of(Dim(a, 4)) for a in AXES})) for name in ("u", "b"))
    c = build.symbol("c", Type(Kind.REAL))

    def second(axis: str) -> Term:
        return build.add(build.shift(u, axis, 1, edge), build.shift(u, axis, -1, edge), build.scale(-2, u))

    operator = build.sub(u, build.mul(c, build.add(*map(second, AXES))))
    apply = Function("operator", (u, c), (("r", operator),))
    return Function("step", (b, c), (("u", build.proj(build.library("solve", (b, c), (apply,)), 0)),))


def seconds(work: Callable[[], object]) -> float:
    """The least of several runs."""
    work()
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best


def of_ricci(edge: str | int, b: Array) -> tuple[float, Array]:
    """Time of a step and its result."""
    sizes = dict(zip(AXES, b.shape, strict=True))
    executable = compile_plan(schedule(step(edge), sizes=sizes))
    arguments = {"b": b, "c": STRENGTH}
    ready = executable.ready(arguments, sizes)
    return seconds(lambda: ready.run(1)), executable(arguments, sizes, 1)["u"]


def of_scipy(edge: str | int, b: Array) -> tuple[float, Array]:
    """The same by hand."""
    from scipy import fft

    def eigenvalues(n: int, period: int, first: int) -> Array:
        return 4 * np.sin(np.pi * (np.arange(n) + first) / period) ** 2

    n, m = b.shape
    around = edge == "wrap"
    if around:
        one = 1 / (1 + STRENGTH * (eigenvalues(n, n, 0)[:, None] + eigenvalues(m // 2 + 1, m, 0)))
    else:
        one = 1 / (1 + STRENGTH * (eigenvalues(n, 2 * n + 2, 1)[:, None] + eigenvalues(m, 2 * m + 2, 1)))

    def work() -> Array:
        if around:
            solution: Array = fft.irfft2(fft.rfft2(b) * one, s=b.shape)
        else:
            solution = fft.idstn(fft.dstn(b, type=1) * one, type=1)
        return solution

    return seconds(work), work()


def main() -> None:
    print("| step | points | scipy.fft by hand | ricci | its iteration | difference |")
    print("|---|---|---|---|---|---|")
    for title, edge, n in (
        ("periodic", "wrap", 512),
        ("periodic", "wrap", 500),
        ("values at the sides", 0, 511),
        ("values at the sides", 0, 510),
    ):
        b = np.random.default_rng(0).normal(size=(n, n))
        by_hand, wanted = of_scipy(edge, b)
        solvers.way_of.cache_clear()
        fast, got = of_ricci(edge, b)
        solvers.way_of.cache_clear()
        with mock.patch.object(solvers, "diagonal", return_value="left out"):
            slow, _ = of_ricci(edge, b)
        solvers.way_of.cache_clear()
        difference = np.abs(got - wanted).max()
        print(f"| {title} | {n}^2 | {by_hand * 1e3:.2f} ms | {fast * 1e3:.2f} ms | {slow * 1e3:.1f} ms | {difference:.1e} |", flush=True)


if __name__ == "__main__":
    main()
