"""Right-hand sides of random mass-action networks: terms from sympy expressions, one node per monomial, same values."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from ricci.dsl import build
from ricci.dsl.reference import evaluate
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Kind, Type

sp = pytest.importorskip("sympy")


def reaction_network(species: int, reactions: int) -> list[Any]:
    """Expanded rates of change of the species for reactions of one or two partners, half of them reversible."""
    random.seed(0)
    n = sp.symbols(f"x0:{species}")
    rates = [sp.Integer(0)] * species
    for j in range(reactions):
        left = random.sample(range(species), random.choice([1, 2, 2]))
        right = random.sample(range(species), random.choice([1, 2]))
        flows = [sp.Symbol(f"k{j}") * sp.Mul(*[n[i] for i in left])]
        if random.random() < 0.5:
            flows.append(-sp.Symbol(f"r{j}") * sp.Mul(*[n[i] for i in right]))
        for flow in flows:
            for i in left:
                rates[i] -= flow
            for i in right:
                rates[i] += flow
    return [e for e in map(sp.expand, rates) if e != 0]


def from_polynomial(expression: Any) -> Term:
    """The term of an expanded polynomial with rational coefficients."""
    parts = []
    for addend in sp.Add.make_args(expression):
        c, monomial = addend.as_coeff_Mul()
        factors = [
            build.power(build.symbol(str(base), Type(Kind.REAL)), int(power))
            for base, power in monomial.as_powers_dict().items()
            if power != 0 and base != 1
        ]
        parts.append((Fraction(int(c.p), int(c.q)), build.mul(*factors)))
    return build.linear(parts)


@pytest.mark.parametrize(("species", "reactions", "monomials"), [(8, 12, 41), (40, 120, 573)])
def test_network_has_one_node_per_distinct_monomial(species: int, reactions: int, monomials: int) -> None:
    expressions = reaction_network(species, reactions)
    addends = [a for e in expressions for a in sp.Add.make_args(e)]
    assert len(addends) == monomials
    terms = [from_polynomial(e) for e in expressions]
    distinct = {a.as_coeff_Mul()[1] for a in addends}
    assert sum(t.op == "contract" for t in walk(terms)) == len(distinct)
    assert all(t.op == "linear" for t in terms)
    rng = np.random.default_rng(0)
    names = sorted(set().union(*[e.free_symbols for e in expressions]), key=str)
    point = rng.uniform(0.5, 1.5, len(names))
    values = evaluate(terms, {str(name): v for name, v in zip(names, point, strict=True)})
    expected = sp.lambdify(names, expressions, "math")(*point)
    assert np.allclose([float(v) for v in values], expected, rtol=1e-12, atol=1e-12)


def test_expanded_and_collected_sums_are_one_node() -> None:
    x, y = sp.symbols("x y")
    power = sp.expand((x + y) ** 4)
    assert from_polynomial(power) is from_polynomial(sp.expand((x + y) ** 2 * (x**2 + 2 * x * y + y**2)))
