"""Which product sums which index: the index rules of the language, decided on the syntax before any term is made.

An index that is neither on the left nor bound by an operator around it is summed, separately in each additive term, over
the outermost product of which at least two factors contain it. Where it stands alone it is an error in a definition, and
free in an equation. `plan` fills `context.sums`; the elaboration of a product reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ricci.dsl import tree
from ricci.dsl.check.applied import Applied, applied
from ricci.dsl.check.context import Context, error, lookup_axis, settled
from ricci.dsl.check.values import Axis, Layered, Procedure, Sided, Value

NONE: frozenset[str] = frozenset()
Lone = Callable[[str, tree.Node], None]


def flatten(product: tree.Product) -> list[tuple[int, tree.Expr]]:
    """Factors with exponents 1 or -1; a product in parentheses is part of the product around it."""
    out: list[tuple[int, tree.Expr]] = []
    for exponent, factor in product.factors:
        if isinstance(factor, tree.Product):
            out += [(exponent * inner, f) for inner, f in flatten(factor)]
        else:
            out.append((exponent, factor))
    return out


def occurrences(node: tree.Node, context: Context) -> frozenset[str]:
    """Indices that a value written here would have: dims of bare tensors, and every index written in brackets."""
    found = context.seen.get(node)
    if found is None:
        found = _occurrences(node, context)
        context.seen[node] = found
    return found


def _union(nodes: Iterable[tree.Node], context: Context) -> frozenset[str]:
    return NONE.union(*(occurrences(n, context) for n in nodes))


def _occurrences(node: tree.Node, context: Context) -> frozenset[str]:
    if isinstance(node, tree.Name):
        return _axes_of_name(node, context)
    if isinstance(node, tree.Index):
        return _of_index(node, context)
    if isinstance(node, tree.Call):
        return _of_call(node, context)
    if isinstance(node, tree.Attr):
        return _of_attribute(node, context)
    if isinstance(node, tree.Compare | tree.Logic | tree.Cond | tree.Range | tree.Tuple | tree.Unary):
        return _union(tree.children(node), context)
    if isinstance(node, tree.Sum | tree.Product):
        return _union(node.operands, context)
    if isinstance(node, tree.Power):
        return occurrences(node.base, context) | occurrences(node.exponent, context)
    return NONE


def dims_of(value: Value, context: Context) -> frozenset[str]:
    """Axes of a value that are index ranges, not coordinates."""
    return frozenset(name for name in value.axes if not is_coordinate(name, context))


def is_coordinate(name: str, context: Context) -> bool:
    axis = lookup_axis(context, name)
    return axis is not None and axis.coordinate


def _axes_of_name(node: tree.Name, context: Context) -> frozenset[str]:
    if context.recurrence is not None and node.id == context.recurrence.name:
        return NONE
    declaration = context.scope.find(node.id)
    entity = declaration.resolve() if declaration is not None else None
    if isinstance(entity, Sided):
        entity = entity.example
    return dims_of(entity, context) if isinstance(entity, Value) else NONE


def _of_attribute(node: tree.Attr, context: Context) -> frozenset[str]:
    if node.name.id == "size":
        return NONE
    from ricci.dsl.check.expressions import entity_of

    entity = entity_of(node, context)
    return dims_of(entity, context) if isinstance(entity, Value) else NONE


def item_names(item: tree.Node, context: Context) -> frozenset[str]:
    """Indices inside one pair of brackets: `y + m - 1` names y and m; a tensor used as an index brings its own."""
    if isinstance(item, tree.NamedItem):
        return item_names(item.value, context)
    if isinstance(item, tree.Name):
        if lookup_axis(context, item.id) is not None:
            return frozenset((item.id,))
        return occurrences(item, context)
    if isinstance(item, tree.Index | tree.Attr | tree.Call):
        if isinstance(item, tree.Call) and not isinstance(applied(item, context).entity, Value):
            return NONE.union(*(item_names(a, context) for a in item.positional))
        return occurrences(item, context)
    if isinstance(item, tree.Range):
        return NONE
    return NONE.union(*(item_names(c, context) for c in tree.children(item)))


def _of_index(node: tree.Index, context: Context) -> frozenset[str]:
    written = NONE.union(*(item_names(i, context) for i in node.items))
    if any(isinstance(i, tree.NamedItem) for i in node.items):
        replaced = {i.name.id for i in node.items if isinstance(i, tree.NamedItem)}
        return written | (occurrences(node.base, context) - replaced)
    if any(isinstance(i, tree.Range) for i in node.items):
        from ricci.dsl.check.expressions import entity_of

        entity = entity_of(node, context)
        return dims_of(entity, context) if isinstance(entity, Value) else NONE
    return written


def _of_call(node: tree.Call, context: Context) -> frozenset[str]:
    call = applied(node, context)
    inner = _union(node.arguments, context)
    if isinstance(call.entity, Value):
        return occurrences(node.function, context) | inner
    if isinstance(call.entity, Procedure):
        return inner | _captured(call.entity, context)
    if isinstance(call.entity, Layered):
        return frozenset(a for _, order in call.entity.outputs for a in order if not is_coordinate(a, context))
    return call.result(inner)


def _captured(procedure: Procedure, context: Context) -> frozenset[str]:
    """Dims of tensors that the body of a function mentions bare."""
    names = {n.id for n in tree.walk(procedure.body) if isinstance(n, tree.Name)} - set(procedure.parameters)
    out = NONE
    for name in sorted(names):
        declaration = procedure.scope.find(name)
        if declaration is not None and declaration.state == "done" and isinstance(declaration.entity, Value):
            out |= dims_of(declaration.entity, context)
    return out


# ---------------------------------------------------------------------------------------------------------------------


def plan(node: tree.Expr, context: Context, lone: Lone, coordinates: bool) -> None:
    """Decide the sums of an expression. `lone(index, where)` is called for what stands alone; `coordinates`: whether an
    explicit coordinate must be on the left or bound too. Axes of bare tensors are summed with written indices, never alone."""
    pending = _written(node, context) - context.free
    if not coordinates:
        pending = frozenset(k for k in pending if not is_coordinate(k, context))
    _resolve(node, pending, context, lone)


def _written(node: tree.Node, context: Context) -> frozenset[str]:
    """Indices that stand in brackets of a tensor somewhere in the expression."""
    found = NONE
    stack = [node]
    while stack:
        here = stack.pop()
        if isinstance(here, tree.Index):
            found |= NONE.union(*(item_names(i, context) for i in here.items if not isinstance(i, tree.Range)))
            found |= frozenset(i.id for i in here.items if isinstance(i, tree.Name))
        stack.extend(tree.children(here))
    return found & occurrences(node, context)


def place_of(index: str, where: tree.Node) -> tree.Node:
    """Where an index is written inside a node."""
    return next((n for n in tree.walk(where) if isinstance(n, tree.Name) and n.id == index), where)


def _resolve(node: tree.Node, pending: frozenset[str], context: Context, lone: Lone) -> None:
    pending &= occurrences(node, context)
    if not pending:
        return
    if isinstance(node, tree.Product):
        _resolve_product(node, pending, context, lone)
    elif isinstance(node, tree.Call):
        _resolve_call(node, pending, context, lone)
    elif isinstance(node, tree.Sum | tree.Tuple | tree.Unary | tree.Power | tree.Compare | tree.Logic | tree.Cond):
        for child in tree.children(node):
            _resolve(child, pending, context, lone)
    else:
        _refuse_wrong_count(node, context)
        for index in sorted(pending):
            lone(index, place_of(index, node))


def _refuse_wrong_count(node: tree.Node, context: Context) -> None:
    """E0210 before an index of a tensor that has fewer is said to stand alone."""
    if isinstance(node, tree.Index) and isinstance(node.base, tree.Name):
        from ricci.dsl.check.indexing import bindings

        declaration = context.scope.find(node.base.id)
        entity = declaration.resolve() if declaration is not None else None
        if isinstance(entity, Value):
            bindings(entity, node, context)


def _resolve_call(node: tree.Call, pending: frozenset[str], context: Context, lone: Lone) -> None:
    call = applied(node, context)
    if call.rule is not None and call.rule.brackets in ("remove", "keep"):
        _refuse_absent(call, context)
    if isinstance(call.entity, Value):
        _resolve(node.function, pending, context, lone)
    if isinstance(call.entity, Layered):
        for index in sorted(pending):
            lone(index, node)
        return
    for index in sorted(pending & call.made):
        lone(index, node)
    for argument in node.arguments:
        _resolve(argument, call.inside(pending), context, lone)


def _refuse_absent(call: Applied, context: Context) -> None:
    """E0201 where an operator names an index that its argument does not have."""
    has = _union(call.node.arguments, context)
    for item in call.items:
        if isinstance(item, tree.Name) and item.id not in has and item.id != "t":
            if call.name == "integral" and context.scope.find(item.id) is None:  # a group of sides
                continue
            axis = axis_of(item, context)
            if not axis.coordinate:
                raise error(
                    "E0201",
                    f"what is summed has no index `{item.id}`"
                    if call.name == "sum"
                    else f"the argument of `{call.name}` has no index `{item.id}`",
                    item,
                    label=f"it has {', '.join(sorted(has)) or 'none'}",
                )


def _resolve_product(node: tree.Product, pending: frozenset[str], context: Context, lone: Lone) -> None:
    factors = [factor for _, factor in flatten(node)]
    for index in sorted(pending):
        holders = [f for f in factors if index in occurrences(f, context)]
        if len(holders) == 1:
            _resolve(holders[0], frozenset((index,)), context, lone)
            continue
        if is_coordinate(index, context):
            lone(index, place_of(index, holders[0]))
            continue
        _refuse_two_readings(node, index, holders, context)
        context.sums[node] = (*context.sums.get(node, ()), index)


def _refuse_two_readings(node: tree.Product, index: str, holders: list[tree.Expr], context: Context) -> None:
    """E0211 where summing at the innermost product would give another value."""
    inner = next((p for h in holders for p in _inner_products(h, index, context)), None)
    if inner is None:
        direct = [f for _, f in node.factors if index in occurrences(f, context)]
        paired = [f for f in direct if isinstance(f, tree.Product) and _holds_twice(f, index, context)]
        if len(direct) < 2 or len(paired) < len(direct):
            return
        inner = paired[0]
    text = " ".join(inner.span.text.split())
    raise error(
        "E0211",
        f"the sum over `{index}` has two readings",
        inner,
        label=f"over `{text}` alone, or over the whole product?",
        notes=(f"write sum[{index}](...) around what is to be summed",),
    )


def _holds_twice(product: tree.Product, index: str, context: Context) -> bool:
    return sum(index in occurrences(f, context) for _, f in flatten(product)) >= 2


def _inner_products(node: tree.Node, index: str, context: Context) -> Iterable[tree.Product]:
    """Products below `node` that could sum `index` themselves."""
    if index not in occurrences(node, context):
        return
    below: Iterable[tree.Node] = tree.children(node)
    if isinstance(node, tree.Product):
        if _holds_twice(node, index, context):
            yield node
            return
        below = [f for _, f in flatten(node)]
    elif isinstance(node, tree.Call):
        call: Applied = applied(node, context)
        below = node.arguments if index in call.inside(frozenset((index,))) else ()
    elif not isinstance(node, tree.Sum | tree.Tuple | tree.Unary | tree.Power | tree.Compare | tree.Logic | tree.Cond):
        return
    for child in below:
        yield from _inner_products(child, index, context)


def axis_of(name: tree.Name, context: Context) -> Axis:
    """The range of an index; E0201 where there is none."""
    axis = lookup_axis(context, name.id)
    if axis is None:
        if context.checker.model.uses_units and context.scope.find(name.id) is None and context.checker.units.get(name.id) is not None:
            raise error("E0405", f"`[{name.id}]` is a unit, an index stands here", name, label="a unit stands after a number or in a type")
        from ricci.dsl.spelling import nearest

        if context.checker.lost_domains:  # it may be a coordinate
            settled(context, space=True)
        known = [d.name for d in context.scope.all() if isinstance(d.entity, Axis)]
        guess = nearest(name.id, known)
        label = f"did you mean `{guess}`?" if guess else "no dim and no coordinate has this name"
        help = "" if guess else f"dim {name.id.rstrip(chr(39))}"
        raise error("E0201", f"unknown index `{name.id}`", name, label=label, help=help)
    return axis
