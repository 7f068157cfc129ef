"""Values of terms at a few points, with the default values of params: enough to see whether two data agree."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from ricci.dsl import build
from ricci.dsl.model import Model
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term, rewrite, substitute, symbols, walk
from ricci.dsl.types import Kind, Type

PLACES = (0.0, 0.37, 0.81, 1.0)  # fractions of the range of a coordinate
CLOSE = 1e-9
UNKNOWN = frozenset({"partial", "at", "integral", "random", "scan", "iterate", "library"})
NESTED = 4  # defaults of params that are made of other params


class Sampler:
    """Evaluates terms of one model at the start, t = 0."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.coordinates = {c.name: c for d in model.domains.values() for c in d.coordinates}
        self.defaults = {p.symbol: p.value for p in model.params.values() if isinstance(p.value, Term)}
        self.ranges = {name: (self.value(c.lo, {}), self.value(c.hi, {})) for name, c in self.coordinates.items()}

    def value(self, term: Term, at: Mapping[str, float]) -> float | None:
        """The value at a point; None where it depends on what is not known here."""
        from ricci.dsl.reference import evaluate

        for _ in range(NESTED):
            if any(s in self.defaults for s in symbols([term])):
                term = substitute([term], self.defaults)[0]
        values: dict[str, object] = {"t": 0.0}
        dims: dict[str, int] = {}
        for t in walk([term]):
            if t.op in UNKNOWN:
                return None
            dims.update({d.name: 1 for size in getattr(t.type, "axes", {}).values() for d in size.dims})
        for s in symbols([term]):
            name = name_of(s)
            if name in at and set(s.axes) == {name}:
                values[name] = [at[name]]
            elif name not in ("t", "pi", "im") and not name.startswith("#"):
                return None
        import numpy as np

        with np.errstate(all="ignore"):
            result = evaluate([term], values, dims)[0]
        number = complex(result.flat[0]).real if result.size else math.nan
        return number if math.isfinite(number) else None

    def points(self, fixed: Mapping[str, float], axes: Sequence[str]) -> list[dict[str, float]]:
        """Places to look at: the `fixed` coordinates, a few values of the others; none where a range is not known."""
        free = [a for a in axes if a in self.coordinates and a not in fixed]
        ranges = []
        for a in free:
            lo, hi = self.ranges[a]
            if lo is None or hi is None:
                return []
            ranges.append([lo + p * (hi - lo) for p in PLACES])
        return [{**fixed, **dict(zip(free, values, strict=True))} for values in product(*ranges)]

    def largest(self, terms: Iterable[Term], axes: Sequence[str]) -> float:
        """Largest |value| of the terms over the places of the whole domain, as far as it is known."""
        found = [self.value(term, point) for term in terms for point in self.points({}, axes)]
        return max((abs(v) for v in found if v is not None), default=0.0)

    def difference(
        self, a: Term, b: Term, fixed: Mapping[str, float], axes: Sequence[str], scale: float = 1.0, close: float = CLOSE
    ) -> float:
        """Largest difference of two terms over the places; 0 where it cannot be known or is below `close` of their size, at least `scale`."""
        largest = 0.0
        for point in self.points(fixed, axes):
            left, right = self.value(a, point), self.value(b, point)
            if left is None or right is None:
                return 0.0
            if abs(left - right) > close * max(scale, abs(left), abs(right)):
                largest = max(largest, abs(left - right))
        return largest

    def derived(self, term: Term) -> Term:
        """The term with derivatives along coordinates taken of formulas; those that remain are of what is not known."""
        from ricci.dsl.derivative import tangent

        def visit(t: Term, args: tuple[Term, ...]) -> Term:
            if t.op != "partial" or t.attrs[0] not in self.coordinates:
                return t if args == t.args else _rebuilt(t, args)
            coordinate, n = t.attrs
            inner = args[0]
            symbol = build.symbol(coordinate, Type(Kind.REAL, {coordinate: self.model.sizes[coordinate]}))
            if any(u.op in UNKNOWN for u in walk([inner])) or any(name_of(s) in self.model.fields for s in symbols([inner])):
                return build.partial(inner, coordinate, n)
            for _ in range(n):
                one = build.expand(build.const(1, Kind.REAL), symbol.axes)
                inner = tangent([build.cast(inner, max(inner.kind, Kind.REAL))], {symbol: one})[0]
            return build.conform(inner, Type(max(inner.kind, t.kind), t.axes))

        return rewrite([term], visit)[0]


def _rebuilt(term: Term, args: tuple[Term, ...]) -> Term:
    from ricci.dsl.ops import OPERATORS

    return OPERATORS[term.op].rebuild(term, args)
