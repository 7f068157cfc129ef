"""Sharing of storage: an extended field lies around the slot of the field inside it, so only its ghosts are ever written."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from ricci.dsl.index import Index, Ranges
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Size, at_most
from ricci.lowering.kernel import Load
from ricci.lowering.schedule.items import Item, ordered_cuts
from ricci.lowering.schedule.plan import Place, Slot
from ricci.lowering.schedule.pull import Point, unit_axis

if TYPE_CHECKING:
    from ricci.lowering.schedule.block import Block

WIDEST_GHOSTS = 64


def segments(cuts: tuple[Size, ...], size: Size) -> list[tuple[Size, Size]]:
    """(lo, hi) of the regions between cuts of 0..size."""
    edges = [Size.of(0), *cuts, size]
    return list(pairwise(edges))


def bulk(cuts: tuple[Size, ...], size: Size) -> tuple[Size, Size]:
    """The region that grows with the sizes, or the longest."""
    regions = segments(cuts, size)
    growing = [r for r in regions if (r[1] - r[0]).constant is None]
    return growing[0] if growing else max(regions, key=lambda r: (r[1] - r[0]).constant or 0)


@dataclass
class Aliases:
    """Who writes the ghosts of which dimension of a slot: one owner each."""

    owners: dict[tuple[str, int], Term] = field(default_factory=dict)
    names: dict[Term, Term] = field(default_factory=dict)  # definition of a ghost term -> the symbol that stands for it

    def may_wrap(self, slot: Slot) -> bool:
        """Whether no ghosts stand around a slot yet."""
        return not any(name == slot.name for name, _ in self.owners)

    def release(self, slot: Slot) -> None:
        """Nobody reads the ghosts of a slot any more: what it holds changes hands, to a loop or back."""
        self.owners = {key: term for key, term in self.owners.items() if key[0] != slot.name}

    def place_of(self, item: Item, block: Block) -> Place | None:
        """The place of a stored term inside or around the slot that its bulk is a copy of; None if it is no copy."""
        if not any(item.cuts.values()) and item.term.op != "reindex":
            return None
        load = self._copied(item, block)
        if load is None or load.guards:
            return None
        slot = next(s for s in block.shop.slots if s.name == load.array)
        axes: list[str] = []
        offsets: list[Size] = []
        for e in load.index:
            unit = unit_axis(e)
            if unit is None or unit[1] != 1 or unit[0] in axes:
                return None
            axes.append(unit[0])
            offsets.append(unit[2])
        if set(axes) != set(item.loops) or len(axes) != slot.rank:
            return None
        place = Place(slot, tuple(axes), tuple(offsets))
        if not all(self._around(item, a, o, n) for a, o, n in zip(axes, offsets, slot.extents, strict=True)):
            return None
        return place if self._claim(item.term, place) else None

    def _around(self, item: Item, axis: str, offset: Size, extent: Size) -> bool:
        """Whether what the term adds to its bulk along an axis lies outside the slot's own elements."""
        size = item.loops[axis]
        lo, hi = bulk(ordered_cuts(item.cuts.get(axis, {}), size), size)
        below = lo == 0 or at_most(lo + offset, 0)
        above = hi == size or at_most(extent, hi + offset)
        return bool(below and above)

    def _copied(self, item: Item, block: Block) -> Load | None:
        """The load that the value of the item is in its bulk region."""
        at: dict[str, Index] = {}
        ranges = []
        for axis, size in item.loops.items():
            lo, hi = bulk(ordered_cuts(item.cuts.get(axis, {}), size), size)
            ranges.append((axis, (lo, hi - 1)))
            at[axis] = Index.axis(axis)
        scalars = block.scalars_for(Ranges(ranges), item.loops)
        value = scalars.own_value(Point(item.term, tuple(at[a] for a in item.term.axes)))
        leaf = scalars.leaves.get(value)
        return leaf if isinstance(leaf, Load) else None

    def _claim(self, term: Term, place: Place) -> bool:
        """Own the ghosts that the term needs around the slot, if nobody else does."""
        slot = place.slot
        needed: list[tuple[int, Size, Size]] = []
        for d, (axis, offset) in enumerate(zip(place.axes, place.offsets, strict=True)):
            before, after = -offset, term.axes[axis] + offset - slot.extents[d]
            for width in (before, after):
                if width.constant is None or width.constant > WIDEST_GHOSTS:
                    return False
            inner = at_most(before, slot.before[d]) and at_most(after, slot.after[d])
            if at_most(1, before) or at_most(1, after):
                owner = self.owners.get((slot.name, d))
                if owner is not None and owner is not term and not (inner and self._below(term, owner)):
                    return False
                needed.append((d, before, after))
        for d, before, after in needed:
            self.owners.setdefault((slot.name, d), term)
            slot.before[d] = before if at_most(slot.before[d], before) else slot.before[d]
            slot.after[d] = after if at_most(slot.after[d], after) else slot.after[d]
        return True

    def _below(self, term: Term, owner: Term) -> bool:
        """Whether `term` lies around a field that `owner` extended, with others between: its ghosts along that axis are the owner's."""
        definitions = {name: definition for definition, name in self.names.items()}
        seen: set[Term] = set()
        waiting = [term]
        while waiting:
            inside = [t for t in walk(waiting) if t not in seen]
            seen.update(inside)
            waiting = [definitions[t] for t in inside if t in definitions]
        return owner in seen or self.names.get(owner) in seen
