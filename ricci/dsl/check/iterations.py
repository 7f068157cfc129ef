"""`iterate x = start { body } until condition`: typed, so that a slip is seen; not run yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ricci.dsl import build, tree
from ricci.dsl.check.agreement import numeric, truth
from ricci.dsl.check.context import Context, error
from ricci.dsl.check.definitions import defined_tensor
from ricci.dsl.check.expressions import scalar_of
from ricci.dsl.check.scope import Scope
from ricci.dsl.check.solve_options import whole
from ricci.dsl.check.values import Value
from ricci.dsl.types import Kind, Type

if TYPE_CHECKING:
    from ricci.dsl.check.declarations import Declarer


def read_iterate(statement: tree.Iterate, outer: Declarer) -> None:
    """Starts, body in order (each assignment is seen by those below), condition."""
    from ricci.dsl.check.declarations import Declarer

    inner = Declarer(outer.checker, Scope(outer.scope))
    context = inner.context(statement)
    for start in statement.starts:
        value = _value(inner, start, outer.context(statement))
        term = build.symbol(outer.checker.fresh(start.target.name.id), Type(max(value.kind, Kind.REAL), value.axes))
        kept = Value(term, value.unit, value.order, family=value.family, origin=start.target.name.span)
        inner.scope.define(start.target.name.id, "value", start.target.name.span, kept)
    for part in statement.body:
        if not isinstance(part, tree.Assign):
            raise error("E0203", "`iterate` holds assignments", part, label="this belongs outside")
        value = _value(inner, part, context)
        inner.scope.define(part.target.name.id, "value", part.target.name.span, value)
    truth(scalar_of(statement.until, context), statement.until)
    if statement.maximum is not None:
        whole(statement.maximum, context, "the largest number of rounds")
    outer.checker.lacking("`iterate`", statement.span)


def _value(inner: Declarer, part: tree.Assign, context: Context) -> Value:
    if part.target.items:
        axes = inner.indices_of(part.target.items, context)
        body = tree.Target(tree.Name(f"{part.target.name.id}:", span=part.target.name.span), part.target.items, (), span=part.target.span)
        return defined_tensor(body, part.value, axes, {}, context)
    return numeric(scalar_of(part.value, context), part.value)
