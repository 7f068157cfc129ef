"""Polynomials in classes of a space: (class, exponent) pairs of a monomial -> coefficient."""

from __future__ import annotations

from collections.abc import Mapping

from ricci.egraph.rational import Rational, content, over

Monomial = tuple[tuple[int, int], ...]
Polynomial = dict[Monomial, Rational]
Key = tuple[tuple[Monomial, Rational], ...]


def multiply(a: Mapping[Monomial, Rational], b: Mapping[Monomial, Rational]) -> Polynomial:
    """Product of two polynomials."""
    out: Polynomial = {}
    for m, p in a.items():
        for n, q in b.items():
            powers = dict(m)
            for c, k in n:
                powers[c] = powers.get(c, 0) + k
            key = tuple(sorted(powers.items()))
            out[key] = out.get(key, 0) + p * q
    return {m: p for m, p in out.items() if p}


def primitive(polynomial: Polynomial) -> tuple[Key, Rational]:
    """(key, q): the polynomial is q times the key, whose coefficients have no common factor and start with a positive one."""
    items = sorted(polynomial.items())
    common = content(p for _, p in items)
    if items[0][1] < 0:
        common = -common
    return tuple((m, over(p, common)) for m, p in items), common
