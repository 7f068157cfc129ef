"""Order of contraction: a product summed over bound axes as a tree of products of two.

Every contraction is flattened through the contractions and products below it. Up to SMALL factors all trees enter the space,
so that extraction decides over all results together what is shared. Beyond, the cheapest tree: by dynamic programming over
connected subsets (12 factors of any shape, long chains and rings), above that a greedy tree improved by exact search on
parts, without intermediates larger than a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import prod

from ricci.cost import Price, Sizes
from ricci.dsl.ops.contract import Contraction, Label
from ricci.dsl.types import Size
from ricci.egraph.space import Node, Space
from ricci.egraph.terms import Loader, contraction

SMALL = 5
FORMS = 4  # contractions of one class that are ordered: over other summation variables the same sum is another network
SUBSETS = 5_000  # connected subsets of factors that the exact search looks at
LARGEST = 64  # factors of a flattened contraction
PART = 8  # factors of a part that is searched exactly in a large contraction
MEMORY = 1 << 28  # elements of an intermediate, if the inputs and the result are smaller

Tree = int | tuple["Tree", "Tree"]  # a factor, or two trees
PairCost = Callable[[frozenset[int], frozenset[int], frozenset[int]], float]  # of left x right, keeping the labels of the third


@dataclass
class Network:
    """Factors with their labels. `out` gives the axis name of every free label; `sizes` of all labels."""

    factors: list[tuple[int, dict[str, int]]] = field(default_factory=list)
    sizes: dict[int, Size] = field(default_factory=dict)
    out: dict[int, str] = field(default_factory=dict)
    sign: int = 0

    @property
    def key(self) -> tuple[tuple[int, tuple[tuple[str, str], ...]], ...]:
        """Equal for networks that are the same up to names of summed labels."""
        text = {label: f"={name}" for label, name in self.out.items()}
        accesses = [[(axis, text.get(v, str(v))) for axis, v in sorted(own.items())] for _, own in self.factors]
        names: dict[str, str] = {}
        for access in accesses:
            for _, label in access:
                names.setdefault(label, label if label.startswith("=") else str(len(names)))
        return tuple((ref, tuple((axis, names[v]) for axis, v in access)) for (ref, _), access in zip(self.factors, accesses, strict=True))

    def labels(self, members: Sequence[int]) -> frozenset[int]:
        return frozenset(label for k in members for label in self.factors[k][1].values())


def order_contractions(loader: Loader, price: Price, sizes: Sizes, limit: int) -> int:
    """Propose orders for every contraction of the space (large ones: for `limit` of them); returns how many were looked at."""
    space = loader.space
    made = 0
    for c in space.classes():
        written = [n for n in space.nodes[c] if n.op == "contract"][:FORMS]
        found = [network for node in written if (network := _flatten(space, c, node)) is not None and len(network.factors) > 1]
        for network in {network.key: network for network in found}.values():
            if len(network.factors) > SMALL and made >= limit:
                continue
            made += 1
            _Planner(loader, price, sizes, network).propose(2 * c)
    return made


def _flatten(space: Space, c: int, node: Node) -> Network | None:
    """The contraction with those below it opened; None if it has too many factors."""
    network = Network()
    network.sign = space.nodes[c][node]
    outer: dict[Label, int] = {}
    sizes = dict(space.axes[c])

    def label(size: Size) -> int:
        network.sizes[len(network.sizes)] = size
        return len(network.sizes) - 1

    for name in sorted(sizes):
        outer[name] = label(sizes[name])
        network.out[outer[name]] = name
    stack: list[tuple[int, Node, dict[Label, int]]] = [(c, node, dict(outer))]
    while stack:
        at, n, names = stack.pop()
        for ref, access in _accesses(space, n):
            ref = space.find(ref)
            network.sign ^= ref & 1
            own = {}
            for axis, key in access.items():
                if key not in names:
                    assert isinstance(n.payload, Contraction)
                    assert isinstance(key, int)
                    names[key] = label(n.payload.bound[key])
                own[axis] = names[key]
            inner = _opened(space, ref >> 1, at)
            if inner is None:
                network.factors.append((ref & ~1, own))
            else:
                below, sign = inner
                network.sign ^= sign
                stack.append((ref >> 1, below, dict(own.items())))
        if len(network.factors) > LARGEST:
            return None
    return network


def _accesses(space: Space, node: Node) -> list[tuple[int, dict[str, Label]]]:
    if isinstance(node.payload, Contraction):
        return [(r, dict(access)) for r, access in zip(node.children, node.payload.accesses, strict=True)]
    return [(r, {name: name for name, _ in sorted(space.axes[space.find(r) >> 1])}) for r in node.children]


def _opened(space: Space, c: int, above: int) -> tuple[Node, int] | None:
    """The node of a class that may be joined with the product above it, and its sign."""
    if c == above:
        return None
    for node, sign in space.nodes[c].items():
        if node.op in ("contract", "product") and c not in {space.find(r) >> 1 for r in node.children}:
            return node, sign
    return None


class _Planner:
    """Trees for one network."""

    def __init__(self, loader: Loader, price: Price, sizes: Sizes, network: Network) -> None:
        self.loader, self.price, self.network = loader, price, network
        self.extent = {label: sizes.extent(size) for label, size in network.sizes.items()}
        self.refs: dict[frozenset[int], tuple[int, dict[str, int]]] = {}
        self.costs: dict[tuple[frozenset[int], ...], float] = {}
        self._presum()

    def _presum(self) -> None:
        """Sum labels that one factor alone has before anything else."""
        network = self.network
        count: dict[int, int] = {}
        for _, own in network.factors:
            for label in set(own.values()):
                count[label] = count.get(label, 0) + 1
        for k, (_, own) in enumerate(network.factors):
            if any(count[label] == 1 and label not in network.out for label in own.values()):
                self.refs[frozenset([k])] = self._class([k])

    def propose(self, ref: int) -> None:
        n = len(self.network.factors)
        everything = tuple(range(n))
        if n <= SMALL:
            whole = self._lattice(everything)
        else:
            labels = [frozenset(self._ref([k])[1].values()) for k in everything]
            tree = cheapest_tree(labels, frozenset(self.network.out), self._pair, list(everything))
            whole = self._built(self._searched() if tree is None else tree)
        self.loader.space.union(whole ^ self.network.sign, ref)

    # sub-contractions as classes

    def _outside(self, members: frozenset[int]) -> frozenset[int]:
        """Labels that a sub-contraction keeps: those of the result and of other factors."""
        rest = [k for k in range(len(self.network.factors)) if k not in members]
        return frozenset(self.network.out) | self.network.labels(rest)

    def _ref(self, members: Sequence[int]) -> tuple[int, dict[str, int]]:
        key = frozenset(members)
        found = self.refs.get(key)
        if found is None:
            found = self.network.factors[members[0]] if len(members) == 1 else self._class(sorted(members))
            self.refs[key] = found
        return found

    def _class(self, members: Sequence[int]) -> tuple[int, dict[str, int]]:
        """Class of a sub-contraction and its axis -> label; axes named by the factors, the same wherever it occurs."""
        names = self._names(members)
        ref = self._contracted([self.network.factors[k] for k in members], names)
        return ref, {name: label for label, name in names.items()}

    def _names(self, members: Sequence[int]) -> dict[int, str]:
        kept = self._outside(frozenset(members))
        if len(members) == len(self.network.factors):
            return dict(self.network.out)
        names: dict[int, str] = {}
        factors = sorted((self.network.factors[k] for k in members), key=lambda f: (f[0], sorted(f[1])))
        for _, own in factors:
            for axis, label in sorted(own.items()):
                if label in kept and label not in names:
                    while axis in names.values():
                        axis += "'"
                    names[label] = axis
        return names

    def _contracted(self, factors: Sequence[tuple[int, dict[str, int]]], names: dict[int, str]) -> int:
        labels = dict.fromkeys(label for _, own in factors for label in own.values())
        bound: dict[Label, Size] = {label: self.network.sizes[label] for label in labels if label not in names}
        named = [(ref, {axis: names.get(label, label) for axis, label in own.items()}) for ref, own in factors]
        return contraction(self.loader, named, bound)

    def _join(self, left: Sequence[int], right: Sequence[int]) -> int:
        """Node left x right in the class of their sub-contraction."""
        members = sorted([*left, *right])
        whole, own = self._ref(members)
        names = {label: name for name, label in own.items()}
        joined = self._contracted([self._ref(left), self._ref(right)], names)
        self.loader.space.union(joined, whole)
        return self.loader.space.find(whole)

    # all trees

    def _lattice(self, everything: tuple[int, ...]) -> int:
        n = len(everything)
        for size in range(2, n + 1):
            for members in combinations(everything, size):
                if size < n and not self._connected(members):
                    continue
                first, rest = members[0], members[1:]
                for k in range(size - 1):
                    for others in combinations(rest, k):
                        left = (first, *others)
                        right = tuple(m for m in rest if m not in others)
                        if self._connected(left) and self._connected(right):
                            self._join(left, right)
        return self._ref(everything)[0]

    def _connected(self, members: Sequence[int]) -> bool:
        """Whether the factors hang together by labels (a factor without labels joins any other)."""
        parts = [frozenset(self.network.factors[k][1].values()) for k in members]
        group, waiting = parts[0], parts[1:]
        while waiting:
            near = [p for p in waiting if not p or not group or p & group]
            if not near:
                return False
            for p in near:
                group |= p
                waiting.remove(p)
        return True

    # cheapest trees

    def _pair(self, left: frozenset[int], right: frozenset[int], out: frozenset[int]) -> float:
        """Cost of one product of two, given by labels."""
        key = (left, right, out)
        found = self.costs.get(key)
        if found is None:
            extents = {str(label): self.extent[label] for label in left | right}
            factors = [frozenset(map(str, left)), frozenset(map(str, right))]
            found = self.costs[key] = self.price.contraction(factors, extents, frozenset(map(str, out)))
        return found

    def _searched(self) -> Tree:
        tree = self._greedy()
        for _ in range(2):
            tree = self._improved(tree)
        return tree

    def _greedy(self) -> Tree:
        """Join the pair whose result shrinks most, ties by cost, until one is left."""
        live: list[tuple[Tree, frozenset[int]]] = [(k, frozenset(self._ref([k])[1].values())) for k in range(len(self.network.factors))]
        out = frozenset(self.network.out)
        limit = max([MEMORY, *(self._elements(labels) for _, labels in live), self._elements(out)])
        while len(live) > 1:
            counts: dict[int, int] = {}
            for _, labels in live:
                for label in labels:
                    counts[label] = counts.get(label, 0) + 1
            best: tuple[bool, bool, float, float, int, int] | None = None
            for i, j in combinations(range(len(live)), 2):
                a, b = live[i][1], live[j][1]
                shared = a & b
                kept = frozenset(x for x in a | b if x in out or counts[x] > (2 if x in shared else 1))
                growth = self._elements(kept) - self._elements(a) - self._elements(b)
                rank = (self._elements(kept) > limit, not shared and bool(a) and bool(b), growth, self._pair(a, b, kept), i, j)
                if best is None or rank < best:
                    best = rank
            assert best is not None
            i, j = best[4:]
            a, b = live[i][1], live[j][1]
            kept = frozenset(x for x in a | b if x in out or counts[x] > (2 if x in a & b else 1))
            live[i] = ((live[i][0], live[j][0]), kept)
            del live[j]
        return live[0][0]

    def _elements(self, labels: frozenset[int]) -> float:
        return float(prod(self.extent[label] for label in labels))

    def _improved(self, tree: Tree) -> Tree:
        """Every part of at most PART subtrees replaced by the cheapest tree of them, from the root down."""
        todo: list[tuple[Tree, bool]] = [(tree, False)]
        done: list[Tree] = []
        while todo:
            node, ready = todo.pop()
            if isinstance(node, int):
                done.append(node)
            elif ready:
                right, left = done.pop(), done.pop()
                done.append((left, right))
            else:
                node = self._part(node)
                todo.append((node, True))
                if isinstance(node, tuple):
                    todo += [(node[1], False), (node[0], False)]
        return done[0]

    def _part(self, tree: Tree) -> Tree:
        parts: list[Tree] = [tree]
        while len(parts) < PART:
            inner = max((p for p in parts if isinstance(p, tuple)), key=lambda p: len(leaves(p)), default=None)
            if inner is None:
                break
            parts.remove(inner)
            parts += inner
        whole = frozenset(leaves(tree))
        kept = self._outside(whole)
        labels = [self._kept(leaves(p)) for p in parts]
        found = cheapest_tree(labels, frozenset(x for x in kept if any(x in own for own in labels)), self._pair, parts)
        return tree if found is None else found

    def _kept(self, members: Sequence[int]) -> frozenset[int]:
        return self.network.labels(members) & self._outside(frozenset(members))

    def _built(self, tree: Tree) -> int:
        """The tree's nodes in the space, bottom up."""
        order: list[Tree] = [tree]
        for node in order:
            if isinstance(node, tuple):
                order += node
        for node in reversed(order):
            if isinstance(node, tuple):
                self._join(leaves(node[0]), leaves(node[1]))
        return self._ref(leaves(tree))[0]


