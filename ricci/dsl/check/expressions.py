"""Expressions: syntax to values, one function for each kind of node. Units and ranks are checked on the way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import inf
from typing import Any

from ricci.dsl import build, tree
from ricci.dsl.check import foreign, indices
from ricci.dsl.check.agreement import (
    agree_axes,
    agree_ranks,
    agree_units,
    demand_unit,
    describe,
    joined_labels,
    joined_shown,
    make,
    numeric,
    rank_word,
    rational,
    short,
    truth,
    with_zeros,
    words,
)
from ricci.dsl.check.applied import SOME_VALUE, applied, member
from ricci.dsl.check.context import Context, error, lookup_axis, settled
from ricci.dsl.check.indexing import index_value
from ricci.dsl.check.known import demand_inside, demand_moment, unknown_before
from ricci.dsl.check.scope import unknown
from ricci.dsl.check.undefined import refuse_power, refuse_product, refuse_sum, representable
from ricci.dsl.check.values import Axis, DataSet, Layered, Namespace, Procedure, Sided, Value, leaves, mapped, rank, shape
from ricci.dsl.model import Coordinate
from ricci.dsl.ops.const import nearest
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term, TermError, symbols
from ricci.dsl.types import Kind, Type
from ricci.dsl.units import NUMBER, Powers, multiply, points, raised
from ricci.errors import CheckFailed

COMPARISONS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}


def value_of(node: tree.Expr, context: Context) -> Value:
    """The quantity that an expression is; E0203 for anything else."""
    entity = entity_of(node, context)
    if isinstance(entity, Axis):
        entity = axis_number(entity, context)
    if not isinstance(entity, Value):
        raise error("E0203", f"`{short(node)}` is {describe(entity)}, a value is needed", node)
    return entity


def scalar_of(node: tree.Expr, context: Context) -> Value:
    """A quantity of rank 0; E0206 otherwise."""
    value = value_of(node, context)
    if value.rank:
        raise error("E0206", f"`{short(node)}` is a {rank_word(value.rank)}, a scalar is needed", node)
    return value


def number_of(node: tree.Expr, context: Context, what: str) -> Term:
    """A scalar without unit and without axes."""
    value = scalar_of(node, context)
    demand_unit(value, NUMBER, node, context, what)
    if value.axes:
        raise error("E0206", f"{what} is one number, `{short(node)}` varies along `{next(iter(value.axes))}`", node)
    return value.term


def entity_of(node: tree.Node, context: Context) -> Any:
    """What an expression is: a value, an index range, a layer, a module, ..."""
    try:
        return _READERS[type(node)](node, context)
    except ValueError as failure:  # Python refuses to print whole numbers of more digits than this
        if "digits" not in str(failure):
            raise
        raise error("E0203", f"`{short(node)}` has more than {sys.get_int_max_str_digits()} digits", node) from None


# ---------------------------------------------------------------------------------------------------------------------
# leaves


def _name(node: tree.Name, context: Context) -> Any:
    if context.recurrence is not None and node.id == context.recurrence.name:
        raise context.recurrence.bare(node)
    declaration = context.scope.find(node.id)
    if declaration is None:
        for name, axis in reversed(context.indices):
            if name == node.id:
                return axis
        if node.id.endswith("'"):
            axis_ = lookup_axis(context, node.id)
            if axis_ is not None:
                return axis_
        if node.id == "n":
            from ricci.dsl.check.calculus import outward

            return outward(node, context)
        raise _unknown_name(node, context)
    entity = declaration.resolve()
    if isinstance(entity, Sided):
        entity = _at_side(entity, node, context)
    return taken(entity, context) if isinstance(entity, Value) else entity


def _at_side(definition: Sided, node: tree.Name, context: Context) -> Value:
    """A definition with the outward normal in it, at the side at hand."""
    from ricci.dsl.check.sides import no_side

    if context.side is None:
        raise no_side(node.id, node, context)
    found: Value = definition.at(context.side)
    return found


def _unknown_name(node: tree.Name, context: Context) -> CheckFailed:
    if node.id in context.checker.operators:
        rule = context.checker.operators[node.id]
        return error("E0101", f"`{node.id}` is an operator and needs arguments", node, label=f"as in `{rule.signature}`")
    if node.id == "e":
        return error("E0101", "`e` is not declared", node, label="for 2.718... write exp(1)")
    if context.checker.lost_domains:  # it may be a coordinate
        settled(context, space=True)
    found = foreign.derivative(node.span)
    if found is not None and (declaration := context.scope.find(found[1])) is not None and declaration.word == "field":
        whole, _, written = found
        message = f"`{short(node)}` is not declared; derivatives are operators"
        return error("E0101", message, node, f"write {written}", edits=((whole, written),))
    if node.id in foreign.VALUES:
        written = foreign.VALUES[node.id]
        return error("E0101", f"`{node.id}` is not declared", node, f"write {written}", edits=((node.span, written),))
    return unknown(node.id, node.span, context.scope.names())


def taken(value: Value, context: Context) -> Value:
    """Inside a recurrence a value with the axis of the recurrence is read at the current step."""
    if context.recurrence is None:
        return value
    return replace(value, data=mapped(context.recurrence.take, value.data), order=None)


def axis_number(axis: Axis, context: Context) -> Value:
    """An index used as a number: the coordinate, or the value of the index."""
    if axis.coordinate:
        term = build.symbol(axis.name.rstrip("'"), Type(Kind.REAL, {axis.name.rstrip("'"): axis.size}))
        if axis.name.endswith("'"):
            term = build.rename(term, {axis.name.rstrip("'"): axis.name})
    else:
        term = build.iota(axis.name, axis.size)
    return taken(Value(term, axis.unit, (axis.name,)), context)


def _number(node: tree.Number, context: Context) -> Value:
    units = context.checker.units
    unit = units.resolve(node.unit) if node.unit is not None else None
    exact = Fraction(units.si(node))
    if exact and nearest(exact) == 0:
        raise error("E0203", f"`{node.text}` is beyond double precision", node, label="the smallest number is 4.9e-324")
    integral = unit is None and node.text.isdigit()
    term = build.const(int(exact)) if integral else build.const(exact, Kind.REAL)
    if node.imaginary:
        term = build.scale(exact, build.im())
    powers: Powers | None = unit.powers if unit is not None else NUMBER
    if exact == 0 and unit is None:
        powers = None
    return Value(term, powers, (), shown=unit, points=Fraction(1) if unit is not None and unit.offset else Fraction(0))


def _tuple(node: tree.Tuple, context: Context) -> Value:
    parts = [numeric(value_of(item, context), item) for item in node.items]
    unit = agree_units(parts, node.items, context, "components")
    first = parts[0]
    if any(shape(p.data) != shape(first.data) for p in parts):
        raise error("E0206", "components have different ranks", node)
    return Value(tuple(p.data for p in parts), unit, None, labels_for(len(parts), context), shown=first.shown)


def labels_for(count: int, context: Context) -> tuple[str, ...]:
    """Names of components: the coordinates of the domain that has as many."""
    domains = ([context.domain] if context.domain else []) + list(context.checker.model.domains.values())
    for domain in domains:
        if len(domain.coordinates) == count:
            return tuple(c.name for c in domain.coordinates)
    return ()


def _not_a_value(node: tree.Node, context: Context) -> Any:
    raise error("E0203", f"`{short(node)}` has no meaning here", node)


def _string(node: tree.String, context: Context) -> Any:
    from ricci.dsl.check.values import Text

    return Text(node.value)


# ---------------------------------------------------------------------------------------------------------------------
# arithmetic


def _sum(node: tree.Sum, context: Context) -> Value:
    values = [numeric(value_of(o, context), o) for o in node.operands]
    return total([s for s, _ in node.signed], values, node.operands, context, node)


def total(signs: Sequence[int], values: Sequence[Value], nodes: Sequence[tree.Expr], context: Context, whole: tree.Node) -> Value:
    """Sum with signs."""
    unit = agree_units(values, nodes, context, "terms of a sum")
    values = with_zeros(values)
    agree_ranks(values, nodes, "terms of a sum")
    agree_axes(values, nodes, context)
    scalars = [(sign, v.term, node) for sign, v, node in zip(signs, values, nodes, strict=True) if not v.rank]
    refuse_sum(scalars, context)
    data = mapped(lambda *terms: build.linear(list(zip(signs, terms, strict=True))), *[v.data for v in values])
    data = mapped(lambda t: representable(t, whole), data)
    coefficients = [s * v.points for s, v in zip(signs, values, strict=True)]
    point = Fraction(0)
    if any(coefficients):
        whole_point = points([c for c in coefficients if c])
        if whole_point is None:
            raise error(
                "E0404",
                "temperatures on a scale with an offset cannot be added",
                whole,
                label="their difference is in K",
            )
        point = Fraction(int(whole_point))
    shown = joined_shown(values)
    if shown is not None and shown.offset and not point:  # a difference of places on a scale is none
        shown = None
    return Value(data, unit, None, joined_labels(values), shown=shown, points=point)


def _product(node: tree.Product, context: Context) -> Value:
    factors = indices.flatten(node)
    bound = context.sums.get(node, ())
    inner = context.binding(*bound) if bound else context
    values = [numeric(value_of(f, inner), f) for _, f in factors]
    return product(factors, values, bound, inner, node)


def product(
    factors: Sequence[tuple[int, tree.Expr]], values: Sequence[Value], bound: Sequence[str], context: Context, node: tree.Node
) -> Value:
    """Product of scalars and at most one vector, summed over the bound indices."""
    nodes = [f for _, f in factors]
    agree_axes(values, nodes, context)
    vectors = [i for i, v in enumerate(values) if v.rank]
    for i in vectors:
        if factors[i][0] < 0:
            raise error("E0206", f"division by the {rank_word(values[i].rank)} `{short(nodes[i])}`", nodes[i])
    if len(vectors) > 1:
        raise error("E0206", "a product of two vectors", nodes[vectors[1]], label="write dot(a, b) or outer(a, b)")
    unit = multiply(*[raised(v.unit, e) for (e, _), v in zip(factors, values, strict=True)])
    for value, factor in zip(values, nodes, strict=True):
        if value.points:
            raise error("E0404", "a temperature on a scale with an offset stands in a product", factor, label="differences are in K")
    axes = {name: size for v in values for name, size in v.axes.items()}
    sizes = {name: axes[name] for name in bound}
    scalars = [i for i, v in enumerate(values) if not v.rank]
    refuse_product([factors[i][0] for i in scalars], [values[i].term for i in scalars], [nodes[i] for i in scalars], context)

    def multiplied(vector: Term | None) -> Term:
        parts: list[tuple[Term, dict[str, str]]] = []
        for i, ((exponent, factor), value) in enumerate(zip(factors, values, strict=True)):
            term = vector if i in vectors and vector is not None else value.term
            parts.append((make("recip", factor, term) if exponent < 0 else term, {}))
        return build.contract(parts, sizes)

    data = mapped(multiplied, values[vectors[0]].data) if vectors else multiplied(None)
    data = mapped(lambda t: representable(t, node), data)
    shown = (
        values[0].shown
        if sum(v.shown is not None for v in values) == 1 and all(v.unit in (NUMBER, None) or v.shown for v in values)
        else None
    )
    labels = values[vectors[0]].labels if vectors else ()
    return Value(data, unit, None, labels, shown=shown)


def _unary(node: tree.Unary, context: Context) -> Value:
    value = value_of(node.operand, context)
    if node.operator == "not":
        return Value(make("not", node.operand, truth(value, node.operand)), NUMBER, value.order)
    numeric(value, node.operand)
    if node.operator == "+":
        return value
    if value.points and isinstance(node.operand, tree.Number):  # `-5 [degC]` is a place on the scale
        return _number(replace(node.operand, value=-node.operand.value), context)
    if value.points:
        raise error("E0404", "a temperature on a scale with an offset has no negative", node, label="differences are in K")
    return replace(value, data=mapped(build.neg, value.data), edge="")


def _power(node: tree.Power, context: Context) -> Value:
    base = numeric(value_of(node.base, context), node.base)
    exponent = numeric(scalar_of(node.exponent, context), node.exponent)
    if base.rank:
        raise error("E0206", f"a power of the {rank_word(base.rank)} `{short(node.base)}`", node, label="write dot(u, u) for its square")
    if exponent.unit not in (NUMBER, None):
        raise error("E0403", "an exponent has no unit", node.exponent, label=f"this is {words(exponent.unit, context)}")
    agree_axes([base, exponent], [node.base, node.exponent], context)
    number = rational(exponent.term)
    refuse_power(base.term, number, node, context)
    if base.points:
        raise error("E0404", "a temperature on a scale with an offset stands in a power", node.base, label="differences are in K")
    if base.unit and number is None:
        raise error(
            "E0403",
            f"`{short(node.base)}` has the unit {words(base.unit, context)}: its exponent must be a rational number",
            node.exponent,
            label="not known before the run",
        )
    unit = base.unit if number is None else raised(base.unit, number)
    return Value(representable(power(base.term, exponent.term, node), node), unit, base.order if not exponent.axes else None)


def power(base: Term, exponent: Term, node: tree.Node) -> Term:
    """base^exponent; halves are roots, negative whole exponents reciprocals."""
    number = rational(exponent)
    try:
        if number is None:
            return build.power(base, exponent)
        if number.denominator == 2 and abs(number) < 3 and base.kind <= Kind.REAL:
            root = build.apply("sqrt", base)
            odd = build.power(root, abs(number).numerator)
            return odd if number > 0 else build.apply("recip", odd)
        if number.denominator == 1 and number < 0:
            return build.apply("recip", build.power(base, -number))
        return build.power(base, number)
    except TermError as failure:
        raise error("E0203", f"`{short(node)}`: {failure}", node) from None


# ---------------------------------------------------------------------------------------------------------------------
# truth


def _compare(node: tree.Compare, context: Context) -> Value:
    values = [scalar_of(o, context) for o in node.operands]
    parts = []
    for i, operator in enumerate(node.operators):
        pair, nodes = values[i : i + 2], node.operands[i : i + 2]
        parts.append(compared(operator, pair, nodes, context))
    term = parts[0]
    for part in parts[1:]:
        term = build.apply("and", term, part)
    return Value(term, NUMBER, None)


def compared(operator: str, pair: Sequence[Value], nodes: Sequence[tree.Expr], context: Context) -> Term:
    """`a < b` as a term; `a ~ b` means equal to ten times the tolerance of the run."""
    agree_units(pair, nodes, context, "the two sides of a comparison")
    agree_axes(pair, nodes, context)
    left, right = pair[0].term, pair[1].term
    if operator in ("~", "~="):
        numeric(pair[0], nodes[0])
        numeric(pair[1], nodes[1])
        difference = build.apply("abs", build.sub(left, right))
        size = build.apply("max2", build.apply("abs", left), build.apply("abs", right))
        close = build.apply("le", difference, build.scale(10 * context.checker.tolerance, size))
        return close if operator == "~" else build.apply("not", close)
    return make(COMPARISONS[operator], nodes[1], left, right)


def _logic(node: tree.Logic, context: Context) -> Value:
    values = [value_of(o, context) for o in node.operands]
    agree_axes(values, node.operands, context)
    term = truth(values[0], node.operands[0])
    for value, operand in zip(values[1:], node.operands[1:], strict=True):
        term = build.apply(node.operator, term, truth(value, operand))
    return Value(term, NUMBER, None)


def _cond(node: tree.Cond, context: Context) -> Value:
    condition = value_of(node.condition, context)
    test = truth(condition, node.condition)
    guarded = replace(context, guarded=True)
    branches = [value_of(node.yes, guarded), value_of(node.no, guarded)]
    unit = agree_units(branches, [node.yes, node.no], context, "the two cases of `if`")
    branches = with_zeros(branches)
    agree_ranks(branches, [node.yes, node.no], "the two cases of `if`")
    agree_axes([condition, *branches], [node.condition, node.yes, node.no], context)
    if (branches[0].kind == Kind.BOOL) != (branches[1].kind == Kind.BOOL):
        raise error("E0203", "one case of `if` is a number, the other is true or false", node.no)
    data = mapped(lambda a, b: build.where(test, a, b), branches[0].data, branches[1].data)
    return Value(data, unit, None, joined_labels(branches), shown=joined_shown(branches), points=max(b.points for b in branches))


# ---------------------------------------------------------------------------------------------------------------------
# members and calls


def _attr(node: tree.Attr, context: Context) -> Any:
    if isinstance(node.base, tree.Name):
        axis = lookup_axis(context, node.base.id)
        if axis is not None:
            return _of_axis(node, axis, context)
    owner = entity_of(node.base, context)
    if isinstance(owner, Namespace):
        found = member(owner, node.name)
        if isinstance(found, Value) and any(":" in name_of(s) for leaf in leaves(found.data) for s in symbols([leaf])):
            context.lacking(f"`{short(node)}` here: what a {owner.word} gives", node.span)
        return taken(found, context) if isinstance(found, Value) else found
    if isinstance(owner, DataSet):
        return _of_data(node, owner, context)
    if isinstance(owner, Value):
        return component(owner, node)
    raise error("E0101", f"{describe(owner)} has no `{node.name.id}`", node.name)


def _of_axis(node: tree.Attr, axis: Axis, context: Context) -> Value:
    name = node.name.id
    if name == "size":
        return Value(build.size_term(axis.size), NUMBER, ())
    if axis.coordinate and name in ("lo", "hi"):
        for domain in context.checker.model.domains.values():
            for c in domain.coordinates:
                if c.name == axis.name:
                    return Value(c.lo if name == "lo" else c.hi, axis.unit, ())
    known = ("size", "lo", "hi") if axis.coordinate else ("size",)
    raise error("E0101", f"`{axis.name}` has no `{name}`", node.name, label=f"it has {', '.join(known)}")


def component(value: Value, node: tree.Attr) -> Value:
    """`u.x`."""
    name = node.name.id
    if not value.rank:
        raise error("E0206", f"`{short(node.base)}` is a scalar and has no component `{name}`", node.name)
    if name not in value.labels:
        from ricci.dsl.spelling import nearest

        guess = nearest(name, value.labels)
        label = f"did you mean `{guess}`?" if guess else f"it has {', '.join(value.labels)}"
        raise error("E0101", f"`{short(node.base)}` has no component `{name}`", node.name, label=label)
    data = value.data[value.labels.index(name)]
    return replace(value, data=data, labels=value.labels if rank(data) else ())


def _of_data(node: tree.Attr, data: DataSet, context: Context) -> Value:
    orders = dict(data.members)
    if node.name.id not in orders:
        raise error("E0101", f"`{data.name}` has no `{node.name.id}`", node.name, label=f"it has {', '.join(orders)}")
    order = orders[node.name.id]
    sizes = dict(data.sizes)
    context.lacking(f"the data set `{data.name}`", node.span)
    term = context.checker.placeholder(f"{data.name}.{node.name.id}", Kind.REAL, {a: sizes[a] for a in order})
    return Value(term, NUMBER, order)


def _call(node: tree.Call, context: Context) -> Any:
    call = applied(node, context)
    if call.rule is not None:
        from ricci.dsl.check.operators import checked

        result = checked(call, context)
        return context.checker.mark(result, node.span) if isinstance(result, Value) else result
    if isinstance(call.entity, Procedure):
        return _procedure(node, call.entity, context)
    if isinstance(call.entity, Layered):
        from ricci.dsl.check.layers import apply_layer

        return apply_layer(node, call.entity, context)
    if call.entity is SOME_VALUE or isinstance(call.entity, Value):
        from ricci.dsl.check.sides import side_of_point

        value = value_of(node.function, replace(context, side=side_of_point(node, context)))
        return evaluated(value, node, context)
    raise error("E0203", f"`{short(node.function)}` is {describe(call.entity)} and takes no arguments", node.function)


def evaluated(value: Value, node: tree.Call, context: Context) -> Value:
    """`u(x=0.5, t=1)`: the value at a point and an instant."""
    coordinates = {name for name in value.axes if indices.is_coordinate(name, context)}
    if node.positional or not node.keywords:
        given = node.positional[0] if node.positional else node
        known = ", ".join(f"{n}=..." for n in (*sorted(coordinates), "t"))
        raise error("E0104", f"`{short(node.function)}` is a value: name the coordinate", given, label=f"as in ({known})")
    point: dict[str, Term] = {}
    for keyword in node.keywords:
        name = keyword.name.id
        if name != "t" and name not in coordinates:
            from ricci.dsl.spelling import nearest

            guess = nearest(name, [*coordinates, "t"])
            has = ", ".join([*sorted(coordinates), "t"])
            raise error(
                "E0104",
                f"`{short(node.function)}` does not vary along `{name}`",
                keyword.name,
                label=f"did you mean `{guess}`?" if guess else f"it varies along {has}",
            )
        place = scalar_of(keyword.value, context)
        axis = lookup_axis(context, name)
        demand_unit(place, axis.unit if axis and name != "t" else context.checker.time_unit, keyword.value, context, f"`{name}`")
        if name in point:
            raise error("E0102", f"`{name}` is given twice", keyword.name)
        if name == "t":
            _instant(place, keyword, node, context)
        elif axis is not None:
            demand_inside(place, keyword, _coordinate(name, context), context)
        point[name] = build.cast(place.term, Kind.REAL)
    data = mapped(lambda t: build.at(t, point), value.data)
    order = tuple(n for n in value.order if n not in point) if value.order else None
    return replace(value, data=data, order=order, edge="")


def _coordinate(name: str, context: Context) -> Coordinate:
    return next(c for d in context.checker.model.domains.values() for c in d.coordinates if c.name == name)


def _instant(value: Value, keyword: tree.Keyword, node: tree.Call, context: Context) -> None:
    """An instant of the run; one that moves with the run (a delay) cannot be computed yet."""
    if unknown_before(value.term, context):
        context.lacking("a value at a time that changes during the run", node.span)
    else:
        demand_moment(value, keyword.value, context)


def _procedure(node: tree.Call, procedure: Procedure, context: Context) -> Any:
    from ricci.dsl.check.scope import Scope

    if node.keywords:
        raise error("E0104", f"`{procedure.name}` takes its arguments by place", node.keywords[0].name)
    if len(node.positional) != len(procedure.parameters):
        signature = f"{procedure.name}({', '.join(procedure.parameters)})"
        raise error("E0104", f"`{signature}` got {len(node.positional)} arguments", node, label=f"it takes {len(procedure.parameters)}")
    if any(p is procedure for p in context.procedures):
        raise error("E0106", f"`{procedure.name}` calls itself", node, label="needs its own value")
    if sum(p.levels for p in context.procedures) + procedure.levels > tree.DEEPEST_CALLS:
        raise error("E0004", f"functions call each other more than {tree.DEEPEST_CALLS} levels deep", node, label="give parts a `let`")
    scope = Scope(procedure.scope)
    for name, argument in zip(procedure.parameters, node.positional, strict=True):
        entity = entity_of(argument, context)
        scope.define(name, "parameter", argument.span, axis_number(entity, context) if isinstance(entity, Axis) else entity)
    inner = context.calling(procedure, scope)
    indices.plan(procedure.body, inner, lambda index, where: None, coordinates=False)
    return entity_of(procedure.body, inner)


def infinity() -> Value:
    return Value(build.const(inf), None, ())


_READERS: dict[type, Callable[[Any, Context], Any]] = {
    tree.Name: _name,
    tree.Number: _number,
    tree.String: _string,
    tree.Tuple: _tuple,
    tree.List: _not_a_value,
    tree.Range: _not_a_value,
    tree.Unary: _unary,
    tree.Sum: _sum,
    tree.Product: _product,
    tree.Power: _power,
    tree.Compare: _compare,
    tree.Logic: _logic,
    tree.Cond: _cond,
    tree.Attr: _attr,
    tree.Call: _call,
    tree.Index: index_value,
}

__all__ = ["entity_of", "leaves", "number_of", "scalar_of", "value_of"]
