"""What is seen in the data of a model that is well posed: notes (N0310, N0311, N0312), W0305 and E0304."""

from __future__ import annotations

from collections.abc import Sequence

from ricci.dsl import build, tree
from ricci.dsl.check.conditions import Placed
from ricci.dsl.check.context import Checker
from ricci.dsl.check.equations import present, short_name, space_orders
from ricci.dsl.check.sampling import CLOSE, Sampler
from ricci.dsl.model import Equation, Field, Initial
from ricci.dsl.term import Term, substitute, walk


def add(checker: Checker, placed: Sequence[Placed]) -> None:
    """All that is found, in the order of the text."""
    _gauges(checker, placed)
    sampler = Sampler(checker.model)
    _constraints(checker, sampler)
    _growing_sides(checker, placed, sampler)
    _initial_and_boundary(checker, placed, sampler)
    _corners(checker, placed, sampler)


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


def _constraints(checker: Checker, sampler: Sampler) -> None:
    """E0304: an equation that determines a multiplier (div(u) = 0 and the pressure) holds of the initial values, too."""
    model = checker.model
    starts = {i.field: i for i in model.initials if i.time_order == 0 and isinstance(i.value, Term)}
    for equation in model.equations:
        inside = present(equation.residual, model.fields)
        if equation.time_order or equation.determines in inside or not inside <= starts.keys():
            continue
        given: dict[Term, Term] = {}
        for name in inside:
            symbol, value = model.fields[name].symbol, starts[name].value
            assert isinstance(value, Term)
            given[symbol] = build.conform(value, symbol.type) if value.kind <= symbol.kind else value
        residual = sampler.derived(substitute([equation.residual], given)[0])
        _refuse_contradiction(equation, residual, starts[sorted(inside)[0]], checker, sampler)


def _refuse_contradiction(equation: Equation, residual: Term, start: Initial, checker: Checker, sampler: Sampler) -> None:
    nothing = build.zero(residual.type)
    gap = sampler.difference(residual, nothing, {}, tuple(residual.axes))
    if gap:
        line = equation.span.line if equation.span else "?"
        checker.diagnostics.add(
            "E0304",
            f"the initial values do not fulfil `{equation.name}`: it is off by up to {gap:.3g}",
            start.span,
            label=f"`{equation.text}` (line {line}) holds at the start as well",
        )


def _growing_sides(checker: Checker, placed: Sequence[Placed], sampler: Sampler) -> None:
    """W0305: a*u + b*dn(u) = g with a and b of opposite sign lets a diffusing quantity grow from the side."""
    from ricci.dsl.derivative import split_linear

    model = checker.model
    own = {e.determines: e for e in model.equations}
    for p in placed:
        c = p.condition
        if not c.coordinate or own[c.field].time_order != 1:
            continue
        symbol = model.fields[c.field].symbol
        if space_orders(own[c.field].residual, symbol).get(c.coordinate) != 2:
            continue
        by_slope = split_linear(c.residual, build.partial(symbol, c.coordinate))
        by_value = split_linear(by_slope[1], symbol) if by_slope is not None else None
        if by_slope is None or by_value is None:
            continue
        slope, value = sampler.value(by_slope[0], {}), sampler.value(by_value[0], {})
        outward = 1 if c.side == "hi" else -1
        if slope and value and slope * outward * value < 0:
            name = short_name(c.field, model.fields)
            checker.diagnostics.add(
                "W0305",
                f"this condition feeds `{name}` in at {c.coordinate}.{c.side}: the more there is, the more comes",
                p.side.span,
                label=f"a loss to the outside has the same sign before {name} and dn({name})",
            )


def _prescribed(placed: Placed, checker: Checker) -> Term | None:
    """The value that a condition prescribes, if it prescribes one."""
    from ricci.dsl.derivative import depends, split_linear

    fields = checker.model.fields
    condition = placed.condition
    if not condition.coordinate or any(t.op == "partial" for t in walk([condition.residual])):
        return None
    split = split_linear(condition.residual, fields[condition.field].symbol)
    if split is None or any(depends(part, f.symbol) for part in split for f in fields.values()):
        return None
    return build.neg(build.divide(split[1], split[0]))


def _end(placed: Placed, sampler: Sampler) -> float | None:
    lo, hi = sampler.ranges[placed.condition.coordinate]
    return lo if placed.condition.side == "lo" else hi


def _initial_and_boundary(checker: Checker, placed: Sequence[Placed], sampler: Sampler) -> None:
    """N0311."""
    starts = {i.field: i for i in checker.model.initials if i.time_order == 0}
    for p in placed:
        start, value = starts.get(p.condition.field), _prescribed(p, checker)
        end = _end(p, sampler) if value is not None else None
        if start is None or value is None or end is None or not isinstance(start.value, Term):
            continue
        f = checker.model.fields[p.condition.field]
        axes = tuple(f.symbol.axes)
        scale = sampler.largest([start.value, value], axes)  # a difference that the run does not resolve is not worth a word
        close = max(CLOSE, float(checker.tolerance))
        gap = sampler.difference(start.value, value, {p.condition.coordinate: end}, axes, scale, close)
        if gap:
            _note_start(p, start, f, gap, checker)


def _note_start(p: Placed, start: Initial, f: Field, gap: float, checker: Checker) -> None:
    name = short_name(f.name, checker.model.fields)
    side = f"{p.condition.coordinate}.{p.condition.side}"
    shown = gap / float(f.unit.factor)
    unit = f" {f.unit.text}" if f.unit.text else ""
    line = start.span.line if start.span else "?"
    checker.diagnostics.add(
        "N0311",
        f"initial and boundary values of `{name}` differ at {side} by up to {shown:.3g}{unit}",
        p.side.span,
        label=f"the initial value is in line {line}",
    )


def _corners(checker: Checker, placed: Sequence[Placed], sampler: Sampler) -> None:
    """N0312: two prescribed values at a corner; one note for each statement that holds at corners of a field, with all of them."""
    known = [(p, v) for p in placed if (v := _prescribed(p, checker)) is not None]
    starts = {i.field: (i.value,) for i in checker.model.initials if i.time_order == 0 and isinstance(i.value, Term)}
    found: dict[tuple[str, tree.Node], dict[str, int]] = {}  # field and side of the later statement -> corners, lines of the earlier ones
    for i, (p, v) in enumerate(known):
        for q, w in known[i + 1 :]:
            a, b = p.condition, q.condition
            if a.field != b.field or a.coordinate == b.coordinate or a.rank == b.rank:
                continue
            f = checker.model.fields[a.field]
            ends = (_end(p, sampler), _end(q, sampler))
            if ends[0] is None or ends[1] is None:
                continue
            axes = tuple(f.symbol.axes)
            scale = sampler.largest([v, w, *starts.get(a.field, ())], axes)
            close = max(CLOSE, float(checker.tolerance))
            if sampler.difference(v, w, {a.coordinate: ends[0], b.coordinate: ends[1]}, axes, scale, close):
                later, earlier = (q, p) if b.rank > a.rank else (p, q)
                corner = f"({a.coordinate}.{a.side}, {b.coordinate}.{b.side})"
                found.setdefault((short_name(f.name, checker.model.fields), later.side), {})[corner] = earlier.side.span.line
    for (owner, side), corners in found.items():
        where = f"corner{'s' if len(corners) > 1 else ''} {' and '.join(corners)}"
        lines = " and ".join(str(line) for line in sorted(set(corners.values())))
        message = f"`{owner}` has two values at the {where}: this statement holds there"
        checker.diagnostics.add("N0312", message, side.span, label=f"the other is in line {lines}")
