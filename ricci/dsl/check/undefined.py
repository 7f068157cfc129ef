"""Arithmetic of constants that has no value: division by zero, inf - inf, functions outside their domain.

The algebra of terms takes all numbers for finite, so 0/0 would be 0 there. Inside of `if` nothing is refused: the other case may be meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor, inf, log10

from ricci.dsl import build, tree
from ricci.dsl.check.agreement import short
from ricci.dsl.check.context import Context, error
from ricci.dsl.ops.const import nearest, value_of
from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.ops.pointwise import uncast, unexpanded
from ricci.dsl.term import Term
from ricci.dsl.types import Kind

EXACT = 2**53
SMALLEST, LARGEST = -308.25, 308.2547  # decimal exponents of what powers are computed without loss
COMPLEX_TOO = ("sqrt", "log", "asin", "acos", "acosh", "atanh")


def refuse_product(exponents: Sequence[int], terms: Sequence[Term], nodes: Sequence[tree.Node], context: Context) -> None:
    """E0203 for a division by the constant zero, and for infinity times or over what may be zero or infinite."""
    if context.guarded:
        return
    numbers = [value_of(unexpanded(t)) for t in terms]
    for exponent, number, node in zip(exponents, numbers, nodes, strict=True):
        if exponent < 0 and number == 0:
            raise error("E0203", "a division by zero", node, label="this is 0")
    infinite = [k for k, number in enumerate(numbers) if number in (inf, -inf)]
    above = [k for k in infinite if exponents[k] > 0]
    if not above:
        return
    doubtful = next(
        (k for k, number in enumerate(numbers) if (number is None or number == 0 or (k in infinite and exponents[k] < 0))), None
    )
    if doubtful is not None:
        what = "over infinity" if doubtful in infinite else "times 0" if numbers[doubtful] == 0 else f"times `{short(nodes[doubtful])}`"
        label = (
            "this has no value" if numbers[doubtful] is not None else "this has no value where that is 0: write `if ... then inf else ...`"
        )
        raise error("E0203", f"infinity {what}", nodes[above[0]], label=label)


def refuse_sum(summands: Sequence[tuple[int, Term, tree.Node]], context: Context) -> None:
    """E0203 for inf - inf: signs, terms and where they stand."""
    if context.guarded:
        return
    found: dict[float, tree.Node] = {}
    for sign, term, node in summands:
        infinite = _infinite(term)
        if infinite:
            found.setdefault(sign * infinite, node)
    if len(found) > 1:
        raise error("E0203", "infinity minus infinity", list(found.values())[-1], label="this has no value")


def _infinite(term: Term) -> float:
    """+-inf where a constant infinity is a value or a summand of it, else 0."""
    inner = unexpanded(term)
    members = zip(inner.attrs, inner.args, strict=True) if inner.op == "linear" else [(1, inner)]
    for factor, member in members:
        number = value_of(unexpanded(member))
        if number in (inf, -inf):
            return float(number) * (1 if factor > 0 else -1)
    return 0.0


def refuse_argument(name: str, term: Term, node: tree.Node, context: Context) -> None:
    """E0203 for a constant outside of the domain of a real function."""
    if context.guarded or name not in SCALARS or term.kind > Kind.REAL:
        return
    number, domain = value_of(unexpanded(term)), SCALARS[name].domain
    if number is None:
        return
    below = number < domain.lo or (domain.open_lo and number == domain.lo)
    if below or number > domain.hi or (domain.open_hi and number == domain.hi):
        beyond = name in COMPLEX_TOO and number not in (domain.lo, domain.hi)
        edits = ((node.span, f"{short(node)} + 0*im"),) if beyond else ()
        raise error("E0203", f"`{name}({short(node)})` is no real number", node, label="outside of the domain of the function", edits=edits)


def representable(term: Term, node: tree.Node) -> Term:
    """The term; a constant whole number that 64 bits may not hold as a real one. E0203 for numbers beyond double precision."""
    inner = unexpanded(uncast(unexpanded(term)))
    numbers = [q for q in (inner.attrs if inner.op == "linear" else [value_of(inner)]) if isinstance(q, Fraction)]
    for q in numbers:
        if q and nearest(q) in (0.0, inf, -inf):
            size = f"1e{floor(_magnitude(q))}"
            raise error("E0203", f"a constant of about {size} is beyond double precision", node, label="choose other units")
    large = term.kind == Kind.INT and inner.op == "const" and any(abs(q) >= EXACT for q in numbers)
    return build.cast(term, Kind.REAL) if large else term


def _magnitude(q: Fraction) -> float:
    """Decimal logarithm of a number that may be beyond what floating-point numbers hold."""
    return log10(abs(q.numerator)) - log10(q.denominator)


def refuse_power(base: Term, exponent: Fraction | None, node: tree.Power, context: Context) -> None:
    """E0203 for a negative power of zero, and for roots of negative numbers."""
    number = value_of(unexpanded(base))
    if exponent is None or number is None or context.guarded:
        return
    if exponent < 0:
        refuse_product((-1,), (base,), (node.base,), context)
    if isinstance(number, Fraction) and number and not SMALLEST < _magnitude(number) * exponent < LARGEST:
        size = f"1e{floor(_magnitude(number) * exponent)}"
        raise error("E0203", f"a constant of about {size} is beyond double precision", node, label="choose other units")
    if number < 0 and exponent.denominator != 1 and base.kind <= Kind.REAL:
        inner = f"{short(node.base)} + 0*im"
        edits = ((node.base.span, f"({inner})" if isinstance(node.base, tree.Name) else inner),)
        raise error("E0203", f"`{short(node)}` is no real number", node.base, label="this is negative", edits=edits)


__all__ = ["refuse_argument", "refuse_power", "refuse_product", "refuse_sum", "representable"]
