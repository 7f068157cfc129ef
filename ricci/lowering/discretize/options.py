"""What a `solve` statement says about the discretization: grid, scheme, end and tolerance."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ricci.dsl.model import Call, Model, Option, Solve
from ricci.dsl.ops.const import value_of
from ricci.dsl.remedies import with_options
from ricci.dsl.term import Term
from ricci.errors import CannotLower, Span
from ricci.lowering.discretize.schemes.closures import ACCURACIES

DEFAULT_ACCURACY = 2
DEFAULT_TOLERANCE = 1e-4
ELSEWHERE = frozenset({"time", "output", "checkpoint"})  # read by other stages
UNDERSTOOD = frozenset({"grid", "until", "tol", "space", "dtype"}) | ELSEWHERE


@dataclass(frozen=True)
class Options:
    """Checked values. `chosen` says whether the scheme was named or is the default; `bits`: of the reals in arrays."""

    sizes: dict[str, int]
    accuracy: int
    chosen: bool
    end: Term | None
    tolerance: float
    bits: int = 64
    span: Span | None = None
    space_span: Span | None = None


def read_options(model: Model) -> Options:
    """Options of the statement that integrates the equations; defaults where there is none."""
    solve = next((s for s in model.solves if not s.goal), None)
    if solve is None:
        return Options({}, DEFAULT_ACCURACY, False, None, DEFAULT_TOLERANCE)
    for option in solve.options:
        if option.name not in UNDERSTOOD:
            raise CannotLower("E0601", f"this version cannot use the option `{option.name}`", option.span or solve.span)
    accuracy, chosen = _accuracy(solve)
    space = solve.option("space")
    return Options(
        _sizes(model, solve.option("grid")),
        accuracy,
        chosen,
        _end(solve),
        _tolerance(solve),
        _bits(solve),
        solve.span,
        space.span if space is not None else solve.span,
    )


def _sizes(model: Model, option: Option | None) -> dict[str, int]:
    if option is None:
        return {}
    if option.arguments:
        raise _unsupported(option, f"grid: {_word(option.arguments[0])}")
    coordinates = {c.name for domain in model.domains.values() for c in domain.coordinates}
    sizes = {}
    for name, value in option.keywords:
        if name not in coordinates:
            raise CannotLower("E0104", f"`grid: {name}=...`: the model has no coordinate `{name}`", option.span)
        sizes[name] = _whole(value, f"grid: {name}", option)
    return sizes


def _accuracy(solve: Solve) -> tuple[int, bool]:
    option = solve.option("space")
    if option is None:
        return DEFAULT_ACCURACY, False
    for argument in option.arguments:
        if not isinstance(argument, Call) or argument.name != "fd" or argument.arguments:
            raise _unsupported(option, f"space: {_word(argument)}")
        for name, value in argument.keywords:
            if name != "order":
                raise _unsupported(option, f"space: fd({name}=...)")
            order = _whole(value, "space: fd(order)", option)
            if order not in ACCURACIES:
                message = f"finite differences have order 2, 4, 6 or 8, not {order}"
                help = with_options(solve.span, [("space", "fd(order=4)")])
                raise CannotLower("E0502", message, argument.span or option.span, help=help)
            return order, True
    if option.keywords:
        raise _unsupported(option, f"space: {option.keywords[0][0]}=...")
    return DEFAULT_ACCURACY, bool(option.arguments)


def _end(solve: Solve) -> Term | None:
    option = solve.option("until")
    if option is None:
        return None
    for name, value in option.keywords:
        if name == "t" and isinstance(value, Term):
            return value
    if len(option.arguments) == 1 and isinstance(option.arguments[0], Term):
        return option.arguments[0]
    shown = option.arguments[0] if option.arguments else option.keywords[0][0] if option.keywords else ""
    raise _unsupported(option, f"until: {_word(shown)}")


def _tolerance(solve: Solve) -> float:
    option = solve.option("tol")
    if option is None:
        return DEFAULT_TOLERANCE
    value = _number(option.arguments[0]) if len(option.arguments) == 1 else None
    if value is None or not 0 < value < 1:
        raise CannotLower("E0104", "`tol` is one number between 0 and 1", option.span, help=with_options(solve.span, [("tol", "1e-6")]))
    return float(value)


def _bits(solve: Solve) -> int:
    option = solve.option("dtype")
    return 32 if option is not None and option.arguments[0] in ("f32", "c64") else 64


def _number(value: Any) -> Fraction | None:
    number = value_of(value) if isinstance(value, Term) else value
    return Fraction(number) if isinstance(number, int | Fraction) else None


def _whole(value: Any, what: str, option: Option) -> int:
    number = _number(value)
    if number is None or number.denominator != 1 or number < 1:
        raise CannotLower("E0104", f"`{what}` is a whole number of at least 1", option.span)
    return int(number)


def _word(value: Any) -> str:
    if isinstance(value, Call):
        return value.name
    return str(value) if isinstance(value, str) else "..."


def _unsupported(option: Option, what: str) -> CannotLower:
    return CannotLower("E0601", f"this version cannot run `{what}`", option.span)
