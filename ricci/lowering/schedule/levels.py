"""Order of the items of a block, and which of them share loops.

Every item gets a level after all it waits for. Items of one level with the same loops form a *pass*; passes whose outermost
loop is the same form one *group* (a nest, later a kernel) when each turn of that loop needs only what the same turn of
earlier passes has made: rows are finished, with their ghosts and sums, while they are in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ricci.dsl.index import Index
from ricci.dsl.term import Term
from ricci.dsl.types import Size, TupleType
from ricci.lowering.schedule.items import Item

LARGEST_KERNEL = 800  # operations in one kernel: compilers need more than proportional time for longer ones
Key = tuple[tuple[str, ...], tuple[Size, ...], str | None, str]


def loop_key(item: Item) -> Key:
    """Loop order, sizes, vector axis and style of an item; items with equal keys can share loops."""
    free = list(item.term.axes) if item.how != "total" else list(item.loops)
    bound = [a for a in item.loops if a not in free]
    if item.how == "add":
        free, bound = list(item.loops), []
    style = "add" if item.how == "add" else "plain"
    vector = free[-1] if free else None
    order = free
    if bound:
        vector = _vote(item, [*free[-1:], *bound])
        if vector in bound:
            order = [*free, *[a for a in bound if a != vector], vector]
        else:
            order = [*free, *bound]
            style = "inner"
    return tuple(order), tuple(item.loops[a] for a in order), vector, style


def _vote(item: Item, candidates: Sequence[str]) -> str:
    """The candidate axis along which most reads are contiguous; a free one (listed first) wins ties.

    Only reads that change along the most loops count: what lacks one is read once for all of its turns.
    """
    votes = dict.fromkeys(candidates, 0)
    reads = [(len(frozenset().union(*(e.axes for e in at.index)) & item.loops.keys()), at) for at in item.reads if at.index]
    most = max((count for count, _ in reads), default=0)
    for count, at in reads:
        name = at.index[-1].single_axis or next((a.axis for a, k in at.index[-1].terms if a.kind == "axis" and k == 1), None)
        if name in votes and count == most:
            votes[name] += 1
    return max(candidates, key=lambda a: votes[a])


def outer_axis(item: Item) -> str | None:
    """The outermost loop, if threads can share it: no two of its turns write one place."""
    order = loop_key(item)[0]
    if not order or item.how == "add" or (item.how == "partial" and order[0] not in item.term.axes):
        return None
    return order[0]


@dataclass
class Group:
    """Passes in order; `outer` is the loop they share (None: nothing more can join)."""

    level: int
    passes: list[tuple[Key, list[Item]]]
    outer: tuple[str, Size] | None

    @property
    def items(self) -> list[Item]:
        return [item for _, items in self.passes for item in items]

    def pass_of(self, term: Term) -> tuple[int, Item] | None:
        for number, (_, items) in enumerate(self.passes):
            for item in items:
                if item.term is term:
                    return number, item
        return None


@dataclass
class Levels:
    """Levels of all items, and the groups of those that are computed in nests.

    `source(item, leaf)` is the term whose completion a read waits for; `names` maps definitions to the symbols that are read.
    """

    items: list[Item]
    source: Callable[[Item, Term], Term]
    names: Mapping[Term, Term]
    level: dict[Term, int] = field(default_factory=dict)
    ready: dict[Term, int] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    _maker: dict[Term, Group] = field(default_factory=dict)
    _definition: dict[Term, Term] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._definition = {name: definition for definition, name in self.names.items()}
        for item in self.items:
            if item.in_nest:
                group = self._join(item)
                self._maker[item.term] = group
                level = group.level
            else:
                level = max([self._ready(t) for t in self._waits(item)], default=0)
            ready = level if item.how == "scalar" else level + 1
            for term in (item.term, self.names.get(item.term, item.term)):
                self.level[term], self.ready[term] = level, ready

    def _waits(self, item: Item) -> list[Term]:
        """Terms that an item waits for."""
        tuples = [a for a in item.term.args if isinstance(a.type, TupleType)] if item.how == "structure" else []
        return [*item.scalars, *[self.source(item, leaf) for leaf in dict.fromkeys(p.term for p in item.reads)], *tuples]

    def _ready(self, term: Term) -> int:
        base = term.args[0] if term.op == "proj" and term not in self.ready else term
        return self.ready.get(base, 0)

    def _join(self, item: Item) -> Group:
        """The group that an item becomes part of: one with a pass of its loops, else one whose rows it needs, else a new one."""
        key = loop_key(item)
        related: tuple[Group, int] | None = None
        for group in self.groups:
            place = self._place_in(group, item, key)
            if place is None:
                continue
            number, needs = place
            if sum(i.cost for i in group.items) + item.cost > LARGEST_KERNEL:
                continue
            for at in range(number, len(group.passes)):
                if group.passes[at][0] == key:
                    group.passes[at][1].append(item)
                    return group
            if needs and related is None and self._fits(group, item, key):
                related = group, number
        if related is not None:
            related[0].passes.append((key, [item]))
            return related[0]
        lowest = max([self._ready(t) for t in self._waits(item)], default=0)
        outer = outer_axis(item)
        several = outer is not None and len(key[0]) > 1 and key[2] != outer
        group = Group(lowest, [(key, [item])], (outer, item.loops[outer]) if several and outer is not None else None)
        self.groups.append(group)
        return group

    def _place_in(self, group: Group, item: Item, key: Key) -> tuple[int, bool] | None:
        """(first pass of the group that could hold the item, whether it needs what the group makes); None if it cannot be here."""
        first, needs = 0, False
        for scalar in item.scalars:
            if self._ready(scalar) > group.level:
                return None
        for leaf in dict.fromkeys(p.term for p in item.reads):
            source = self.source(item, leaf)
            for term in dict.fromkeys((leaf, source)):
                made = self._definition.get(term, term)
                if self._maker.get(made) is not group:
                    if self._ready(term) > group.level:
                        return None
                    continue
                found = group.pass_of(made)
                assert found is not None
                number, maker = found
                needs = True
                if group.passes[number][0] == key and maker.how == "store" and source is leaf and item.reads_same_point(leaf):
                    first = max(first, number)
                elif group.outer is not None and self._same_row(item, leaf, group.outer[0]):
                    first = max(first, number + 1)
                else:
                    return None
        return first, needs

    def _same_row(self, item: Item, leaf: Term, outer: str) -> bool:
        """Whether every read of a leaf is in the row of the loop around it."""
        row = Index.axis(outer)
        return outer in leaf.axes and all(p.at[outer] == row for p in item.reads if p.term is leaf)

    def _fits(self, group: Group, item: Item, key: Key) -> bool:
        """Whether a pass with these loops can stand under the outer loop of a group."""
        if group.outer is None or outer_axis(item) != group.outer[0] or item.loops[group.outer[0]] != group.outer[1]:
            return False
        if key[2] == group.outer[0] and len(key[0]) > 1:
            return False
        sizes: dict[str, Size] = {}
        for other in [*group.items, item]:
            for axis, size in other.loops.items():
                if sizes.setdefault(axis, size) != size:
                    return False
        return True

    def sequence(self) -> list[list[Item | Group]]:
        """Per level: scalars, then nests, then structures."""
        last = max(self.level.values(), default=-1)
        out: list[list[Item | Group]] = []
        for level in range(last + 1):
            here: list[Item | Group] = [i for i in self.items if i.how == "scalar" and self.level[i.term] == level]
            here.extend(group for group in self.groups if group.level == level)
            here.extend(i for i in self.items if i.how == "structure" and self.level[i.term] == level)
            out.append(here)
        return out
