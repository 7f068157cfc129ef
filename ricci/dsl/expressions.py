"""Syntax nodes that are no statements: expressions, what stands between brackets, units and types.

Use them through `ricci.dsl.tree`, where the conventions of all nodes are written down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from ricci.errors import Span


@dataclass(frozen=True, eq=False, kw_only=True)
class Node:
    span: Span = field(repr=False)


# ---------------------------------------------------------------------------------------------------------------------
# Expressions


@dataclass(frozen=True, eq=False)
class Expr(Node):
    """Anything that has a value."""


@dataclass(frozen=True, eq=False)
class Name(Expr):
    """`u`, `h'`, `ψ`. Also used for declared names and for names of indices, options and sides."""

    id: str


@dataclass(frozen=True, eq=False)
class Number(Expr):
    """`0.5`, `1e-4`, `2i`, `20 [m]`. `value` is exact, in the unit written (not in SI); `text` is the literal as written."""

    value: Fraction
    imaginary: bool
    unit: UnitExpr | None
    text: str


@dataclass(frozen=True, eq=False)
class String(Expr):
    """`"velocity.npz"`; there are no escapes."""

    value: str


@dataclass(frozen=True, eq=False)
class Tuple(Expr):
    """`(0, 0)`: two or more items."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class List(Expr):
    """`[b, d]`: one or more items."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class Unary(Expr):
    """`-x`, `+x`, `not x`; `operator` is `-`, `+` or `not`. `-x^2` is `Unary("-", Power(x, 2))`."""

    operator: str
    operand: Expr


@dataclass(frozen=True, eq=False)
class Sum(Expr):
    """`a + b - c`: `operators[i]`, `+` or `-`, stands before `operands[i + 1]`."""

    operands: tuple[Expr, ...]
    operators: tuple[str, ...]

    @property
    def signed(self) -> tuple[tuple[int, Expr], ...]:
        """The terms with their signs, `((1, a), (1, b), (-1, c))`."""
        signs = (1, *(1 if operator == "+" else -1 for operator in self.operators))
        return tuple(zip(signs, self.operands, strict=True))


@dataclass(frozen=True, eq=False)
class Product(Expr):
    """`a*b/c` = (a*b)/c: `operators[i]`, `*` or `/`, stands before `operands[i + 1]`."""

    operands: tuple[Expr, ...]
    operators: tuple[str, ...]

    @property
    def factors(self) -> tuple[tuple[int, Expr], ...]:
        """The factors with their exponents, `((1, a), (1, b), (-1, c))`."""
        exponents = (1, *(1 if operator == "*" else -1 for operator in self.operators))
        return tuple(zip(exponents, self.operands, strict=True))


@dataclass(frozen=True, eq=False)
class Power(Expr):
    """`base^exponent`, right associative; `**` reads the same."""

    base: Expr
    exponent: Expr


@dataclass(frozen=True, eq=False)
class Compare(Expr):
    """`a < b <= c`: every neighbouring pair; operators are `< <= > >= == != ~ ~=`."""

    operands: tuple[Expr, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Logic(Expr):
    """`a and b and c`; `operator` is `and` or `or`."""

    operator: str
    operands: tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class Cond(Expr):
    """`if condition then yes else no`."""

    condition: Expr
    yes: Expr
    no: Expr


@dataclass(frozen=True, eq=False)
class Range(Expr):
    """`lo..hi`: closed for real coordinates and bounds, without `hi` for integers."""

    lo: Expr
    hi: Expr


@dataclass(frozen=True, eq=False)
class Keyword(Node):
    """`name=value` among arguments."""

    name: Name
    value: Expr


Argument = Expr | Keyword


@dataclass(frozen=True, eq=False)
class Call(Expr):
    """`f(a, b, k=c)`: function is any expression (`sum[i](x)` calls an `Index`, `u.x(t=1)` an `Attr`)."""

    function: Expr
    arguments: tuple[Argument, ...]

    @property
    def positional(self) -> tuple[Expr, ...]:
        return tuple(a for a in self.arguments if isinstance(a, Expr))

    @property
    def keywords(self) -> tuple[Keyword, ...]:
        return tuple(a for a in self.arguments if isinstance(a, Keyword))


@dataclass(frozen=True, eq=False)
class Index(Expr):
    """`base[items]`: of a tensor (`W[h, d]`) or of an operator (`sum[i]`, `rfft[x to k]`)."""

    base: Expr
    items: tuple[Item, ...]


@dataclass(frozen=True, eq=False)
class Attr(Expr):
    """`base.name`: a component, a side, a size, a member of a scope."""

    base: Expr
    name: Name


# What may stand between `[` and `]` beside an expression.


@dataclass(frozen=True, eq=False)
class NamedItem(Node):
    """`i=3` in `e[i=3]`."""

    name: Name
    value: Expr


@dataclass(frozen=True, eq=False)
class Rename(Node):
    """`x to k`: the operator takes axis x away and makes axis k."""

    source: Name
    target: Name


@dataclass(frozen=True, eq=False)
class Consume(Node):
    """`c to`: the operator takes axis c away."""

    name: Name


@dataclass(frozen=True, eq=False)
class Produce(Node):
    """`to c`: the operator makes axis c."""

    name: Name


@dataclass(frozen=True, eq=False)
class RangeItem(Node):
    """`j in 0..n`: a bound index with its range."""

    name: Name
    lo: Expr
    hi: Expr


Item = Expr | NamedItem | Rename | Consume | Produce | RangeItem


# ---------------------------------------------------------------------------------------------------------------------
# Units and types


@dataclass(frozen=True, eq=False)
class UnitExpr(Node):
    """What stands between the brackets of `[m^2/s]`."""


@dataclass(frozen=True, eq=False)
class UnitName(UnitExpr):
    id: str


@dataclass(frozen=True, eq=False)
class UnitNumber(UnitExpr):
    """`1` in `1/s`, `1000` in `[1000 kg]`."""

    value: Fraction
    text: str


@dataclass(frozen=True, eq=False)
class UnitPower(UnitExpr):
    """`m^2`, `m^-1`, `m^(1/2)`, `m^0.5`."""

    base: UnitExpr
    exponent: Fraction


@dataclass(frozen=True, eq=False)
class UnitProduct(UnitExpr):
    """`kg m/s`: `operators[i]`, `*` or `/`, stands before `factors[i + 1]`; a gap is `*`. `1/uM/s` = (1/uM)/s."""

    factors: tuple[UnitExpr, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TypeExpr(Node):
    """`complex`, `vector [m/s]`, `tensor(2)`, `[K]`; `kind` is None when only a unit is written."""

    kind: Name | None
    arguments: tuple[Argument, ...]
    unit: UnitExpr | None
