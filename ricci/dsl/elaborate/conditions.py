"""Equations and conditions, and the count that makes a model well posed: what determines each unknown, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ricci.dsl import build, tree
from ricci.dsl.elaborate.checker import Checker
from ricci.dsl.elaborate.values import Loaded, Value, shape
from ricci.dsl.model import Condition, Equation, Field, Initial
from ricci.dsl.term import Term, walk
from ricci.errors import CheckFailed, Span


@dataclass(frozen=True)
class Candidate:
    """One scalar equation that is not yet matched to an unknown."""

    name: str
    residual: Term
    text: str
    span: Span


def equation(check: Checker, statement: tree.Equation) -> None:
    """Both sides as one set of terms; a vector equation is one equation per component."""
    reader = check.reader()
    family = frozenset(a.name for a in check.indices(statement.items)) | _free(check, statement)
    left, right = reader.value(statement.left, family), reader.value(statement.right, family)
    name = f"`{statement.name.id}`" if statement.name else "this equation"
    say = check.units.words
    if left.unit is not None and right.unit is not None and left.unit != right.unit:
        said = f"the two sides of {name} differ: {say(left.unit)} and {say(right.unit)}"
        raise CheckFailed("E0401", said, statement.right.span, label=f"{say(right.unit)} here, {say(left.unit)} on the left")
    zero = statement.right if right.unit is None and not right.rank else None
    if left.rank != right.rank and zero is None:
        raise CheckFailed(
            "E0206", f"the two sides of {name} differ in rank", statement.right.span, label=f"rank {right.rank}, left rank {left.rank}"
        )
    _same_shape(left, right, statement.right.span)
    label = statement.name.id if statement.name else f"line {statement.span.line}"
    for a, b in _pairs(left, right):
        check.equations.append(Candidate(label, build.sub(_real(a), _real(b)), statement.span.text, statement.span))


def _free(check: Checker, statement: tree.Equation) -> frozenset[str]:
    """Indices that stand in exactly one factor of some additive term, on either side."""
    reader = check.reader()
    free: set[str] = set()
    for side in (statement.left, statement.right):
        for part in side.operands if isinstance(side, tree.Sum) else (side,):
            factors = part.operands if isinstance(part, tree.Product) else (part,)
            counts: dict[str, int] = {}
            for factor in factors:
                for index in reader.indices(factor):
                    counts[index] = counts.get(index, 0) + 1
            free |= {n for n, c in counts.items() if c == 1}
    return frozenset(free)


def _same_shape(left: Value, right: Value, span: Span) -> None:
    if left.rank and right.rank and shape(left.data) != shape(right.data):
        said = f"a vector of {len(left.data)} components equals one of {len(right.data)}"
        raise CheckFailed("E0206", said, span, label=f"{len(right.data)} components here")


def _pairs(left: Value, right: Value) -> list[tuple[Term, Term]]:
    if not left.rank and not right.rank:
        return [(left.term, right.term)]
    a = left.data if left.rank else (left.data,) * len(right.data)
    b = right.data if right.rank else (right.data,) * len(left.data)
    return list(zip(a, b, strict=True))


def _real(term: Term) -> Term:
    from ricci.dsl.types import Kind

    return term if term.kind >= Kind.REAL else build.cast(term, Kind.REAL)


def match(check: Checker) -> None:
    """Which equation determines which unknown: by the highest time derivative it holds, algebraic ones by what is left."""
    fields = check.model.fields
    open_fields = dict(fields)
    algebraic: list[Candidate] = []
    for candidate in check.equations:
        orders = time_orders(candidate.residual, fields)
        choices = [n for n in orders if n in open_fields]
        if not orders:
            algebraic.append(candidate)
        elif not choices:
            first = next(iter(orders))
            check.diagnostics.add("E0302", f"`{first}` is determined twice", candidate.span, label=f"`{first}` has an equation already")
        else:
            name = choices[0]
            del open_fields[name]
            check.model.equations.append(
                Equation(candidate.name, candidate.residual, name, orders[name], fields[name].order, candidate.text, candidate.span)
            )
    for candidate in algebraic:
        used = [n for n in open_fields if any(t is fields[n].symbol for t in walk([candidate.residual]))]
        name = used[0] if used else next(iter(open_fields), "")
        if not name:
            check.diagnostics.add("E0302", "there are more equations than unknowns", candidate.span, label="what does this one determine?")
            continue
        del open_fields[name]
        check.model.equations.append(
            Equation(candidate.name, candidate.residual, name, 0, fields[name].order, candidate.text, candidate.span)
        )
        check.cannot(f"an equation without a time derivative (it determines `{name}`)", candidate.span)
    for name, f in open_fields.items():
        example = f"equation dt({name}) = ..."
        check.diagnostics.add(
            "E0303", f"no equation determines `{name}`", f.span, label="an unknown without an equation", notes=(f"for example: {example}",)
        )


def time_orders(residual: Term, fields: dict[str, Field]) -> dict[str, int]:
    """Fields under a time derivative, with the highest order, in the order of the text."""
    symbols = {f.symbol: name for name, f in fields.items()}
    found: dict[str, int] = {}
    for term in walk([residual]):
        if term.op == "partial" and term.attrs[0] == "t" and term.args[0] in symbols:
            name = symbols[term.args[0]]
            found[name] = max(found.get(name, 0), int(term.attrs[1]))
    return found


def boundary(check: Checker, statement: tree.Boundary, rank: int) -> None:
    """Conditions of fields on sides; one equation written for the first field is read for each by renaming it."""
    sides = [s for d in statement.sides for s in check.sides_of(d)]
    for dotted in statement.fields:
        check.need(dotted.names[0].id)
        if dotted.names[0].id not in {f.of or n.partition(".")[0] for n, f in check.model.fields.items()}:
            raise CheckFailed("E0101", f"there is no field `{dotted.text}`", dotted.span)
    if len(statement.equations) not in (1, len(statement.fields)):
        said = f"{len(statement.fields)} fields, {len(statement.equations)} equations"
        raise CheckFailed("E0302", said, statement.equations[-1].span, label="one for each field, or one for all")
    if any(a.name.id == "pml" for a in statement.annotations):
        check.cannot("the absorbing layer `@pml`", statement.span)
        return
    first = statement.fields[0].text
    for k, dotted in enumerate(statement.fields):
        same = statement.equations[k] if len(statement.equations) > 1 else statement.equations[0]
        for side in sides:
            _condition(
                check, statement, dotted.text, same, side, rank, first if len(statement.equations) == 1 else dotted.text, dotted.span
            )


def _condition(
    check: Checker,
    statement: tree.Boundary,
    name: str,
    equality: tree.Equality,
    side: tuple[str, str],
    rank: int,
    written: str,
    place: Span,
) -> None:
    reader = check.reader(side)
    if name != written:
        from ricci.dsl.elaborate.values import Declared, Names

        scope = Names(check.names)
        found = check.names.find(name)
        if found is None:
            said = f"{len(statement.fields)} components and one condition"
            raise CheckFailed("E0301", said, equality.span, label="write one for each component")
        scope.table[written] = Declared("field", statement.span, found.get)
        reader = replace(reader, scope=scope)
    left, right = reader.value(equality.left), reader.value(equality.right)
    reader.same_unit(left.unit, right.unit, equality.right.span, "the two sides of this condition differ in unit")
    if left.rank != right.rank and not (right.unit is None and not right.rank):
        raise CheckFailed("E0206", "the two sides of this condition differ in rank", equality.right.span)
    _same_shape(left, right, equality.right.span)
    targets = [n for n, f in check.model.fields.items() if n == name or f.of == name]
    pairs = _pairs(left, right)
    if len(pairs) != len(targets):
        symbols = set(walk([t for pair in pairs for t in pair]))
        targets = [n for n in targets if check.model.fields[n].symbol in symbols]
        if len(targets) != len(pairs):
            said = f"a condition of the vector `{name}` is one for each component"
            raise CheckFailed("E0206", said, equality.span, label=f"this is one for {len(pairs)}")
    for target, (a, b) in zip(targets, pairs, strict=True):
        residual = build.sub(_real(a), _real(b))
        if check.coordinate(side[0]).periodic:
            said = f"`{side[0]}` is periodic: it has no side {side[0]}.{side[1]}"
            raise CheckFailed("E0105", said, statement.sides[0].span, label="no condition belongs here")
        if not any(t is check.model.fields[target].symbol for t in walk([residual])):
            raise CheckFailed("E0105", f"this condition says nothing about `{target}`", equality.span, label=f"`{target}` does not occur")
        check.model.conditions.append(Condition(target, side[0], side[1], residual, statement.span.text, rank, place))


def initial(check: Checker, statement: tree.Initial) -> None:
    """`initial u = ...` and `initial dt(u) = ...`."""
    target = statement.target
    name, order = target.name, 0
    if target.arguments and set(name.id.lstrip("d")) == {"t"} and isinstance(target.arguments[0], tree.Name):
        order, name = name.id.count("t"), target.arguments[0]
    check.need(name.id)
    fields = [n for n, f in check.model.fields.items() if n == name.id or f.of == name.id]
    if not fields:
        from ricci.dsl.spelling import nearest

        guess = nearest(name.id, list(check.model.fields))
        raise CheckFailed("E0101", f"there is no field `{name.id}`", name.span, label=f"did you mean `{guess}`?" if guess else "")
    family = frozenset(i.id for i in target.items if isinstance(i, tree.Name))
    f = check.model.fields[fields[0]]
    entity = check.reader().any(statement.value, family)
    if isinstance(entity, Loaded):
        check.model.initials += [Initial(n, order, entity.load, statement.span.text, target.span) for n in fields]
        return
    value = check.reader().value(statement.value, family)
    expected = f.unit.powers
    from ricci.dsl.units import over, raised

    expected_unit = over(expected, raised(check.time_powers, order)) if order else expected
    check.reader().same_unit(expected_unit, value.unit, statement.value.span, f"`{name.id}` and its initial value differ in unit")
    parts: tuple[Any, ...] = value.data if value.rank else (value.data,) * len(fields)
    if value.rank > 1 or len(parts) != len(fields):
        raise CheckFailed("E0206", f"the initial value of `{name.id}` has another rank", statement.value.span)
    for n, term in zip(fields, parts, strict=True):
        extra = [a for a in term.axes if a not in check.model.fields[n].symbol.axes]
        if extra:
            raise CheckFailed("E0201", f"`{n}` has no axis `{extra[0]}`", statement.value.span)
        if any(i.field == n and i.time_order == order for i in check.model.initials):
            raise CheckFailed("E0302", f"`{n}` has two initial values", target.span, label="the second one")
        check.model.initials.append(Initial(n, order, _real(term), statement.span.text, target.span))


def space_orders(residual: Term, symbol: Term) -> dict[str, int]:
    """Highest total order of derivative along each coordinate that is applied to a field, through nested derivatives."""
    best: dict[tuple[Term, str], int] = {}
    names: set[str] = set()
    contains: dict[Term, bool] = {}
    for term in walk([residual]):
        contains[term] = term is symbol or any(contains[a] for a in term.args)
        if not contains[term]:
            continue
        below: dict[str, int] = {}
        for a in term.args:
            for n in names:
                below[n] = max(below.get(n, 0), best.get((a, n), 0))
        if term.op == "partial" and term.attrs[0] != "t":
            coordinate, order = str(term.attrs[0]), int(term.attrs[1])
            names.add(coordinate)
            below[coordinate] = below.get(coordinate, 0) + order
        for n, order in below.items():
            best[term, n] = order
    return {n: best.get((residual, n), 0) for n in names}


def well_posed(check: Checker) -> None:
    """Counts of conditions (E0301, E0302) and initial values (E0301)."""
    model = check.model
    periodic = {c.name: c.periodic for d in model.domains.values() for c in d.coordinates}
    for name, f in model.fields.items():
        own = next((e for e in model.equations if e.determines == name), None)
        if own is None:
            continue
        needed: dict[str, int] = {}
        for e in model.equations:
            for coordinate, order in space_orders(e.residual, f.symbol).items():
                needed[coordinate] = max(needed.get(coordinate, 0), order)
        for coordinate, order in needed.items():
            if not periodic[coordinate]:
                _count(check, f, own, coordinate, order)
        _unused(check, f, own, needed)
        for order in range(own.time_order):
            if not any(i.field == name and i.time_order == order for i in model.initials):
                what = name if order == 0 else f"{'d' + 't' * order}({f.of or name})"
                said = f"`{f.of or name}` has no initial value" + (" of its time derivative" if order else "")
                check.diagnostics.add(
                    "E0305",
                    said,
                    f.span,
                    label=f"{'dt' if own.time_order == 1 else 'dtt'} of it is in line {own.span.line if own.span else '?'}",
                    help=f"initial {what if not f.of else what.replace(name, f.of)} = 0",
                )


def _unused(check: Checker, f: Field, own: Equation, needed: dict[str, int]) -> None:
    """E0105 for conditions along a coordinate without a derivative, and initial values of a derivative that is solved for."""
    shown = f.of or f.name
    for condition in check.model.conditions:
        if condition.field == f.name and not needed.get(condition.coordinate):
            said = f"this condition has no effect: no derivative of `{shown}` along `{condition.coordinate}` occurs"
            check.diagnostics.add("E0105", said, condition.span, label="nothing needs it")
    for given in check.model.initials:
        if given.field == f.name and own.time_order and given.time_order >= own.time_order:
            said = f"this initial value has no effect: the equation of `{shown}` is of order {own.time_order} in time"
            check.diagnostics.add("E0105", said, given.span, label="nothing needs it")


def _count(check: Checker, f: Field, own: Equation, coordinate: str, order: int) -> None:
    given = [c for c in check.model.conditions if c.field == f.name and c.coordinate == coordinate]
    sides = {end: [c for c in given if c.side == end] for end in ("lo", "hi")}
    shown = f.of or f.name
    if order == 1:
        if len(given) > 2:
            check.diagnostics.add("E0302", f"`{shown}` has {len(given)} conditions along `{coordinate}`, one is enough", given[2].span)
        elif not given and own.time_order:
            said = f"`{shown}` needs a condition where it flows in along `{coordinate}`, 0 are given"
            check.diagnostics.add(
                "E0301",
                said,
                f.span,
                label=f"its equation is first order in `{coordinate}`",
                help=f"boundary {shown} on {coordinate}.lo: {shown} = 0",
            )
        return
    each = order // 2
    for end, found in sides.items():
        if len(found) < each:
            total, have = 2 * each, len(given)
            span = given[0].span if given else f.span
            label = "the only one" if have == 1 else f"it is of order {order} in `{coordinate}`"
            said = f"`{shown}` needs {total} conditions along `{coordinate}`, {have} {'is' if have == 1 else 'are'} given"
            check.diagnostics.add("E0301", said, span, label=label, help=f"boundary {shown} on {coordinate}.{end}: dn({shown}) = 0")
            return
        if len(found) > each:
            said = f"`{shown}` has {len(found)} conditions on {coordinate}.{end}, it needs {each}"
            check.diagnostics.add("E0302", said, found[-1].span, label="one too many")
            return
