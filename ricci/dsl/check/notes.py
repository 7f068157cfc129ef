"""Notes of the check: what was added or is unusual (N0310, N0311, N0312)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import product

from ricci.dsl import build
from ricci.dsl.check.conditions import Placed
from ricci.dsl.check.context import Checker
from ricci.dsl.check.equations import short_name
from ricci.dsl.model import Condition, Field, Initial, Param
from ricci.dsl.ops.const import value_of as constant_of
from ricci.dsl.term import Term, substitute, walk
from ricci.dsl.types import Kind, Type

SAMPLES = (0.0, 0.37, 0.81, 1.0)  # places along the other coordinates where data are compared
CLOSE = 1e-9


def add(checker: Checker, placed: Sequence[Placed]) -> None:
    """All notes of a model that is right."""
    _gauges(checker, placed)
    corners = _Corners(checker)
    corners.initial_and_boundary(placed)
    corners.two_sides(placed)


def _gauges(checker: Checker, placed: Sequence[Placed]) -> None:
    """N0310: a field that occurs only in derivatives is known up to a constant."""
    model = checker.model
    for equation in model.equations:
        f = model.fields[equation.determines]
        if equation.time_order or f.domain is None:
            continue
        terms = [e.residual for e in model.equations] + [p.condition.residual for p in placed]
        if not any(_occurs_bare(t, f.symbol) for t in terms):
            checker.diagnostics.add(
                "N0310",
                f"`{f.name}` is determined up to a constant: mean({f.name}) = 0 is added",
                f.span,
                label="only its derivatives occur",
            )


def _occurs_bare(term: Term, symbol: Term) -> bool:
    """Whether a field occurs outside of all space derivatives."""
    bare: dict[Term, bool] = {}
    for t in walk([term]):
        inner = t is symbol or any(bare[a] for a in t.args)
        bare[t] = inner and not (t.op == "partial" and t.attrs[0] != "t")
    return bare[term]


class _Corners:
    """Compares data where they meet, at a few places, with the default values of params."""

    def __init__(self, checker: Checker) -> None:
        self.checker = checker
        self.model = checker.model
        self.coordinates = {c.name: c for d in self.model.domains.values() for c in d.coordinates}
        self.defaults = {p.symbol: p.value for p in self.model.params.values() if isinstance(p.value, Term)}
        self.numbers = {name: (self.number(c.lo), self.number(c.hi)) for name, c in self.coordinates.items()}

    def number(self, term: Term) -> float | None:
        """The value of a term without axes, for the defaults of params."""
        known = constant_of(term)
        if known is not None:
            return float(known)
        found = self.evaluate(term, {})
        return None if found is None else found

    def evaluate(self, term: Term, at: Mapping[str, float]) -> float | None:
        """A term at t = 0 and one point; None where it cannot be known here."""
        for _ in range(4):
            term = substitute([term], dict(self.defaults))[0]
        if any(t.op in ("partial", "at", "integral", "random", "scan") for t in walk([term])):
            return None
        point: dict[Term, Term] = {build.symbol("t", Type(Kind.REAL)): build.const(0, Kind.REAL)}
        for s in walk([term]):
            if s.op != "symbol":
                continue
            name = s.attrs[0]
            if name in self.coordinates and set(s.axes) == {name} and name in at:
                point[s] = build.expand(build.const(Fraction(at[name]), Kind.REAL), s.axes)
            elif name not in ("t", "pi", "im") and not str(name).startswith("#"):
                return None
        value = substitute([term], point)[0]
        return _evaluated(value)

    def points(self, fixed: Mapping[str, float], axes: Sequence[str]) -> list[dict[str, float]]:
        """Places to look at: `fixed` coordinates, a few values of the others."""
        free = [a for a in axes if a in self.coordinates and a not in fixed]
        ranges = []
        for a in free:
            lo, hi = self.numbers[a]
            if lo is None or hi is None:
                return []
            ranges.append([lo + s * (hi - lo) for s in SAMPLES])
        return [{**fixed, **dict(zip(free, values, strict=True))} for values in product(*ranges)]

    def end(self, condition: Condition) -> float | None:
        lo, hi = self.numbers[condition.coordinate]
        return lo if condition.side == "lo" else hi

    def prescribed(self, condition: Condition) -> Term | None:
        """The value that a condition prescribes, if it prescribes one."""
        from ricci.dsl.derivative import depends, split_linear

        symbol = self.model.fields[condition.field].symbol
        others = [f.symbol for f in self.model.fields.values()]
        if any(t.op == "partial" for t in walk([condition.residual])):
            return None
        split = split_linear(condition.residual, symbol)
        if split is None or any(depends(part, o) for part in split for o in others):
            return None
        return build.neg(build.divide(split[1], split[0]))

    def difference(self, a: Term, b: Term, fixed: Mapping[str, float], axes: Sequence[str]) -> float:
        """Largest difference of two terms over the places; 0 where it cannot be known."""
        largest = 0.0
        for point in self.points(fixed, axes):
            left, right = self.evaluate(a, point), self.evaluate(b, point)
            if left is None or right is None:
                return 0.0
            if abs(left - right) > CLOSE * max(1.0, abs(left), abs(right)):
                largest = max(largest, abs(left - right))
        return largest

    def initial_and_boundary(self, placed: Sequence[Placed]) -> None:
        """N0311."""
        starts = {i.field: i for i in self.model.initials if i.time_order == 0}
        for p in placed:
            start, end = starts.get(p.condition.field), self.end(p.condition) if p.condition.coordinate else None
            value = self.prescribed(p.condition) if start is not None and end is not None else None
            if start is None or end is None or value is None or not isinstance(start.value, Term):
                continue
            f = self.model.fields[p.condition.field]
            gap = self.difference(start.value, value, {p.condition.coordinate: end}, tuple(f.symbol.axes))
            if gap:
                self._note_start(p, start, f, gap)

    def _note_start(self, p: Placed, start: Initial, f: Field, gap: float) -> None:
        name = short_name(f.name, self.model.fields)
        side = f"{p.condition.coordinate}.{p.condition.side}"
        shown = gap / float(f.unit.factor)
        unit = f" {f.unit.text}" if f.unit.text else ""
        line = start.span.line if start.span else "?"
        self.checker.diagnostics.add(
            "N0311",
            f"initial and boundary values of `{name}` differ at {side} by up to {shown:.3g}{unit}",
            p.side.span,
            label=f"the initial value is in line {line}",
        )

    def two_sides(self, placed: Sequence[Placed]) -> None:
        """N0312: two prescribed values at a corner."""
        values = [(p, self.prescribed(p.condition), self.end(p.condition)) for p in placed if p.condition.coordinate]
        known = [(p, v, e) for p, v, e in values if v is not None and e is not None]
        noted: set[str] = set()
        for i, (p, v, e) in enumerate(known):
            for q, w, g in known[i + 1 :]:
                a, b = p.condition, q.condition
                if a.field != b.field or a.coordinate == b.coordinate or a.rank == b.rank:
                    continue
                f = self.model.fields[a.field]
                owner = short_name(f.name, self.model.fields)
                fixed = {a.coordinate: e, b.coordinate: g}
                if owner in noted or not self.difference(v, w, fixed, tuple(f.symbol.axes)):
                    continue
                noted.add(owner)
                later, earlier = (q, p) if b.rank > a.rank else (p, q)
                corner = f"({a.coordinate}.{a.side}, {b.coordinate}.{b.side})"
                self.checker.diagnostics.add(
                    "N0312",
                    f"`{owner}` has two values at the corner {corner}: this statement holds there",
                    later.side.span,
                    label=f"the other is in line {earlier.side.span.line}",
                )


def _evaluated(term: Term) -> float | None:
    """The number that a closed term is."""
    known = constant_of(term)
    if known is not None:
        return float(known)
    import math

    from ricci.dsl.reference import evaluate

    dims = {d.name: 1 for t in walk([term]) for size in getattr(t.type, "axes", {}).values() for d in size.dims}
    value = evaluate([term], {}, dims)[0]
    number = complex(value.flat[0]) if value.size else complex(math.nan)
    return number.real if math.isfinite(number.real) else None


__all__ = ["Param", "add"]