def leaves(tree: Tree) -> list[int]:
    """Factors of a tree, from left to right."""
    out: list[int] = []
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            stack += [node[1], node[0]]
        else:
            out.append(node)
    return out


def connected_subsets(labels: Sequence[frozenset[int]], limit: int) -> list[int] | None:
    """Bit sets of factors that hang together by labels, by growing size; None if there are more than `limit`."""
    n = len(labels)
    near = [0] * n
    for i, j in combinations(range(n), 2):
        if labels[i] & labels[j] or not labels[i] or not labels[j]:
            near[i] |= 1 << j
            near[j] |= 1 << i
    found: dict[int, None] = {1 << k: None for k in range(n)}
    level = list(found)
    while level:
        grown: dict[int, None] = {}
        for subset in level:
            border = 0
            for k in range(n):
                if subset >> k & 1:
                    border |= near[k]
            border &= ~subset
            while border:
                bit = border & -border
                border ^= bit
                grown[subset | bit] = None
            if len(grown) + len(found) > limit:
                return None
        found.update(grown)
        level = list(grown)
    return list(found)


def cheapest_tree(
    labels: Sequence[frozenset[int]], out: frozenset[int], pair: PairCost, names: Sequence[Tree], limit: int = SUBSETS
) -> Tree | None:
    """Tree of least total pair cost among those without outer products of parts; None if there are too many subsets to see.

    Dynamic programming over connected subsets; parts that do not hang together are multiplied at the end, smallest first.
    Source: Pfeifer, Haegeman, Verstraete, "Faster identification of optimal contraction sequences" (2014).
    """
    subsets = connected_subsets(labels, limit)
    if subsets is None:
        return None
    holders: dict[int, int] = {}
    for k, own in enumerate(labels):
        for label in own:
            holders[label] = holders.get(label, 0) | 1 << k
    kept: dict[int, frozenset[int]] = {1 << k: own for k, own in enumerate(labels)}
    best: dict[int, tuple[float, Tree]] = {1 << k: (0.0, names[k]) for k in range(len(labels))}
    for subset in subsets[len(labels) :]:
        found: tuple[float, Tree] | None = None
        mine: frozenset[int] | None = None
        for left in _halves(subset, subsets):
            right = subset ^ left
            if left not in best or right not in best:
                continue
            if mine is None:
                mine = frozenset(x for x in kept[left] | kept[right] if x in out or holders[x] & ~subset)
            total = best[left][0] + best[right][0]
            if found is None or total < found[0]:
                total += pair(kept[left], kept[right], mine)
                if found is None or total < found[0]:
                    found = (total, (best[left][1], best[right][1]))
        assert found is not None
        assert mine is not None
        best[subset], kept[subset] = found, mine
    return _joined(best, (1 << len(labels)) - 1)


def _halves(subset: int, subsets: Sequence[int]) -> Iterator[int]:
    """Connected parts of a connected subset that hold its lowest factor."""
    low = subset & -subset
    if 1 << (subset.bit_count() - 1) < len(subsets):
        rest = subset ^ low
        part = rest
        while part:
            part = (part - 1) & rest
            yield part | low
    else:
        for left in subsets:
            if left & low and left & subset == left and left != subset:
                yield left


def _joined(best: dict[int, tuple[float, Tree]], full: int) -> Tree:
    """The trees of the largest connected subsets, multiplied in turn."""
    tree: Tree | None = None
    while full:
        subset = max((s for s in best if s & full == s), key=lambda s: (s.bit_count(), -s))
        tree = best[subset][1] if tree is None else (tree, best[subset][1])
        full ^= subset
    assert tree is not None
    return tree
