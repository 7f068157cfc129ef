"""Predicted against measured time of kernels that `ricci tune` does not time: `python -m benchmarks cost`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Function, Term, symbols
from ricci.dsl.types import Dim, Kind, Size, Type

Sizes = Mapping[str, int]
Line = tuple[str, str, str, bool | None]
PLANES = ({"n": 20, "m": 48}, {"n": 90, "m": 130}, {"n": 300, "m": 410}, {"n": 1500, "m": 2100})
LINES = ({"n": 900, "m": 1}, {"n": 30_000, "m": 1}, {"n": 3_000_000, "m": 1})
BOXES = ({"n": 10, "m": 12, "k": 40}, {"n": 30, "m": 34, "k": 70}, {"n": 110, "m": 120, "k": 150})
PRODUCTS = (
    (13, 77, 200), (128, 128, 128), (256, 64, 512), (512, 512, 512), (1000, 30, 30), (24, 2000, 24), (64, 16, 1024),
    (333, 333, 333), (4, 600, 600), (900, 900, 5), (20, 20, 20), (700, 100, 60),
)  # fmt: skip


@dataclass(frozen=True)
class Kernel:
    """A function and the sizes at which it is timed."""

    name: str
    function: Function
    sizes: tuple[Sizes, ...]


def _field(name: str, axes: str = "xy") -> Term:
    extents = {"x": "n", "y": "m", "z": "k"}
    return build.symbol(name, Type(Kind.REAL, {a: Size.of(Dim(extents[a])) for a in axes}))


def _star(t: Term, radius: int) -> Term:
    terms: list[tuple[int | Fraction, Term]] = [(Fraction(1, 7), t)]
    for r in range(1, radius + 1):
        terms += [(Fraction(1, 3 + r), build.shift(t, axis, s, "wrap")) for axis in t.axes for s in (-r, r)]
    return build.linear(terms)


def _divergence(a: Term, u: Term) -> Term:
    parts: list[tuple[int, Term]] = []
    for axis in u.axes:
        flux = build.mul(build.add(a, build.shift(a, axis, 1, "wrap")), build.sub(build.shift(u, axis, 1, "wrap"), u))
        parts += [(1, flux), (-1, build.shift(flux, axis, -1, "wrap"))]
    return build.linear(parts)


def kernels() -> list[Kernel]:
    """All of them, the same in every run."""
    u, v, w = (_field(name) for name in "uvw")
    line, box, other = _field("u", "x"), _field("u", "xyz"), _field("v", "xyz")
    cubic = build.mul(u, v, v)
    e = build.apply("exp", build.sub(u, build.reduce("max", u, ["y"])))
    matrix, second = _field("A", "xy"), _field("B", "yz")
    table: list[tuple[str, Sequence[Term], tuple[Sizes, ...]]] = [
        ("star 2", [_star(u, 2)], PLANES),
        ("star 4", [_star(u, 4)], PLANES),
        ("reaction and diffusion", [build.sub(_star(u, 1), cubic), build.add(_star(v, 1), cubic)], PLANES),
        ("div(a grad u)", [_divergence(w, u)], PLANES),
        ("line 1", [_star(line, 1)], LINES),
        ("line 3", [_star(line, 3)], LINES),
        ("cube 2", [_star(box, 2)], BOXES),
        ("div(a grad u) in 3-D", [_divergence(other, box)], BOXES),
        ("largest of all", [build.reduce("max", u, ["x", "y"])], PLANES),
        ("sum of squares", [build.sum_over(build.mul(u, u), ["x", "y"])], PLANES),
        ("product of three", [build.sum_over(build.mul(u, v, w), ["x", "y"])], PLANES),
        ("sums of middle axes", [build.sum_over(box, ["y"])], BOXES),
        ("softmax of rows", [build.mul(e, build.apply("recip", build.sum_over(e, ["y"])))], PLANES),
        ("difference and norm", [build.sub(u, v), build.sum_over(build.power(build.sub(u, v), 2), ["x", "y"])], PLANES),
        ("exp and cos", [build.mul(build.apply("exp", u), build.apply("cos", v))], PLANES[:3]),
        ("sigmoid", [build.apply("recip", build.add(build.const(1), build.apply("exp", build.neg(u))))], PLANES),
        ("length", [build.apply("sqrt", build.add(build.mul(u, u), build.mul(v, v)))], PLANES),
        ("rational", [build.divide(build.add(u, v), build.add(build.const(3), build.mul(u, v)))], PLANES),
        ("powers", [build.linear([(k + 1, build.power(u, k)) for k in range(1, 7)])], PLANES),
        ("clipped", [build.apply("min2", build.apply("max2", u, v), w)], PLANES),
        ("norms of rows", [build.apply("sqrt", build.sum_over(build.mul(u, u), ["y"]))], PLANES),
        (
            "product",
            [build.contract([(matrix, {}), (second, {})], {"y": Size.of(Dim("m"))})],
            tuple({"n": a, "m": b, "k": c} for a, b, c in PRODUCTS),
        ),
    ]
    return [Kernel(n, Function(n, tuple(symbols(roots)), tuple((f"r{k}", t) for k, t in enumerate(roots))), s) for n, roots, s in table]


@dataclass(frozen=True)
class Sample:
    name: str
    measured: float
    predicted: float
    operations: float


def samples(machine: Any, threads: int) -> Iterator[Sample]:
    """Every kernel at every size: the least of many repetitions, and what was predicted before."""
    import numpy as np

    from ricci.backends.measure import timed
    from ricci.backends.workload import predicted
    from ricci.cost import operations

    generator = np.random.default_rng(1)
    for kernel in kernels():
        compiled = timed(kernel.function)
        for sizes in kernel.sizes:
            arguments = {
                name_of(p): generator.uniform(0.5, 1.5, [s.evaluate(dict(sizes)) for s in p.axes.values()]) for p in kernel.function.params
            }
            foreseen = predicted(compiled.plan, sizes, machine, threads)
            least = min(compiled.seconds(arguments, sizes, threads).least for _ in range(2))
            yield Sample(f"{kernel.name} {tuple(sizes.values())}", least, foreseen, operations(kernel.function.roots, dict(sizes)))


def lines(machine: Any, threads: int, detail: bool = False) -> Iterator[Line]:
    """Rank correlation and relative errors, beside those of counting operations."""
    import numpy as np
    from scipy.stats import spearmanr

    found = list(samples(machine, threads))
    measured, predicted, operations = (np.array([getattr(s, part) for s in found]) for part in ("measured", "predicted", "operations"))
    errors = np.abs(predicted / measured - 1)
    if detail:
        for s in sorted(found, key=lambda s: s.predicted / s.measured):
            print(f"{s.name:45} {s.measured * 1e6:12.2f} us {s.predicted / s.measured:8.2f}")
    rank, counted = float(spearmanr(predicted, measured)[0]), float(spearmanr(operations, measured)[0])
    label = f"predicted time of {len(found)} kernels, {threads} thread{'s' * (threads > 1)}, machine `{machine.name}`"
    yield f"{label}: rank correlation", f"{rank:.4f} (operations: {counted:.4f})", ">= 0.95", rank >= 0.95 and rank > counted
    median, tail = float(np.median(errors)), float(np.quantile(errors, 0.9))
    yield f"{label}: error", f"median {median:.0%}, 90th percentile {tail:.0%}", "<= 20 %, <= 60 %", median <= 0.2 and tail <= 0.6
