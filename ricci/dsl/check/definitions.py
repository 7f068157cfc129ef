"""`T[i, j] = expression`: free indices on the left, sums on the right, recurrences."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ricci.dsl import tree
from ricci.dsl.check import indices
from ricci.dsl.check.agreement import numeric, short
from ricci.dsl.check.context import Context, error
from ricci.dsl.check.expressions import scalar_of
from ricci.dsl.check.recurrence import defined, scanned_axis, self_reference
from ricci.dsl.check.values import Value
from ricci.dsl.types import Size

if TYPE_CHECKING:
    from ricci.dsl.check.declarations import Declarer

BEFORE_FIRST = re.compile(r"-\s*[0-9]+")  # an index before the first entry


def refuse_lone(index: str, where: tree.Node) -> None:
    """E0204."""
    raise error("E0204", f"the index `{index}` stands alone", where, label=f"sum[{index}](...), mean[{index}](...), or {index} on the left")


def defined_tensor(
    target: tree.Target,
    body: tree.Expr,
    axes: Mapping[str, Size],
    inits: Mapping[int, Value],
    context: Context,
) -> Value:
    """The tensor on the left. `inits[k]`: its entry k steps before the first, where it is defined by itself."""
    name, order = target.name.id, tuple(axes)
    inner = replace(context, free=frozenset(order))
    itself = self_reference(name, body)
    if itself is None:
        for start in inits.values():
            raise error(
                "E0105", f"`{name}` is no recurrence and has no start", start.origin, label=f"nothing reads {name} before its first entry"
            )
        value = _read(body, inner)
        refuse_missing(target.items, value)
    else:
        axis = scanned_axis(itself, order, inner)
        value = defined(name, order, axes, axis, inits, inner, lambda c: _read(body, c))
    extra = [a for a in value.axes if a not in axes]
    coordinates = [a for a in extra if indices.is_coordinate(a, context)]
    for a in extra:
        if a not in coordinates:
            refuse_lone(a, indices.place_of(a, body))
    return replace(value, order=(*order, *coordinates), family=len(order), edge="", origin=target.name.span)


def refuse_missing(items: Sequence[tree.Item], value: Value) -> None:
    """E0205 for an index of the left that the right lacks."""
    for item in items:
        if isinstance(item, tree.Name) and item.id not in value.axes:
            label = f"write repeat[{item.id}](...) on the right"
            raise error("E0205", f"the index `{item.id}` stands on the left only", item, label=label)


def _read(body: tree.Expr, context: Context) -> Value:
    indices.plan(body, context, refuse_lone, coordinates=True)
    return scalar_of(body, context)


def starts_of(statements: Sequence[tree.Initial], declarer: Declarer) -> dict[str, dict[int, Value]]:
    """Entries before the first of recurrences: name -> distance -> value."""
    starts: dict[str, dict[int, Value]] = {}
    for statement in statements:
        name, step, value = initial_entry(statement, declarer.context(statement))
        if step in starts.setdefault(name, {}):
            raise error("E0302", f"`{name}` has two values at this step", statement.target, label="the first stands above")
        starts[name][step] = value
    return starts


def refuse_start(statement: tree.Statement, others: Sequence[tree.Statement]) -> None:
    """E0203 for a definition of `z[-1]` where another one defines z by its earlier entries: `initial z[s=-1] = ...` is meant."""
    if not isinstance(statement, tree.Let | tree.Assign):
        return
    name, items = statement.target.name.id, statement.target.items
    steps = [k for k, item in enumerate(items) if isinstance(item, tree.Expr) and BEFORE_FIRST.fullmatch(item.span.text)]
    if len(steps) != 1:
        return
    lets = (o for o in others if isinstance(o, tree.Let | tree.Assign) and o is not statement and o.target.name.id == name)
    axes = next((o.target.items for o in lets if self_reference(name, o.value)), ())
    axis = axes[steps[0]] if len(items) <= len(axes) else None
    if isinstance(axis, tree.Name):
        help = f"initial {name}[{axis.id}={items[steps[0]].span.text}] = {statement.value.span.text}"
        raise error(
            "E0203", f"`{short(statement.target)}` is the start of a recurrence", statement, label="a start is `initial`", help=help
        )


def initial_entry(statement: tree.Initial, context: Context) -> tuple[str, int, Value]:
    """`initial z[s=-1] = value`: the entry before the first."""
    from ricci.dsl.check.indexing import as_index

    target = statement.target
    item = target.items[0] if len(target.items) == 1 else None
    if not isinstance(item, tree.NamedItem):
        raise error("E0203", "the start of a recurrence names its step", target, label="as in initial z[s=-1] = 0")
    index = as_index(item.value, context)
    step = index.constant.constant if index is not None and not index.axes else None
    if step is None or step >= 0:
        raise error("E0203", f"`{short(item.value)}` is no step before the first", item.value, label="as in s=-1")
    value = numeric(scalar_of(statement.value, context), statement.value)
    return target.name.id, -step, replace(value, origin=target.span)
