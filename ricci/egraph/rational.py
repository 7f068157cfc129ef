"""Rational numbers that are ints where they can be: coefficients are mostly small ints, and ints are fast."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import gcd, lcm

Rational = int | Fraction


def tidy(q: Rational) -> Rational:
    """The int that q is, or q."""
    return q if isinstance(q, int) or q.denominator != 1 else q.numerator


def over(a: Rational, b: Rational) -> Rational:
    """a / b, exactly."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b if not a % b else Fraction(a, b)
    return tidy(Fraction(a) / b)


def content(coefficients: Iterable[Rational]) -> Rational:
    """Greatest positive rational that divides all coefficients to integers without common factor."""
    numerator, denominator = 0, 1
    for q in coefficients:
        if isinstance(q, int):
            numerator = gcd(numerator, q)
        else:
            numerator = gcd(numerator, q.numerator)
            denominator = lcm(denominator, q.denominator)
    return over(numerator, denominator)


def in_engine(q: Rational) -> str:
    """The text of a number for the engine, whose literals are of 64 bits."""
    return f"(bigrat {_integer(q.numerator)} {_integer(q.denominator)})"


def _integer(n: int) -> str:
    return f"(bigint {n})" if abs(n) < 1 << 63 else f'(from-string "{n}")'
