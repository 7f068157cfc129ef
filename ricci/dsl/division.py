"""Division of sizes: polynomials in dims divided with remainder, and floors that are decided for all dims.

Every result holds for all dims above their lower bounds; what cannot be decided is None.
"""

from __future__ import annotations

from math import gcd

from ricci.dsl.types import Dim, Size, at_most

ZERO = Size.of(0)
ONE = Size.of(1)

_Powers = tuple[tuple[Dim, int], ...]


def _degree(monomial: _Powers) -> tuple[int, _Powers]:
    """Graded order of monomials: division proceeds from the largest."""
    return (sum(power for _, power in monomial), monomial)


def _quotient(monomial: _Powers, by: _Powers) -> _Powers | None:
    powers = dict(monomial)
    for dim, power in by:
        left = powers.get(dim, 0) - power
        if left < 0:
            return None
        powers[dim] = left
    return tuple(sorted((d, p) for d, p in powers.items() if p))


def monomial_size(monomial: _Powers, coefficient: int) -> Size:
    """The size `coefficient * product of dims`."""
    total = Size.of(coefficient)
    for dim, power in monomial:
        for _ in range(power):
            total = total * Size.of(dim)
    return total


def divide(size: Size, by: Size, balanced: bool = False) -> tuple[Size, Size]:
    """(q, r) with size = q*by + r and r reduced: no monomial of r has a multiple of the leading term of `by`.

    Integer remainders lie in [0, c) for a leading coefficient c, in (-c/2, c/2] where `balanced`.
    Sizes that differ by a multiple of `by` have the same r when the leading coefficient of `by` is 1 or `by` is a number.
    """
    n, m = size.constant, by.constant
    if m == 1:
        return size, ZERO
    if n is not None and m is not None and m > 0:
        q = _divide_int(n, m, balanced)
        return Size.of(q), Size.of(n - q * m)
    if not by.terms:
        return ZERO, size
    lead, lead_c = max(by.terms, key=lambda item: _degree(item[0]))
    if lead_c < 0:
        q_size, r = divide(size, -by, balanced)
        return -q_size, r
    rest = size
    total = ZERO
    for monomial, _ in sorted(_reachable(size, by), key=lambda item: _degree(item[0]), reverse=True):
        c = dict(rest.terms).get(monomial, 0)
        factor = _quotient(monomial, lead)
        if factor is None or not c:
            continue
        step = monomial_size(factor, _divide_int(c, lead_c, balanced))
        rest = rest - step * by
        total = total + step
    return total, rest


def _divide_int(value: int, by: int, balanced: bool) -> int:
    return -((by - 2 * value) // (2 * by)) if balanced else value // by


def _reachable(size: Size, by: Size) -> list[tuple[_Powers, int]]:
    """Monomials of the dividend and those that a division step can create, each once."""
    lead = max(by.terms, key=lambda item: _degree(item[0]))[0]
    found = {m for m, _ in size.terms}
    stack = list(found)
    while stack:
        factor = _quotient(stack.pop(), lead)
        if factor is None:
            continue
        for m, _ in (monomial_size(factor, 1) * by).terms:
            if m not in found:
                found.add(m)
                stack.append(m)
    return [(m, 0) for m in found]


def exact_quotient(size: Size, by: Size) -> Size | None:
    """q with size = q*by, or None if `by` does not divide the polynomial."""
    if size == by:
        return ONE
    if not by.terms:
        return None
    q, r = divide(size, by)
    return q if not r.terms else None


def floor_quotient(size: Size, by: Size) -> Size | None:
    """floor(size / by) when it is one polynomial for all dims (by >= 1 there), else None."""
    a, b = size.constant, by.constant
    if a is not None and b is not None and b > 0:
        return Size.of(a // b)
    if at_most(ONE, by) is not True:
        return None
    q, r = divide(size, by)
    for step in (0, -1, 1):
        rest = r - by * step
        if at_most(ZERO, rest) and at_most(rest, by - 1):
            return q + step
    return None


def content(size: Size) -> int:
    """Greatest common divisor of the integer coefficients (0 for the zero polynomial)."""
    return gcd(*(c for _, c in size.terms))


def lead_sign(size: Size) -> int:
    """Sign of the leading integer coefficient: fixes the sign of an expression, says nothing about values."""
    if not size.terms:
        return 0
    return 1 if max(size.terms, key=lambda item: _degree(item[0]))[1] > 0 else -1


def smaller(a: Size | None, b: Size | None) -> Size | None:
    """min(a, b) where decided; None is an unknown operand or result."""
    if a is None or b is None:
        return None
    order = at_most(a, b)
    if order:
        return a
    if order is False or at_most(b, a):
        return b
    return None


def larger(a: Size | None, b: Size | None) -> Size | None:
    """max(a, b) where decided; None is an unknown operand or result."""
    if a is None or b is None:
        return None
    low = smaller(a, b)
    return None if low is None else (b if low is a else a)
