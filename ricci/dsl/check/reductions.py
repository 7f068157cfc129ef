"""Operators that remove, keep or add named axes: sums, means, extrema, softmax, repeat, edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from ricci.dsl import build, tree
from ricci.dsl.check import indices
from ricci.dsl.check.agreement import agree_axes, agree_units, numeric, short, truth
from ricci.dsl.check.applied import Applied
from ricci.dsl.check.calculus import measure
from ricci.dsl.check.context import Context, error, lookup_axis
from ricci.dsl.check.expressions import scalar_of, value_of
from ricci.dsl.check.indexing import as_index
from ricci.dsl.check.values import Axis, Value, mapped
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind
from ricci.dsl.units import NUMBER, multiply, raised

SERIES = "t"


def removed_axes(call: Applied, context: Context) -> tuple[Context, list[str]]:
    """Surroundings of the argument, and the names in the brackets; ranges `j in 0..n` get an axis of their own."""
    names: list[str] = []
    extra = list(context.indices)
    for item in call.items:
        if isinstance(item, tree.RangeItem):
            extra.append((item.name.id, _range_axis(item, context)))
            names.append(item.name.id)
        elif isinstance(item, tree.Name):
            if item.id != SERIES:
                indices.axis_of(item, context)
            names.append(item.id)
        else:
            raise error(
                "E0203", f"`{call.name}` takes indices in brackets", item, label=f"as in {call.rule.signature if call.rule else call.name}"
            )
    for name in names:
        if names.count(name) > 1:
            raise error("E0210", f"the index `{name}` is named twice", call.node)
    recurrence = context.recurrence
    if recurrence is not None and recurrence.axis in names:
        recurrence = None
    return replace(context.binding(*names), indices=tuple(extra), recurrence=recurrence), names


def _range_axis(item: tree.RangeItem, context: Context) -> Axis:
    ends = []
    for end in (item.lo, item.hi):
        index = as_index(sizes_for_names(end), context)
        if index is None or index.axes:
            raise error("E0203", f"`{short(end)}` is no whole number", end)
        ends.append(index.constant)
    lo, hi = ends
    if lo.constant != 0:
        raise error("E0203", "a range of an index starts at 0", item.lo, label="shift the index instead, as in A[j+1]")
    if hi.constant is not None and hi.constant < 0:
        raise error("E0203", f"the range of `{item.name.id}` ends at {hi.constant}", item.hi, label="at least 0")
    return Axis(item.name.id, hi, item.span)


def sizes_for_names(node: tree.Expr) -> tree.Expr:
    """In a range a dim stands for its size: `0..site-1`."""
    if isinstance(node, tree.Name):
        return tree.Attr(node, tree.Name("size", span=node.span), span=node.span)
    if isinstance(node, tree.Sum):
        return tree.Sum(tuple(sizes_for_names(o) for o in node.operands), node.operators, span=node.span)
    if isinstance(node, tree.Product):
        return tree.Product(tuple(sizes_for_names(o) for o in node.operands), node.operators, span=node.span)
    return node


def _taken(call: Applied, value: Value, names: list[str], context: Context) -> list[Axis]:
    """The axes that go: those in brackets, or all."""
    if not call.items:
        return [_axis(n, value, context) for n in value.axes]
    out = []
    for name in names:
        if name == SERIES and name not in value.axes:
            continue
        if name not in value.axes:
            axis = lookup_axis(context, name)
            assert axis is not None
            raise error(
                "E0201",
                f"`{short(call.node.positional[0])}` has no index `{name}`",
                next((i for i in call.items if isinstance(i, tree.Name) and i.id == name), call.node),
                label=f"it has {', '.join(value.axes) or 'none'}",
            )
        out.append(_axis(name, value, context))
    return out


def _axis(name: str, value: Value, context: Context) -> Axis:
    known = lookup_axis(context, name)
    size = value.axes[name]
    return replace(known, name=name, size=size) if known is not None else Axis(name, size, None)


def _rest(value: Value, axes: Sequence[Axis]) -> tuple[str, ...] | None:
    gone = {a.name for a in axes}
    return tuple(n for n in value.order if n not in gone) if value.order else None


def _summable(value: Value) -> Value:
    """Truth values count as 0 and 1 where they are added up."""
    if value.kind != Kind.BOOL:
        return value
    return replace(value, data=mapped(lambda t: build.cast(t, Kind.INT), value.data))


def _some(axes: Sequence[Axis], call: Applied) -> Sequence[Axis]:
    """E0203 where what needs one entry is taken over an axis that has none; sum, prod, any, all of nothing are 0, 1, false, true."""
    empty = next((a for a in axes if a.size.constant == 0), None)
    if empty is not None:
        where = next((i for i in call.items if isinstance(i, tree.Name | tree.RangeItem)), call.node)
        raise error("E0203", f"`{call.name}` of nothing: `{empty.name}` has size 0", where, label="it has no value")
    return axes


def _over_time(call: Applied, names: list[str], context: Context) -> bool:
    if SERIES in names and not indices.is_coordinate(SERIES, context):
        context.lacking(f"`{call.name}[t]`: a value over the whole run", call.node.span)
        return True
    return False


def _sum(term: Term, axes: Sequence[Axis]) -> Term:
    missing = {a.name: a.size for a in axes if a.name not in term.axes}
    return build.sum_over(build.expand(term, missing) if missing else term, [a.name for a in axes])


def total(call: Applied, context: Context) -> Value:
    """sum[i](e): over index ranges and over the points of coordinates."""
    inner, names = removed_axes(call, context)
    value = _summable(value_of(call.node.positional[0], inner))
    series = _over_time(call, names, context)
    axes = _taken(call, value, names, inner)
    data = mapped(lambda t: _sum(t, axes), value.data)
    if series:
        data = mapped(lambda t: context.checker.placeholder("sum", t.kind, dict(t.axes)), data)
    return replace(value, data=data, order=_rest(value, axes), edge="", points=Fraction(0))


def mean(call: Applied, context: Context) -> Value:
    """mean[i](e): of index ranges the average, of coordinates the integral over the length."""
    inner, names = removed_axes(call, context)
    value = _summable(value_of(call.node.positional[0], inner))
    series = _over_time(call, names, context)
    axes = _taken(call, value, names, inner)
    spatial = [a for a in axes if a.coordinate]
    counted = _some([a for a in axes if not a.coordinate], call)

    def averaged(term: Term) -> Term:
        if counted:
            count = build.mul(*[build.size_term(a.size) for a in counted])
            term = build.divide(_sum(term, counted), count)
        if spatial:
            missing = {a.name: a.size for a in spatial if a.name not in term.axes}
            term = build.integral(build.expand(term, missing), [a.name for a in spatial])
            term = build.divide(term, build.cast(measure(spatial, context), Kind.REAL))
        return term

    data = mapped(averaged, value.data)
    if series:
        data = mapped(lambda t: context.checker.placeholder("mean", t.kind, dict(t.axes)), data)
    return replace(value, data=data, order=_rest(value, axes), edge="")


def norm(call: Applied, context: Context) -> Value:
    """norm(e) = sqrt(sum or integral of |e|^2), of a vector over its components as well."""
    inner, names = removed_axes(call, context)
    node = call.node.positional[0]
    value = numeric(value_of(node, inner), node)
    axes = _taken(call, value, names, inner)
    spatial = [a for a in axes if a.coordinate]
    from ricci.dsl.check.values import leaves

    square = build.add(*[build.apply("abs2", t) if t.kind == Kind.COMPLEX else build.mul(t, t) for t in leaves(value.data)])
    counted = [a for a in axes if not a.coordinate]
    if counted:
        square = _sum(square, counted)
    if spatial:
        missing = {a.name: a.size for a in spatial if a.name not in square.axes}
        square = build.integral(build.expand(square, missing), [a.name for a in spatial])
    unit = multiply(value.unit, *[raised(a.unit, Fraction(1, 2)) for a in spatial])
    return Value(build.apply("sqrt", square), unit, _rest(value, axes), shown=value.shown if not any(a.unit for a in spatial) else None)


def extremum(call: Applied, context: Context) -> Value:
    """max(e), min[i](e) over axes; max(a, b) of two values pointwise."""
    if len(call.node.positional) > 1:
        return _pointwise(call, context)
    inner, names = removed_axes(call, context)
    node = call.node.positional[0]
    value = numeric(scalar_of(node, inner), node)
    if value.kind == Kind.COMPLEX:
        raise error("E0203", f"`{call.name}` of the complex `{short(node)}`", node, label="complex numbers have no order")
    series = _over_time(call, names, context)
    axes = _some(_taken(call, value, names, inner), call)
    term = value.term
    missing = {a.name: a.size for a in axes if a.name not in term.axes}
    term = build.reduce(call.name, build.expand(term, missing), [a.name for a in axes]) if axes else term
    if series:
        term = context.checker.placeholder(call.name, term.kind, dict(term.axes))
    return replace(value, data=term, order=_rest(value, axes), edge="")


def _pointwise(call: Applied, context: Context) -> Value:
    nodes = call.node.positional
    if call.items:
        raise error(
            "E0104", f"`{call.name}` of two values takes no index", call.node, label=f"write {call.name}[i](e) or {call.name}(a, b)"
        )
    values = [numeric(scalar_of(n, context), n) for n in nodes]
    unit = agree_units(values, nodes, context, f"the arguments of `{call.name}`")
    agree_axes(values, nodes, context)
    term = values[0].term
    for value, node in zip(values[1:], nodes[1:], strict=True):
        try:
            term = build.apply(f"{call.name}2", term, value.term)
        except TermError as failure:
            raise error("E0203", f"`{call.name}`: {failure}", node) from None
    return Value(term, unit, None, shown=next((v.shown for v in values if v.shown), None))


def product(call: Applied, context: Context) -> Value:
    """prod[i](e)."""
    inner, names = removed_axes(call, context)
    node = call.node.positional[0]
    value = numeric(scalar_of(node, inner), node)
    axes = _taken(call, value, names, inner)
    if value.unit not in (NUMBER, None):
        raise error("E0403", f"a product over an index of `{short(node)}`, which has a unit", node, label="its unit depends on the size")
    term = build.reduce("prod", value.term, [a.name for a in axes]) if axes else value.term
    return replace(value, data=term, order=_rest(value, axes), edge="")


def quantifier(call: Applied, context: Context) -> Value:
    """any(c), all[i](c)."""
    inner, names = removed_axes(call, context)
    node = call.node.positional[0]
    value = value_of(node, inner)
    term = truth(value, node)
    axes = _taken(call, value, names, inner)
    return Value(build.reduce(call.name, term, [a.name for a in axes]) if axes else term, NUMBER, _rest(value, axes))


def place_of_extremum(call: Applied, context: Context) -> Value:
    """argmax[k](e): the index of the largest entry, the first of equals."""
    inner, names = removed_axes(call, context)
    node = call.node.positional[0]
    value = numeric(scalar_of(node, inner), node)
    if len(names) != 1:
        raise error("E0104", f"`{call.name}` takes one index", call.node, label=f"as in {call.name}[k](e)")
    axes = _some(_taken(call, value, names, inner), call)
    return Value(build.reduce(call.name, value.term, names), NUMBER, _rest(value, axes))


def softmax(call: Applied, context: Context) -> Value:
    """softmax[i](e) = exp(e - max e)/sum exp(e - max e)."""
    inner, names = removed_axes(call, context)
    node = call.node.positional[0]
    value = numeric(scalar_of(node, inner), node)
    if not names:
        raise error("E0104", f"`{call.name}` needs its index", call.node, label=f"as in {call.name}[i](e)")
    if value.unit not in (NUMBER, None):
        raise error("E0403", f"`{call.name}` of `{short(node)}`, which has a unit", node)
    axes = [a.name for a in _taken(call, value, names, inner)]
    shifted = build.sub(value.term, build.reduce("max", value.term, axes))
    raised_ = build.apply("exp", shifted)
    denominator = build.sum_over(raised_, axes)
    term = build.divide(raised_, denominator) if call.name == "softmax" else build.sub(shifted, build.apply("log", denominator))
    return Value(term, NUMBER, value.order)


def log_sum_exp(call: Applied, context: Context) -> Value:
    """logsumexp[i](e) = log(sum exp(e)), shifted by the largest entry."""
    inner, names = removed_axes(call, context)
    node = call.node.positional[0]
    value = numeric(scalar_of(node, inner), node)
    if value.unit not in (NUMBER, None):
        raise error("E0403", f"`{call.name}` of `{short(node)}`, which has a unit", node)
    axes = _some(_taken(call, value, names, inner), call)
    gone = [a.name for a in axes]
    return Value(log_of_sum(value.term, gone), NUMBER, _rest(value, axes))


def log_of_sum(exponents: Term, axes: Sequence[str]) -> Term:
    """log sum exp(exponents) without overflow: -inf where all are -inf, inf where one is."""
    largest = build.reduce("max", exponents, axes)
    shift = build.where(build.apply("isfinite", largest), largest, build.const(0))
    return build.add(shift, build.apply("log", build.sum_over(build.apply("exp", build.sub(exponents, shift)), axes)))


def repeat(call: Applied, context: Context) -> Value:
    """repeat[i](e): the same for every i."""
    value = value_of(call.node.positional[0], context)
    axes = {}
    for item in call.items:
        if not isinstance(item, tree.Name):
            raise error("E0203", "`repeat` takes indices in brackets", item, label="as in repeat[i](e)")
        axis = indices.axis_of(item, context)
        if item.id in value.axes:
            raise error("E0210", f"`{short(call.node.positional[0])}` has the index `{item.id}` already", item)
        axes[item.id] = axis.size
    if not axes:
        raise error("E0104", "`repeat` needs an index", call.node, label="as in repeat[i](e)")
    if context.recurrence is not None and context.recurrence.axis in axes:
        del axes[context.recurrence.axis]
    data = mapped(lambda t: build.expand(t, axes), value.data)
    return replace(value, data=data, order=(*value.order, *axes) if value.order is not None else None, edge="")


EDGES = {"pad": "fill", "wrap": "wrap", "clamp": "clamp", "mirror": "mirror"}


def edge(call: Applied, context: Context) -> Value:
    """pad(u), wrap(u), clamp(u), mirror(u): u, and what stands outside of its axes when it is indexed there."""
    node = call.node.positional[0]
    value = value_of(node, replace(context, recurrence=None))
    return replace(value, edge=EDGES[call.name])
