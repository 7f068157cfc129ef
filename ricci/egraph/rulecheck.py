"""Every rule against numbers: its statement on random terms that satisfy its side conditions, and without them.

A rule is sound here if, run alone on an instance of its left side, it fires, it puts the right side into the same class, and every
form that the class then offers has the value of the left side at random points. Where one of the facts of `given` is not known
and the others are, it may not fire: the engine tests every condition that is stated.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf

import numpy as np
from numpy.typing import NDArray

from ricci.cost import Price, Sizes
from ricci.dsl import build
from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.reference import evaluate
from ricci.dsl.show import show_term
from ricci.dsl.term import Term, TermError, symbols
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.egraph.analyses import FACTS, UNKNOWN, Range, Ranges
from ricci.egraph.encode import Budget, saturate
from ricci.egraph.extract import Effort, extract
from ricci.egraph.pricing import NodePrice
from ricci.egraph.ruleset import DOMAIN, VARYING, Expression, Rule
from ricci.egraph.space import Node, Space
from ricci.egraph.terms import Loader, Reader, new_space, stated
from ricci.errors import UnsoundRule

AXES = {"i": Size.of(3), "k": Size.of(Dim("n"))}
DIMS = {"n": 4}
TOLERANCE = 1e-9
Fact = tuple[str, Expression]
FORMS = 6  # random extractions a class
FEW = Effort(steps=2_000, kicks=4)
BINARY: dict[str, Callable[[Term, Term], Term]] = {"+": build.add, "-": build.sub, "*": build.mul}


@dataclass
class Instance:
    """Left and right side on random terms; what is known of their symbols."""

    left: Term
    right: Term
    given: dict[Term, Range] = field(default_factory=dict)


class _Instantiation:
    """Chooses a term for every variable of a rule, so that the facts of `given` can be derived, all but the one that is `missing`."""

    def __init__(self, rule: Rule, generator: random.Random, plain: bool, missing: Fact | None) -> None:
        self.random, self.plain = generator, plain
        self.facts = [g for g in rule.given if g != missing]
        self.missing = missing
        self.given: dict[Term, Range] = {}
        self.known: dict[str, Term] = {}

    def symbol(self, name: str, kind: Kind, axes: Mapping[str, Size], known: Range) -> Term:
        term = build.symbol(name, Type(kind, axes))
        if known != UNKNOWN:
            self.given[term] = known
        return term

    def variable(self, name: str) -> Term:
        if name not in self.known:
            self.known[name] = self._fresh(name)
        return self.known[name]

    def _fresh(self, name: str) -> Term:
        axes = dict(AXES) if name[0] in VARYING else self.random.choice([{}, {"i": AXES["i"]}])
        known = UNKNOWN
        for fact, of in self.facts:
            if name in _variables(of):
                known = known.meet(_range("positive" if isinstance(of, tuple) else fact))
        kind = Kind.COMPLEX if self.missing == ("real", name) else Kind.REAL
        first = self.symbol(name, kind, axes, known)
        if self.plain:
            return first
        if known.nonnegative or known == FACTS["nonzero"]:
            other = self.symbol(name + "1", kind, axes, FACTS["positive"])
            product = build.mul(first, other)
            return self.random.choice([first, build.add(first, other), product] if known.nonnegative else [first, product])
        if known != UNKNOWN:
            return first
        second = self.symbol(name + "1", kind, {}, UNKNOWN)
        half = build.scale(Fraction(1, 2), first)
        return self.random.choice([first, build.add(first, second), build.mul(first, second), half, build.apply("sin", first)])

    def term(self, expression: Expression) -> Term:
        if not isinstance(expression, tuple):
            if expression[0].isdigit():
                return build.const(Fraction(expression))
            return self.variable(expression)
        head, *rest = expression
        args = [self.term(a) for a in rest]
        name, _, axis = str(head).partition("[")
        if name == "-" and len(args) == 1:
            return build.neg(args[0])
        if name in BINARY:
            return BINARY[name](*args)
        if name == "shift":
            return build.shift(args[0], "k", 1, 0)
        return build.reduce(name, args[0], [axis[:-1]]) if axis else build.apply(name, *args)


def _range(fact: str) -> Range:
    """Where the values lie of which a fact is stated."""
    if fact.startswith(DOMAIN):
        domain = SCALARS[fact.removeprefix(DOMAIN)].domain
        return Range(domain.lo, domain.hi)
    return FACTS.get(fact, UNKNOWN)


def _variables(expression: Expression) -> set[str]:
    if isinstance(expression, tuple):
        return set().union(*(_variables(a) for a in expression[1:]))
    return set() if expression[0].isdigit() else {expression}


def instance(rule: Rule, seed: int, missing: Fact | None = None) -> Instance:
    """The rule's statement on random terms; on symbols for seed 0 and where a fact is missing."""
    chosen = _Instantiation(rule, random.Random(seed), seed == 0 or missing is not None, missing)
    left, right = chosen.term(rule.left), chosen.term(rule.right)
    return Instance(left, build.conform(right, left.type), chosen.given)


