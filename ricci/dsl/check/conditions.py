"""Boundary and initial conditions: read, and counted by name against what the equations need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ricci.dsl import build, tree
from ricci.dsl.check import indices
from ricci.dsl.check.agreement import article, demand_unit, describe, is_zero, numeric, rank_word, short, zeros
from ricci.dsl.check.context import Context, Side, error
from ricci.dsl.check.declarations import Declarer
from ricci.dsl.check.definitions import refuse_lone, refuse_missing
from ricci.dsl.check.equations import Formulas, present, real, short_name, space_orders, two_sides
from ricci.dsl.check.expressions import entity_of, scalar_of, value_of
from ricci.dsl.check.sides import sides_of
from ricci.dsl.check.special import one_array
from ricci.dsl.check.values import Loaded, Value, leaves, paths, shape
from ricci.dsl.model import Condition, Equation, Event, Initial
from ricci.dsl.names import renamed
from ricci.dsl.spelling import nearest
from ricci.dsl.term import Term
from ricci.dsl.types import Kind
from ricci.dsl.units import over, raised
from ricci.errors import CheckFailed

FLIPPED = {">": 1, ">=": 1, "<": -1, "<=": -1}


@dataclass(frozen=True, eq=False)
class Placed:
    """A condition with the place in the text where its side is named."""

    condition: Condition
    side: tree.Node


def field_named(dotted: tree.Dotted, declarer: Declarer) -> Value:
    """The field (or component) that a condition is about."""
    context = declarer.context()
    declaration = context.scope.find(dotted.names[0].id)
    if declaration is None or declaration.word != "field":
        guess = nearest(dotted.names[0].id, [d.name for d in context.scope.all() if d.word == "field"])
        what = (
            f"`{dotted.text}` is {article(declaration.word)} {declaration.word}, a condition is about a field"
            if declaration
            else f"there is no field `{dotted.text}`"
        )
        raise error("E0101" if declaration is None else "E0203", what, dotted, label=f"did you mean `{guess}`?" if guess else "")
    node: tree.Expr = dotted.names[0]
    for name in dotted.names[1:]:
        node = tree.Attr(node, name, span=dotted.span)
    return value_of(node, context)


# ---------------------------------------------------------------------------------------------------------------------
# boundary


def read_boundary(statement: tree.Boundary, rank: int, declarer: Declarer, formulas: Formulas | None) -> list[Placed]:
    """One condition for each field, side and component. `formulas`: None where the equations are wrong."""
    sides = [(side, dotted) for dotted in statement.sides for side in sides_of(dotted.names, dotted, declarer.context(statement))]
    fields = [field_named(d, declarer) for d in statement.fields]
    count = len(statement.equations)
    if count not in (1, len(fields)):
        raise error(
            "E0302" if count > len(fields) else "E0301",
            f"{len(fields)} field{'s' if len(fields) > 1 else ''} and {count} equations",
            statement.equations[-1],
            label="one for each field, or one for all of them",
        )
    out = []
    for k, (value, dotted) in enumerate(zip(fields, statement.fields, strict=True)):
        equality = statement.equations[k if count > 1 else 0]
        if count == 1 and k > 0:  # written for the first field
            equality = replace(
                equality,
                left=renamed(equality.left, statement.fields[0], dotted),
                right=renamed(equality.right, statement.fields[0], dotted),
            )
        for side, named in sides:
            _side_exists(side, named, dotted, value, declarer)
            context = replace(declarer.context(statement), side=side)
            out += _read_condition(statement, equality, dotted, value, side, named, rank, formulas, context)
    return out


def _side_exists(side: Side, named: tree.Node, dotted: tree.Dotted, value: Value, declarer: Declarer) -> None:
    """E0105 for a side of a periodic coordinate, or of one that the field has not."""
    if not side.coordinate:
        return
    c = next(c for d in declarer.model.domains.values() for c in d.coordinates if c.name == side.coordinate)
    if c.periodic:
        where = f" (line {c.span.line})" if c.span else ""
        raise error("E0105", f"`{side.coordinate}` is periodic and has no sides", named, label=f"no condition belongs here{where}")
    if side.coordinate not in value.axes:
        raise error("E0105", f"`{dotted.text}` does not vary along `{side.coordinate}`", named, label="no condition belongs here")


def _read_condition(
    statement: tree.Boundary,
    equality: tree.Equality,
    dotted: tree.Dotted,
    value: Value,
    side: Side,
    named: tree.Node,
    rank: int,
    formulas: Formulas | None,
    context: Context,
) -> list[Placed]:
    nodes = (equality.left, equality.right)
    family: set[str] = set()
    for node in nodes:
        indices.plan(node, replace(context, sums={}), lambda index, where: family.add(index), coordinates=False)
    inner = replace(context, free=frozenset(family))
    for node in nodes:
        indices.plan(node, inner, refuse_lone, coordinates=False)
    left, right = (numeric(value_of(node, inner), node) for node in nodes)
    pairs = two_sides(left, right, statement, nodes, inner, "this condition")
    checker = context.checker
    fields = checker.model.fields
    own = [name for name, f in fields.items() if f.symbol in leaves(value.data)]
    text = " ".join(statement.span.text.split())
    out: list[Placed] = []
    written = [present(residual, fields) for _, residual in pairs]
    if formulas is not None:
        pairs = [(path, formulas.resolved(residual)) for path, residual in pairs]
    says_something = [names | present(residual, fields) for names, (_, residual) in zip(written, pairs, strict=True)]
    for (path, residual), found in zip(pairs, says_something, strict=True):
        if any(p.condition.residual is residual for p in out):  # the other half of a symmetric tensor
            continue
        if residual is build.zero(residual.type) and any(says_something):  # 0 = 0: u - dot(u, n)*n along n
            continue
        if formulas is None:
            continue
        target = _target(path, found, own, side, statement, dotted, equality)
        if target in formulas.equations:
            target = _carrier(target, residual, side, formulas.equations[target], equality, context)
        condition = Condition(target, side.coordinate, side.end, residual, text, rank, statement.span)
        out.append(Placed(condition, named))
        checker.spans.setdefault(residual, set()).add(statement.span)
        if not side.coordinate:
            checker.lacking(f"a condition on the surface `{side.end}`", statement.span)
    return out


def _target(
    path: tuple[str, ...],
    found: set[str],
    own: Sequence[str],
    side: Side,
    statement: tree.Boundary,
    dotted: tree.Dotted,
    equality: tree.Equality,
) -> str:
    """Which component a condition with the fields `found` is about; a scalar condition of a vector must name one component only."""
    full = ".".join((dotted.text, *path))
    if full in own and full in found:
        return full
    named = [n for n in own if n in found]
    if not named:
        raise error("E0105", f"this condition says nothing about `{dotted.text}`", equality, label=f"`{dotted.text}` does not occur in it")
    if len(named) > 1 and side.coordinate:
        raise error(
            "E0206",
            f"one condition for {len(named)} components of `{dotted.text}`",
            equality,
            label=f"a condition is about one: {', '.join(named)}",
            help=_for_one_component(statement, named[0]) if len(statement.fields) == 1 else "",
        )
    return named[0]


def _carrier(name: str, residual: Term, side: Side, equation: Equation, equality: tree.Equality, context: Context) -> str:
    """The unknown that a condition of a formula is about: the one that is differentiated most along the normal."""
    fields = context.checker.model.fields
    found = {n: space_orders(residual, fields[n].symbol).get(side.coordinate, 0) for n in fields if n in present(residual, fields)}
    if not found:
        line = equation.span.line if equation.span else "?"
        label = f"`{equation.text}` (line {line}) gives it without any unknown"
        raise error("E0105", f"`{name}` takes no condition", equality, label=label)
    return max(found, key=lambda n: found[n])


def _for_one_component(statement: tree.Boundary, component: str) -> str:
    """The statement as one about this component."""
    sides = ", ".join(s.text for s in statement.sides)
    left, right = (" ".join(side.span.text.split()) for side in (statement.equations[0].left, statement.equations[0].right))
    return f"boundary {component} on {sides}: {left} = {right}"


# ---------------------------------------------------------------------------------------------------------------------
# initial values and events


def read_initial(statement: tree.Initial, declarer: Declarer) -> list[tuple[Initial, tree.Node]]:
    """`initial u = ...`, `initial dt(u) = ...`, of a vector one for each component."""
    target = statement.target
    context = declarer.context(statement)
    name, order = target.name, 0
    if target.arguments:
        inner = target.arguments[0]
        if name.id.lstrip("d").strip("t") or not isinstance(inner, tree.Name) or len(target.arguments) > 1:
            raise _no_start(target, declarer)
        name, order = inner, name.id.count("t")
    field = field_named(tree.Dotted((name,), span=name.span), declarer)
    family = set(declarer.indices_of(target.items, context)) if target.items else set(field.order[: field.family] if field.order else ())
    draws = tuple((n, field.axes[n]) for n in (field.order or tuple(field.axes)))
    inner_context = replace(context, free=frozenset(family), draws=draws)
    indices.plan(statement.value, inner_context, refuse_lone, coordinates=False)
    own = [n for n, f in context.checker.model.fields.items() if f.symbol in leaves(field.data)]
    text = " ".join(statement.span.text.split())
    entity = entity_of(statement.value, inner_context)
    if isinstance(entity, Loaded):
        return [(Initial(n, order, one_array(entity, context), text, statement.span), target) for n in own]
    value = value_of(statement.value, inner_context) if not isinstance(entity, Value) else entity
    value = numeric(value, statement.value)
    refuse_missing(target.items, value)
    unit = over(field.unit, raised(context.checker.time_unit, order))
    demand_unit(value, unit, statement.value, context, f"`{short(target)}`")
    if field.rank and is_zero(value):
        value = replace(value, data=zeros(field.data))
    if shape(value.data) != shape(field.data):
        mine, other = (f"a {rank_word(v.rank)}" if v.rank < 2 or value.rank != field.rank else "another size" for v in (value, field))
        raise error(
            "E0206",
            f"`{name.id}` is {other}, its initial value {mine}",
            statement.value,
            label="(0, 0) is the zero of a vector in 2-D" if field.rank else "",
        )
    extra = [a for a in value.axes if a not in field.axes]
    if extra:
        raise error("E0201", f"the initial value varies along `{extra[0]}`, `{name.id}` does not", statement.value)
    out: list[tuple[Initial, tree.Node]] = []
    known = dict(paths(field.data, field.labels))
    for path, term in paths(value.data, field.labels):
        symbol = known[path]
        component = next(n for n in own if context.checker.model.fields[n].symbol is symbol)
        start = Initial(component, order, real(term), text, statement.span)
        if all(known_start != start for known_start, _ in out):  # the other half of a symmetric tensor says the same
            out.append((start, target))
    return out


def _no_start(target: tree.Target, declarer: Declarer) -> CheckFailed:
    """E0203 for `initial T(x, 0) = ...`: what starts is a field, everywhere, or its time derivative."""
    declaration = declarer.scope.find(target.name.id)
    if declaration is not None and declaration.word == "field":
        message = f"`initial` is about the start and all places: it takes `{target.name.id}`, not `{short(target)}`"
        return error("E0203", message, target, label="no time and no place here", edits=((target.span, target.name.id),))
    return error("E0203", f"`initial` takes a field or its time derivative, not `{short(target)}`", target, label="as in dt(u)")


def read_event(statement: tree.Event, declarer: Declarer, formulas: Formulas | None) -> Event:
    """`event when a > b: u = value`: the margin is what changes its sign."""
    context = declarer.context(statement)
    condition = statement.condition
    if isinstance(condition, (tree.Logic, tree.Unary)):
        context.checker.lacking("an event with more than one comparison", statement.span)
        compared = next((n for n in tree.walk(condition) if isinstance(n, tree.Compare)), None)
        condition = compared if compared is not None else condition
    if not isinstance(condition, tree.Compare) or len(condition.operators) != 1 or condition.operators[0] not in FLIPPED:
        raise error("E0203", "an event happens when a comparison becomes true", statement.condition, label="as in t > 30 or u < 0.1")
    truth_value = scalar_of(condition, context).term
    a, b = (scalar_of(o, context) for o in condition.operands)
    sign = FLIPPED[condition.operators[0]]
    margin = real(build.linear([(sign, a.term), (-sign, b.term)]))
    if margin.axes:
        axis = next(iter(margin.axes))
        raise error("E0206", "an event happens at one instant", condition, label=f"this varies along `{axis}`: write max(...) or any(...)")
    target = statement.target
    if target.arguments:
        raise error("E0203", f"`{short(target)}` cannot be set", target, label="an event sets a field")
    field = field_named(tree.Dotted((target.name,), span=target.name.span), declarer)
    names = {f.symbol: n for n, f in context.checker.model.fields.items()}
    given = next((formulas.equations[names[s]] for s in leaves(field.data) if formulas and names[s] in formulas.equations), None)
    if given is not None:
        line = given.span.line if given.span else "?"
        raise error(
            "E0203", f"`{target.name.id}` cannot be set", target, label=f"`{given.text}` (line {line}) gives it: set what it is made of"
        )
    family = set(declarer.indices_of(target.items, context)) if target.items else set(field.order[: field.family] if field.order else ())
    inner = replace(context, free=frozenset(family))
    indices.plan(statement.value, inner, refuse_lone, coordinates=False)
    value = numeric(value_of(statement.value, inner), statement.value)
    refuse_missing(target.items, value)
    demand_unit(value, field.unit, statement.value, context, f"`{target.name.id}`")
    if shape(value.data) != shape(field.data):
        raise error("E0206", f"`{target.name.id}` is a {rank_word(field.rank)}, its new value a {rank_word(value.rank)}", statement.value)
    extra = [a for a in value.axes if a not in field.axes]
    if extra:
        raise error("E0202", f"the new value varies along `{extra[0]}`, `{target.name.id}` does not", statement.value)
    assignments = tuple((names[s], real(t)) for s, t in zip(leaves(field.data), leaves(value.data), strict=True))
    return Event(truth_value, margin, assignments, " ".join(statement.span.text.split()), statement.span)


__all__ = ["Kind", "Placed", "describe", "read_boundary", "read_event", "read_initial", "short_name", "sides_of"]
