"""Changes of summation variables of random contractions: the value of the source, for sizes that divide each other and that do not."""

import random

import numpy as np
import pytest
from test_structure import at, function_of

from ricci.cost import TRANSFORMS, Sizes
from ricci.dsl import build, reference
from ricci.dsl.index import Guard
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.egraph import optimize_function
from ricci.egraph.extract import Effort, extract
from ricci.egraph.indexed import Emitter, Opener
from ricci.egraph.planners import transforming
from ricci.egraph.planners.rebinding import Rebinder, contracted_first, worth_opening
from ricci.egraph.structure import WORDS, Structure, facts_of_word, impose
from ricci.egraph.terms import Loader, Reader, new_space

A, B = Size.of(Dim("a")), Size.of(Dim("b"))
KNOWN = [{"a": 1, "b": 1}, {"a": 2, "b": 3}, {"a": 3, "b": 2}, {"a": 1, "b": 4}]


def random_index(generator, labels, size, a, b):
    """A label, its parts, shifts, sums and differences with another."""
    x, y = (generator.choice(list(labels)) for _ in range(2))
    e, f = at(x), at(y)
    return generator.choice(
        [
            e,
            e,
            e.mod(generator.choice([a, b, size])),
            e.div(generator.choice([a, b])),
            (e + generator.randrange(-2, 3)).mod(size),
            (e - f + generator.randrange(-1, 2)).mod(size),
            (e + f).mod(size),
            e * generator.choice([a, b]) + f,
            e - f + generator.randrange(-1, 3),
            e + generator.randrange(-2, 3),
        ]
    )


def random_guard(generator, x, y, size):
    return generator.choice(
        [
            Guard.equal(at(x), at(y)),
            Guard(-1, at(x) - at(y), 2),
            Guard(0, at(x) - at(y), None),
            Guard(1, at(x), None),
            Guard(0, at(x), size - 1),
            Guard.equal(at(x).mod(2), at(x) * 0),
        ]
    )


def random_contraction(seed):
    """Views of up to four tensors, some labels summed, sizes symbolic in every second case."""
    generator = random.Random(seed)
    a, b = (A, B) if seed % 2 else (Size.of(generator.choice([1, 2, 3])), Size.of(generator.choice([1, 2, 4])))
    pool = [a, b, a * b, a * b, Size.of(3), a + b - 1]
    labels = {x: generator.choice(pool) for x in "ijklmn"[: generator.randrange(2, 6)]}
    factors = []
    for k in range(generator.randrange(1, 5)):
        axes = {x: generator.choice(pool) for x in "pqr"[: generator.randrange(1, 3)]}
        index = {x: random_index(generator, labels, size, a, b) for x, size in axes.items()}
        read = frozenset().union(*(e.axes for e in index.values()))
        guards = []
        if generator.random() < 0.3:
            x, y = (generator.choice(list(labels)) for _ in range(2))
            guards, read = [random_guard(generator, x, y, labels[x])], read | {x, y}
        kind = generator.choice([Kind.REAL, Kind.COMPLEX]) if seed % 3 == 0 else Kind.REAL
        tensor = build.symbol(f"T{k}", Type(kind, axes))
        factors.append(build.reindex(tensor, {x: labels[x] for x in read}, index, guards, 0))
    bound = {x: labels[x] for x in labels if generator.random() < 0.6}
    return build.contract([(t, {}) for t in factors], bound), [{}] if seed % 2 == 0 else KNOWN


class Equal:
    """Every node costs the same."""

    def __init__(self, space):
        self.space = space

    def __call__(self, c, node):
        return 1

    def children(self, node):
        return tuple(dict.fromkeys(self.space.find(r) >> 1 for r in node.children))


def random_matrices(seed):
    """A contraction of views of square matrices of which something is known."""
    generator = random.Random(seed)
    labels = {x: generator.choice([A, A * B]) for x in "ijklm"[: generator.randrange(2, 6)]}
    factors, facts = [], {}
    kind = Kind.COMPLEX if seed % 3 == 0 else Kind.REAL
    words = [w for w in WORDS if kind == Kind.REAL or w != "orthogonal"]  # complex ones would be unitary
    for k in range(generator.randrange(1, 5)):
        size = generator.choice(list(labels.values()))
        name = f"S{k if generator.random() < 0.6 else 0}:{size}"
        tensor = build.symbol(name, Type(kind, {"p": size, "q": size}))
        facts.setdefault(tensor, facts_of_word(tensor, generator.choice(words)))
        same = [x for x in labels if labels[x] is size]
        index = {x: at(generator.choice(same)) if generator.random() < 0.8 else random_index(generator, labels, size, A, B) for x in "pq"}
        read = frozenset().union(*(e.axes for e in index.values()))
        factors.append(build.reindex(tensor, {x: labels[x] for x in read}, index, (), 0))
    bound = {x: labels[x] for x in labels if generator.random() < 0.6}
    return build.contract([(t, {}) for t in factors], bound), facts