def check_rule(rule: Rule, seeds: int = 6) -> None:
    """UnsoundRule (E0901) if an instance changes a value or a condition is not tested, E0902 if the rule does not do what it states."""
    for seed in range(seeds):
        one = instance(rule, seed)
        loader, fired = _run(rule, one)
        _compare(rule, one, loader, seed)
        left, right = loader.load([one.left, one.right])
        if seed == 0 and not fired:
            raise UnsoundRule("E0902", f"rule `{rule.name}` does not fire on {show_term(one.left)}")
        if seed == 0 and left != right:
            raise UnsoundRule("E0902", f"rule `{rule.name}` does not give {show_term(one.right)} for {show_term(one.left)}")
        for fact in rule.given:
            _check_tested(rule, seed, fact)


def _check_tested(rule: Rule, seed: int, fact: Fact) -> None:
    """E0901 if the rule fires where all facts of its condition are known but one."""
    try:
        bare = instance(rule, seed, missing=fact)
    except TermError:  # the statement has no meaning without the fact
        return
    if _run(rule, bare)[1]:
        word, of = fact
        raise UnsoundRule("E0901", f"rule `{rule.name}` fires on {show_term(bare.left)} where `{word} {of}` is not known")


def _run(rule: Rule, one: Instance) -> tuple[Loader, bool]:
    loader = Loader(new_space())
    loader.space.trace = []
    loader.load([one.left])
    loader.space.trace = None
    found = saturate(loader, [one.left], [rule], Ranges(loader.space, stated(loader, one.given)), Budget(iterations=2))
    return loader, found is not None and rule.name in found.fired


class _Any(NodePrice):
    """Random prices: every extraction is another form."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, Price("ops"), Sizes(DIMS, 4), 1.0, {})
        self.random = random.Random(seed)
        self.table: dict[tuple[int, Node], int] = {}

    def __call__(self, c: int, node: Node) -> int | None:
        return self.table.setdefault((c, node), self.random.randrange(1, 1000))


def _compare(rule: Rule, one: Instance, loader: Loader, seed: int) -> None:
    roots = loader.load([one.left])
    forms = {one.left: None}
    for k in range(FORMS):
        choice = extract(loader.space, roots, _Any(loader.space, 100 * seed + k), {}, FEW).choice
        (term,) = Reader(loader.space, choice, loader.templates).read(roots, [one.left])
        forms[term] = None
    for point in range(2):
        values = _values(list(forms), one.given, 1000 * seed + point)
        wanted, *found = evaluate(list(forms), values, DIMS)
        for term, value in zip(list(forms)[1:], found, strict=True):
            if not _agree(wanted, value):
                raise UnsoundRule("E0901", f"rule `{rule.name}` changes a value: {show_term(one.left)} became {show_term(term)}")


def _values(terms: list[Term], given: Mapping[Term, Range], seed: int) -> dict[str, NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    values = {}
    for s in sorted(symbols(terms), key=name_of):
        shape = tuple(size.evaluate(DIMS) for size in s.axes.values())
        known = given.get(s, UNKNOWN)
        size = generator.uniform(0.2, 1.5, shape)
        if known.lo > -inf and known.hi < inf:
            value = generator.uniform(known.lo, known.hi, shape)
        elif known.lo > -inf or known.hi < inf:
            value = known.lo + size if known.lo > -inf else known.hi - size
        else:
            value = size * np.where(generator.random(shape) < 0.5, -1.0, 1.0)
        values[name_of(s)] = value
    return values


def _agree(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    if a.shape != b.shape:
        return False
    both = np.isfinite(a) & np.isfinite(b)
    if (np.isfinite(a) & ~np.isfinite(b)).any():
        return False
    return bool(np.all(np.abs(a - b)[both] <= TOLERANCE * (1 + np.abs(a)[both])))
