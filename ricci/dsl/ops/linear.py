"""linear: sum_k c_k t_k with rational c_k, terms combined by axis name. Attributes: the coefficients, one per argument.

Normal form: nested sums flattened, like terms collected, zeros dropped, arguments sorted by digest, the constant part as
a multiple of the int 1. Broadcasts and casts of single arguments float outwards, so that the type survives cancellation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import gcd, inf, lcm
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops import base, const
from ricci.dsl.ops.pointwise import common_rename, renamed, uncast, unexpanded, union
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, Size, Type

ONE = Fraction(1)
LARGEST_WHOLE = 2**31  # multiples of whole numbers by more are real numbers: with 64 bits they would soon overflow


def make_linear(items: Iterable[tuple[Fraction | int, Term]]) -> Term:
    """sum c t in normal form.  Kind: the join, real if a coefficient is no integer or large.  Cost O(n log n) in the flattened terms."""
    pairs = [(Fraction(c), t) for c, t in items]
    kind, axes = _type(pairs)
    members = _collect(pairs)
    return build.conform(_assemble(members), Type(kind, axes))


def _type(pairs: Sequence[tuple[Fraction, Term]]) -> tuple[Kind, dict[str, Size]]:
    axes = union(t for _, t in pairs)
    kind = Kind.INT
    for c, t in pairs:
        if t.kind == Kind.BOOL:
            raise TermError("a truth value enters a sum after a cast to int")
        whole = c.denominator == 1 and (abs(c) < LARGEST_WHOLE or t.op == "const")
        kind = max(kind, t.kind, Kind.INT if whole else Kind.REAL)
    return kind, axes


def _collect(pairs: Sequence[tuple[Fraction, Term]]) -> dict[Term, Fraction]:
    """Coefficients of the distinct summands after flattening; the constant part belongs to the int 1."""
    members: dict[Term, Fraction] = {}
    stack = list(reversed(pairs))
    while stack:
        c, t = stack.pop()
        if not c:
            continue
        t = uncast(unexpanded(uncast(t)))
        if t.op == "linear":
            stack.extend([(c * k, a) for k, a in zip(t.attrs, t.args, strict=True)])
            continue
        value = const.value_of(t)
        if value is not None:
            if isinstance(value, float):  # a positive multiple of an infinity is the infinity
                t, c = const.make_const(inf), ONE if (value > 0) == (c > 0) else -ONE
                members[t] = c
                continue
            t, c = const.make_const(1), c * value
        members[t] = members[t] + c if t in members else c
    return {t: c for t, c in members.items() if c}


def _assemble(members: dict[Term, Fraction]) -> Term:
    """The sum of distinct summands with nonzero coefficients, common renames outside."""
    if not members:
        return const.make_const(0)
    if len(members) == 1:
        ((t, c),) = members.items()
        if c == 1:
            return t
        if t.op == "const":
            value = t.attrs[0] * c
            return const.make_const(value, Kind.INT if isinstance(value, Fraction) and value.denominator == 1 else Kind.REAL)
    terms = list(members)
    pulled = common_rename(terms)
    if pulled is not None:
        inner, names = pulled
        return renamed(make_linear([(members[t], i) for t, i in zip(terms, inner, strict=True)]), names)
    terms.sort(key=lambda t: t.digest)
    return base.node("linear", tuple(terms), tuple([members[t] for t in terms]))


def terms_of(t: Term) -> list[tuple[Fraction, Term]]:
    """The (coefficient, term) pairs whose sum is t; one pair if t is not a sum."""
    return list(zip(t.attrs, t.args, strict=True)) if t.op == "linear" else [(ONE, t)]


def primitive(t: Term) -> tuple[Fraction, Term]:
    """(c, p) with t = c p.  Of a sum: c the gcd of the coefficients with the sign of the first; of a number, the number.

    p has the axes of t; its kind can be smaller (a number leaves the int 1).
    """
    if t.op == "const":
        value = t.attrs[0]
        return (value, const.make_const(1)) if isinstance(value, Fraction) and t.kind != Kind.BOOL and value else (ONE, t)
    if t.op != "linear":
        return ONE, t
    c = content(t.attrs)
    return (c, t) if c == 1 else (c, make_linear([(k / c, a) for k, a in zip(t.attrs, t.args, strict=True)]))


def content(coefficients: Sequence[Fraction]) -> Fraction:
    """gcd of nonzero rationals with the sign of the first."""
    numerator = gcd(*[c.numerator for c in coefficients])
    denominator = lcm(*[c.denominator for c in coefficients])
    return Fraction(numerator if coefficients[0] > 0 else -numerator, denominator)


def is_negative(t: Term) -> bool:
    """Whether the sign that the normal form pulls out of a factor is minus."""
    if t.op == "const":
        return bool(t.attrs[0] < 0)
    return t.op == "linear" and bool(t.attrs[0] < 0)


def _infer(args: tuple[Term, ...], attrs: Any) -> Type:
    kind, axes = _type(list(zip(attrs, args, strict=True)))
    return Type(kind, axes)


def _meaning(term: Term, args: Sequence[Any], environment: base.Environment) -> Any:
    total: Any = 0
    for c, t, value in zip(term.attrs, term.args, args, strict=True):
        scaled = aligned(value, t, term) * const.to_scalar(c, term.kind)
        total = total + scaled
    return total


def aligned(value: Any, t: Term, whole: Term) -> Any:
    """A view of the value of t that broadcasts against arrays with the axes of `whole`."""
    shape = iter(value.shape)
    return value.reshape([next(shape) if name in t.axes else 1 for name in whole.axes])


def _tangent(term: Term, tangents: Sequence[Term | None]) -> Term | None:
    moving = [(c, t) for c, t in zip(term.attrs, tangents, strict=True) if t is not None]
    return build.conform(make_linear(moving), term.type) if moving else None


def _cotangent(term: Term, g: Term) -> Sequence[Term | None]:
    return [build.fit_cotangent(build.scale(c, g), t) for c, t in zip(term.attrs, term.args, strict=True)]


OPERATOR = base.define(
    base.Operator(
        name="linear",
        infer=_infer,
        meaning=_meaning,
        rebuild=lambda term, args: make_linear(zip(term.attrs, args, strict=True)),
        tangent=_tangent,
        cotangent=_cotangent,
        facts=frozenset({"linear", "commutative"}),
    )
)
