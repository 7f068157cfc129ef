"""Common subexpressions by pairs: the pair of factors (or summands) that most products (or sums) have becomes one of its own.

Extracting the most frequent pair again and again is the classic greedy elimination of common subexpressions; what it leaves is
a complete way to compute everything, a starting point of the search that is about as good as an expert's.

Source: Breuer, "Generation of optimal code for expressions via factorization" (1969).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush
from itertools import combinations

from ricci.egraph.planners.sharing import products_of, sums_of
from ricci.egraph.rational import Rational, over
from ricci.egraph.space import Form, Space

WORK = 200_000  # pairs that are counted
Item = dict[int, Rational]  # member (class) -> coefficient or exponent
Pair = tuple[int, int, Rational]  # two members, and the ratio of their coefficients (1 in products)


def pair_all(space: Space) -> int:
    """State every product and then every sum by its most shared pairs; returns how many pairs were made."""
    made = _pair_products(space)
    space.rebuild()
    return made + _pair_sums(space)


def _pair_products(space: Space) -> int:
    pairs = _Pairs(products_of(space).values(), lambda a, b: 1)

    def joined(pair: Pair) -> int | None:
        q, base = space.split(space.product([(2 * pair[0], 1), (2 * pair[1], 1)]))
        return base >> 1 if q == 1 and base >> 1 not in pair[:2] and base != space.one else None

    made = pairs.extract(joined, _taken_factors)
    for item in pairs.items if made else ():
        space.product([(2 * d, int(k)) for d, k in item.items()])
    return made


def _taken_factors(item: Item, pair: Pair, whole: int) -> None:
    """The factors of the pair replaced by their product, as often as it is in the item."""
    a, b, _ = pair
    k = min(item[a], item[b])
    for d in (a, b):
        item[d] -= k
        if not item[d]:
            del item[d]
    item[whole] = item.get(whole, 0) + k


def _pair_sums(space: Space) -> int:
    chosen: dict[int, Form] = {c: form for c, (form, *_) in sums_of(space).items()}
    pairs = _Pairs(chosen.values(), lambda a, b: over(b, a))
    factors: dict[int, Rational] = {}

    def joined(pair: Pair) -> int | None:
        a, b, ratio = pair
        q, base = space.split(space.sum([(1, 2 * a), (ratio, 2 * b)]))
        factors[base >> 1] = q
        return base >> 1 if q and base >> 1 not in (a, b) else None

    def taken(item: Item, pair: Pair, whole: int) -> None:
        q = item.pop(pair[0]) * factors[whole]
        del item[pair[1]]
        item[whole] = q

    made = pairs.extract(joined, taken)
    for c, item in zip(chosen, pairs.items, strict=True) if made else ():
        out = space.sum([(q, 2 * d) for d, q in item.items()])
        space.union(space.expand(out, space.axes[space.find(2 * c) >> 1]), 2 * c)
    return made


class _Pairs:
    """Which items have which pairs, kept up to date while pairs are taken out of items."""

    def __init__(self, items: Iterable[Mapping[int, Rational]], ratio: Callable[[Rational, Rational], Rational]) -> None:
        self.items: list[Item] = [dict(item) for item in items]
        self.ratio = ratio
        self.users: dict[Pair, dict[int, None]] = {}
        work = 0
        for i, item in enumerate(self.items):
            work += len(item) ** 2 // 2
            if work > WORK:
                break
            for pair in self._of(item, combinations(sorted(item), 2)):
                self.users.setdefault(pair, {})[i] = None
        self.heap: list[tuple[int, Pair]] = [self._entry(p) for p, users in self.users.items() if len(users) > 1]
        heapify(self.heap)

    def _entry(self, pair: Pair) -> tuple[int, Pair]:
        return -len(self.users[pair]), pair

    def _of(self, item: Item, places: Iterable[tuple[int, int]]) -> Iterator[Pair]:
        return ((a, b, self.ratio(item[a], item[b])) for a, b in places)

    def extract(self, joined: Callable[[Pair], int | None], taken: Callable[[Item, Pair, int], None]) -> int:
        """Take out pairs, the most frequent first, until no two items share one."""
        made = 0
        while self.heap:
            count, pair = heappop(self.heap)
            if -count != len(self.users[pair]):
                if len(self.users[pair]) > 1:
                    heappush(self.heap, self._entry(pair))
                continue
            whole = joined(pair)
            users = [i for i in self.users[pair] if whole not in self.items[i]]
            self.users[pair] = {}
            if whole is not None and len(users) > 1:
                made += 1
                for i in users:
                    self._take(i, pair, whole, taken)
        return made

    def _take(self, i: int, pair: Pair, whole: int, taken: Callable[[Item, Pair, int], None]) -> None:
        item = self.items[i]
        near = [tuple(sorted((d, e))) for d in pair[:2] for e in item if e != d]
        for old in self._of(item, dict.fromkeys((a, b) for a, b in near)):
            self.users.get(old, {}).pop(i, None)
        taken(item, pair, whole)
        ends = [d for d in dict.fromkeys((*pair[:2], whole)) if d in item]
        fresh = [(min(d, e), max(d, e)) for d in ends for e in item if e != d]
        for new in self._of(item, dict.fromkeys(fresh)):
            users = self.users.setdefault(new, {})
            users[i] = None
            if len(users) > 1:
                heappush(self.heap, self._entry(new))