def forms(term, monkeypatch, facts):
    """The contraction as it was opened, with changed variables, and by transforms."""
    monkeypatch.setattr(transforming, "SHORTEST", 1)
    loader = Loader(new_space())
    space = loader.space
    (ref,) = loader.load([term])
    structure = Structure(space, facts)
    emitter = Emitter(loader, structure)
    for node in [n for n in space.nodes[ref >> 1] if worth_opening(space, n)]:
        opened = Opener(loader, structure).opened(ref >> 1, node)
        assert opened is not None
        simplest = Rebinder(Sizes({}, 16), structure).simplest(opened)
        products = [opened, simplest, *contracted_first(emitter, Sizes({}, 16), simplest)]
        products += [transforming.transformed(emitter, simplest, *found) for found in transforming.convolutions(simplest, emitter)]
        for product in products:
            root = space.find(emitter.emitted(product) ^ (ref & 1))
            choice = extract(space, [root], Equal(space), {}, Effort(steps=10, kicks=0)).choice
            yield Reader(space, choice, loader.templates).read([root], [term])[0]


def drawn_at_random(generator, symbol, sizes):
    shape = [n.evaluate(sizes) for n in symbol.axes.values()]
    value = generator.uniform(-1, 1, shape)
    return value + 1j * generator.uniform(-1, 1, shape) if symbol.kind == Kind.COMPLEX else value


def assert_kept(term, found, every, facts, seed):
    """All forms have the value of the term, of symbols that have the facts."""
    for sizes in every:
        generator = np.random.default_rng(seed)
        drawn = {p: drawn_at_random(generator, p, sizes) for p in function_of(term).params}
        values = {name_of(p): impose(v, facts[p]) if p in facts else v for p, v in drawn.items()}
        values |= {f"#{name}": np.array(n) for name, n in sizes.items()}
        (expected,) = reference.evaluate([term], values, sizes)
        scale = max(1.0, np.abs(expected).max(initial=0.0))
        for value in reference.evaluate(found, values, sizes):
            np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12 * scale, err_msg=str(seed))


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_random_contractions_keep_their_values(first, monkeypatch):
    changed = 0
    for seed in range(first, first + 50):
        term, every = random_contraction(seed)
        found = list(forms(term, monkeypatch, {}))
        changed += len({*found, term}) > 1
        assert_kept(term, found, every, {}, seed)
    assert changed > 10


@pytest.mark.parametrize("first", range(0, 100, 50))
def test_random_products_of_known_matrices_keep_their_values(first, monkeypatch):
    changed = 0
    for seed in range(first, first + 50):
        term, facts = random_matrices(seed)
        found = list(forms(term, monkeypatch, facts))
        changed += len({*found, term}) > 1
        assert_kept(term, found, KNOWN, facts, seed)
    assert changed > 20


def test_the_optimizer_on_random_contractions(monkeypatch):
    """From end to end, transforms allowed, and verified by itself: for small and for large sizes."""
    monkeypatch.setattr(transforming, "SHORTEST", 2)
    for seed in range(60):
        term, every = random_contraction(seed)
        for sizes in ({}, {"a": 40, "b": 50}):
            found, report = optimize_function(function_of(term), sizes=sizes, routines=TRANSFORMS)
            assert report is None or not report.diagnostics, report.to_text()
            assert_kept(term, list(found.roots), every, {}, seed)


def test_a_size_that_is_no_axis_is_verified():
    size, x = build.size_term(A), build.symbol("x", Type(Kind.REAL, {"i": B}))
    term = build.contract([(size, {}), (x, {"i": "i"}), (x, {"i": "j"}), (x, {"i": "j"})], {"j": B})
    found, report = optimize_function(function_of(term), sizes={"a": 7, "b": 9})
    assert report is not None
    assert not report.diagnostics
    assert_kept(term, list(found.roots), KNOWN, {}, 0)
