"""const: a number without axes. Attributes: (value, kind); the value is a rational or an infinity, never a rounded float."""

from __future__ import annotations

from fractions import Fraction
from math import inf
from typing import Any

from ricci.dsl.ops import base
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, Type

Number = Fraction | float  # a float is an infinity

DTYPES = {Kind.BOOL: "bool", Kind.INT: "int64", Kind.REAL: "float64", Kind.COMPLEX: "complex128"}


def make_const(value: Fraction | int | bool | float, kind: Kind | None = None) -> Term:
    """The number as a term; without a kind: bool for bool, int for int, real for a fraction or an infinity."""
    natural = Kind.BOOL if isinstance(value, bool) else Kind.INT if isinstance(value, int) else Kind.REAL
    kind = natural if kind is None else kind
    if isinstance(value, float):
        if value not in (inf, -inf):
            raise TermError(f"{value!r} is a rounded number: a constant is an int, a Fraction or an infinity")
        if kind < Kind.REAL:
            raise TermError(f"an infinity is not of kind {kind}")
        return base.node("const", (), (value, kind))
    exact = Fraction(value)
    if kind == Kind.INT and exact.denominator != 1:
        raise TermError(f"{exact} is not an integer")
    if kind == Kind.BOOL and exact not in (0, 1):
        raise TermError(f"{exact} is not a truth value")
    return base.node("const", (), (exact, kind))


def value_of(term: Term) -> Number | None:
    """The number that a constant is (its broadcasts excluded), or None."""
    if term.op != "const":
        return None
    value: Number = term.attrs[0]
    return value


def _infer(args: tuple[Term, ...], attrs: Any) -> Type:
    _, kind = attrs
    return Type(kind)


def to_scalar(value: Number, kind: Kind) -> Any:
    """The nearest machine number of a kind."""
    if kind == Kind.BOOL:
        return bool(value)
    if kind == Kind.INT:
        return int(value)
    return nearest(value) if kind == Kind.REAL else complex(nearest(value))


def nearest(value: Number | int) -> float:
    """The double nearest to a number; an infinity beyond the largest."""
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def _meaning(term: Term, args: Any, environment: base.Environment) -> Any:
    import numpy as np

    value, kind = term.attrs
    return np.asarray(to_scalar(value, kind), DTYPES[kind])


OPERATOR = base.define(
    base.Operator(
        name="const",
        infer=_infer,
        meaning=_meaning,
        rebuild=lambda term, args: term,
        tangent=lambda term, tangents: None,
        cotangent=lambda term, g: (),
    )
)
