"""`T[...]`: indices bind by the declared order of axes, by name where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ricci.dsl import build, tree
from ricci.dsl.check import indices
from ricci.dsl.check.context import Context, error, lookup_axis
from ricci.dsl.check.values import Axis, DataSet, SiteOperator, Value, leaves, mapped
from ricci.dsl.index import Guard, Index, Ranges
from ricci.dsl.ops.const import value_of as constant_of
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size, at_most
from ricci.dsl.units import NUMBER

ONE = Size.of(1)


def index_value(node: tree.Index, context: Context) -> Any:
    """An indexed tensor, data set or site operator."""
    from ricci.dsl.check.agreement import describe, short
    from ricci.dsl.check.expressions import entity_of, taken

    if context.recurrence is not None and isinstance(node.base, tree.Name) and node.base.id == context.recurrence.name:
        return context.recurrence.read(node, context)
    outer = replace(context, recurrence=None)
    base = entity_of(node.base, outer)
    if isinstance(base, DataSet):
        return _rows(node, base, context)
    if isinstance(base, SiteOperator):
        return _site(node, base, context)
    if isinstance(base, Axis):
        _refuse_units(node, context)
    if not isinstance(base, Value):
        raise error("E0203", f"`{short(node.base)}` is {describe(base)} and has no indices", node)
    if not base.axes:
        _refuse_units(node, context)
    return taken(indexed(base, node, outer), context)


def _refuse_units(node: tree.Index, context: Context) -> None:
    """E0405: `L[m]` where m is a unit and no index."""
    for item in node.items:
        names = [n for n in tree.walk(item) if isinstance(n, tree.Name)]
        if names and all(lookup_axis(context, n.id) is None and context.checker.units.get(n.id) for n in names):
            raise error(
                "E0405",
                f"`[{' '.join(n.id for n in names)}]` is a unit, an index stands here",
                item,
                label="a unit stands after a number or in a type",
            )


def bindings(base: Value, node: tree.Index, context: Context) -> list[tuple[str, tree.Expr]]:
    """Which axis each item binds."""
    if any(isinstance(i, tree.NamedItem) for i in node.items):
        return _bindings_by_name(base, node)
    for item in node.items:
        if not isinstance(item, tree.Expr):
            raise error("E0203", "this stands only behind an operator", item, label="here a tensor is indexed")
    items = [i for i in node.items if isinstance(i, tree.Expr)]
    order = base.order
    if order is None or len(set(order)) < len(base.axes):
        axes = list(base.axes)
        if len(items) == len(axes) == 1:
            return [(axes[0], items[0])]
        if all(isinstance(i, tree.Name) and i.id in base.axes for i in items):
            return [(i.id, i) for i in items if isinstance(i, tree.Name)]
        raise error(
            "E0210", "this expression has no declared order of axes", node, label=f"name them: [{', '.join(f'{a}=...' for a in axes)}]"
        )
    if len(items) not in (len(order), base.family):
        from ricci.dsl.check.agreement import short

        declared = f"[{', '.join(order[: base.family or len(order)])}]"
        where = f" (line {base.origin.line})" if base.origin else ""
        at = items[len(order)] if len(items) > len(order) else node
        raise error(
            "E0210",
            f"`{short(node.base)}` has {len(order)} ind{'ex' if len(order) == 1 else 'ices'}, {len(items)} given",
            at,
            label=f"declared with {declared}{where}" if order else "declared without indices",
        )
    return list(zip(order, items, strict=False))


def _bindings_by_name(base: Value, node: tree.Index) -> list[tuple[str, tree.Expr]]:
    """`e[i=3, j]`: every item names its axis."""
    for other in node.items:
        if not isinstance(other, tree.NamedItem | tree.Name):
            raise error("E0210", "indices by place and by name are mixed", other, label="name all of them")
    out: list[tuple[str, tree.Expr]] = []
    for item in node.items:
        name = item.name if isinstance(item, tree.NamedItem) else item
        assert isinstance(name, tree.Name)
        if name.id not in base.axes:
            raise _no_axis(base, node, name)
        if any(name.id == n for n, _ in out):
            raise error("E0210", f"the axis `{name.id}` is bound twice", name)
        out.append((name.id, item.value if isinstance(item, tree.NamedItem) else name))
    return out


def _no_axis(base: Value, node: tree.Index, name: tree.Name) -> Exception:
    from ricci.dsl.check.agreement import short
    from ricci.dsl.spelling import nearest

    guess = nearest(name.id, base.axes)
    label = f"did you mean `{guess}`?" if guess else f"its axes are {', '.join(base.axes) or 'none'}"
    return error("E0201", f"`{short(node.base)}` has no axis `{name.id}`", name, label=label)


def indexed(base: Value, node: tree.Index, context: Context) -> Value:
    """Bind, rename, shift, slice or gather every axis that an item names."""
    pairs = bindings(base, node, context)
    gathered: dict[str, Term] = {}
    pulls: dict[str, Index] = {}
    axes: dict[str, Size] = {}
    order: list[str] | None = []
    for name, item in pairs:
        index = as_index(item, context)
        if index is None:
            gathered[name] = _gather_index(item, context)
            for axis, size in gathered[name].axes.items():
                _one_size(axes, axis, size, item, context)
            order = None
            continue
        pulls[name] = index
        _bind_sizes(base, name, item, index, axes, context)
        if order is not None:
            order = [*order, item.id] if isinstance(item, tree.Name) else order if not index.axes else None
    for name, size in base.axes.items():
        if name not in pulls and name not in gathered:
            pulls[name] = Index.axis(name)
            _one_size(axes, name, size, node, context)
            if order is not None and base.order and name in base.order:
                order.append(name)
    edges = {n: _edge(base, n, i, axes, item_of(pairs, n), node, context) for n, i in pulls.items()}
    result = mapped(lambda leaf: _pulled(leaf, gathered, edges, axes), base.data)
    return replace(base, data=result, order=tuple(order) if order is not None else None, edge="", family=0)


def _pulled(leaf: Term, gathered: Mapping[str, Term], edges: Mapping[str, Index], axes: Mapping[str, Size]) -> Term:
    """One component with every axis bound. Axes of gathered indices must not meet those of the leaf: it steps aside first."""
    aside = {n: f"{n}~" for n in leaf.axes} if any(n in leaf.axes for n in gathered) else {n: n for n in leaf.axes}
    bound = {aside[n]: edges[n] for n in leaf.axes if n not in gathered}
    if aside.keys() & gathered.keys():
        leaf = build.rename(leaf, aside)
        for name, term in gathered.items():
            if name in aside:
                leaf = build.gather(leaf, aside[name], term)
    mine = {n: bound.get(n, Index.axis(n)) for n in leaf.axes}
    out = {a: axes[a] for index in mine.values() for a in index.axes}
    return build.reindex(leaf, out, mine, (), 0)


def _one_size(axes: dict[str, Size], name: str, size: Size, node: tree.Node, context: Context) -> None:
    """E0202 where one index name stands for two sizes."""
    known = axes.setdefault(name, size)
    if known is not size and not context.checker.same_size(known, size):
        raise error("E0202", f"the axis `{name}` has two sizes", node, label=f"{size} and {known}")


def item_of(pairs: list[tuple[str, tree.Expr]], name: str) -> tree.Node | None:
    return next((item for n, item in pairs if n == name), None)


def _bind_sizes(base: Value, name: str, item: tree.Expr, index: Index, axes: dict[str, Size], context: Context) -> None:
    """Sizes of the index names in one item; a bare index has the size of the axis that it binds."""
    size = base.axes[name]
    for axis_name in sorted(index.axes):
        axis = lookup_axis(context, axis_name)
        own = axis.size if axis is not None else size
        if isinstance(item, tree.Name):
            if axis_name != name and not context.checker.same_size(size, own):
                origin = f" (line {axis.span.line})" if axis is not None and axis.span is not None else ""
                declared = f" (line {base.origin.line})" if base.origin else ""
                raise error(
                    "E0202",
                    f"the index `{axis_name}` has two sizes",
                    item,
                    label=f"dim `{axis_name}` is {own}{origin}, `{name}` of `{short_base(base, item)}` is {size}{declared}",
                )
            own = size
        if axes.setdefault(axis_name, own) is not own and not context.checker.same_size(axes[axis_name], own):
            raise error("E0202", f"the index `{axis_name}` has two sizes", item, label=f"{own} here, {axes[axis_name]} before")


def short_base(base: Value, item: tree.Node) -> str:
    """The name under which a tensor was declared."""
    return base.origin.text if base.origin else "the tensor"


def _edge(base: Value, name: str, index: Index, axes: dict[str, Size], item: tree.Node | None, node: tree.Index, context: Context) -> Index:
    """The index with the rule for what lies outside; E0208 where there is none and it can happen."""
    if item is None or isinstance(item, tree.Name):
        return index
    size = base.axes[name]
    low, high = index.bounds(Ranges.of(axes))
    inside = low is not None and high is not None and at_most(0, low) and at_most(high, size - 1)
    if inside or base.edge == "fill":
        return index
    coordinate = lookup_axis(context, name)
    if base.edge == "wrap" or (coordinate is not None and coordinate.coordinate and coordinate.periodic):
        return index.mod(size)
    if base.edge == "clamp":
        return index.clamp(size)
    if base.edge == "mirror":
        return index.mirror(size)
    outside = low is not None and (at_most(size, low) or (high is not None and at_most(high, -1)))
    from ricci.dsl.check.agreement import short

    raise error(
        "E0208",
        f"the index `{short(item)}` {'lies' if outside else 'can lie'} outside of the axis `{name}`",
        item,
        label=f"0..{size} is its range: pad(...), wrap(...) or clamp(...) says what lies outside",
        edits=((node.base.span, f"{'pad' if outside else 'wrap'}({node.base.span.text})"),),
    )


def as_index(node: tree.Node, context: Context) -> Index | None:
    """An index expression of index names and whole numbers; None where it is another value."""
    if isinstance(node, tree.Name):
        axis = lookup_axis(context, node.id)
        if axis is not None:
            return Index.axis(node.id)
        if context.scope.find(node.id) is None:
            indices.axis_of(node, context)
        return None
    if isinstance(node, tree.Number):
        return Index.of(int(node.value)) if node.text.isdigit() and node.unit is None else None
    if isinstance(node, tree.Unary) and node.operator in "+-":
        inner = as_index(node.operand, context)
        return None if inner is None else -inner if node.operator == "-" else inner
    if isinstance(node, tree.Sum):
        total = Index.of(0)
        for sign, operand in node.signed:
            part = as_index(operand, context)
            if part is None:
                return None
            total = total + (part if sign > 0 else -part)
        return total
    if isinstance(node, tree.Attr) and node.name.id == "size" and isinstance(node.base, tree.Name):
        axis = lookup_axis(context, node.base.id)
        return Index.of(axis.size) if axis is not None else None
    if isinstance(node, tree.Product):
        return _index_product(node, context)
    if isinstance(node, tree.Call):
        return _index_call(node, context)
    return None


def _index_product(node: tree.Product, context: Context) -> Index | None:
    total = Index.of(1)
    for exponent, factor in node.factors:
        part = as_index(factor, context)
        if part is None or exponent < 0:
            return None
        if not part.axes:
            total = total * part.constant
        elif not total.axes:
            total = part * total.constant
        else:
            return None
    return total


def _index_call(node: tree.Call, context: Context) -> Index | None:
    """`mod(i, 4)` and `div(i, 4)` of indices."""
    if not isinstance(node.function, tree.Name) or node.function.id not in ("mod", "div") or len(node.positional) != 2:
        return None
    inner, divisor = (as_index(a, context) for a in node.positional)
    if inner is None or divisor is None or divisor.axes or not at_most(1, divisor.constant):
        return None
    return inner.mod(divisor.constant) if node.function.id == "mod" else inner.div(divisor.constant)


def _gather_index(item: tree.Node, context: Context) -> Term:
    """An index that is a value: whole numbers."""
    from ricci.dsl.check.agreement import short
    from ricci.dsl.check.expressions import scalar_of

    if isinstance(item, tree.Range):
        raise error("E0203", "a range of a tensor has no name", item, label="only a data set is cut by rows")
    assert isinstance(item, tree.Expr)
    value = scalar_of(item, context)
    if value.kind > Kind.INT or value.unit not in (NUMBER, None):
        number = constant_of(value.term)
        label = "round(...) gives one" if not isinstance(number, Fraction) else "indices count from 0"
        raise error("E0203", f"`{short(item)}` is no whole number", item, label=label)
    return build.cast(value.term, Kind.INT)


def _rows(node: tree.Index, data: DataSet, context: Context) -> DataSet:
    """`digits[0..1500]`: some rows."""
    item = node.items[0]
    if len(node.items) != 1 or not isinstance(item, tree.Range):
        raise error("E0210", f"`{data.name}` is cut by one range of rows", node, label=f"as in `{data.name}[0..100]`")
    from ricci.dsl.check.agreement import short

    lo, hi = (as_index(end, context) for end in (item.lo, item.hi))
    if lo is None or hi is None or lo.axes or hi.axes:
        raise error("E0203", f"`{short(item)}` is no range of whole numbers", item)
    count = hi.constant - lo.constant
    if at_most(count, 0):
        raise error("E0202", f"the rows `{short(item)}` are none", item, label="the last is not included")
    sizes = tuple((n, count if n == data.rows else s) for n, s in data.sizes)
    return replace(data, sizes=sizes)


def _site(node: tree.Index, operator: SiteOperator, context: Context) -> Value:
    """`Sz[j+1]`: an operator at a site."""
    if len(node.items) != 1 or not isinstance(node.items[0], tree.Expr):
        raise error("E0210", f"`{operator.name}` acts on one site", node)
    index = as_index(node.items[0], context)
    if index is None:
        raise error("E0203", f"`{node.items[0].span.text}` is no site", node.items[0])
    axes = {name: axis.size for name in index.axes if (axis := lookup_axis(context, name)) is not None}
    context.lacking("operators on sites of a network", node.span)
    return Value(context.checker.placeholder(operator.name, Kind.COMPLEX, axes), NUMBER, tuple(axes))


def bound_axis(name: str, lo: Index, hi: Index, span: Any) -> Axis:
    """The range `lo..hi` of an index as an axis; lo must be 0 for the value to be the place."""
    return Axis(name, hi.constant - lo.constant, span)


__all__ = ["Guard", "as_index", "index_value", "leaves"]
