"""What is known about the structure of values: symmetric, diagonal, triangular, banded, circulant, orthogonal; and their kinds.

Facts speak of pairs of axes (a, b) of equal size of one class and hold for every element:

    symmetric     swapping a and b changes nothing
    bands         lo <= a - b <= hi wherever the value is not zero (diagonal 0..0, lower triangular 0.., upper ..0)
    circulant     the value depends on a and b only through (a - b) mod n
    orthonormal   Sum_a Q[a, b] Q[a, b'] = [b == b'] for real Q

They come from what is given of symbols and from the nodes of a class; classes that merge have the facts of both. Derived by
repeated evaluation of all nodes, as ranges are: nothing is assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ricci.dsl.division import larger, smaller
from ricci.dsl.index import Index
from ricci.dsl.ops.canonical import canonical_labels
from ricci.dsl.ops.contract import Contraction, Label
from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.ops.reindex import Pull
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size
from ricci.egraph.space import Node, Space

PASSES = 4
Pair = tuple[str, str]
Band = tuple[Size | None, Size | None]
ANY: Band = (None, None)
ZERO = Size.of(0)
Read = tuple[int, dict[str, Label]]  # a class, and the label of each of its axes
MOST_FACTORS = 8  # of a product whose symmetry is looked for


@dataclass(frozen=True)
class Facts:
    """What is known of one class; pairs of `symmetric`, `bands` and `circulant` are in the order of names."""

    symmetric: frozenset[Pair] = frozenset()
    bands: Mapping[Pair, Band] = field(default_factory=dict)
    circulant: frozenset[Pair] = frozenset()
    orthonormal: frozenset[Pair] = frozenset()

    def meet(self, other: Facts) -> Facts:
        """Both hold."""
        bands = dict(self.bands)
        for pair, band in other.bands.items():
            bands[pair] = _both(bands.get(pair, ANY), band)
        return Facts(
            self.symmetric | other.symmetric, bands, self.circulant | other.circulant, self.orthonormal | other.orthonormal
        ).completed()

    def completed(self) -> Facts:
        """With what follows at once: a diagonal value is symmetric."""
        diagonal = {pair for pair, band in self.bands.items() if band == (ZERO, ZERO)}
        return self if diagonal <= self.symmetric else Facts(self.symmetric | diagonal, self.bands, self.circulant, self.orthonormal)

    def band(self, a: str, b: str) -> Band:
        """lo <= a - b <= hi where the value is not zero."""
        if a < b:
            return self.bands.get((a, b), ANY)
        lo, hi = self.bands.get((b, a), ANY)
        return None if hi is None else -hi, None if lo is None else -lo


NOTHING = Facts()


def _both(a: Band, b: Band) -> Band:
    lo = b[0] if a[0] is None else a[0] if b[0] is None else larger(a[0], b[0]) or a[0]
    hi = b[1] if a[1] is None else a[1] if b[1] is None else smaller(a[1], b[1]) or a[1]
    return lo, hi


def _either(a: Band, b: Band) -> Band:
    return smaller(a[0], b[0]), larger(a[1], b[1])


def _plus(a: Band, b: Band) -> Band:
    lo = None if a[0] is None or b[0] is None else a[0] + b[0]
    return lo, None if a[1] is None or b[1] is None else a[1] + b[1]


# what users say

WORDS = ("symmetric", "orthogonal", "diagonal", "lower", "upper", "circulant")


def facts_of_word(term: Term, word: str) -> Facts | None:
    """What a word says of a matrix; None if the term is no symbol with two axes of one size (for orthogonal: and real)."""
    if term.op != "symbol" or len(term.axes) != 2 or len(set(term.axes.values())) != 1:
        return None
    if word == "orthogonal" and term.kind == Kind.COMPLEX:
        return None
    a, b = sorted(term.axes)
    return {
        "symmetric": Facts(symmetric=frozenset([(a, b)])),
        "orthogonal": Facts(orthonormal=frozenset([(a, b), (b, a)])),
        "diagonal": Facts(bands={(a, b): (ZERO, ZERO)}),
        "lower": Facts(bands={(a, b): (ZERO, None)}),
        "upper": Facts(bands={(a, b): (None, ZERO)}),
        "circulant": Facts(circulant=frozenset([(a, b)])),
    }[word].completed()


def impose(value: NDArray[Any], facts: Facts) -> NDArray[Any]:
    """The nearest thing to a square matrix (axes in the order of names) that has the facts: what checks draw at random."""
    n = len(value)
    if facts.circulant:
        value = value[(np.arange(n)[:, None] - np.arange(n)) % n, 0] if n else value
    if facts.symmetric:
        value = (value + value.T) / 2 if value.dtype.kind in "fc" else np.triu(value) + np.triu(value, 1).T
    for lo, hi in facts.bands.values():
        value = value if lo is None else np.tril(value, -int(lo.constant or 0))
        value = value if hi is None else np.triu(value, -int(hi.constant or 0))
    if facts.orthonormal and n:
        value = _reflected(n, value) if facts.symmetric else np.linalg.qr(value)[0]
    return value


def _reflected(n: int, value: NDArray[Any]) -> NDArray[Any]:
    """A symmetric orthogonal matrix: a reflection along the first column."""
    v = value[:, :1]
    reflection: NDArray[Any] = np.eye(n) - 2 * v @ v.T / np.sum(v * v)
    return reflection


# derivation


class Structure:
    """Facts of the classes of a space."""

    def __init__(self, space: Space, given: Mapping[Term, Facts]) -> None:
        self.space, self.given = space, given
        self.table: dict[int, Facts] = {}
        order = [c for c in space.classes() if _pairs(space, c)]
        for _ in range(PASSES):
            changed = False
            for c in order:
                known = self.of(c)
                for node in space.nodes[c]:
                    known = known.meet(self._of_node(node, c))
                if known != self.of(c):
                    self.table[c] = known
                    changed = True
            if not changed:
                break

    def of(self, c: int) -> Facts:
        return self.table.get(c, NOTHING)

    def _child(self, ref: int) -> Facts:
        return self.of(self.space.find(ref) >> 1)

    def _of_node(self, node: Node, c: int) -> Facts:
        op = node.op
        if op == "leaf":
            return self.given.get(node.payload, NOTHING) if isinstance(node.payload, Term) else NOTHING
        if op in ("scale", "stored") or (op in SCALARS and len(node.children) == 1):
            return self._function(node, c)
        if op == "sum":
            return self._sum(node, c)
        if op in ("product", "contract", "power"):
            return self._product(node, c)
        if op == "reindex" and isinstance(node.payload, Pull):
            return self._reindex(node, node.payload, c)
        return NOTHING

    def _function(self, node: Node, c: int) -> Facts:
        """A function of one argument keeps symmetries; zeros where it maps zero to zero."""
        inner = self._child(node.children[0])
        if node.op == "stored":
            return inner
        keeps = node.op == "scale" or self.space.fold(node.op, [0]) == 0
        return Facts(inner.symmetric, inner.bands if keeps else {}, inner.circulant)

    def _sum(self, node: Node, c: int) -> Facts:
        """What all members have, members without one of two axes having neither symmetry."""
        parts = [self._child(r) for r in node.children]
        bands = {}
        for pair in _pairs(self.space, c):
            band = parts[0].bands.get(pair, ANY)
            for part in parts[1:]:
                band = _either(band, part.bands.get(pair, ANY))
            if band != ANY:
                bands[pair] = band
        symmetric = frozenset(p for p in _pairs(self.space, c) if all(self._symmetric(r, p) for r in node.children))
        circulant = frozenset(p for p in _pairs(self.space, c) if all(self._circulant(r, p) for r in node.children))
        return Facts(symmetric, bands, circulant)

    def _symmetric(self, ref: int, pair: Pair) -> bool:
        return pair in self._child(ref).symmetric or self._lacks(ref, pair)

    def _circulant(self, ref: int, pair: Pair) -> bool:
        return pair in self._child(ref).circulant or self._lacks(ref, pair)

    def _lacks(self, ref: int, pair: Pair) -> bool:
        return not {name for name, _ in self.space.axes[self.space.find(ref) >> 1]} & set(pair)

    def _product(self, node: Node, c: int) -> Facts:
        factors = self._factors(node)
        labels = {label for _, access in factors for label in access.values()}
        paths = _Paths(labels, [(self._child(ref), access) for ref, access in factors])
        bands = {pair: band for pair in _pairs(self.space, c) if (band := paths.band(*pair)) != ANY}
        symmetric = frozenset(p for p in _pairs(self.space, c) if self._is_symmetric(factors, node, p))
        return Facts(symmetric, bands, self._circulant_product(factors, node, c), self._orthonormal_product(factors, node, c))

    def _factors(self, node: Node) -> list[Read]:
        if isinstance(node.payload, Contraction):
            return [(self.space.find(r), dict(a)) for r, a in zip(node.children, node.payload.accesses, strict=True)]
        times = node.exponent if node.op == "power" else 1
        refs = [self.space.find(r) for r in node.children] * times
        return [(r, {name: name for name, _ in self.space.axes[r >> 1]}) for r in refs]

    def _is_symmetric(self, factors: Sequence[Read], node: Node, pair: Pair) -> bool:
        """Whether exchanging the two labels gives the same product."""
        bound: dict[Label, Size] = dict(enumerate(node.payload.bound)) if isinstance(node.payload, Contraction) else {}
        flat = self._flattened(list(factors), bound)
        if len(flat) > MOST_FACTORS:
            return False
        a, b = pair
        swap: dict[Label, Label] = {a: b, b: a}
        return self._key(flat, bound) == self._key([(r, {x: swap.get(v, v) for x, v in own.items()}) for r, own in flat], bound)

    def _flattened(self, factors: list[Read], bound: dict[Label, Size]) -> list[Read]:
        """Factors with contractions among them opened; their bound labels are added to `bound`."""
        out: list[Read] = []
        while factors and len(out) + len(factors) <= MOST_FACTORS:
            ref, own = factors.pop()
            node = next((n for n in self.space.nodes[ref >> 1] if isinstance(n.payload, Contraction)), None)
            if node is None:
                out.append((ref, own))
                continue
            assert isinstance(node.payload, Contraction)
            first = len(bound)
            bound.update({first + k: size for k, size in enumerate(node.payload.bound)})
            for r, access in self._factors(node):
                factors.append((r, {x: own[v] if isinstance(v, str) else first + v for x, v in access.items()}))
        return out + factors

    def _key(self, factors: Sequence[Read], bound: Mapping[Label, Size]) -> Hashable:
        """The product up to names of bound labels and the order of factors, symmetric factors read one way."""
        texts: dict[Label, str] = {k: size.canonical_text() for k, size in bound.items()}
        best = []
        for turned in self._turns(factors):
            named = [(ref.to_bytes(8, "big"), tuple(sorted(own.items()))) for ref, own in turned]
            number: dict[Label, Label] = {label: i for i, label in enumerate(canonical_labels(named, texts))}
            best.append(sorted(repr((ref, [(x, number.get(v, v)) for x, v in own])) for ref, own in named))
        return tuple(min(best))

    def _turns(self, factors: Sequence[Read]) -> list[list[Read]]:
        """The factors with symmetric ones read either way, as long as these are few."""
        out = [list(factors)]
        for k, (ref, own) in enumerate(factors):
            for a, b in sorted(self._child(ref).symmetric)[:1] if len(out) < 8 else ():
                out += [[*fs[:k], (ref, {**own, a: own[b], b: own[a]}), *fs[k + 1 :]] for fs in out]
        return out

    def _circulant_product(self, factors: Sequence[Read], node: Node, c: int) -> frozenset[Pair]:
        """Factors that are circulant or lack both axes; or Sum_k C[a, k] D[k, b] of circulant C and D."""
        bound = isinstance(node.payload, Contraction) and bool(node.payload.bound)
        facts = [(self._child(ref), {v: x for x, v in own.items()}) for ref, own in factors]
        either_way = lambda f, x, y: _sorted(x, y) in f.circulant  # noqa: E731
        if bound:
            return frozenset(p for p in _pairs(self.space, c) if len(factors) == 2 and _chain(facts, *p, either_way))
        found = []
        for a, b in _pairs(self.space, c):
            if all((a not in own and b not in own) or _at(own, a, b) in f.circulant for f, own in facts):
                found.append((a, b))
        return frozenset(found)

    def _orthonormal_product(self, factors: Sequence[Read], node: Node, c: int) -> frozenset[Pair]:
        """Sum_k Q[a, k] R[k, b] of orthogonal Q and R."""
        if len(factors) != 2 or not isinstance(node.payload, Contraction) or len(self.space.axes[c]) != 2:
            return frozenset()
        facts = [(self._child(ref), {v: x for x, v in own.items()}) for ref, own in factors]
        square = lambda f, x, y: (x, y) in f.orthonormal and (y, x) in f.orthonormal  # noqa: E731
        return frozenset(q for a, b in _pairs(self.space, c) if _chain(facts, a, b, square) for q in ((a, b), (b, a)))

    def _reindex(self, node: Node, pull: Pull, c: int) -> Facts:
        """Transposes of what is below, bands that guards cut out, and values read at (a - b) mod n."""
        inner = self._child(node.children[0])
        own = {a: name for a, e in pull.entries if (name := e.single_axis) is not None}
        whole = len(own) == len(pull.entries) and len(set(own.values())) == len(own) and not pull.guards
        facts = Facts()
        if whole:
            facts = Facts(
                frozenset(_sorted(own[a], own[b]) for a, b in inner.symmetric),
                {_sorted(own[a], own[b]): inner.band(*((a, b) if own[a] < own[b] else (b, a))) for a, b in inner.bands},
                frozenset(_sorted(own[a], own[b]) for a, b in inner.circulant),
                frozenset((own[a], own[b]) for a, b in inner.orthonormal) if len(own) == len(pull.axes) else frozenset(),
            )
        bands: dict[Pair, Band] = {}
        indices = [*(e for _, e in pull.entries), *(g.index for g in pull.guards)]
        circulant = set()
        for a, b in _pairs(self.space, c):
            if pull.fill == 0 and (band := _cut_out(pull, a, b)) != ANY:
                bands[a, b] = band
            size = dict(self.space.axes[c])[a]
            if all(_cyclic(e, a, b, size) for e in indices):
                circulant.add((a, b))
        return facts.meet(Facts(bands=bands, circulant=frozenset(circulant)))


def _cut_out(pull: Pull, a: str, b: str) -> Band:
    """The band that the guards of an index map with fill 0 leave."""
    band = ANY
    for g in pull.guards:
        for k in (1, -1):
            if g.index == (Index.axis(a) - Index.axis(b)) * k:
                lo, hi = g.lo, None if g.hi is None else g.hi - 1
                band = _both(band, (lo, hi) if k == 1 else (None if hi is None else -hi, None if lo is None else -lo))
    return band


def _sorted(a: str, b: str) -> Pair:
    return (a, b) if a < b else (b, a)


def _at(own: Mapping[Label, str], a: str, b: str) -> Pair:
    return _sorted(own[a], own[b]) if a in own and b in own else ("", "")


def _chain(facts: Sequence[tuple[Facts, Mapping[Label, str]]], a: str, b: str, has: Callable[[Facts, str, str], bool]) -> bool:
    """Whether two factors are F[a, k] and G[k, b] that both have a property of their two axes."""
    for (f, own), (g, other) in permutations(facts):
        shared = [k for k in own if isinstance(k, int) and k in other]
        if len(own) == len(other) == 2 and len(shared) == 1 and a in own and b in other:
            return has(f, own[a], own[shared[0]]) and has(g, other[shared[0]], other[b])
    return False


def _cyclic(e: Index, a: str, b: str, size: Size) -> bool:
    """Whether an index depends on a and b only through (a - b) mod size."""
    if not e.axes & {a, b}:
        return True
    moved = e.substitute({a: (Index.axis(a) + Index.axis(b)).mod(size)})
    return b not in moved.within({a: size, b: size}).axes


def _pairs(space: Space, c: int) -> list[Pair]:
    """Pairs of axes of one size, in the order of names."""
    axes = sorted(space.axes[c])
    return [(a, b) for i, (a, n) in enumerate(axes) for b, m in axes[i + 1 :] if n is m]


class _Paths:
    """Bands between labels of a product: those of single factors, and along chains of them."""

    def __init__(self, labels: set[Label], factors: Sequence[tuple[Facts, Mapping[str, Label]]]) -> None:
        self.bands: dict[tuple[Label, Label], Band] = {}
        for facts, own in factors:
            for (a, b), band in facts.bands.items():
                self._cut(own[a], own[b], band)
        order = sorted(labels, key=repr) if self.bands else []
        for k in order:
            for i in order:
                for j in order:
                    if len({i, j, k}) == 3 and (i, k) in self.bands and (k, j) in self.bands:
                        self._cut(i, j, _plus(self.bands[i, k], self.bands[k, j]))

    def _cut(self, a: Label, b: Label, band: Band) -> None:
        lo, hi = self.bands[a, b] = _both(self.bands.get((a, b), ANY), band)
        self.bands[b, a] = (None if hi is None else -hi, None if lo is None else -lo)

    def band(self, a: Label, b: Label) -> Band:
        return self.bands.get((a, b), ANY)


__all__ = ["NOTHING", "WORDS", "Facts", "Structure", "facts_of_word", "impose"]
