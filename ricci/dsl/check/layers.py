"""Layers: pure functions of arrays with named axes, and their calls."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ricci.dsl import build, model, tree
from ricci.dsl.check.agreement import demand_unit, numeric
from ricci.dsl.check.context import Checker, Context, error, lookup_axis
from ricci.dsl.check.definitions import defined_tensor, refuse_start, starts_of
from ricci.dsl.check.expressions import scalar_of
from ricci.dsl.check.quantities import make_tensor
from ricci.dsl.check.scope import Scope
from ricci.dsl.check.values import Layered, Value
from ricci.dsl.spelling import nearest
from ricci.dsl.term import Function, Term, substitute
from ricci.dsl.types import Kind, Size, Type
from ricci.dsl.units import NUMBER

if TYPE_CHECKING:
    from ricci.dsl.check.declarations import Declarer

ALLOWED = (tree.TensorDeclaration, tree.Assign, tree.Let, tree.Initial, tree.FunctionDefinition)


def make_layer(outer: Declarer, statement: tree.LayerDefinition) -> Layered:
    """Read a layer: inputs and weights are symbols `Layer.name`; the results are terms of them."""
    from ricci.dsl.check.declarations import Declarer

    name = statement.name.id
    checker = _apart(outer.checker)
    inner = Declarer(checker, Scope(outer.scope))
    inputs, symbols = _inputs(inner, statement)
    _body(inner, statement)
    outputs = []
    results: list[tuple[str, Term]] = []
    sizes: dict[str, Size] = {}
    for declaration in list(inner.scope.declarations.values()):
        declaration.resolve()
    for out in statement.outputs:
        axes = inner.indices_of(out.items, inner.context(statement))
        results.append((out.name.id, _output(inner, out, axes)))
        outputs.append((out.name.id, tuple(axes)))
        sizes.update(axes)
    for symbol in symbols:
        sizes.update(symbol.axes)
    weights = checker.weights
    structured = {s.symbol: s for s in checker.structured}
    dense = [*(w.symbol for w in weights if not any(w in s.cores for s in structured.values())), *structured]
    plain = Function(name, (*symbols, *dense), tuple(results))
    expanded = substitute(plain.roots, {symbol: s.expansion for symbol, s in structured.items()})
    function = Function(name, (*symbols, *(w.symbol for w in weights)), tuple(zip(dict(results), expanded, strict=True)))
    outer.model.layers[name] = model.Layer(
        name, function, tuple(inputs), tuple(outputs), tuple(weights), plain, tuple(structured.values()), statement.span
    )
    kind = max(t.kind for _, t in results)
    return Layered(name, tuple(inputs), tuple(outputs), tuple(sizes.items()), function, plain, kind=kind)


def _apart(checker: Checker) -> Checker:
    """The same check with lists of weights of its own."""
    return replace(checker, weights=[], structured=[])


def _inputs(inner: Declarer, statement: tree.LayerDefinition) -> tuple[list[tuple[str, tuple[str, ...]]], list[Term]]:
    inputs, symbols = [], []
    for given in statement.inputs:
        axes = inner.indices_of(given.items, inner.context(statement))
        kind, rank, _ = inner.type_of(given.type, f"the input `{given.name.id}`", given.name, needed=False)
        if rank:
            raise error("E0206", "an input of a layer has indices, not components", given)
        if given.name.id in inner.scope.declarations:
            raise error("E0102", f"two inputs are called `{given.name.id}`", given.name)
        symbol = build.symbol(f"{statement.name.id}.{given.name.id}", Type(kind, axes))
        value = Value(symbol, NUMBER, tuple(axes), family=len(axes), origin=given.name.span)
        inner.scope.define(given.name.id, "input", given.name.span, value)
        inputs.append((given.name.id, tuple(axes)))
        symbols.append(symbol)
    return inputs, symbols


def _body(inner: Declarer, statement: tree.LayerDefinition) -> None:
    """Enter weights and assignments; each is read when it is needed, so their order does not matter."""
    for part in statement.body:
        if not isinstance(part, ALLOWED):
            raise error("E0203", "a layer holds weights and definitions", part, label="this belongs outside")
        refuse_start(part, statement.body)
        for note in part.annotations:
            inner.checker.annotation(note)
    starts = starts_of([p for p in statement.body if isinstance(p, tree.Initial)], inner)
    for part in statement.body:
        if isinstance(part, tree.TensorDeclaration):
            for item in part.tensors:
                inner.enter(item.name, "weight", partial(make_tensor, inner, item, f"{statement.name.id}."))
        elif isinstance(part, tree.Assign | tree.Let):
            target = part.target
            if target.arguments:
                raise error("E0203", "a layer defines tensors", target, label="a function is `fn`")
            inner.enter(target.name, "value", partial(_assigned, inner, part, starts))
        elif isinstance(part, tree.FunctionDefinition):
            inner.function(part)
    for name in starts:
        if name not in inner.scope.declarations:
            initial = next(p for p in statement.body if isinstance(p, tree.Initial) and p.target.name.id == name)
            raise error("E0101", f"the layer defines no `{name}`", initial.target.name)


def _assigned(inner: Declarer, part: tree.Assign | tree.Let, starts: dict[str, dict[int, Value]]) -> Value:
    context = inner.context(part)
    axes = inner.indices_of(part.target.items, context)
    return defined_tensor(part.target, part.value, axes, starts.get(part.target.name.id, {}), context)


def _output(inner: Declarer, out: tree.LayerOutput, axes: dict[str, Size]) -> Term:
    declaration = inner.scope.here(out.name.id)
    if declaration is None:
        known = [d.name for d in inner.scope.declarations.values() if d.word == "value"]
        guess = nearest(out.name.id, known)
        raise error(
            "E0101",
            f"the layer does not define its output `{out.name.id}`",
            out.name,
            label=f"did you mean `{guess}`?" if guess else "not assigned",
        )
    value: Any = declaration.resolve()
    if set(value.axes) != set(axes) and set(value.order or ()) != set(axes):
        mine = ", ".join(value.order or value.axes)
        raise error("E0202", f"the output `{out.name.id}` has other indices", out, label=f"it is defined with [{mine}]")
    return build.conform(value.term, Type(value.kind, axes)) if set(value.axes) != set(axes) else value.term


def apply_layer(node: tree.Call, layer: Layered, context: Context) -> Value:
    """`MLP(x)`: the axes of the arguments match those of the inputs by name."""
    if node.keywords or len(node.positional) != len(layer.inputs):
        takes = ", ".join(f"{n}[{', '.join(o)}]" for n, o in layer.inputs)
        raise error(
            "E0104",
            f"`{layer.name}` takes {len(layer.inputs)} input{'s' if len(layer.inputs) != 1 else ''}",
            node,
            label=f"as in {layer.name}({takes})",
        )
    if len(layer.outputs) != 1:
        raise error("E0203", f"`{layer.name}` has {len(layer.outputs)} outputs; a call gives one", node)
    declared = dict(layer.sizes)
    given: dict[Term, Term] = {}
    bound: dict[str, Size] = {}
    for i, (argument, (name, order)) in enumerate(zip(node.positional, layer.inputs, strict=True)):
        value = numeric(scalar_of(argument, context.binding(*order)), argument)
        demand_unit(value, NUMBER, argument, context, f"the input `{name}` of `{layer.name}`")
        _match_axes(layer, value, argument, order, declared, bound, context)
        if layer.function is not None:
            given[layer.function.params[i]] = value.term
    name, order = layer.outputs[0]
    sizes = {a: bound.get(a, declared[a]) for a in order}
    if layer.function is None or any(bound[a] is not declared[a] for a in bound):
        return Value(context.checker.placeholder(layer.name, Kind.REAL, sizes), NUMBER, order, family=len(order))
    (term,) = substitute([layer.function.roots[0]], {p: build.conform(t, p.type) if t.kind <= p.kind else t for p, t in given.items()})
    return Value(term, NUMBER, order, family=len(order))


def _match_axes(
    layer: Layered,
    value: Value,
    argument: tree.Expr,
    order: tuple[str, ...],
    declared: dict[str, Size],
    bound: dict[str, Size],
    context: Context,
) -> None:
    has = value.axes
    missing = [a for a in order if a not in has]
    extra = [a for a in has if a not in order]
    if missing or extra:
        which = f"lacks the index `{missing[0]}`" if missing else f"has the index `{extra[0]}` too much"
        raise error(
            "E0202", f"the input of `{layer.name}` {which}", argument, label=f"[{', '.join(has)}] is given, [{', '.join(order)}] is taken"
        )
    for a in order:
        size = has[a]
        axis = lookup_axis(context, a)
        sliced = (
            axis is not None
            and axis.size is declared[a]
            and size is not declared[a]
            and size.constant is not None
            and bool(declared[a].dims)
        )
        if not sliced and size is not declared[a] and not context.checker.same_size(size, declared[a]):
            raise error("E0202", f"the axis `{a}` has two sizes", argument, label=f"{size} here, {declared[a]} in `{layer.name}`")
        if bound.setdefault(a, size) is not size:
            raise error("E0202", f"the axis `{a}` has two sizes", argument, label=f"{size} here, {bound[a]} in another input")
