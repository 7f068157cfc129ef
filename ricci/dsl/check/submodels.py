"""`model name(parameters) { ... }`: a model inside a model, a scope of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ricci.dsl import model, tree
from ricci.dsl.check.context import error
from ricci.dsl.check.expressions import scalar_of
from ricci.dsl.check.modules import names_called
from ricci.dsl.check.scope import Scope
from ricci.dsl.check.values import Namespace

if TYPE_CHECKING:
    from ricci.dsl.check.declarations import Declarer


def make_submodel(outer: Declarer, statement: tree.ModelDefinition) -> Namespace:
    """Check the block like a file; its names are reached as `name.u`."""
    from ricci.dsl.check.declarations import Declarer
    from ricci.dsl.check.statements import check_block

    parent = outer.checker
    own = model.Model(statement.name.id, "", parent.source, uses_units=parent.model.uses_units, time_unit=parent.model.time_unit)
    own.domains, own.dims, own.sizes = dict(parent.model.domains), dict(parent.model.dims), dict(parent.model.sizes)
    checker = replace(parent, model=own, unsupported={}, called=names_called(statement.body), weights=[])
    inner = Declarer(checker, Scope(outer.scope))
    for argument in statement.arguments:
        if not isinstance(argument, tree.Keyword):
            raise error("E0203", "a parameter of a model has a default", argument, label="as in nu=0.1")
        value = scalar_of(argument.value, outer.context(statement))
        if argument.name.id in inner.scope.declarations:
            raise error("E0102", f"`{argument.name.id}` is given twice", argument.name)
        inner.scope.define(argument.name.id, "parameter", argument.name.span, replace(value, shown=None))
    check_block(inner, statement.body)
    parent.lacking(f"the model `{statement.name.id}` inside this one", statement.span)
    members = dict(inner.scope.declarations.items())
    return Namespace(statement.name.id, "model", dict(members))
