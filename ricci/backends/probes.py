"""The kernels that `ricci tune` times: ordinary functions, scheduled and compiled as any other, at sizes from short rows in the
first cache to arrays in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from ricci.dsl import build
from ricci.dsl.term import Function, Term, symbols
from ricci.dsl.types import Dim, Kind, Size, Type

N, M, K = (Size.of(Dim(name)) for name in ("n", "m", "k"))
Shape = tuple[int, int, int]
FIRST: tuple[Shape, ...] = ((3, 24, 8), (8, 64, 8), (16, 100, 8), (5, 333, 8), (40, 96, 8))  # n, m, k: in the first cache
WIDER: tuple[Shape, ...] = ((120, 200, 8), (64, 1000, 8), (500, 30, 8))  # in the second
LARGE: tuple[Shape, ...] = ((500, 600, 8), (1000, 900, 8))  # in the third
HUGE: tuple[Shape, ...] = ((2500, 3000, 8),)
ALL = FIRST + WIDER + LARGE + HUGE
INNER = FIRST + WIDER[:1]
SHARED = ("copy", "four read", "sum", "star 1", "polynomial", "product")  # probes that are timed on all cores too
PRODUCTS: tuple[Shape, ...] = tuple((a, b, c) for a in (8, 48, 300) for b in (8, 64, 400) for c in (8, 32, 350))


@dataclass(frozen=True)
class Probe:
    """One function and the sizes (n, m, k) at which it is timed."""

    name: str
    function: Function
    shapes: tuple[Shape, ...]


def _field(name: str, axes: Mapping[str, Size] = MappingProxyType({"x": N, "y": M})) -> Term:
    return build.symbol(name, Type(Kind.REAL, axes))


def _near(t: Term, axis: str, step: int) -> Term:
    """The values `step` points further, zero outside: what is read lies in ghosts around the array."""
    return build.shift(t, axis, step, "wrap")


def _star(t: Term, radius: int) -> Term:
    terms: list[tuple[int | Fraction, Term]] = [(Fraction(1, 3), t)]
    for r in range(1, radius + 1):
        terms += [(Fraction(1, 2 + r), _near(t, axis, s)) for axis in t.axes for s in (-r, r)]
    return build.linear(terms)


def _box(t: Term) -> Term:
    return build.linear([(Fraction(1, 5 + abs(i) + 2 * abs(j)), _near(_near(t, "x", i), "y", j)) for i in (-1, 0, 1) for j in (-1, 0, 1)])


def _polynomial(t: Term, degree: int) -> Term:
    value = build.linear([(Fraction(1, 3), t), (1, build.const(1))])
    for k in range(2, degree + 1):
        value = build.group(build.add(build.mul(value, t), build.const(Fraction(1, k))))
    return value


def _function(name: str, *roots: Term) -> Function:
    return Function(f"probe {name}", tuple(symbols(roots)), tuple((f"r{k}", root) for k, root in enumerate(roots)))


def probes() -> list[Probe]:
    """All probes, the same in every run."""
    u, v, w, z = (_field(name) for name in "uvwz")
    row, column = _field("row", {"y": M}), _field("column", {"x": N})
    deep = _field("deep", {"x": N, "y": M, "z": K})
    positive = build.linear([(1, build.apply("abs", u)), (1, build.const(Fraction(1, 2)))])
    place = build.symbol("place", Type(Kind.INT, {"y": M}))
    table: list[tuple[str, tuple[Term, ...], tuple[Shape, ...]]] = [
        ("copy", (build.scale(2, u),), ALL),
        ("two read", (build.linear([(2, u), (3, v)]),), ALL),
        ("four read", (build.linear([(2, u), (3, v), (1, w), (5, z)]),), ALL),
        ("two written", (build.scale(2, u), build.scale(3, u)), ALL),
        ("sum", (build.sum_over(u, ["x", "y"]),), ALL),
        ("dot", (build.contract([(u, {}), (v, {})], {"x": N, "y": M}),), ALL),
        ("sums of rows", (build.sum_over(u, ["y"]),), ALL),
        ("sums of columns", (build.sum_over(u, ["x"]),), ALL),
        ("largest of rows", (build.reduce("max", u, ["y"]),), INNER + LARGE),
        ("matrix times vector", (build.contract([(u, {}), (row, {})], {"y": M}),), ALL),
        ("vector times matrix", (build.contract([(u, {}), (column, {})], {"x": N}),), INNER + LARGE),
        ("outer product", (build.mul(column, row),), INNER + LARGE),
        ("transposed", (build.linear([(1, build.rename(_field("t", {"p": M, "q": N}), {"q": "x", "p": "y"})), (2, v)]),), INNER + LARGE),
        ("star 1", (_star(u, 1),), ALL),
        ("star 3", (_star(u, 3),), INNER + LARGE),
        ("box", (_box(u),), INNER + LARGE),
        ("cube", (_star(deep, 1),), ((6, 20, 40), (40, 40, 40), (12, 60, 100), (120, 100, 130))),
        ("polynomial", (_polynomial(u, 12),), INNER + LARGE),
        ("quotient", (build.divide(u, positive),), INNER + LARGE),
        ("root", (build.apply("sqrt", positive),), INNER + LARGE),
        ("choice", (build.where(build.apply("lt", u, v), build.mul(u, v), build.apply("max2", u, w)),), INNER + LARGE),
        *[(name, (build.apply(name, positive),), INNER) for name in ("exp", "log", "sin", "tanh", "erf", "lgamma")],
        ("power", (build.apply("pow", positive, v),), INNER),
        ("gathered", (build.gather(u, "y", build.rename(place, {"y": "j"})),), INNER + LARGE),
        ("product", (build.contract([(u, {}), (_field("b", {"y": M, "z": K}), {})], {"y": M}),), PRODUCTS),
    ]
    return [Probe(name, _function(name, *roots), shapes) for name, roots, shapes in table]
