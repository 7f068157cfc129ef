"""Looking at fields: values between nodes, integrals, and expressions that mix several instants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.ops import OPERATORS
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.program import Point
from ricci.dsl.term import Term, rewrite, symbols
from ricci.dsl.types import Kind, Size, Type
from ricci.errors import CannotLower, Span
from ricci.lowering.discretize.expressions import TIME
from ricci.lowering.discretize.grid import Along, Line, Place, all_nodes
from ricci.lowering.discretize.lower import Lowering
from ricci.lowering.discretize.schemes.quadrature import end_corrections


def observe(lowering: Lowering, term: Term, place: Place) -> Term:
    """Lower `at` (without the time, which `Instants` takes out before) and `integral`."""
    if term.op == "integral":
        return integral(lowering, term, place)
    if TIME in term.attrs:
        raise lowering.cannot("a value at another time")
    values = term.args[0]
    points = dict(zip(term.attrs, term.args[1:], strict=True))
    inside = place
    for c, point in points.items():
        line = lowering.lines.get(c)
        if line is None:
            raise lowering.cannot(f"a value at a point of `{c}`")
        inside = inside.at(c, _along(line, point))
    result = lowering.lower(values, inside)
    for c, point in points.items():
        if inside[c].where == "nodes" and c in values.axes:
            line = lowering.lines[c]
            at = lowering.lower(point, place)
            result = interpolate(lowering, line, build.expand(result, {c: line.nodes}), at)
            if not line.periodic:
                result = _inside(lowering, line, result, at)
    return result


def _inside(lowering: Lowering, line: Line, value: Term, point: Term) -> Term:
    """The value at a point that has to lie on the line. One that moves during the run has no value (NaN) where it leaves the line;
    any other is looked at before the run."""
    if not any(s in lowering.moving or name_of(s).startswith("@") for s in symbols([point])):
        lowering.points.append(Point(line.name, point, line.lo, line.hi, *lowering.statement))
        return value
    inside = build.apply("and", build.apply("le", line.lo, point), build.apply("le", point, line.hi))
    undefined = build.cast(build.apply("sqrt", build.const(-1, Kind.REAL)), value.kind)
    return build.where(inside, value, undefined)


def _along(line: Line, point: Term) -> Along:
    if not line.periodic:
        exact = build.cast(point, Kind.REAL)
        if exact is line.lo:
            return Along("lo")
        if exact is line.hi:
            return Along("hi")
    return all_nodes(line)


def interpolate(lowering: Lowering, line: Line, values: Term, point: Term) -> Term:
    """The value at a point by the polynomial through the `accuracy` nearest nodes (through `gather`, the point is a run-time value)."""
    count = lowering.accuracy
    lowering.need(line.name, count)
    size = build.size_term(line.nodes)
    steps = build.mul(build.sub(point, line.lo), line.per_spacing(1))
    first = build.sub(build.cast(build.apply("floor", steps), Kind.INT), build.const(count // 2 - 1))
    if not line.periodic:
        first = build.apply("max2", build.const(0), build.apply("min2", first, build.sub(size, build.const(count))))
    local = build.sub(steps, build.cast(first, Kind.REAL))
    parts = []
    for j in range(count):
        index = build.add(first, build.const(j))
        if line.periodic:
            index = build.apply("mod", index, size)
        others = [build.linear([(Fraction(1, j - m), local), (Fraction(-m, j - m), build.const(1))]) for m in range(count) if m != j]
        parts.append(build.mul(*others, build.gather(values, line.name, index)))
    return build.add(*parts)


def integral(lowering: Lowering, term: Term, place: Place) -> Term:
    """Trapezoidal rule, exact for periodic functions to all orders and corrected at ends to the accuracy of the scheme."""
    coordinates: tuple[str, ...] = term.attrs
    inside = place
    for c in coordinates:
        if c not in lowering.lines:
            raise lowering.cannot(f"an integral over `{c}`")
        inside = inside.at(c, all_nodes(lowering.lines[c]))
    values = lowering.lower(term.args[0], inside)
    for c in coordinates:
        line = lowering.lines[c]
        values = build.expand(values, {c: line.nodes})
        parts: list[tuple[Fraction | int, Term]] = [(1, build.sum_over(values, [c]))]
        if not line.periodic:
            corrections = end_corrections(lowering.accuracy)
            lowering.need(c, len(corrections))
            for j, w in enumerate(corrections):
                for index in (Size.of(j), line.nodes - 1 - j):
                    parts.append((-w, build.slice_at(values, c, index)))
        values = build.mul(line.spacing, build.linear(parts))
    return values


@dataclass(eq=False)
class Instants:
    """Values that an expression takes from named times: each becomes a symbol `@K:J` that stands for the J-th value at time K."""

    times: list[Term] = field(default_factory=list)
    spans: list[Span | None] = field(default_factory=list)  # per time: the statement that looks there first
    values: list[list[tuple[Term, Term]]] = field(default_factory=list)  # per time: (symbol, model-level term)
    _known: dict[Term, Term] = field(default_factory=dict)

    def take_out(self, term: Term, text: str, span: Span | None) -> Term:
        """The term with every value at a named time replaced by its symbol."""

        def visit(t: Term, args: tuple[Term, ...]) -> Term:
            if t.op == "at" and TIME in t.attrs:
                return self._symbol(t, args, text, span)
            return t if args == t.args else OPERATORS[t.op].rebuild(t, args)

        return rewrite([term], visit)[0]

    def _symbol(self, t: Term, args: tuple[Term, ...], text: str, span: Span | None) -> Term:
        point = dict(zip(t.attrs, args[1:], strict=True))
        moment = point.pop(TIME)
        inner = build.at(args[0], point)
        if moment.axes or self._mixes(inner) or self._mixes(moment):
            raise CannotLower("E0601", f"this version cannot evaluate `{text}`: a value at a time inside a value at another time", span)
        whole = build.at(inner, {TIME: moment})
        if whole not in self._known:
            if moment not in self.times:
                self.times.append(moment)
                self.spans.append(span)
                self.values.append([])
            k = self.times.index(moment)
            symbol = build.symbol(f"@{k}:{len(self.values[k])}", Type(inner.kind, inner.axes))
            self.values[k].append((symbol, inner))
            self._known[whole] = symbol
        return self._known[whole]

    def _mixes(self, term: Term) -> bool:
        return any(s in self._symbols() for s in symbols([term]))

    def _symbols(self) -> set[Term]:
        return {symbol for entries in self.values for symbol, _ in entries}

    def used(self, terms: Iterable[Term]) -> list[Term]:
        """Symbols of instants that occur in the terms."""
        own = self._symbols()
        return [s for s in symbols(list(terms)) if s in own]
