"""Sums that are powers of sums, and products of sums written out: the two ends of what polynomials of one value look like."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from ricci.egraph.polynomial import Monomial, Polynomial, multiply
from ricci.egraph.rational import Rational, content, over
from ricci.egraph.space import Space

LARGEST_POWER = 6
MOST_MEMBERS = 5  # of a sum whose power is tried: signs are tried one after the other
MOST_MONOMIALS = 24  # of a polynomial that is written out or taken apart


def write_powers(space: Space, classes: Sequence[int], limit: int) -> int:
    """p^2 + 2 p q + q^2 = (p + q)^2, and p^2 + q^2 beside (p + q)^2 - 2 p q. Returns how many values got new forms.

    Equal polynomials are one class: what is written here joins the class of the value by itself.
    """
    made = 0
    known = [(c, space.polynomials[c]) for c in classes if 2 <= len(space.polynomials.get(c, ())) <= MOST_MONOMIALS]
    for c, polynomial in known:
        if made >= limit:
            break
        size = space.size()
        _write_power(space, polynomial)
        members = space.forms.get(c, {})
        if sum(len(space.polynomials.get(d, ())) or 1 for d in members) > len(polynomial):  # something cancels
            _write_out(space, polynomial)
        made += int(space.size() > size)
    return made


def _write_out(space: Space, polynomial: Polynomial) -> None:
    """The sum of its monomials."""
    space.sum([(q, _monomial(space, m)) for m, q in polynomial.items()])


def _monomial(space: Space, monomial: Monomial) -> int:
    return space.product([(2 * c, k) for c, k in monomial]) if monomial else space.one


def _write_power(space: Space, polynomial: Polynomial) -> None:
    """q s^k with the largest k, where the polynomial is one."""
    common = content(polynomial.values())
    for sign in (1, -1):
        scaled = {m: over(q, common * sign) for m, q in polynomial.items()}
        for k in range(LARGEST_POWER, 1, -1):
            root = _root(scaled, k)
            if root is not None:
                inner = space.sum([(q, _monomial(space, m)) for m, q in root.items()])
                space.scale(common * sign, space.product([(inner, k)]))
                return


def _root(polynomial: Polynomial, k: int) -> Polynomial | None:
    """s with s^k = the polynomial: its members are roots of those monomials that have one, with signs that fit."""
    members: Polynomial = {}
    for m, q in polynomial.items():
        found = _exact_root(q, m, k)
        if found is not None:
            members[tuple((c, e // k) for c, e in m)] = found
    if not 2 <= len(members) <= MOST_MEMBERS:
        return None
    for signs in product((1, -1), repeat=len(members) - 1):
        root: Polynomial = {m: q * s for (m, q), s in zip(members.items(), (1, *signs), strict=True)}
        power = root
        for _ in range(k - 1):
            power = multiply(power, root)
        if power == polynomial:
            return root
    return None


def _exact_root(q: Rational, monomial: Monomial, k: int) -> Rational | None:
    """The k-th root of a coefficient, where it and all exponents have one (of even k: the positive root)."""
    if any(e % k for _, e in monomial) or (q < 0 and k % 2 == 0):
        return None
    above, below = _whole_root(abs(q.numerator), k), _whole_root(q.denominator, k)
    if above is None or below is None:
        return None
    return over(above if q > 0 else -above, below)


def _whole_root(n: int, k: int) -> int | None:
    if n.bit_length() > 256:
        return None
    root = round(n ** (1 / k))
    return next((r for r in (root - 1, root, root + 1) if r >= 0 and r**k == n), None)


__all__ = ["write_powers"]
