"""The order in which a block is read: names, then physics, then what is solved and looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ricci.dsl import build, tree
from ricci.dsl.check import indices, notes
from ricci.dsl.check.agreement import demand_unit, short, truth
from ricci.dsl.check.conditions import Placed, read_boundary, read_event, read_initial
from ricci.dsl.check.context import Context, error
from ricci.dsl.check.declarations import Declarer
from ricci.dsl.check.definitions import refuse_lone
from ricci.dsl.check.equations import Candidate, match, read_equation, read_reactions
from ricci.dsl.check.expressions import compared, entity_of, scalar_of, value_of
from ricci.dsl.check.iterations import read_iterate
from ricci.dsl.check.scope import Scope
from ricci.dsl.check.solve_options import read_solve, result_of
from ricci.dsl.check.values import Value, leaves, mapped, paths
from ricci.dsl.check.wellposed import check_conditions, check_conservative, check_initials
from ricci.dsl.model import Check, Comparison, Initial, Output, Plot, Quantity, Unit
from ricci.dsl.ops.const import value_of as constant_of
from ricci.dsl.spelling import nearest
from ricci.dsl.term import Term

FILES = (".npz", ".zarr", ".nc", ".png", ".npy", ".onnx", ".h5", ".csv", ".pdf", ".svg")


def check_block(declarer: Declarer, statements: Sequence[tree.Statement]) -> None:
    """Check the statements of a file or of a model inside one."""
    checker = declarer.checker
    _declare(declarer, statements)
    for statement in statements:
        if _is_start(statement):
            assert isinstance(statement, tree.Initial)
            declarer.starts.setdefault(statement.target.name.id, []).append(statement)
    in_order = declarer.scope.in_order()
    for declaration in [d for d in in_order if d.word == "domain"] + in_order:
        with checker.attempt():
            declaration.resolve()
    for side in declarer.scope.sides.values():
        with checker.attempt():
            side.resolve()
    for statement in statements:
        for note in statement.annotations:
            with checker.attempt():
                checker.annotation(note)
    _physics(declarer, statements)
    _solves(declarer, statements)
    for statement in statements:
        with checker.attempt():
            _observe(statement, declarer)


def _solves(declarer: Declarer, statements: Sequence[tree.Statement]) -> None:
    checker = declarer.checker
    for statement in statements:
        if isinstance(statement, tree.Solve):
            with checker.attempt():
                solve = read_solve(statement, declarer.context(statement))
                checker.model.solves.append(solve)
                tol = solve.option("tol")
                number = constant_of(tol.arguments[0]) if tol else None
                if number is not None and not isinstance(number, float) and not solve.goal:
                    checker.tolerance = number
                space = solve.option("space")
                for call in space.arguments if space else ():
                    if call.name == "fv":
                        check_conservative(call, checker)


def _declare(declarer: Declarer, statements: Sequence[tree.Statement]) -> None:
    """All names first; units before them, because every type may use them."""
    for statement in statements:
        if isinstance(statement, tree.UnitDeclaration):
            with declarer.checker.attempt():
                declarer.declare(statement)
    for statement in statements:
        with declarer.checker.attempt():
            if isinstance(statement, tree.Solve) and statement.name is not None:
                declarer.enter(statement.name, "result", partial(result_of, statement, declarer.context(statement)))
            elif isinstance(statement, tree.Assign):
                raise error(
                    "E0203",
                    "an assignment stands in a layer or in `iterate`",
                    statement,
                    label=f"here write `let {short(statement.target)} = ...`",
                )
            elif not isinstance(statement, tree.UnitDeclaration):
                declarer.declare(statement)


def _physics(declarer: Declarer, statements: Sequence[tree.Statement]) -> None:
    checker = declarer.checker
    before = len(checker.diagnostics.errors)
    candidates: list[Candidate] = []
    placed: list[Placed] = []
    initials: list[tuple[Initial, tree.Node]] = []
    names: dict[str, tree.Name] = {}
    for rank, statement in enumerate(statements):
        with checker.attempt():
            match statement:
                case tree.Equation():
                    if statement.name is not None:
                        _equation_name(statement.name, names)
                    candidates += read_equation(statement, declarer)
                case tree.Boundary():
                    placed += read_boundary(statement, rank, declarer)
                case tree.Initial():
                    initials += _initial(statement, declarer)
                case tree.Event():
                    checker.model.events.append(read_event(statement, declarer))
    candidates += read_reactions([s for s in statements if isinstance(s, tree.Reaction)], declarer)
    if len(checker.diagnostics.errors) > before or any(d.state == "failed" for d in declarer.scope.declarations.values()):
        return
    if not candidates and checker.model.fields:
        _unknowns_without_equations(declarer)
        return
    checker.model.equations += match(candidates, checker)
    if len(checker.diagnostics.errors) > before:
        return
    check_conditions(placed, checker)
    check_initials(initials, checker)
    checker.model.conditions += [p.condition for p in placed if p.condition.coordinate]
    checker.model.initials += [i for i, _ in initials]
    if len(checker.diagnostics.errors) == before:
        notes.add(checker, placed)


def _equation_name(name: tree.Name, names: dict[str, tree.Name]) -> None:
    if name.id in names:
        raise error("E0102", f"two equations are called `{name.id}`", name, label=f"the first is in line {names[name.id].span.line}")
    names[name.id] = name


def _unknowns_without_equations(declarer: Declarer) -> None:
    for f in declarer.model.fields.values():
        owner = f.of or f.name
        declarer.checker.diagnostics.add(
            "E0303", f"no equation determines `{owner}`", f.span, label="an unknown needs an equation", help=f"equation dt({owner}) = 0"
        )
        return


def _is_start(statement: tree.Statement) -> bool:
    """Whether this is the start of a recurrence, `initial z[s=-1] = 0`."""
    return isinstance(statement, tree.Initial) and any(isinstance(i, tree.NamedItem) for i in statement.target.items)


def _initial(statement: tree.Initial, declarer: Declarer) -> list[tuple[Initial, tree.Node]]:
    """An initial value of a field; the start of a recurrence belongs to its `let`."""
    if _is_start(statement):
        name = statement.target.name
        declaration = declarer.scope.find(name.id)
        if declaration is not None and declaration.word == "let" and declaration.node is not None:
            return []
        raise error("E0101", f"there is no recurrence `{name.id}`", name, label="the start belongs to a `let` with the same name")
    return read_initial(statement, declarer)


# ---------------------------------------------------------------------------------------------------------------------
# what is run and looked at


def _observe(statement: tree.Statement, declarer: Declarer) -> None:
    checker = declarer.checker
    match statement:
        case tree.Check():
            context = replace(declarer.context(statement), scope=_computed(declarer))
            checker.model.checks.append(read_check(statement, context))
        case tree.Output():
            checker.model.outputs.append(_output(statement, declarer))
        case tree.Plot():
            checker.model.plots += _plot(statement, declarer)
        case tree.Save():
            _save(statement, declarer)
        case tree.Sweep():
            _sweep(statement, declarer)
        case tree.Run():
            _run(statement, declarer)
        case tree.RewriteRule():
            checker.lacking(f"the rule `{statement.name.id}`", statement.span)
        case tree.Iterate():
            read_iterate(statement, declarer)
        case tree.Version():
            if statement.number not in ("0.1", "0.1.0"):
                raise error("E0104", f"this is ricci 0.1, the text asks for {statement.number}", statement)


def _computed(declarer: Declarer) -> Scope:
    """Names as a check sees them: a definition that is computed on its own stands for the array that came out."""
    scope = Scope(declarer.scope)
    for name, declaration in declarer.scope.declarations.items():
        if declaration.word == "let" and declaration.state == "done" and isinstance(declaration.entity, Value):
            value = declaration.entity
            found = [".".join((name, *path)) for path, _ in paths(value.data, value.labels)]
            if all(label in declarer.model.lets for label in found):
                symbols = iter([build.symbol(label, leaf.type) for label, leaf in zip(found, leaves(value.data), strict=True)])
                scope.define(
                    name, "let", declaration.span, replace(value, data=mapped(lambda t, symbols=symbols: next(symbols), value.data))
                )
    return scope


def read_check(statement: tree.Check, context: Context) -> Check:
    """A conjunction of comparisons is kept as such, so that its values can be shown."""
    node = statement.condition
    indices.plan(node, context, refuse_lone, coordinates=False)
    condition = scalar_of(node, context)
    term = truth(condition, node)
    if term.axes:
        axis = next(iter(term.axes))
        raise error("E0206", "a check is true or false", node, label=f"this varies along `{axis}`: write max(...), mean(...) or all(...)")
    parts = node.operands if isinstance(node, tree.Logic) and node.operator == "and" else (node,)
    comparisons: list[Comparison] = []
    for part in parts:
        if isinstance(part, tree.Compare):
            values = [scalar_of(o, context) for o in part.operands]
            for i, operator in enumerate(part.operators):
                pair, nodes = values[i : i + 2], part.operands[i : i + 2]
                compared(operator, pair, nodes, context)
                comparisons.append(Comparison(pair[0].term, operator, pair[1].term, _shown(pair[1], pair[0]), _text(part)))
    return Check(_text(node), tuple(comparisons), term, statement.span)


def _text(node: tree.Node) -> str:
    return " ".join(node.span.text.split())


def _shown(*values: Value) -> Unit:
    """The unit in which a measured value is shown: as written on either side."""
    return next((v.shown for v in values if v.shown is not None and v.shown.text and v.shown.powers == v.unit), Unit())


def quantities(node: tree.Expr, context: Context) -> list[Quantity]:
    """A named value to observe, one for each component."""
    indices.plan(node, context, lambda index, where: None, coordinates=False)
    value = value_of(node, context)
    unit = value.shown if value.shown is not None and value.shown.powers == value.unit else None
    if unit is None:
        from ricci.dsl.check.quantities import unit_from

        unit = unit_from(value, context.checker) or Unit()
    out = []
    for path, term in paths(value.data, value.labels):
        label = _text(node) + "".join(f".{p}" for p in path)
        order = value.order if value.order is not None and set(value.order) == set(term.axes) else tuple(term.axes)
        out.append(Quantity(label, term, unit, order))
    return out


def _times(arguments: Sequence[tree.Argument], context: Context) -> tuple[Term, ...]:
    out = []
    for argument in arguments:
        node = argument
        if isinstance(argument, tree.Keyword):
            if argument.name.id != "t":
                guess = "did you mean `t`?" if nearest(argument.name.id, ["t"]) else "an instant is t=..."
                raise error("E0104", f"`at` takes no `{argument.name.id}`", argument.name, label=guess)
            node = argument.value
        assert isinstance(node, tree.Expr)
        out.append(_moment(node, context))
    return tuple(out)


def _moment(node: tree.Expr, context: Context) -> Term:
    value = scalar_of(node, context)
    demand_unit(value, context.checker.time_unit, node, context, "a time")
    if value.axes:
        raise error("E0206", "a time is one number", node)
    return value.term


def _path(path: tree.String) -> str:
    if not path.value.lower().endswith(FILES):
        raise error("E0811", f'"{path.value}" has no known extension', path, label=f"one of {', '.join(FILES[:4])}")
    return path.value


def _output(statement: tree.Output, declarer: Declarer) -> Output:
    context = declarer.context(statement)
    found: list[Quantity] = []
    for node in statement.quantities:
        entity = entity_of(node, context) if isinstance(node, tree.Name) else None
        if entity is not None and not isinstance(entity, Value) and type(entity).__name__ == "Layered":
            context.checker.lacking(f"the export of the layer `{short(node)}`", statement.span)
            continue
        found += quantities(node, context)
    every = _moment(statement.every, context) if statement.every is not None else None
    if every is not None:
        number = constant_of(every)
        if number is not None and number <= 0:
            assert statement.every is not None
            raise error("E0705", "`every` takes a positive time", statement.every)
    return Output(tuple(found), every, _times(statement.at, context), _path(statement.path), statement.span)


def _plot(statement: tree.Plot, declarer: Declarer) -> list[Plot]:
    context = declarer.context(statement)
    path = _path(statement.path) if statement.path is not None else None
    return [Plot(q, _times(statement.at, context), path, statement.span) for q in quantities(statement.quantity, context)]


def _save(statement: tree.Save, declarer: Declarer) -> None:
    first = statement.what.names[0]
    declaration = declarer.scope.find(first.id)
    if declaration is None:
        guess = nearest(first.id, declarer.scope.names())
        raise error(
            "E0101",
            f"`{statement.what.text}` is not declared",
            statement.what,
            label=f"did you mean `{guess}`?" if guess else "not declared",
        )
    declaration.resolve()
    _path(statement.path)
    declarer.checker.lacking(f"`save {statement.what.text}`", statement.span)


def _sweep(statement: tree.Sweep, declarer: Declarer) -> None:
    context = declarer.context(statement)
    for axis in statement.axes:
        _param_named(axis.name, declarer)
        values = axis.values
        parts = values.items if isinstance(values, tree.List) else (values.lo, values.hi) if isinstance(values, tree.Range) else (values,)
        for part in parts:
            unit = declarer.model.params[axis.name.id].unit.powers
            demand_unit(scalar_of(part, context), unit, part, context, f"`{axis.name.id}`")
    _solve_named(statement.run, declarer)
    declarer.checker.lacking("`sweep`", statement.span)


def _param_named(name: tree.Name, declarer: Declarer) -> None:
    if name.id not in declarer.model.params:
        guess = nearest(name.id, declarer.model.params)
        known = ", ".join(declarer.model.params) or "none"
        raise error("E0101", f"there is no param `{name.id}`", name, label=f"did you mean `{guess}`?" if guess else f"params are {known}")


def _solve_named(name: tree.Name | None, declarer: Declarer) -> None:
    known = [s.name for s in declarer.model.solves if s.name]
    if name is not None and name.id not in known:
        guess = nearest(name.id, known)
        raise error(
            "E0101",
            f"there is no solve `{name.id}`",
            name,
            label=f"did you mean `{guess}`?" if guess else f"named ones are {', '.join(known) or 'none'}",
        )


def _run(statement: tree.Run, declarer: Declarer) -> None:
    _solve_named(statement.name, declarer)
    context = declarer.context(statement)
    for setting in statement.settings:
        _param_named(setting.name, declarer)
        unit = declarer.model.params[setting.name.id].unit.powers
        demand_unit(scalar_of(setting.value, context), unit, setting.value, context, f"`{setting.name.id}`")
    declarer.checker.lacking("`run` inside a model", statement.span)
