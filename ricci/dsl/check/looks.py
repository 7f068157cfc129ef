"""What is written and drawn: `output` and `plot`, their quantities, times and files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath

from ricci.dsl import build, tree
from ricci.dsl.check import indices
from ricci.dsl.check.agreement import short
from ricci.dsl.check.context import Context, error
from ricci.dsl.check.declarations import Declarer
from ricci.dsl.check.expressions import entity_of, scalar_of, value_of
from ricci.dsl.check.known import demand_moment
from ricci.dsl.check.quantities import unit_from
from ricci.dsl.check.scope import Scope
from ricci.dsl.check.values import Layered, Value, leaves, mapped, paths
from ricci.dsl.model import Output, Plot, Quantity, Solve, Unit
from ricci.dsl.ops.const import value_of as constant_of
from ricci.dsl.remedies import instead
from ricci.dsl.spelling import nearest
from ricci.dsl.term import Term, symbols, walk
from ricci.dsl.types import Kind, Type
from ricci.errors import Span

RESULTS = (".npz", ".zarr", ".nc")
DRAWN = (".png", ".pdf", ".svg")
NETWORK = ".onnx"


def computed(declarer: Declarer) -> Scope:
    """Names as who looks at results sees them: a definition that is computed on its own stands for the array that came out."""
    scope = Scope(declarer.scope)
    for name, declaration in declarer.scope.declarations.items():
        if declaration.word == "let" and declaration.state == "done" and isinstance(declaration.entity, Value):
            value = declaration.entity
            found = [".".join((name, *path)) for path, _ in paths(value.data, value.labels)]
            if all(label in declarer.model.lets for label in found):
                symbols = iter([build.symbol(label, leaf.type) for label, leaf in zip(found, leaves(value.data), strict=True)])
                data = mapped(lambda t, symbols=symbols: next(symbols), value.data)
                unit = declarer.model.lets[found[0]].unit
                scope.define(name, "let", declaration.span, replace(value, data=data, shown=unit if unit.text else None))
    return scope


def read_output(statement: tree.Output, declarer: Declarer) -> Output:
    """`output R, S every 0.1 to "result.npz"`."""
    context = replace(declarer.context(statement), scope=computed(declarer))
    path = _path(statement.path, (*RESULTS, NETWORK), declarer)
    remedy = f'output {", ".join(_text(q) for q in statement.quantities)} to "{path}"'
    if statement.every is not None:
        refuse_time(declarer, statement.every, "`every` needs a time", remedy)
    if statement.at:
        refuse_time(declarer, statement.at[0], f"`at {_text(statement.at[0])}` names a time", remedy)
    found = _listed(statement.quantities, declarer, context, path, "output")
    every = _moment(statement.every, declarer.context(statement)) if statement.every is not None else None
    if every is not None:
        number = constant_of(every)
        if number is not None and number <= 0:
            assert statement.every is not None
            raise error("E0705", "`every` takes a positive time", statement.every)
    return Output(tuple(found), every, _times(statement.at, declarer.context(statement)), path, statement.span)


def read_plot(statement: tree.Plot, declarer: Declarer) -> list[Plot]:
    """`plot R at t=1 to "r.png"`: numbers together, and a picture for everything else; each component is a thing of its own."""
    context = replace(declarer.context(statement), scope=computed(declarer))
    path = _path(statement.path, DRAWN, declarer) if statement.path is not None else None
    if statement.at:
        remedy = f"plot {', '.join(_text(q) for q in statement.quantities)}" + (f' to "{path}"' if path else "")
        refuse_time(declarer, statement.at[0], f"`at {_text(statement.at[0])}` names a time", remedy)
    found = _listed(statement.quantities, declarer, context, path or "", "plot")
    times = _times(statement.at, declarer.context(statement))
    numbers = tuple(q for q in found if not q.order)
    groups = [*([numbers] if numbers else []), *((q,) for q in found if q.order)]
    out = []
    for group in groups:
        name = _of_group(path, group, len(groups))
        if name is not None and name != path and statement.path is not None:
            _refuse_taken(name, statement.path, declarer)
        over_time = not times and all(_moves(q, declarer, context) for q in group)
        out.append(Plot(group, times, name, statement.span, over_time))
    return out


def _listed(nodes: Sequence[tree.Expr], declarer: Declarer, context: Context, path: str, word: str) -> list[Quantity]:
    """The quantities of a statement; E0102 for one that stands there twice."""
    found: list[Quantity] = []
    for node in nodes:
        for quantity in quantities(node, declarer, context, path):
            if any(quantity.label == q.label for q in found):
                raise error("E0102", f"`{quantity.label}` stands twice in this {word}", node, label="once is enough")
            found.append(quantity)
    return found


def _moves(quantity: Quantity, declarer: Declarer, context: Context) -> bool:
    """Whether it depends on the time, and on nothing else but an index."""
    if without_time(declarer) or len(quantity.order) > 1 or any(indices.is_coordinate(a, context) for a in quantity.order):
        return False
    moving = {f.symbol for f in declarer.model.fields.values()} | {build.symbol("t", Type(Kind.REAL))}
    return not quantity.order or any(s in moving for s in symbols([quantity.term]))


def _of_group(path: str | None, group: Sequence[Quantity], count: int) -> str | None:
    """Several groups of one `plot` have a file each: `v.png` -> `v_x.png`."""
    if path is None or count == 1:
        return path
    stem, suffix = posixpath.splitext(path)
    label = group[0].label if len(group) == 1 else "numbers"
    word = re.sub(r"\W+", "_", label.rpartition(".")[2]).strip("_")
    return f"{stem}_{word}{suffix}"


# quantities


def quantities(node: tree.Expr, declarer: Declarer, context: Context, path: str) -> list[Quantity]:
    """A named value to observe, one for each component; of a layer what it gives for its own inputs."""
    entity = entity_of(node, context) if isinstance(node, tree.Name) else None
    if isinstance(entity, Layered):
        return _of_layer(node, entity, declarer, path)
    if path.endswith(NETWORK):
        raise error("E0811", f"`{NETWORK}` holds layers, `{short(node)}` is none", node, label=f"one of {', '.join(RESULTS)}")
    indices.plan(node, context, lambda index, where: None, coordinates=False)
    value = value_of(node, context)
    refuse_moving(leaves(value.data), short(node), node, declarer)
    unit = value.shown if value.shown is not None and value.shown.powers == value.unit else None
    if unit is None:
        unit = unit_from(value, context.checker) or Unit()
    out = []
    for parts, term in paths(value.data, value.labels):
        label = _text(node) + "".join(f".{p}" for p in parts)
        order = value.order if value.order is not None and set(value.order) == set(term.axes) else tuple(term.axes)
        out.append(Quantity(label, term, unit, order))
    return out


def _of_layer(node: tree.Expr, layer: Layered, declarer: Declarer, path: str) -> list[Quantity]:
    if path.endswith(NETWORK) or layer.name not in declarer.model.layers:
        declarer.checker.lacking(f"the export of the layer `{short(node)}`", node.span)
        return []
    results = dict(declarer.model.layers[layer.name].function.results)
    return [
        Quantity(f"{layer.name}.{name}", build.symbol(f"{layer.name}.{name}", results[name].type), Unit(), order)
        for name, order in layer.outputs
    ]


# times


def without_time(declarer: Declarer) -> bool:
    """Whether no equation has a time derivative; False as long as that is not known because something is wrong."""
    equations = declarer.model.equations
    if equations or declarer.checker.physics_broken:
        return bool(equations) and not any(e.time_order for e in equations)
    return not any(d.word == "field" for d in declarer.scope.declarations.values())


def refuse_time(declarer: Declarer, where: tree.Node | Span | None, what: str, remedy: str = "") -> None:
    """E0704 for a time in a model that has none."""
    if without_time(declarer):
        raise error("E0704", f"{what}, and this model has none", where, label="no equation has a time derivative", help=remedy)


def refuse_moving(terms: Sequence[Term], what: str, where: tree.Node | Span | None, declarer: Declarer) -> None:
    """E0704 for terms that change with the time in a model that has none."""
    time = build.symbol("t", Type(Kind.REAL))
    if without_time(declarer) and any(t is time or (t.op == "at" and "t" in t.attrs) for t in walk(terms)):
        refuse_time(declarer, where, f"`{what}` changes with the time")


def refuse_end(solve: Solve, declarer: Declarer) -> None:
    """E0704 for `until: t=1` in a model without time."""
    until = solve.option("until")
    values = [*until.arguments, *(value for _, value in until.keywords)] if until is not None else []
    if until is not None and not solve.goal and any(isinstance(v, Term) for v in values):
        refuse_time(declarer, until.span, "`until` names a time")


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
    return demand_moment(scalar_of(node, context), node, context)


# files


def _path(path: tree.String, known: Sequence[str], declarer: Declarer) -> str:
    """The file of a statement: below the folder of the results, of a known kind, and of no other statement."""
    text = path.value
    if not text.isprintable() or "\\" in text:
        raise error("E0811", "this is no name of a file", path, label="folders are separated by `/`" if "\\" in text else "")
    if not text.endswith(tuple(known)) or PurePosixPath(text).suffix not in known:
        fitting = [k for k in known if k != NETWORK]
        help = instead(path.span, f'"{PurePosixPath(text).stem.strip(".") or "result"}{fitting[0]}"')
        raise error("E0811", f'"{text}" has no extension that is known here', path, f"one of {', '.join(fitting)}", help)
    plain = posixpath.normpath(text)
    if plain.startswith(("/", "../")) or PureWindowsPath(text).drive:
        label = "the folder is chosen when the model is run: ricci run --out FOLDER"
        help = instead(path.span, f'"{PurePosixPath(PureWindowsPath(text).as_posix()).name.rpartition(":")[2]}"')
        raise error("E0804", f'"{text}" lies outside of the folder of the results', path, label, help)
    _refuse_taken(plain, path, declarer)
    return plain


def _refuse_taken(plain: str, path: tree.String, declarer: Declarer) -> None:
    """E0102 for a file that another statement writes, or that is a part of one or has one as a part."""
    model = declarer.model
    statements: list[tuple[str | None, Span | None]] = [(o.path, o.span) for o in model.outputs]
    statements += [(p.path, p.span) for p in model.plots]
    mine = PurePosixPath(plain)
    for other, span in statements:
        if other is not None and (mine.is_relative_to(other) or PurePosixPath(other).is_relative_to(mine)):
            line = span.line if span else "?"
            what = f'two statements write "{plain}"' if str(mine) == other else f'"{plain}" and "{other}" are in each other'
            inside = str(mine) != other and mine.is_relative_to(other)
            stem, extension = posixpath.splitext(mine.name if inside else plain)
            help = instead(path.span, f'"{stem}{"" if inside else "_2"}{extension}"')
            raise error("E0102", what, path, f"the other one is in line {line}", help)


def _text(node: tree.Node) -> str:
    return " ".join(node.span.text.split())


__all__ = ["computed", "quantities", "read_output", "read_plot", "refuse_end", "refuse_moving", "refuse_time", "without_time"]
