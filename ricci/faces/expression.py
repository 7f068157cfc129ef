"""Expressions of the embedded language: Python operators that write the text of a model.

An `Expression` is a piece of `.model` text with its binding strength, so that what Python builds, the prompt prints and a
file holds are the same text and go through the same checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

# binding strength, as in the grammar: a part is put in parentheses when it binds less than its place asks for
OR, AND, COMPARE, SUM, PRODUCT, UNARY, POWER, POSTFIX = range(8)


@dataclass(frozen=True, eq=False)
class Expression:
    """A piece of model text."""

    text: str
    strength: int = POSTFIX

    __iter__: ClassVar[None] = None  # Python would count up indices without end
    __contains__: ClassVar[None] = None
    __array_ufunc__: ClassVar[None] = None  # np.sin(u) is refused by numpy, np.float64(2)*u is ours

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Expression({self.text})"

    def __bool__(self) -> bool:
        raise TypeError(f"`{self.text}` has no truth value in Python: models are traced once; write where(condition, a, b)")

    def __hash__(self) -> int:
        return hash(self.text)

    def __add__(self, other: Any) -> Expression:
        return _binary(self, "+", other, SUM, SUM, SUM)

    def __radd__(self, other: Any) -> Expression:
        return _binary(other, "+", self, SUM, SUM, SUM)

    def __sub__(self, other: Any) -> Expression:
        return _binary(self, "-", other, SUM, SUM, PRODUCT)

    def __rsub__(self, other: Any) -> Expression:
        return _binary(other, "-", self, SUM, SUM, PRODUCT)

    def __mul__(self, other: Any) -> Expression:
        return _binary(self, "*", other, PRODUCT, PRODUCT, UNARY)

    def __rmul__(self, other: Any) -> Expression:
        return _binary(other, "*", self, PRODUCT, PRODUCT, UNARY)

    def __truediv__(self, other: Any) -> Expression:
        return _binary(self, "/", other, PRODUCT, PRODUCT, POWER)

    def __rtruediv__(self, other: Any) -> Expression:
        return _binary(other, "/", self, PRODUCT, PRODUCT, POWER)

    def __mod__(self, other: Any) -> Expression:
        return call("mod", self, other)

    def __rmod__(self, other: Any) -> Expression:
        return call("mod", other, self)

    def __floordiv__(self, other: Any) -> Expression:
        return call("floor", self / other)

    def __rfloordiv__(self, other: Any) -> Expression:
        return call("floor", other / self)

    def __pow__(self, other: Any) -> Expression:
        return _binary(self, "^", other, POWER, POSTFIX, POSTFIX)

    def __rpow__(self, other: Any) -> Expression:
        return _binary(other, "^", self, POWER, POSTFIX, POSTFIX)

    def __neg__(self) -> Expression:
        return Expression(f"-{_at_least(self, POWER)}", UNARY)

    def __pos__(self) -> Expression:
        return self

    def __lt__(self, other: Any) -> Expression:
        return _binary(self, "<", other, COMPARE, SUM, SUM)

    def __le__(self, other: Any) -> Expression:
        return _binary(self, "<=", other, COMPARE, SUM, SUM)

    def __gt__(self, other: Any) -> Expression:
        return _binary(self, ">", other, COMPARE, SUM, SUM)

    def __ge__(self, other: Any) -> Expression:
        return _binary(self, ">=", other, COMPARE, SUM, SUM)

    def __and__(self, other: Any) -> Expression:
        return _binary(self, "and", other, AND, AND, COMPARE)

    def __or__(self, other: Any) -> Expression:
        return _binary(self, "or", other, OR, OR, AND)

    def __invert__(self) -> Expression:
        return Expression(f"not {_at_least(self, POWER)}", UNARY)

    def __abs__(self) -> Expression:
        return call("abs", self)

    def __getitem__(self, items: Any) -> Expression:
        listed = items if isinstance(items, tuple) else (items,)
        return Expression(f"{_at_least(self, POSTFIX)}[{', '.join(str(as_expression(i)) for i in listed)}]")

    def __call__(self, *arguments: Any, **keywords: Any) -> Expression:
        return call(_at_least(self, POSTFIX), *arguments, **keywords)

    def __getattr__(self, name: str) -> Expression:
        if name.startswith("_"):
            raise AttributeError(name)
        if name == "p":
            return Expression(self.text + "'")
        return Expression(f"{_at_least(self, POSTFIX)}.{name}")

    def equals(self, other: Any) -> Expression:
        """`self == other` as a condition of the model (Python's own `==` compares objects)."""
        return _binary(self, "==", other, COMPARE, SUM, SUM)


def _at_least(part: Expression, strength: int) -> str:
    return part.text if part.strength >= strength else f"({part.text})"


def _binary(left: Any, operator: str, right: Any, strength: int, left_needs: int, right_needs: int) -> Expression:
    a, b = as_expression(left), as_expression(right)
    space = " " if strength <= SUM else ""
    return Expression(f"{_at_least(a, left_needs)}{space}{operator}{space}{_at_least(b, right_needs)}", strength)


def call(name: str, *arguments: Any, **keywords: Any) -> Expression:
    """`name(arguments, key=value)`."""
    listed = [str(as_expression(a)) for a in arguments] + [f"{k}={as_expression(v)}" for k, v in keywords.items()]
    return Expression(f"{name}({', '.join(listed)})")


def as_expression(value: Any) -> Expression:
    """Numbers, strings, tuples and expressions as model text; anything else is a TypeError that says what is allowed."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, str):
        if '"' in value or "\n" in value:
            raise TypeError(f"a text in a model cannot hold quotes or line breaks: {value!r}")
        return Expression(f'"{value}"')
    if isinstance(value, bool | np.bool_):
        return Expression("1 == 1" if value else "1 == 0", COMPARE)
    if isinstance(value, int | np.integer):
        return Expression(str(int(value)), POSTFIX if value >= 0 else UNARY)
    if isinstance(value, Fraction):
        return Expression(f"{value.numerator}/{value.denominator}", PRODUCT)
    if isinstance(value, float | np.floating):
        return _real(float(value))
    if isinstance(value, complex | np.complexfloating):
        return _real(float(value.real)) + _real(float(value.imag)) * Expression("im")
    if isinstance(value, slice):
        return Expression(f"{as_expression(value.start)}..{as_expression(value.stop)}", COMPARE)
    if isinstance(value, tuple):
        return Expression("(" + ", ".join(str(as_expression(v)) for v in value) + ")")
    if isinstance(value, list):
        return Expression("[" + ", ".join(str(as_expression(v)) for v in value) + "]")
    hint = ": declare a param and give its array to solve(name=array)" if hasattr(value, "__array__") else ""
    raise TypeError(f"a {type(value).__name__} cannot stand in a model; numbers, texts, tuples and expressions can{hint}")


def _real(value: float) -> Expression:
    if value != value:
        raise TypeError("not-a-number cannot stand in a model")
    if value in (float("inf"), float("-inf")):
        return Expression("inf") if value > 0 else Expression("-inf", UNARY)
    return Expression(repr(value), POSTFIX if not repr(value).startswith("-") else UNARY)
