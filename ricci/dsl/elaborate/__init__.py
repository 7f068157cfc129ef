"""Syntax tree -> `Model`: declarations first (in any order), then equations and conditions, then what is computed and looked at."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ricci.dsl import tree
from ricci.dsl.elaborate import conditions, options, reactions
from ricci.dsl.elaborate.checker import Checker
from ricci.dsl.model import Model, Unit
from ricci.errors import CheckFailed

NOT_BUILT = {
    tree.NetworkDeclaration: "tensor networks",
    tree.Dataset: "data sets",
    tree.ModelDefinition: "models inside models",
    tree.Iterate: "`iterate` blocks",
    tree.RewriteRule: "rules of a model",
    tree.Sweep: "sweeps",
    tree.Save: "`save`",
    tree.Run: "`run` inside a model",
    tree.RegionDeclaration: "regions",
    tree.GridDeclaration: "`grid` declarations",
    tree.Import: "imports",
    tree.FromImport: "imports",
}


def check(file: tree.File) -> Model:
    """The model of a file; CheckFailed holds everything that is wrong with it."""
    from ricci.dsl.format import canonical_text

    model = Model(Path(file.source.name).stem.strip("<>"), canonical_text(file), file.source)
    model.uses_units = any(isinstance(n, tree.UnitExpr) for n in tree.walk(file))
    model.time_unit = Unit(text="s") if model.uses_units else Unit()
    checker = Checker(file, model, called=_called(file))
    for statement in sorted(file.statements, key=_rank):
        checker.attempt(partial(checker.declare, statement))
    if _beyond(checker, file):
        checker.diagnostics.raise_if_any(CheckFailed)
        model.unsupported.sort(key=lambda u: u.span.start if u.span else 0)
        return model
    for name in _in_order(checker, file):
        checker.attempt(checker.names.table[name].get)
    for statement in file.statements:
        if isinstance(statement, tree.Solve):
            checker.attempt(partial(options.solve, checker, statement))
    _physics(checker, file)
    _observations(checker, file)
    checker.diagnostics.raise_if_any(CheckFailed)
    model.notes += checker.diagnostics.notes
    model.spans = {term: frozenset(spans) for term, spans in checker.spans.items()}
    model.unsupported.sort(key=lambda u: u.span.start if u.span else 0)
    return model


def _called(file: tree.File) -> frozenset[str]:
    """Operators that stand before brackets somewhere in the file."""
    from ricci.dsl.elaborate.calls import operator_names

    found = set()
    for node in tree.walk(file):
        if isinstance(node, tree.Call):
            function = node.function.base if isinstance(node.function, tree.Index) else node.function
            if isinstance(function, tree.Name):
                found.add(function.id)
    return operator_names() & found


def _rank(statement: tree.Statement) -> int:
    """Units, then names that are made when used, then domains, whose bounds use them, then names of sides."""
    kinds = (tree.UnitDeclaration, tree.Statement, tree.DomainDeclaration, tree.SideDeclaration)
    return max(k for k, kind in enumerate(kinds) if isinstance(statement, kind)) if not isinstance(statement, kinds[0]) else 0


def _in_order(checker: Checker, file: tree.File) -> list[str]:
    """Names, each after those that its declaration uses, so that a long chain of definitions is made link by link."""
    table = checker.names.table
    uses: dict[str, list[str]] = {}
    for statement in file.statements:
        for name, _, _ in checker.declared(statement):
            uses[name.id] = [n.id for n in tree.walk(statement) if isinstance(n, tree.Name) and n.id in table and n.id != name.id]
    order: dict[str, None] = {}
    entered: set[str] = set()
    for start in table:
        stack = [(start, False)]
        while stack:
            made, complete = stack.pop()
            if complete:
                order[made] = None
            elif made not in entered:
                entered.add(made)
                stack += [(made, True), *((n, False) for n in reversed(uses.get(made, [])))]
    return list(order)


def _beyond(checker: Checker, file: tree.File) -> bool:
    """Statements of kinds that are parsed, formatted and not elaborated by this version; whether there are any."""
    for statement in file.statements:
        what = NOT_BUILT.get(type(statement))
        if what is not None:
            checker.cannot(what, statement.span)
        goal = statement.goal if isinstance(statement, tree.Solve) else None
        if goal is not None:
            checker.cannot(f"`solve {goal.kind.id}`", statement.span)
        for note in statement.annotations:
            if note.name.id not in ("noopt",):
                checker.cannot(f"the annotation `@{note.name.id}`", note.span)
        if isinstance(statement, tree.Output) and statement.path.value.endswith(".onnx"):
            checker.cannot("the output format .onnx", statement.span)
    names = {"flops", "dense", "ricker", "delta", "gaussian_process", "normal", "ez", "ex", "ey"}
    for node in tree.walk(file):
        if isinstance(node, tree.Name) and node.id in names and checker.names.find(node.id) is None:
            checker.cannot(f"`{node.id}`", node.span)
    return bool(checker.model.unsupported)


def _physics(checker: Checker, file: tree.File) -> None:
    """Equations, reactions, conditions and initial values; then the count."""
    for statement in file.statements:
        if isinstance(statement, tree.Equation):
            checker.attempt(partial(conditions.equation, checker, statement))
    found = [s for s in file.statements if isinstance(s, tree.Reaction)]
    reactions.reactions(checker, found)
    for rank, statement in enumerate(file.statements):
        if isinstance(statement, tree.Boundary):
            checker.attempt(partial(conditions.boundary, checker, statement, rank))
        elif isinstance(statement, tree.Initial):
            checker.attempt(partial(conditions.initial, checker, statement))
        elif isinstance(statement, tree.Event):
            checker.attempt(partial(checker.event, statement))
    if not checker.diagnostics.errors:
        conditions.match(checker)
        conditions.well_posed(checker)


def _observations(checker: Checker, file: tree.File) -> None:
    for statement in file.statements:
        match statement:
            case tree.Check():
                checker.attempt(partial(checker.check_statement, statement))
            case tree.Output():
                checker.attempt(partial(checker.output, statement))
            case tree.Plot():
                checker.attempt(partial(checker.plot, statement))


__all__ = ["check"]
