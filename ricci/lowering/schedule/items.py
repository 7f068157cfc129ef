"""What one stored term or scalar needs: the points of stored terms it reads, the scalars, and where its regions end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ricci.dsl.index import Guard, Index, Ranges
from ricci.dsl.term import Term
from ricci.dsl.types import Size, TupleType, at_most
from ricci.lowering.schedule.decide import body_points, is_leaf, is_structure, is_sum, loops_of
from ricci.lowering.schedule.pull import Point, Puller, identity, unit_axis, wrap_reach

MOST_CUTS = 24


@dataclass
class Item:
    """`how`: store, total, partial, add (members of nests), scalar, structure. `reads`: points of array leaves."""

    term: Term
    how: str
    loops: dict[str, Size]
    reads: list[Point] = field(default_factory=list)
    scalars: list[Term] = field(default_factory=list)
    cuts: dict[str, dict[Size, None]] = field(default_factory=dict)
    cost: int = 0  # points evaluated in one turn of the loops: the length of its code
    wrapped: bool = False  # reads its argument with `mod`, to fill ghosts
    inlined: frozenset[Term] = frozenset()  # terms that are computed anew in its loops

    @property
    def in_nest(self) -> bool:
        return self.how in ("store", "total", "partial", "add")

    def reads_same_point(self, leaf: Term) -> bool:
        """Whether every read of `leaf` is at the very point of the loops."""
        own = identity(leaf).index
        return all(p.index == own for p in self.reads if p.term is leaf)


def make_item(term: Term, leaf: Callable[[Term], bool]) -> Item:
    """The item of a term whose leaves (stored terms and scalars) are known."""
    if is_structure(term):
        item = Item(term, "structure", {})
        for a in term.args:
            if isinstance(a.type, TupleType):
                continue
            if a.axes:
                item.reads.append(identity(a))
            else:
                item.scalars.append(a)
        return item
    how = "scalar" if not term.axes else "store"
    if is_sum(term):
        how = "partial" if term.axes else "total"
    elif term.op == "scatter":
        how = "add"
    item = Item(term, how, loops_of(term) if how != "scalar" else {})
    collect(item, body_points(term), leaf)
    return item


def collect(item: Item, roots: Iterable[Point], leaf: Callable[[Term], bool]) -> None:
    """Fill reads, scalars and cuts by walking all points of an item over its full loops."""
    ranges = Ranges.of(item.loops)
    puller = Puller(ranges, lambda t: t is not item.term and leaf(t))
    scalars: dict[Term, None] = {}
    points = puller.walk(roots)
    item.cost = len(points)
    for at in points:
        term = at.term
        if term is not item.term and (is_leaf(term) or leaf(term)):
            if term.axes:
                item.reads.append(at)
                for axis, e in at.at.items():
                    if wrap_reach(e, term.axes[axis], item.loops) is None:
                        cuts_of_index(e, item.cuts)
            elif term.op != "const":
                scalars[term] = None
        elif term.op == "iota":
            cuts_of_index(at.index[0], item.cuts)
        for guard in puller.arguments(at).holds:
            cuts_of_guard(guard, item.cuts)
    item.scalars = list(scalars)
    item.inlined = frozenset(at.term for at in points if at.term is not item.term and not is_leaf(at.term) and not leaf(at.term))


def cuts_of_guard(guard: Guard, cuts: dict[str, dict[Size, None]]) -> None:
    """Places along single axes where the truth of a guard changes."""
    unit = unit_axis(guard.index)
    if unit is not None:
        for edge in (guard.lo, guard.hi):
            if edge is not None:
                _cut(unit, edge, cuts)
    for atom, _ in guard.index.terms:
        if atom.kind != "axis":
            cuts_of_index(Index({atom: Size.of(1)}, Size.of(0)), cuts)


def cuts_of_index(index: Index, cuts: dict[str, dict[Size, None]]) -> None:
    """Places along single axes where a `mod` wraps or a `clamp` or `mirror` turns."""
    for atom, _ in index.terms:
        if atom.kind in ("mod", "clamp", "mirror"):
            unit = unit_axis(atom.inner)
            if unit is not None:
                for edge in (Size.of(0), atom.size):
                    _cut(unit, edge, cuts)


def _cut(unit: tuple[str, int, Size], edge: Size, cuts: dict[str, dict[Size, None]]) -> None:
    axis, sign, constant = unit
    cuts.setdefault(axis, {})[edge - constant if sign > 0 else constant - edge + 1] = None


def ordered_cuts(cuts: Iterable[Size], size: Size) -> tuple[Size, ...]:
    """Cuts inside 0..size in increasing order; those whose order is not decided for all sizes are left out."""
    kept: list[Size] = []
    for cut in cuts:
        if len(kept) >= MOST_CUTS or cut in (0, size) or cut in kept or not (at_most(0, cut) and at_most(cut, size)):
            continue
        place = len(kept)
        for i, other in enumerate(kept):
            if at_most(cut, other):
                place = i
                break
            if not at_most(other, cut):
                place = -1
                break
        if place >= 0:
            kept.insert(place, cut)
    return tuple(kept)


def wraps_of(item: Item, loop: str | None) -> dict[Term, dict[str, int]]:
    """Array leaves that the loop over one axis reads past an end of a periodic axis: {leaf: {axis: how far}}."""
    found: dict[Term, dict[str, int]] = {}
    for at in item.reads:
        for axis, e in at.at.items():
            reach = wrap_reach(e, at.term.axes[axis], item.loops)
            if reach is not None and reach[0] == loop:
                widths = found.setdefault(at.term, {})
                widths[axis] = max(widths.get(axis, 0), abs(reach[1]))
    return found
