"""Every choice of nodes that a space allows has the value of its source: random terms, random prices, all planners."""

import random
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ricci.cost import TRANSFORMS, Price, Sizes
from ricci.dsl import build
from ricci.dsl.reference import evaluate
from ricci.dsl.types import Kind, Size, Type
from ricci.egraph.extract import Effort, extract
from ricci.egraph.planners import propose
from ricci.egraph.pricing import NodePrice
from ricci.egraph.space import ContradictionError
from ricci.egraph.terms import Loader, Reader, new_space

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "dsl"))
from random_terms import terms

FEW = Effort(steps=2_000, kicks=8)


class RandomPrice(NodePrice):
    """A price for every node that has nothing to do with its work; seen nodes keep theirs."""

    def __init__(self, space, seed, kind):
        super().__init__(space, Price(kind), Sizes({}, 16), 1.0, {})
        self.generator = random.Random(seed)
        self.table = {}

    def __call__(self, c, node):
        return self.table.setdefault((c, repr(node)), self.generator.randrange(1, 100))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(terms(), st.integers(0, 1000))
def test_random_choices_have_the_value_of_the_source(s, seed):
    assume(all(text not in str(s.term) for text in ("/0", "recip(0)", "inf")))  # real terms are finite
    space = new_space()
    loader = Loader(space)
    space.trace = []
    refs = loader.load([s.term])
    trace, space.trace = space.trace, None
    propose(loader, Price("time"), Sizes(s.dims, 16), {}, {}, rounds=2, limit=60, nodes=400, facts={}, routines=TRANSFORMS)
    roots = [space.find(r) for r in refs]
    found = extract(space, roots, RandomPrice(space, seed, ("ops", "time")[seed % 2]), {"source": trace}, FEW)
    (term,) = Reader(space, found.choice, loader.templates).read(roots, [s.term])
    assert term.type is s.term.type
    (value,) = evaluate([term], s.values, s.dims)
    expected = np.asarray(s.expected)
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(value, expected, atol=1e3 * s.tolerance * scale + 1e-9 * scale, rtol=0)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(terms())
def test_the_source_comes_back(s):
    """Without planners and with the source's own nodes chosen, the term that comes back is worth the same."""
    assume(all(text not in str(s.term) for text in ("/0", "recip(0)", "inf")))
    space = new_space()
    loader = Loader(space)
    refs = loader.load([s.term])
    found = extract(space, refs, RandomPrice(space, 0, "ops"), {}, FEW)
    (term,) = Reader(space, found.choice, loader.templates).read(refs, [s.term])
    (value,) = evaluate([term], s.values, s.dims)
    np.testing.assert_allclose(value, s.expected, atol=100 * s.tolerance + 1e-9, rtol=1e-9)


def test_zero_has_no_sign():
    """A value that equals its own negative is zero, over its axes; functions of it are numbers."""
    space = new_space()
    axes = frozenset({("s", Size.of(4))})
    x, y = (space.leaf(name, axes) for name in "xy")
    sine, total = space.apply("sin", [x]), space.sum([(1, x), (1, y)])
    grown = space.apply("exp", [space.product([(x, 1), (y, 1)])])
    space.union(x, x ^ 1)
    space.rebuild()
    assert space.constant(x) == space.constant(sine) == 0
    assert space.find(x) == space.find(x ^ 1) == space.expand(space.zero, axes)
    assert space.find(total) == space.find(y)
    assert space.find(grown) == space.expand(space.one, axes)
    space.union(space.zero, space.zero ^ 1)


def test_values_are_repeated_over_the_axes_that_they_lack():
    space = new_space()
    wide, narrow = frozenset({("i", Size.of(3)), ("k", Size.of(4))}), frozenset({("k", Size.of(4))})
    a, b = space.leaf("a", wide), space.leaf("b", narrow)
    space.union(a, b)
    space.rebuild()
    assert space.find(a) == space.expand(b, wide)
    assert space.axes[space.find(b) >> 1] == narrow


def test_numbers_that_differ_are_a_contradiction():
    space = new_space()
    axes = frozenset({("s", Size.of(4))})
    x = space.leaf("x", axes)
    space.union(x, space.expand(space.number(2), axes))
    for other in (space.expand(space.number(3), axes), space.expand(space.zero, axes), x ^ 1):
        with pytest.raises(ContradictionError):
            space.union(x, other)


@pytest.mark.slow
def test_plain_and_compiled_loops_find_the_same(monkeypatch):
    """The loops of `search.py` on lists and, compiled, on arrays: the same choice, cost and steps for the same bounds."""
    effort = Effort(steps=1_000_000, kicks=64, compiled_steps=1_000_000, compiled_kicks=64)
    rows = [[build.symbol(f"{name}{k}", Type(Kind.REAL)) for k in range(4)] for name in "abc"]
    roots = [build.add(*[build.mul(x, y, build.add(x, z)) for x, y, z in permutations(row, 3)]) for row in zip(*rows, strict=True)]
    space = new_space()
    loader = Loader(space)
    refs = loader.load([*roots, build.mul(*roots[:2]), build.add(*roots)])
    propose(loader, Price("ops"), Sizes({}, 16), {}, {}, rounds=2, limit=200, nodes=2_000, facts={}, routines=frozenset())
    for seed in range(6):
        price = RandomPrice(space, seed, "ops")
        found = []
        for first in (10**9, 0):
            monkeypatch.setattr("ricci.egraph.extract.COMPILED_FROM", first)
            found.append(extract(space, refs, price, {}, effort))
        assert found[0] == found[1]
        assert found[0].cost <= min(found[0].seeds.values())
        assert found[0].nodes > 200


if __name__ == "__main__":
    pytest.main([__file__])
