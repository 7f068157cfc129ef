"""Values given beside a model (`--set`, `run ... with`, Python keywords) enter as syntax, so that one set of checks sees them.

`params`, `dims` take a new value; `until`, `tol`, `time`, `space` and `grid.AXIS` replace or add the option of every `solve`.
A plain number for a quantity with a unit is in the unit that the model's own value, or its declared type, has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ricci.dsl import tree
from ricci.errors import CheckFailed, Source, Span

NUMBERS = ("pi", "inf")
OPTIONS = ("until", "tol", "time", "space", "method", "linear", "dtype")


def override(file: tree.File, settings: Iterable[tuple[str, str]], parse: Callable[[Source], tree.File]) -> tree.File:
    """The same file with each (name, text of the value) in place; E0104 for a name that the model does not have."""
    units = any(isinstance(n, tree.UnitExpr) for s in file.statements for n in tree.walk(s))
    for name, text in settings:
        if name == "grid":
            raise _whole_grid(file, text)
        value = _value(name, text, parse)
        if not units:
            _refuse_units(name, value)
        file = _set(file, name, value)
    return file


def _refuse_units(name: str, value: tree.Expr) -> None:
    """E0401 for a unit in a model without units: one unit there would ask for units everywhere."""
    unit = next((n for n in tree.walk(value) if isinstance(n, tree.UnitExpr)), None)
    if unit is not None:
        help = f"--set {name}={value.text}" if isinstance(value, tree.Number) else ""
        raise CheckFailed("E0401", "this model has no units", unit.span, label=f"give `{name}` as a plain number", help=help)


def _value(name: str, text: str, parse: Callable[[Source], tree.File]) -> tree.Expr:
    """The expression that a text is, read as the right side of `name = text` so that messages show both."""
    short = name.rpartition(".")[2]
    source = Source("--set", f"{short} = {text}")
    found = parse(source).statements
    if len(found) != 1 or not isinstance(found[0], tree.Assign) or found[0].target.items or found[0].target.name.id != short:
        raise CheckFailed("E0104", f"`--set {name}={text}` is not NAME=VALUE", Span(source, 0, len(source.text)))
    return found[0].value


def _whole_grid(file: tree.File, text: str) -> CheckFailed:
    """E0104 for `--set grid=41`: the number of points is set along one coordinate."""
    names = [a.name.id for s in file.statements if isinstance(s, tree.DomainDeclaration) for a in s.axes]
    source = Source("--set", f"grid = {text}")
    help = " ".join(f"--set grid.{name}={text}" for name in names) if text.isdigit() else ""
    return CheckFailed("E0104", "a grid is set along one coordinate", Span(source, 0, 4), label="as in grid.x=41", help=help)


def _set(file: tree.File, name: str, value: tree.Expr) -> tree.File:
    grid, dot, axis = name.partition(".")
    if dot and grid == "grid":
        return _set_grid(file, axis, value)
    if name in OPTIONS and not _declares(file, name):
        return _map_solves(file, name, lambda solve: _with_entry(solve, name, (value,)), value)
    found = False
    statements: list[tree.Statement] = []
    for statement in file.statements:
        changed = _set_value(statement, name, value)
        found = found or changed is not statement
        statements.append(changed)
    if not found:
        tensors = [t.name.id for s in file.statements if isinstance(s, tree.TensorDeclaration) for t in s.tensors]
        if name in tensors:
            raise CheckFailed(
                "E0104",
                f"`{name}` is a tensor: it takes an array, not one value",
                value.span,
                help=f"ricci run --input {name}=FILE.npy ...",
            )
        raise CheckFailed("E0104", f"`{name}` is no param, dim or option of this model", value.span, notes=(_known(file),))
    return replace(file, statements=tuple(statements))


def _set_value(statement: tree.Statement, name: str, value: tree.Expr) -> tree.Statement:
    if isinstance(statement, tree.ParamDeclaration):
        params = tuple(
            replace(p, value=_in_unit_of(p, value), replaced=p.replaced or p.value) if p.name.id == name else p for p in statement.params
        )
        return replace(statement, params=params) if any(p.name.id == name for p in params) else statement
    if isinstance(statement, tree.DimDeclaration):
        dims = tuple(replace(d, size=value) if d.name.id == name else d for d in statement.dims)
        return replace(statement, dims=dims) if any(d.name.id == name for d in dims) else statement
    return statement


def _in_unit_of(param: tree.ParamDef, value: tree.Expr) -> tree.Expr:
    """A number without unit takes the unit of the old value or of the declared type."""
    old = param.value
    if isinstance(old, tree.Unary):
        old = old.operand
    unit = old.unit if isinstance(old, tree.Number) else None
    if unit is None and param.type is not None:
        unit = param.type.unit
    return _with_unit(value, unit)


def _with_unit(value: tree.Expr, unit: tree.UnitExpr | None) -> tree.Expr:
    if unit is None:
        return value
    if isinstance(value, tree.Number) and value.unit is None:
        return replace(value, unit=unit)
    if isinstance(value, tree.Unary):
        return replace(value, operand=_with_unit(value.operand, unit))
    parts = list(tree.walk(value))
    if any(isinstance(n, tree.UnitExpr) or (isinstance(n, tree.Name) and n.id not in NUMBERS) for n in parts):
        return value
    one = tree.Number(Fraction(1), False, unit, "1", span=value.span)  # 1/3 and pi are numbers, too
    return tree.Product((value, one), ("*",), span=value.span)


def _set_grid(file: tree.File, axis: str, value: tree.Expr) -> tree.File:
    key = tree.Keyword(name=tree.Name(axis, span=value.span), value=value, span=value.span)

    def change(solve: tree.Solve) -> tree.Solve:
        old = next((e for e in solve.entries if e.name.id == "grid"), None)
        rest: Sequence[Any] = old.arguments if old else ()
        kept = tuple(a for a in rest if not (isinstance(a, tree.Keyword) and a.name.id == axis))
        return _with_entry(solve, "grid", (key, *kept))

    return _map_solves(file, f"grid.{axis}", change, value)


def _with_entry(solve: tree.Solve, name: str, arguments: tuple[Any, ...]) -> tree.Solve:
    old = next((e for e in solve.entries if e.name.id == name), None)
    if old is not None and len(arguments) == 1 and isinstance(arguments[0], tree.Expr):
        arguments = (_like(old, arguments[0]),)
    span: Span = arguments[0].span
    entry = tree.Entry(name=tree.Name(name, span=span), arguments=arguments, span=span)
    others = tuple(e for e in solve.entries if e.name.id != name)
    return replace(solve, entries=(*others, entry))


def _like(old: tree.Entry, value: tree.Expr) -> tree.Argument:
    """`until: t=5 [s]` with 7 becomes `t=7 [s]`: the keyword and the unit of the old entry stay."""
    first = old.arguments[0] if old.arguments else None
    inner = first.value if isinstance(first, tree.Keyword) else first
    if isinstance(inner, tree.Number):
        value = _with_unit(value, inner.unit)
    if isinstance(first, tree.Keyword):
        return replace(first, value=value, span=value.span)
    return value


def _map_solves(file: tree.File, name: str, change: Callable[[tree.Solve], tree.Solve], value: tree.Expr) -> tree.File:
    if not any(isinstance(s, tree.Solve) and s.goal is None for s in file.statements):
        raise CheckFailed("E0104", f"`{name}` is an option of `solve`, and this model has no `solve {{ ... }}`", value.span)
    return replace(file, statements=tuple(change(s) if isinstance(s, tree.Solve) and s.goal is None else s for s in file.statements))


def _declares(file: tree.File, name: str) -> bool:
    return any(name in names for names in _names(file))


def _names(file: tree.File) -> list[list[str]]:
    params = [p.name.id for s in file.statements if isinstance(s, tree.ParamDeclaration) for p in s.params]
    dims = [d.name.id for s in file.statements if isinstance(s, tree.DimDeclaration) for d in s.dims]
    return [params, dims]


def _known(file: tree.File) -> str:
    params, dims = _names(file)
    parts = [f"params {', '.join(params)}"] if params else []
    parts += [f"dims {', '.join(dims)}"] if dims else []
    return "it has " + "; ".join([*parts, "options until, tol, grid.AXIS"])


def without_reaction(file: tree.File, line: int) -> tree.File:
    """The file with the rates of the reaction on a line multiplied by 0: what `ricci test --mutate` runs."""

    def silent(statement: tree.Statement) -> tree.Statement:
        if not isinstance(statement, tree.Reaction) or statement.span.line != line:
            return statement
        rates = tuple(
            tree.Product((tree.Number(Fraction(0), False, None, "0", span=r.span), r), ("*",), span=r.span) for r in statement.rates
        )
        return replace(statement, rates=rates)

    return replace(file, statements=tuple(silent(s) for s in file.statements))
