"""What is known about values: intervals that hold for all elements, and whether zero is excluded.

Used as facts for side conditions of rules and to refuse forms that are equal on paper and overflow in floating point. Nothing
is assumed: a symbol is unbounded unless `given` says otherwise; sizes are at least their lower bounds.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import inf, isfinite, isnan, nextafter

from ricci.dsl.ops.const import nearest, value_of
from ricci.dsl.ops.contract import Contraction
from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.ops.reindex import Pull
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, at_most
from ricci.egraph.kinds import Kinds
from ricci.egraph.space import Node, Space

PASSES = 4
LARGEST_EXPONENT = 300.0  # exp of more is near the largest number: a product of two such values overflows


@dataclass(frozen=True)
class Range:
    """lo <= every element <= hi; `nonzero` where no element is zero."""

    lo: float = -inf
    hi: float = inf
    nonzero: bool = False

    @property
    def empty(self) -> bool:
        """No number is in it."""
        return self.lo > self.hi or (self.lo == self.hi == 0 and self.nonzero)

    @property
    def positive(self) -> bool:
        return self.lo > 0 or (self.lo == 0 and self.nonzero)

    @property
    def nonnegative(self) -> bool:
        return self.lo >= 0

    @property
    def excludes_zero(self) -> bool:
        return self.nonzero or self.lo > 0 or self.hi < 0

    def meet(self, other: Range) -> Range:
        """Both hold."""
        return Range(max(self.lo, other.lo), min(self.hi, other.hi), self.nonzero or other.nonzero)

    def join(self, other: Range) -> Range:
        """Either holds."""
        return Range(min(self.lo, other.lo), max(self.hi, other.hi), self.excludes_zero and other.excludes_zero)

    def negative(self) -> Range:
        return Range(-self.hi, -self.lo, self.nonzero)

    def scaled(self, q: float) -> Range:
        if q < 0:
            return self.negative().scaled(-q)
        return Range(_down(_times(q, self.lo)), _up(_times(q, self.hi)), self.nonzero)

    def plus(self, other: Range) -> Range:
        one_sided = (self.nonnegative and other.nonnegative) or (self.hi <= 0 and other.hi <= 0)
        nonzero = one_sided and (self.excludes_zero or other.excludes_zero)
        return Range(_down(self.lo + other.lo), _up(self.hi + other.hi), nonzero)

    def times(self, other: Range) -> Range:
        ends = [_times(a, b) for a in (self.lo, self.hi) for b in (other.lo, other.hi)]
        return Range(_down(min(ends)), _up(max(ends)), self.excludes_zero and other.excludes_zero)

    def power(self, k: int) -> Range:
        out = self
        for _ in range(k - 1):
            out = out.times(self)
        return out if k % 2 else out.meet(Range(0.0, inf))


UNKNOWN = Range()
FACTS = {
    "positive": Range(0.0, inf, nonzero=True),
    "negative": Range(-inf, 0.0, nonzero=True),
    "nonnegative": Range(0.0, inf),
    "nonpositive": Range(-inf, 0.0),
    "nonzero": Range(-inf, inf, nonzero=True),
    "unit": Range(-1.0, 1.0),
}


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def _down(x: float) -> float:
    return x if x == int_or(x) else nextafter(x, -inf)


def _up(x: float) -> float:
    return x if x == int_or(x) else nextafter(x, inf)


def int_or(x: float) -> float:
    """x where it is a small integer or infinite (then it is exact), else not a number."""
    return x if not isfinite(x) or (abs(x) < 1 << 40 and x == int(x)) else float("nan")


Given = Mapping[Term | int, Range]  # of symbols, and of references of other values


class Ranges:
    """Ranges of the classes of a space, by repeated evaluation of all nodes."""

    def __init__(self, space: Space, given: Given) -> None:
        self.space, self.given, self.kinds = space, given, Kinds(space)
        self.table: dict[int, Range] = {}
        for key, known in given.items():
            if isinstance(key, int):
                ref = space.find(key)
                self.table[ref >> 1] = self.table.get(ref >> 1, UNKNOWN).meet(known.negative() if ref & 1 else known)
        order = space.classes()
        for _ in range(PASSES):
            before = dict(self.table)
            for c in order:
                known = self.table.get(c, UNKNOWN)
                for node, sign in space.nodes[c].items():
                    found = self.of_node(node)
                    known = known.meet(found.negative() if sign else found)
                if self.kinds.of(2 * c) == Kind.COMPLEX:
                    known = Range(nonzero=known.excludes_zero)
                if known != UNKNOWN:
                    self.table[c] = known
            if before == self.table:
                break

    def of(self, ref: int) -> Range:
        ref = self.space.find(ref)
        found = self.table.get(ref >> 1, UNKNOWN)
        return found.negative() if ref & 1 else found

    def of_node(self, node: Node) -> Range:
        op = node.op
        if op == "leaf":
            return self._leaf(node.payload)
        parts = [self.of(r) for r in node.children]
        if op == "scale":
            return parts[0].scaled(nearest(node.factor))
        if op == "sum":
            return self._sum(node, parts)
        if op == "power":
            return parts[0].power(node.exponent)
        if op == "product":
            out = parts[0]
            for part in parts[1:]:
                out = out.times(part)
            return out
        if op in ("expand", "stored"):
            return parts[0]
        return self._other(node, parts)

    def _leaf(self, key: Hashable) -> Range:
        if not isinstance(key, Term):
            assert isinstance(key, tuple)
            q = nearest(key[1])
            return Range(q, q, nonzero=q != 0)
        if key in self.given:
            return self.given[key]
        if key.op == "iota":
            return Range(0.0, inf)
        if key.op == "symbol":
            name = name_of(key)
            if name.startswith("#"):
                return Range(1.0, inf, nonzero=True)
            return Range(3.14, 3.15, nonzero=True) if name == "pi" else UNKNOWN
        value = value_of(key)
        if isinstance(value, float):
            return Range(value, value, nonzero=True)
        return Range(float(value), float(value), nonzero=value != 0) if isinstance(value, Fraction) else UNKNOWN

    def _sum(self, node: Node, parts: list[Range]) -> Range:
        total = Range(0.0, 0.0)
        for part in parts:
            total = total.plus(part)
        if len(parts) == 2:
            total = total.meet(self._below_maximum(node))
        return total

    def _below_maximum(self, node: Node) -> Range:
        """t - max(t) <= 0 and t - min(t) >= 0."""
        for a, b in (node.children, node.children[::-1]):
            inner = self.space.find(b)
            for other, sign in self.space.nodes[inner >> 1].items():
                while other.op == "expand":
                    below = self.space.find(other.children[0])
                    sign ^= below & 1
                    found = next((n for n in self.space.nodes[below >> 1] if n.op == "reduce"), None)
                    if found is None:
                        break
                    sign ^= self.space.nodes[below >> 1][found]
                    other = found
                if other.op == "reduce" and isinstance(other.payload, tuple) and other.payload[0] in ("max", "min"):
                    subtracted = sign ^ (inner & 1)
                    if subtracted and self.space.find(other.children[0]) == self.space.find(a):
                        return Range(-inf, 0.0) if other.payload[0] == "max" else Range(0.0, inf)
        return UNKNOWN

    def _other(self, node: Node, parts: list[Range]) -> Range:
        op, payload = node.op, node.payload
        if op == "contract":
            assert isinstance(payload, Contraction)
            out = parts[0] if parts else UNKNOWN
            for part in parts[1:]:
                out = out.times(part)
            squared = len(parts) == 2 and node.children[0] == node.children[1] and len(set(payload.accesses)) == 1
            some = out.excludes_zero and all(at_most(1, size) for size in payload.bound)  # a sum over no points is zero
            if squared or out.nonnegative:
                return Range(0.0, inf, nonzero=some and out.nonnegative)
            return Range(-inf, 0.0, nonzero=some) if out.hi <= 0 else UNKNOWN
        if op == "reindex":
            assert isinstance(payload, Pull)
            if not payload.guards or payload.fill is None:
                return parts[0]
            fill = nearest(payload.fill)
            return parts[0].join(Range(fill, fill, nonzero=fill != 0))
        if op == "reduce":
            name = payload[0] if isinstance(payload, tuple) else ""
            return Range(parts[0].lo, parts[0].hi, parts[0].nonzero) if name in ("max", "min") else UNKNOWN
        if op in SCALARS:
            complexes = any(self.kinds.of(r) == Kind.COMPLEX for r in node.children)
            return _of_complex(op, parts[0]) if complexes else self._function(op, parts)
        return UNKNOWN

    def _function(self, name: str, parts: list[Range]) -> Range:
        if name == "where":
            return parts[1].join(parts[2])
        if name in ("min2", "max2"):
            pick = min if name == "min2" else max
            return Range(pick(parts[0].lo, parts[1].lo), pick(parts[0].hi, parts[1].hi))
        if name == "recip":
            return _reciprocal(parts[0])
        function = SCALARS[name]
        known = Range(function.range.lo, function.range.hi, nonzero=function.range.open_lo and function.range.lo == 0)
        if "positive" in function.facts or name == "exp":
            known = known.meet(Range(0.0, inf, nonzero=True))
        if function.arity == 1 and not function.facts.isdisjoint(("increasing", "decreasing")):
            known = known.meet(_monotone(name, parts[0]))
        if name == "abs":
            known = known.meet(Range(0.0, max(abs(parts[0].lo), abs(parts[0].hi)), parts[0].excludes_zero))
        if name in ("sqrt", "abs", "cbrt") and parts[0].excludes_zero:
            known = known.meet(Range(known.lo, known.hi, nonzero=True))
        return known


def _of_complex(name: str, argument: Range) -> Range:
    """What is known of a function of complex numbers: the ranges of real ones, of sin say, do not hold."""
    if name in ("abs", "abs2"):
        return Range(0.0, inf, nonzero=argument.excludes_zero)
    return Range(nonzero=name == "exp" or name == "recip" or (name in ("sqrt", "conj") and argument.excludes_zero))


def _reciprocal(r: Range) -> Range:
    if r.positive:
        return Range(0.0 if r.hi == inf else _down(1 / r.hi), inf if r.lo == 0 else _up(1 / r.lo), nonzero=True)
    if r.negative().positive:
        return _reciprocal(r.negative()).negative()
    return Range(-inf, inf, nonzero=True)


def _monotone(name: str, r: Range) -> Range:
    """f(lo)..f(hi), rounded outwards, where f is defined there."""
    import numpy as np

    function = SCALARS[name]
    with np.errstate(all="ignore"):
        ends = [float(function.numpy(np.asarray(x, dtype=float))) for x in (r.lo, r.hi)]
    if "decreasing" in function.facts:
        ends.reverse()
    lo = -inf if isnan(ends[0]) else ends[0] - 1e-12 * abs(ends[0]) if isfinite(ends[0]) else ends[0]
    hi = inf if isnan(ends[1]) else ends[1] + 1e-12 * abs(ends[1]) if isfinite(ends[1]) else ends[1]
    return Range(lo, hi)


def facts_of(term_kind: Kind, r: Range, domains: Iterable[str] = ()) -> list[str]:
    """Names of the facts that rules test; that a value lies where a function is defined (ends included) for `domains`."""
    if term_kind not in (Kind.INT, Kind.REAL):
        return []
    found = ["real"]
    found += [f"domain_{f}" for f in domains if SCALARS[f].domain.lo <= r.lo and r.hi <= SCALARS[f].domain.hi]
    if r.positive:
        found.append("positive")
    if r.nonnegative:
        found.append("nonnegative")
    if r.negative().nonnegative:
        found.append("nonpositive")
    if r.excludes_zero:
        found.append("nonzero")
    return found
