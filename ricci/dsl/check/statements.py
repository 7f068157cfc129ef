"""The order in which a block is read: names, then physics, then what is solved and looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ricci.dsl import tree
from ricci.dsl.check import indices, notes
from ricci.dsl.check.agreement import demand_unit, short, truth
from ricci.dsl.check.conditions import Placed, read_boundary, read_event, read_initial
from ricci.dsl.check.context import Checker, error, settled
from ricci.dsl.check.declarations import Declarer
from ricci.dsl.check.definitions import refuse_lone, refuse_start
from ricci.dsl.check.equations import Candidate, Formulas, formulas_of, match, read_equation, read_reactions
from ricci.dsl.check.expressions import compared, scalar_of
from ricci.dsl.check.iterations import read_iterate
from ricci.dsl.check.looks import computed, read_output, read_plot, refuse_end, refuse_moving
from ricci.dsl.check.rules import read_rule
from ricci.dsl.check.scope import Failed, Scope, in_order
from ricci.dsl.check.solve_options import counted, read_solve, result_of
from ricci.dsl.check.values import Value
from ricci.dsl.check.wellposed import check_conditions, check_conservative, check_initials
from ricci.dsl.model import Check, Comparison, Initial, Solve, Unit
from ricci.dsl.names import behind_what_they_name
from ricci.dsl.ops.const import value_of as constant_of
from ricci.dsl.spelling import nearest

SAVED = (".npz", ".zarr", ".nc", ".onnx")  # files that hold what `save` names


def check_block(declarer: Declarer, statements: Sequence[tree.Statement]) -> None:
    """Check the statements of a file or of a model inside one."""
    checker = declarer.checker
    _declare(declarer, statements)
    for statement in statements:
        if _is_start(statement):
            assert isinstance(statement, tree.Initial)
            declarer.starts.setdefault(statement.target.name.id, []).append(statement)
    declared = declarer.scope.in_order()
    for declaration in [d for d in declared if d.word == "domain"] + declared:
        with checker.attempt():
            declaration.resolve()
    for side in in_order(declarer.scope.sides):
        with checker.attempt():
            side.resolve()
    for statement in statements:
        for note in statement.annotations:
            with checker.attempt():
                checker.annotation(note)
    placed = _physics(declarer, statements)
    for equation in declarer.model.equations:
        with checker.attempt():
            refuse_moving([equation.residual], equation.text, equation.span, declarer)
    _solves(declarer, statements)
    if placed is not None:
        notes.add(checker, placed)
    for statement in statements:
        with checker.attempt():
            _observe(statement, declarer)


def _solves(declarer: Declarer, statements: Sequence[tree.Statement]) -> None:
    checker = declarer.checker
    for statement in statements:
        if isinstance(statement, tree.Solve):
            with checker.attempt():
                solve = read_solve(statement, declarer.context(statement))
                refuse_end(solve, declarer)
                _one_solve(solve, checker)
                checker.model.solves.append(solve)
                tol = solve.option("tol")
                number = constant_of(tol.arguments[0]) if tol else None
                if number is not None and not isinstance(number, float) and not solve.goal:
                    checker.tolerance = number
                space = solve.option("space")
                for call in space.arguments if space else ():
                    if call.name == "fv":
                        check_conservative(call, checker)


def _one_solve(solve: Solve, checker: Checker) -> None:
    """E0102 for a second `solve` without a name: it would never be run. With names of their own, all but the first cannot be run yet."""
    before = next((s for s in checker.model.solves if not s.goal), None)
    if before is None or solve.goal or solve.span is None or before.span is None:
        return
    if not solve.name and not before.name:
        raise error("E0102", "there are two `solve` statements", solve.span, label=f"the first is in line {before.span.line}: join them")
    checker.lacking(f"a second `solve` of the same equations (the first is in line {before.span.line})", solve.span)


def _declare_units(declarer: Declarer, statements: Sequence[tree.UnitDeclaration]) -> None:
    """Each behind those that it is made of, whatever their order in the text; a second one of a name last."""
    first = {s.name.id: s for s in reversed(statements)}
    order = [first[name] for name in behind_what_they_name({name: [s.unit] for name, s in first.items()})]
    declarer.checker.units.waiting = set(first)
    for statement in [*order, *(s for s in statements if s is not first[s.name.id])]:
        with declarer.checker.attempt():
            declarer.declare(statement)


def _declare(declarer: Declarer, statements: Sequence[tree.Statement]) -> None:
    """All names first; units before them, because every type may use them."""
    _declare_units(declarer, [s for s in statements if isinstance(s, tree.UnitDeclaration)])
    for statement in statements:
        with declarer.checker.attempt():
            refuse_start(statement, statements)
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


def _physics(declarer: Declarer, statements: Sequence[tree.Statement]) -> list[Placed] | None:
    """Equations first: which unknowns are formulas of others decides what conditions are about. The conditions, if all is well."""
    checker = declarer.checker
    checker.started = frozenset(s.target.name.id for s in statements if isinstance(s, tree.Initial) and not _is_start(s))
    before = len(checker.diagnostics.errors) + checker.silent
    broken = any(d.state == "failed" for d in declarer.scope.declarations.values())
    candidates = _candidates(declarer, statements)
    formulas: Formulas | None = None
    if not broken and len(checker.diagnostics.errors) + checker.silent == before:
        checker.model.equations += match(candidates, checker) if candidates else []
        formulas = formulas_of(checker)
    placed: list[Placed] = []
    initials: list[tuple[Initial, tree.Node]] = []
    for rank, statement in enumerate(statements):
        with checker.attempt():
            match statement:
                case tree.Boundary():
                    placed += read_boundary(statement, rank, declarer, formulas)
                case tree.Initial():
                    initials += _initial(statement, declarer)
                case tree.Event():
                    checker.model.events.append(read_event(statement, declarer, formulas))
    if broken or len(checker.diagnostics.errors) + checker.silent > before:
        checker.physics_broken = True
        return None
    if not candidates and checker.model.fields:
        _unknowns_without_equations(declarer)
        return None
    assert formulas is not None
    check_conditions(placed, formulas, checker)
    check_initials(initials, checker)
    checker.model.conditions += [p.condition for p in placed if p.condition.coordinate]
    checker.model.initials += [i for i, _ in initials]
    return placed if len(checker.diagnostics.errors) == before else None


def _candidates(declarer: Declarer, statements: Sequence[tree.Statement]) -> list[Candidate]:
    names: dict[str, tree.Name] = {}
    found: list[Candidate] = []
    for statement in statements:
        if isinstance(statement, tree.Equation):
            with declarer.checker.attempt():
                if statement.name is not None:
                    _equation_name(statement.name, names)
                found += read_equation(statement, declarer)
    return found + read_reactions([s for s in statements if isinstance(s, tree.Reaction)], declarer)


def _equation_name(name: tree.Name, names: dict[str, tree.Name]) -> None:
    if name.id in names:
        raise error("E0102", f"two equations are called `{name.id}`", name, label=f"the first is in line {names[name.id].span.line}")
    names[name.id] = name


def _unknowns_without_equations(declarer: Declarer) -> None:
    for f in declarer.model.fields.values():
        owner = f.of or f.name
        declarer.checker.diagnostics.add(
            "E0303",
            f"no equation determines `{owner}`",
            f.span,
            label="an unknown needs an equation",
            help=declarer.checker.equation_for(owner),
        )
        return


def _is_start(statement: tree.Statement) -> bool:
    """Whether this is the start of a recurrence, `initial z[s=-1] = 0`."""
    return isinstance(statement, tree.Initial) and any(isinstance(i, tree.NamedItem) for i in statement.target.items)


def _initial(statement: tree.Initial, declarer: Declarer) -> list[tuple[Initial, tree.Node]]:
    """An initial value of a field; the start of a recurrence belongs to its `let`."""
    name = statement.target.name
    declaration = declarer.scope.find(name.id)
    if statement.target.items and not _is_start(statement) and declaration is not None and declaration.word == "let":
        raise error("E0203", "the start of a recurrence names its step", statement.target, label=f"as in initial {name.id}[s=-1] = 0")
    if _is_start(statement):
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
            checker.model.checks.append(read_check(statement, declarer))
        case tree.Output():
            checker.model.outputs.append(read_output(statement, declarer))
        case tree.Plot():
            checker.model.plots += read_plot(statement, declarer)
        case tree.Save():
            _save(statement, declarer)
        case tree.Sweep():
            _sweep(statement, declarer)
        case tree.Run():
            _run(statement, declarer)
        case tree.RewriteRule():
            checker.model.rules.append(read_rule(statement, declarer))
        case tree.Iterate():
            read_iterate(statement, declarer)
        case tree.Version():
            if statement.number not in ("0.1", "0.1.0"):
                raise error("E0104", f"this is ricci 0.1, the text asks for {statement.number}", statement)


def _finished(declarer: Declarer) -> Scope:
    """Names as a check sees them: definitions stand for the arrays that came out, and the counters of the run are known."""
    scope = computed(declarer)
    main = next((s for s in declarer.model.solves if not s.goal), None)
    if main is not None and main.name:
        scope.define(main.name, "result", main.span, counted(main.name))
    return scope


def read_check(statement: tree.Check, declarer: Declarer) -> Check:
    """A conjunction of comparisons is kept as such, so that its values can be shown."""
    context = replace(declarer.context(statement), scope=_finished(declarer))
    node = statement.condition
    indices.plan(node, context, refuse_lone, coordinates=False)
    condition = scalar_of(node, context)
    term = truth(condition, node)
    refuse_moving([term], _text(node), node, declarer)
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
    if not statement.path.value.endswith(SAVED):
        raise error("E0811", f'"{statement.path.value}" has no known extension', statement.path, label=f"one of {', '.join(SAVED)}")
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
        settled(declarer.context(), name.id)
        guess = nearest(name.id, declarer.model.params)
        known = ", ".join(declarer.model.params) or "none"
        raise error("E0101", f"there is no param `{name.id}`", name, label=f"did you mean `{guess}`?" if guess else f"params are {known}")


def _solve_named(name: tree.Name | None, declarer: Declarer) -> None:
    known = [s.name for s in declarer.model.solves if s.name]
    if name is not None and name.id not in known:
        if any(d.name == name.id and d.word == "result" for d in declarer.scope.all()):
            raise Failed(name.id)  # that `solve` is wrong
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
