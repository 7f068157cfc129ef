"""Well-posedness: conditions and initial values counted against the orders of the equations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ricci.dsl import tree
from ricci.dsl.check.conditions import Placed
from ricci.dsl.check.context import Checker
from ricci.dsl.check.equations import Formulas, short_name, space_orders
from ricci.dsl.model import Call, Domain, Equation, Field, Initial
from ricci.dsl.ops import linear
from ricci.dsl.term import Term, walk
from ricci.errors import Diagnostic, Span

TIME = "t"
LARGEST_GROUP = 10  # fields of one first-order system that are counted together


def check_conditions(placed: Sequence[Placed], formulas: Formulas, checker: Checker) -> None:
    """E0301, E0302, E0105 for boundary conditions, by component and coordinate; what is a formula of others is put in."""
    model = checker.model
    own = {
        e.determines: replace(e, residual=formulas.resolved(e.residual)) for e in model.equations if e.determines not in formulas.equations
    }
    for domain in model.domains.values():
        for c in domain.coordinates:
            if c.periodic:
                continue
            fields = [f for n, f in model.fields.items() if f.domain == domain.name and n in own]
            orders = {f.name: space_orders(own[f.name].residual, f.symbol).get(c.name, 0) for f in fields}
            counted = [Count(f, own[f.name], c.name, orders[f.name], _given(f, c.name, placed)) for f in fields if orders[f.name]]
            _report(counted, domain, checker)
            _count_group([f for f in fields if not orders[f.name]], own, c.name, placed, checker)
    _check_surfaces(placed, own, checker)


def _given(f: Field, coordinate: str, placed: Sequence[Placed]) -> tuple[Placed, ...]:
    return tuple(p for p in placed if p.condition.field == f.name and p.condition.coordinate == coordinate)


@dataclass(frozen=True)
class Count:
    """Conditions of one component along one coordinate, against the order of its equation there."""

    field: Field
    equation: Equation
    coordinate: str
    order: int
    given: tuple[Placed, ...]


def _report(counted: Sequence[Count], domain: Domain, checker: Checker) -> None:
    """What is wrong with the numbers; of a vector once where all its components lack or have the same."""
    owners: dict[str, list[Count]] = {}
    for count in counted:
        owners.setdefault(count.field.of or count.field.name, []).append(count)
    for owner, components in owners.items():
        found = [_verdict(count, owner, _zero(count.field, domain)) for count in components]
        if len(set(found)) > 1:
            found = [_verdict(count, count.field.name, "0") for count in components]
        checker.diagnostics.errors += [verdict for verdict in dict.fromkeys(found) if verdict is not None]


def _verdict(count: Count, name: str, zero: str) -> Diagnostic | None:
    """Even order: half of it on each side. Odd order: all of them, at least half on each side."""
    coordinate, order, given = count.coordinate, count.order, count.given
    at_side = {end: [p for p in given if p.condition.side == end] for end in ("lo", "hi")}
    least, most = order // 2, order - order // 2
    for end, found in at_side.items():
        if len(found) > most:
            return Diagnostic(
                "E0302",
                f"`{name}` has {len(found)} conditions on {coordinate}.{end}, it takes {most}",
                found[-1].side.span,
                f"the first is in line {_line(found[0])}; `{_reason(count.equation)}` is of order {order} in {coordinate}",
                edits=_other_sides(found[-1], count),
            )
    lacking = [end for end, found in at_side.items() if len(found) < least]
    if len(given) > order:
        return Diagnostic(
            "E0302",
            f"`{name}` has {len(given)} conditions along `{coordinate}`, it takes {order}",
            given[-1].side.span,
            f"its equation (line {_equation_line(count.equation)}) is of order {order} in {coordinate}",
            edits=_other_sides(given[-1], count),
        )
    if len(given) < order and (lacking or order % 2):
        return _too_few(count, name, zero, at_side)
    return None


def _other_sides(placed: Placed, count: Count) -> tuple[tuple[Span, str], ...]:
    """The condition on every other side of its field: one of them may have been meant."""
    sides = [f"{c}.{end}" for c in count.field.symbol.axes for end in ("lo", "hi")]
    return tuple((placed.side.span, side) for side in sides if side != placed.side.span.text)


def _usual(count: Count, name: str, zero: str, at_side: Mapping[str, Sequence[Placed]]) -> str:
    """The conditions that are missing, in the usual form: no flux for second order, else value and curvature, each once a side."""
    order, symbol, coordinate = count.order, count.field.symbol, count.coordinate
    least = order // 2
    missing = {end: max(least - len(found), 0) for end, found in at_side.items()}
    if order % 2 and sum(missing.values()) + len(count.given) < order:
        missing[min(missing, key=lambda end: len(at_side[end]) + missing[end])] += 1
    forms = [(1, f"dn({name})")] if order == 2 else [(0, name), (2, f"lap({name})"), (1, f"dn({name})"), (4, f"lap(lap({name}))")]
    sides: dict[tuple[str, ...], list[str]] = {}
    for end, number in missing.items():
        there = {space_orders(p.condition.residual, symbol).get(coordinate, 0) for p in at_side[end]}
        sides.setdefault(tuple([form for n, form in forms if n not in there][:number]), []).append(f"{coordinate}.{end}")
    statements = [f"boundary {name} on {', '.join(ends)}: {form} = {zero}" for wanted, ends in sides.items() for form in wanted]
    return "; ".join(statements)


def _too_few(count: Count, name: str, zero: str, at_side: Mapping[str, Sequence[Placed]]) -> Diagnostic:
    given, order, coordinate = count.given, count.order, count.coordinate
    verb = "is" if len(given) == 1 else "are"
    why = f"`{_reason(count.equation)}` (line {_equation_line(count.equation)}) is {_ordinal(order)} order in {coordinate}"
    return Diagnostic(
        "E0301",
        f"`{name}` needs {order} condition{'s' if order > 1 else ''} along `{coordinate}`, {len(given)} {verb} given",
        given[0].side.span if given else count.field.span,
        f"the only one; {why}" if len(given) == 1 else why,
        _usual(count, name, zero, at_side),
    )


def _zero(f: Field, domain: Domain | None) -> str:
    """Nothing, for a field of this rank."""
    zero = "0"
    for _ in range(f.name[len(f.of) :].count(".") if f.of and domain is not None else 0):
        assert domain is not None
        zero = "(" + ", ".join([zero] * len(domain.coordinates)) + ")"
    return zero


def _reason(equation: Equation) -> str:
    """The name of the equation, or its text where it has no name of its own."""
    return equation.name.partition(".")[0] if not equation.name.startswith("line ") else _short(equation.text)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _ordinal(n: int) -> str:
    return {1: "first", 2: "second", 3: "third", 4: "fourth"}.get(n, f"{n}th")


def _line(p: Placed) -> int:
    return p.side.span.line


def _equation_line(equation: Equation) -> int | str:
    return equation.span.line if equation.span else "?"


# ---------------------------------------------------------------------------------------------------------------------
# systems of first order


def _count_group(fields: Sequence[Field], own: Mapping[str, Equation], coordinate: str, placed: Sequence[Placed], checker: Checker) -> None:
    """Fields whose own equation has no derivative of them along the coordinate: a system like dt(p) = -dx(v), dt(v) = -dx(p).

    Together they take as many conditions as the largest sum of orders over one occurrence of each in a different equation
    (C. G. J. Jacobi's bound of the order of a system); a multiplier (a pressure) may have conditions of its own.
    """
    moving = [f for f in fields if own[f.name].time_order]
    matrix = [[_order(own[e.name].residual, f.symbol, coordinate) for f in moving] for e in moving]
    total = _largest(matrix) if len(moving) <= LARGEST_GROUP else 0
    involved = [f for i, f in enumerate(moving) if total and any(row[i] for row in matrix)]
    mine = [p for f in involved for p in _given(f, coordinate, placed)]
    for f in fields:
        if f in involved or (own[f.name].time_order == 0 and _occurs_elsewhere(f, own, coordinate)):
            continue
        for p in _given(f, coordinate, placed):
            checker.diagnostics.add(
                "E0105",
                f"`{f.name}` takes no condition along `{coordinate}`",
                p.side.span,
                label=f"no derivative along {coordinate} determines it",
            )
            return
    if len(mine) != total:
        _wrong_total(involved, total, mine, coordinate, checker)


def _wrong_total(involved: Sequence[Field], total: int, mine: Sequence[Placed], coordinate: str, checker: Checker) -> None:
    names = ", ".join(dict.fromkeys(f"`{short_name(f.name, checker.model.fields)}`" for f in involved))
    if len(mine) > total:
        message = f"{names} take {total} conditions along `{coordinate}` together, {len(mine)} are given"
        checker.diagnostics.add("E0302", message, mine[-1].side.span)
        return
    one = involved[0]
    bare = [end for end in ("lo", "hi") if not any(p.condition.side == end for p in mine)]
    places = [(f.name, end) for ends in (bare, ("lo", "hi")) for f in involved for end in ends]
    open_places = [p for p in dict.fromkeys(places) if p not in {(m.condition.field, m.condition.side) for m in mine}][: total - len(mine)]
    sides: dict[str, list[str]] = {}
    for name, end in open_places:
        sides.setdefault(name, []).append(f"{coordinate}.{end}")
    checker.diagnostics.add(
        "E0301",
        f"{names} need {total} conditions along `{coordinate}` together, {len(mine)} {'is' if len(mine) == 1 else 'are'} given",
        mine[0].side.span if mine else one.span,
        label=f"a system of order {total} in {coordinate}",
        help="; ".join(f"boundary {name} on {', '.join(ends)}: {name} = 0" for name, ends in sides.items()),
    )


def _order(residual: Term, symbol: Term, coordinate: str) -> int | None:
    """Highest derivative of a field along a coordinate; None where the field does not occur."""
    if all(t is not symbol for t in walk([residual])):
        return None
    return space_orders(residual, symbol).get(coordinate, 0)


def _occurs_elsewhere(f: Field, own: Mapping[str, Equation], coordinate: str) -> bool:
    return any(space_orders(e.residual, f.symbol).get(coordinate) for e in own.values())


def _largest(matrix: Sequence[Sequence[int | None]]) -> int:
    """Largest sum of entries with one in each row and column; 0 where there is no such choice."""
    best: dict[int, int] = {0: 0}
    for row in matrix:
        new: dict[int, int] = {}
        for used, value in best.items():
            for j, entry in enumerate(row):
                if entry is not None and not used >> j & 1:
                    key = used | 1 << j
                    new[key] = max(new.get(key, 0), value + entry)
        best = new
    return max(best.values(), default=0)


def _check_surfaces(placed: Sequence[Placed], own: Mapping[str, Equation], checker: Checker) -> None:
    """Every named surface needs a condition for every component that has a second derivative; there they are counted together."""
    fields = checker.model.fields
    for domain, holes in checker.holes.items():
        needed: dict[str, list[Field]] = {}
        for f in fields.values():
            if f.domain == domain and f.name in own and max(space_orders(own[f.name].residual, f.symbol).values(), default=0) >= 2:
                needed.setdefault(short_name(f.name, fields), []).append(f)
        for name, components in needed.items():
            for hole in holes:
                given = [p for p in placed if p.condition.side == hole and p.condition.field in {f.name for f in components}]
                if len(given) < len(components):
                    _lacks_on_surface(name, components, hole, own, checker)


def _lacks_on_surface(name: str, components: Sequence[Field], hole: str, own: Mapping[str, Equation], checker: Checker) -> None:
    first, count = components[0], len(components)
    checker.diagnostics.add(
        "E0301",
        f"`{name}` needs {'a condition' if count == 1 else f'{count} conditions'} on `{hole}`",
        first.span,
        label=f"its equation (line {_equation_line(own[first.name])}) is of second order",
        help=f"boundary {name} on {hole}: dn({name}) = {_zero(first, checker.model.domains[first.domain or ''])}",
    )


def check_conservative(space: Call, checker: Checker) -> None:
    """E0504: a finite-volume scheme takes fluxes as divergences; u*dx(u) is a field times a derivative."""
    symbols = {f.symbol for f in checker.model.fields.values()}
    for equation in checker.model.equations:
        residual = equation.residual
        terms = [t for _, t in linear.terms_of(residual)] if residual.op == "linear" else [residual]
        for term in terms:
            parts = term.args if term.op == "contract" else ()
            slopes = [p for p in parts if p.op == "partial" and p.attrs[0] != TIME]
            if slopes and any(p not in slopes and any(t in symbols for t in walk([p])) for p in parts):
                checker.diagnostics.add(
                    "E0504",
                    f"`{space.name}` needs the conservative form of this equation",
                    equation.span,
                    label="a field times a derivative is no divergence: write dx(u^2/2) for u*dx(u)",
                )
                break


# ---------------------------------------------------------------------------------------------------------------------
# initial values


def check_initials(given: Sequence[tuple[Initial, tree.Node]], checker: Checker) -> None:
    """E0305 for a missing initial value, E0302 for a second one, E0105 for one that nothing uses."""
    model = checker.model
    own = {e.determines: e for e in model.equations}
    seen: dict[tuple[str, int], Initial] = {}
    for initial, node in given:
        name = short_name(initial.field, model.fields)
        key = (initial.field, initial.time_order)
        order = own[initial.field].time_order if initial.field in own else 0
        if key in seen:
            before = seen[key].span
            checker.diagnostics.add(
                "E0302", f"`{name}` has two initial values", node.span, label=f"the first is in line {before.line if before else '?'}"
            )
        elif initial.time_order >= order:
            what = f"`{name}` has no time derivative of order {initial.time_order + 1}" if order else f"`{name}` has no time derivative"
            where = own[initial.field]
            checker.diagnostics.add("E0105", what, node.span, label=f"`{_short(where.text)}` (line {_equation_line(where)}) determines it")
        seen.setdefault(key, initial)
    reported: set[tuple[str, int]] = set()
    for name, equation in own.items():
        f = model.fields[name]
        owner = short_name(name, model.fields)
        for order in range(equation.time_order):
            if (name, order) in seen or (owner, order) in reported:
                continue
            reported.add((owner, order))
            written = owner if not order else f"d{'t' * order}({owner})"
            highest = f"d{'t' * equation.time_order}({owner})"
            checker.diagnostics.add(
                "E0305",
                f"`{written}` has no initial value",
                f.span,
                label=f"{highest} stands in line {_equation_line(equation)}",
                help=f"initial {written} = {_zero(f, model.domains.get(f.domain or ''))}",
            )
