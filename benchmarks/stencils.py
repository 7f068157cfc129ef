"""Stencils of stencils and filters, in every form that the optimizer compares, over sizes from the first cache to memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

AXES = "xyz"
SIZES = {
    1: (64, 256, 1024, 4096, 16384, 1 << 16, 1 << 18, 1 << 19, 1 << 20, 1 << 22),
    2: (8, 16, 32, 64, 128, 256, 512, 768, 1024, 2048),
    3: (8, 10, 12, 16, 24, 32, 48, 64, 96, 160),
}
WITHIN = 1.05  # of the fastest form


@dataclass(frozen=True)
class Figure:
    """One size: predicted and measured seconds by form, the form that the optimizer took."""

    points: int
    chosen: str
    predicted: dict[str, float]
    measured: dict[str, float]

    @property
    def loss(self) -> float:
        return self.measured[self.chosen] / min(self.measured.values())


def field(name: str, rank: int) -> Any:
    from ricci.dsl import build
    from ricci.dsl.types import Dim, Kind, Size, Type

    return build.symbol(name, Type(Kind.REAL, {a: Size.of(Dim(a, 8)) for a in AXES[:rank]}))


def laplacian(u: Any, rank: int) -> Any:
    from ricci.dsl import build

    return build.linear([(q, build.shift(u, a, k)) for a in AXES[:rank] for k, q in ((-1, 1), (0, -2), (1, 1))])


def case(name: str, rank: int) -> Any:
    """A function as it is written: two passes."""
    from ricci.dsl import build
    from ricci.dsl.term import Function

    u, a = field("u", rank), field("a", rank)
    if name == "lap(lap(u))":
        return Function(name, (u,), (("r", laplacian(laplacian(u, rank), rank)),))
    if name == "lap(a*lap(u))":
        return Function(name, (a, u), (("r", laplacian(build.mul(a, laplacian(u, rank)), rank)),))
    if name == "div(a*grad(u))":
        parts = []
        for axis in AXES[:rank]:
            mean = build.scale(Fraction(1, 2), build.add(a, build.shift(a, axis, 1)))
            flux = build.mul(mean, build.sub(build.shift(u, axis, 1), u))
            parts += [(1, flux), (-1, build.shift(flux, axis, -1))]
        return Function(name, (a, u), (("r", build.linear(parts)),))
    weights = (1, 6, 15, 20, 15, 6, 1)
    reads = [(p * q, build.shift(build.shift(u, "x", i - 3), "y", j - 3)) for i, p in enumerate(weights) for j, q in enumerate(weights)]
    return Function(name, (u,), (("r", build.linear(reads)),))


CASES = [
    *[(name, rank) for name in ("lap(lap(u))", "lap(a*lap(u))", "div(a*grad(u))") for rank in (1, 2, 3)],
    ("filter 7x7", 2),
]


def figures(name: str, rank: int, machine: Any) -> Iterator[Figure]:
    """Every size of a case: all forms measured on one core (those with one code once), and the one that is taken for all of them."""
    import numpy as np

    from ricci import driver
    from ricci.backends.measure import timed
    from ricci.backends.numba_cpu import emit
    from ricci.cost import Price, place, typical_grids
    from ricci.dsl.ops.symbol import name_of
    from ricci.egraph.alternatives import Seconds, fastest
    from ricci.egraph.optimize import LEVELS, Optimization, with_results
    from ricci.lowering.schedule import schedule

    function = case(name, rank)
    run = Optimization(function.roots, LEVELS[2], Price("time", machine), {})
    run.judge = lambda _: Seconds(1.0, 1.0)
    run.result()
    codes: dict[str, str] = {}  # text of the generated code -> the first form that has it
    forms = {}
    for form, roots in run.forms.items():
        f = with_results(function, roots)
        if codes.setdefault(emit(schedule(f)).source, form) == form:
            forms[form] = f
    compiled = {form: timed(f) for form, f in forms.items()}
    generator = np.random.default_rng(1)
    grids = typical_grids(AXES[:rank], machine)
    for n in SIZES[rank]:
        sizes = dict.fromkeys(AXES[:rank], n)
        predicted = {form: driver.predicted(grids, place(sizes, machine), machine, f) for form, f in forms.items()}
        arguments = {name_of(p): generator.uniform(-1, 1, [n] * rank) for p in function.params}
        measured = dict.fromkeys(forms, float("inf"))
        for _ in range(3):  # in turns, so that a disturbance meets all forms
            for form, one in compiled.items():
                measured[form] = min(measured[form], one.seconds(arguments, sizes).least)
        yield Figure(n**rank, fastest(predicted), {form: t.here for form, t in predicted.items()}, measured)


def lines(machine: Any) -> Iterator[tuple[str, str, str, bool | None]]:
    """How often the choice is within WITHIN of the fastest form, and how much slower the worst choice was."""
    for name, rank in CASES:
        found = list(figures(name, rank, machine))
        good = sum(f.loss <= WITHIN for f in found)
        chosen = "/".join(dict.fromkeys(f.chosen for f in found))
        label = f"{name} in {rank}-D: choice within 5 % of the fastest form"
        text = f"{good} of {len(found)} sizes ({chosen}), worst {max(f.loss for f in found):.2f}x"
        yield label, text, "9 of 10", good * 10 >= 9 * len(found)
