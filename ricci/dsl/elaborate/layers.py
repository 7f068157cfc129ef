"""Layers: pure functions of named-axis arrays, and their calls."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from ricci.dsl import build, tree
from ricci.dsl.elaborate.checker import KINDS, Checker
from ricci.dsl.elaborate.expressions import Reader
from ricci.dsl.elaborate.recurrence import is_recurrence
from ricci.dsl.elaborate.values import LayerValue, Names, Value
from ricci.dsl.model import Call, Layer, Weight
from ricci.dsl.term import Function, Term, substitute, walk
from ricci.dsl.types import Kind, Type, equal
from ricci.dsl.units import NUMBER
from ricci.errors import CheckFailed


def layer(check: Checker, statement: tree.LayerDefinition) -> LayerValue:
    """Inputs, weights and assignments in order; the results are the outputs that the signature names."""
    name = statement.name.id
    scope = Names(check.names)
    inputs, params = [], []
    for given in statement.inputs:
        axes = check.indices(given.items)
        order = tuple(a.name for a in axes)
        symbol = build.symbol(f"{name}.{given.name.id}", Type(Kind.REAL, {a.name: a.size for a in axes}))
        inputs.append((given.name.id, order))
        params.append(symbol)
        scope.declare(given.name, "input", partial(Value, symbol, NUMBER, order), check.diagnostics)
    weights: list[Weight] = []
    reader = check.reader(scope=scope)
    for inner in statement.body:
        match inner:
            case tree.TensorDeclaration():
                for t in inner.tensors:
                    weights.append(_weight(check, name, t, scope))
            case tree.Assign() | tree.Let():
                _assign(check, reader, inner, scope)
            case _:
                raise CheckFailed("E0001", "a layer holds weights and assignments", inner.span)
    results, outputs = [], []
    for out in statement.outputs:
        order = tuple(a.name for a in check.indices(out.items))
        found = scope.table.get(out.name.id)
        if found is None:
            raise CheckFailed("E0101", f"the layer never defines its output `{out.name.id}`", out.span)
        value = found.get()
        if set(value.order) != set(order):
            raise CheckFailed(
                "E0202", f"`{out.name.id}` is defined over [{', '.join(value.order)}], promised over [{', '.join(order)}]", out.span
            )
        results.append((out.name.id, value.term))
        outputs.append((out.name.id, order))
    used = {t for t in walk([t for _, t in results]) if t.op == "symbol"}
    arguments = [*params, *(w.symbol for w in weights if w.symbol in used)]
    made = Layer(
        name,
        Function(name, tuple(arguments), tuple(results)),
        tuple(inputs),
        tuple(outputs),
        tuple(w for w in weights if w.symbol in used),
        statement.span,
    )
    check.model.layers[name] = made
    return LayerValue(name, made)


def _weight(check: Checker, layer_name: str, t: tree.TensorDef, scope: Names) -> Weight:
    axes = check.indices(t.items)
    order = tuple(a.name for a in axes)
    kind = KINDS.get(t.type.kind.id, Kind.REAL) if t.type is not None and t.type.kind is not None else Kind.REAL
    symbol = build.symbol(f"{layer_name}.{t.name.id}", Type(kind, {a.name: a.size for a in axes}))
    structure = None
    if t.annotations:
        note = t.annotations[0]
        structure = Call(note.name.id, (), (), note.span)
        check.cannot(f"the structure `@{note.name.id}` of the weight `{t.name.id}`", note.span)
    scope.declare(t.name, "weight", lambda: Value(symbol, NUMBER, order), check.diagnostics)
    value = None if t.value is None else check.tensor_value(t, order, symbol, NUMBER)
    return Weight(f"{layer_name}.{t.name.id}", symbol, order, structure, t.span, value)


def _assign(check: Checker, reader: Reader, statement: tree.Assign | tree.Let, scope: Names) -> None:
    target = statement.target
    axes = check.indices(target.items)
    order = tuple(a.name for a in axes)
    if is_recurrence(statement):
        check.cannot(f"the recurrence of `{target.name.id}` over an index", statement.span)
        placeholder = build.symbol(f"{target.name.id}:recurrence", Type(Kind.REAL, {a.name: a.size for a in axes}))
        scope.declare(target.name, "value", lambda: Value(placeholder, NUMBER, order), check.diagnostics)
        return
    value = reader.scalar(statement.value, frozenset(order))
    check.left_and_right(order, value, statement.value.span)
    known = replace(value, order=order)
    scope.declare(target.name, "value", lambda: known, check.diagnostics)


def apply_layer(reader: Reader, node: tree.Call, entity: LayerValue, free: frozenset[str]) -> Value:
    """`MLP(x)`: axes match by name; a missing or extra one is E0202."""
    made: Layer = entity.layer
    if len(node.positional) != len(made.inputs) or node.keywords:
        raise CheckFailed("E0206", f"`{entity.name}` takes {len(made.inputs)} inputs, {len(node.arguments)} given", node.span)
    if len(made.outputs) != 1:
        raise CheckFailed("E0206", f"`{entity.name}` has {len(made.outputs)} outputs; a call needs one", node.span)
    known: dict[Term, Term] = {}
    extra: dict[str, Any] = {}
    for argument, symbol in zip(node.positional, made.function.params, strict=False):
        value = reader.scalar(argument, free | reader.indices(argument))
        for axis, size in symbol.axes.items():
            if axis not in value.term.axes:
                raise CheckFailed(
                    "E0202",
                    f"`{entity.name}` needs the axis `{axis}`, `{argument.span.text}` has [{', '.join(value.term.axes)}]",
                    argument.span,
                )
            if equal(size, value.term.axes[axis]) is not True:
                raise CheckFailed("E0202", f"`{axis}` has {value.term.axes[axis]} values, `{entity.name}` takes {size}", argument.span)
        extra |= {a: s for a, s in value.term.axes.items() if a not in symbol.axes}
        known[symbol] = value.term
    if extra:
        raise CheckFailed("E0202", f"`{entity.name}` has no axis `{next(iter(extra))}`", node.span)
    (term,) = substitute([made.function.roots[0]], known)
    return Value(term, NUMBER, made.outputs[0][1])
