"""Coefficients of a linear map as polynomials with rational numbers, to decide whether two are equal for all values.

Atoms are whatever is no sum, product, number or parenthesis: symbols, functions, arrays. Equal polynomials are equal numbers;
unequal ones may still be (sin^2 + cos^2 and 1), then a solver with less structure is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

from ricci.dsl import build
from ricci.dsl.ops import const, contract, linear
from ricci.dsl.ops.pointwise import unexpanded
from ricci.dsl.ops.reindex import pull_of
from ricci.dsl.term import Term, substitute, walk

MOST_MONOMIALS = 128
Monomial = tuple[tuple[Term, int], ...]
Polynomial = Mapping[Monomial, Fraction]


@lru_cache(maxsize=4096)
def polynomial(term: Term) -> Polynomial:
    """The term as a polynomial; one that would have too many monomials is an atom."""
    done: dict[Term, Polynomial] = {}
    for t in walk([term]):
        done[t] = _node(t, done)
    return done[term]


def _node(term: Term, done: Mapping[Term, Polynomial]) -> Polynomial:
    value = const.value_of(term)
    if value is not None and not isinstance(value, float):
        return {(): Fraction(value)} if value else {}
    if term.op == "linear":
        return _sum([(weight, done[t]) for weight, t in linear.terms_of(term)], term)
    if term.op == "contract" and not contract.bound_of(term):
        found: Polynomial = {(): Fraction(1)}
        for factor in term.args:
            found = _product(found, done[factor])
            if len(found) > MOST_MONOMIALS:
                return _atom(term)
        return found
    if term.op == "cast" or (term.op == "map" and term.attrs[0] == "group"):
        return done[term.args[0]]
    if term.op == "reindex":
        core = unexpanded(term)
        if core is term.args[0]:
            return done[core]
        return _atom(core)
    return _atom(term)


def _atom(term: Term) -> Polynomial:
    return {((term, 1),): Fraction(1)}


def _sum(parts: Sequence[tuple[Fraction, Polynomial]], term: Term) -> Polynomial:
    total: dict[Monomial, Fraction] = {}
    for weight, part in parts:
        for monomial, c in part.items():
            total[monomial] = total.get(monomial, Fraction(0)) + weight * c
    return {m: c for m, c in total.items() if c} if len(total) <= MOST_MONOMIALS else _atom(term)


def _product(left: Polynomial, right: Polynomial) -> Polynomial:
    total: dict[Monomial, Fraction] = {}
    for a, c in left.items():
        for b, d in right.items():
            powers = dict(a)
            for atom, k in b:
                powers[atom] = powers.get(atom, 0) + k
            monomial = tuple(sorted(powers.items(), key=lambda item: item[0].digest))
            total[monomial] = total.get(monomial, Fraction(0)) + c * d
    return {m: c for m, c in total.items() if c}


def indicators(term: Term) -> list[Term]:
    """Parts of a coefficient that are 1 where conditions on the index hold and 0 elsewhere."""
    found = []
    for t in walk([term]):
        if t.op == "reindex" and t.args[0].op == "const" and const.value_of(t.args[0]) == 1:
            pull = pull_of(t)
            if pull.guards and pull.fill == 0:
                found.append(t)
    return found


def restricted(term: Term, held: Mapping[Term, bool]) -> Term:
    """The coefficient where indicators hold or do not."""
    numbers = {t: build.expand(build.const(int(yes), t.kind), dict(t.axes)) for t, yes in held.items()}
    return unexpanded(substitute([term], numbers)[0])


def axes_of_atoms(found: Polynomial) -> list[frozenset[str]]:
    """Per monomial: the axes along which it varies."""
    return [frozenset(axis for atom, _ in monomial for axis in atom.axes) for monomial in found]
