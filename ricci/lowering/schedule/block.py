"""Scheduling of one block: the terms of a function body become nests, scalar assignments and structures, in order.

Steps: decide what is stored (decide.py), find what each item reads (items.py), give every item a level so that items of one
level with the same loops form one nest, share storage of extended fields, then write the steps level by level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ricci.dsl import build
from ricci.dsl.index import Index, Ranges
from ricci.dsl.ops import symbol
from ricci.dsl.ops.band import Ordering
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size, TupleType, Type
from ricci.lowering.schedule import decide
from ricci.lowering.schedule.alias import Aliases
from ricci.lowering.schedule.edges import ordered, with_ghosts
from ricci.lowering.schedule.items import Item, make_item, ordered_cuts, wraps_of
from ricci.lowering.schedule.levels import Group, Levels, loop_key, outer_axis
from ricci.lowering.schedule.plan import Assign, Launch, Member, Nest, Pass, Place, Slot, Step
from ricci.lowering.schedule.products import with_products
from ricci.lowering.schedule.pull import Ghosts, Puller, Scalars, identity


class Names:
    """Unique readable names of slots and scalars in one plan."""

    def __init__(self) -> None:
        self.used: dict[str, int] = {}

    def fresh(self, wish: str) -> str:
        count = self.used.get(wish, 0)
        self.used[wish] = count + 1
        return wish if not count else self.fresh(f"{wish}_{count}")


@dataclass
class Workshop:
    """What all blocks of a plan share."""

    names: Names = field(default_factory=Names)
    slots: list[Slot] = field(default_factory=list)
    aliases: Aliases = field(default_factory=Aliases)
    origins: Mapping[Term, str] = field(default_factory=dict)
    titles: dict[Term, str] = field(default_factory=dict)  # names of results and carries, for readable slots
    makers: dict[int, Block] = field(default_factory=dict)  # the block of each nest
    orderings: list[Ordering] = field(default_factory=list)  # of the unknowns of band matrices

    def slot(self, wish: str, kind: Kind, extents: Iterable[Size], role: str = "temporary", like: Slot | None = None) -> Slot:
        """A new slot; `like` gives its family."""
        extents = tuple(extents)
        family = len(self.slots) if like is None else like.family
        zero = Size.of(0)
        made = Slot(self.names.fresh(wish), kind, extents, [zero] * len(extents), [zero] * len(extents), family, role)
        self.slots.append(made)
        return made

    def join(self, one: Slot, other: Slot) -> None:
        """Give all slots of two families the same strides."""
        before = one.family
        for slot in self.slots:
            if slot.family == before:
                slot.family = other.family

    def place(self, term: Term, slot: Slot) -> Place:
        """The plain place of a term in a slot with its extents."""
        return Place(slot, tuple(term.axes), tuple([Size.of(0)] * len(term.axes)))

    def scalar(self, wish: str, kind: Kind) -> Term:
        """A new scalar variable."""
        return build.symbol(self.names.fresh(wish), Type(kind))


StructureLowering = Callable[["Block", Term], list[Step]]


@dataclass
class Block:
    """One body. `places` and `known` start with the block's inputs and end with everything it computed."""

    shop: Workshop
    places: dict[Term, Place]
    known: dict[Term, Term]
    structures: Mapping[str, StructureLowering]
    targets: dict[Term, Slot] = field(default_factory=dict)  # slots that must receive certain terms
    inside_loop: bool = False
    levels: Levels | None = None
    wanted: set[Term] = field(default_factory=set)
    definitions: dict[Term, Term] = field(default_factory=dict)  # symbols of extended terms -> what they are
    wraps: dict[Term, list[tuple[Term, Term]]] = field(default_factory=dict)  # leaf -> ghost terms (symbol, definition), in order
    wrap_axes: dict[Term, dict[str, int]] = field(default_factory=dict)
    made: dict[Term, Item] = field(default_factory=dict)  # items of the turns before, while it is decided what is stored

    def schedule(self, roots: Sequence[Term]) -> list[Step]:
        """Steps that compute the roots (array terms get places, scalars become known)."""
        original = list(roots)
        roots, self.definitions = with_ghosts(with_products(original, self.inside_loop))
        self.shop.aliases.names.update((definition, name) for name, definition in self.definitions.items())
        replaced = dict(zip(original, roots, strict=True))
        self.targets = {replaced.get(t, t): slot for t, slot in self.targets.items()}
        order = ordered(roots, self.definitions)
        must = decide.demanded([r for r in roots if not isinstance(r.type, TupleType)], order) | set(self.targets)
        must |= set(self.definitions.values())
        while True:
            found = decide.usage(order, must)
            items = self._items(order, roots, found.stored)
            levels = self._levels(items)
            nest = {item.term: number for number, group in enumerate(levels.groups) for item in group.items}
            more = decide.shared_between(found.points, order, found.stored, nest)
            if not more - must:
                break
            must |= more | (found.stored - must)
        self.made.clear()
        self.levels, self.wanted = levels, set(roots)
        steps = self._write(levels)
        for before, now in replaced.items():
            if now in self.places:
                self.places[before] = self.places[now]
            elif now in self.known:
                self.known[before] = self.known[now]
            elif before is not now:
                self.known[before] = now
        return steps

    def _levels(self, items: list[Item]) -> Levels:
        names = {definition: name for ghosts in self.wraps.values() for name, definition in ghosts}
        names |= {definition: name for name, definition in self.definitions.items()}
        return Levels(items, self.source, names)

    # items

    def _items(self, order: Sequence[Term], roots: Sequence[Term], stored: set[Term]) -> list[Item]:
        assigned = self._assigned(order, roots, stored)

        def leaf(term: Term) -> bool:
            return term in stored or term in assigned or term in self.places or term in self.known or decide.is_leaf(term)

        items: list[Item] = []
        for term in order:
            if term in self.places or term in self.known:
                continue
            if decide.is_structure(term) or term in stored or term in assigned:
                made = self.made.get(term)
                if made is None or any(map(leaf, made.inlined)):  # otherwise nothing in it has changed since it was looked at
                    made = self.made[term] = make_item(term, leaf)
                items.append(made)
        return self._with_wraps(items, leaf)

    def _assigned(self, order: Sequence[Term], roots: Sequence[Term], stored: set[Term]) -> set[Term]:
        """Scalars that become variables: used by arrays, by structures, more than once, or asked for; and all sums."""
        users: dict[Term, int] = {}
        chosen: set[Term] = {r for r in roots if not isinstance(r.type, TupleType) and not r.axes}
        for term in order:
            for a in dict.fromkeys(term.args):
                if isinstance(a.type, TupleType) or a.axes:
                    continue
                users[a] = users.get(a, 0) + 1
                if users[a] > 1 or isinstance(term.type, TupleType) or term.axes or decide.is_structure(term) or decide.is_sum(term):
                    chosen.add(a)
        sums = {t for t in order if not isinstance(t.type, TupleType) and not t.axes and decide.is_sum(t)}
        return {t for t in chosen | sums if t.op not in ("symbol", "const") and not decide.is_leaf(t)}

    def _with_wraps(self, items: list[Item], leaf: Callable[[Term], bool]) -> list[Item]:
        """Items that fill periodic ghosts, each placed before the first item that could read them."""
        needs: dict[Term, dict[str, int]] = {}
        for item in items:
            for term, widths in self._wraps_of(item).items():
                if not self._wrappable(term):
                    continue
                for axis, width in widths.items():
                    known = needs.setdefault(term, {})
                    known[axis] = max(known.get(axis, 0), width)
        self.wraps, self.wrap_axes = {}, needs
        ghosts: dict[Term, list[Item]] = {}
        for term, widths in needs.items():
            self.wraps[term] = []
            ghosts[term] = []
            inner = term
            for axis in sorted(widths):
                name, definition = wrap_definition(inner, axis, widths[axis])
                self.wraps[term].append((name, definition))
                self.shop.aliases.names[definition] = name
                ghosts[term].append(make_item(definition, self._or(inner, leaf)))
                ghosts[term][-1].wrapped = True
                inner = name
        makers: dict[Term, list[Item]] = {}
        made = {item.term for item in items}
        out: list[Item] = []
        for term, own in ghosts.items():
            maker = term.args[0] if term.op == "proj" else self.definitions.get(term, term)
            if maker in made:
                makers.setdefault(maker, []).extend(own)
            else:
                out.extend(own)
        for item in items:
            out.append(item)
            out.extend(makers.get(item.term, ()))
        return out

    @staticmethod
    def _or(own: Term, leaf: Callable[[Term], bool]) -> Callable[[Term], bool]:
        return lambda term: term is own or leaf(term)

    def _wrappable(self, term: Term) -> bool:
        """Whether ghosts may stand around the slot of a term (its place is plain and of full rank)."""
        place = self.places.get(term)
        return place is None or (len(place.axes) == len(term.axes) == place.slot.rank and self.shop.aliases.may_wrap(place.slot))

    def source(self, item: Item, leaf: Term) -> Term:
        """The term whose completion a read of `leaf` waits for: its last ghost term if the item reads past the ends."""
        if not item.wrapped and leaf in self.wraps and leaf in self._wraps_of(item):
            return self.wraps[leaf][-1][0]
        return leaf

    def _wraps_of(self, item: Item) -> dict[Term, dict[str, int]]:
        """Periodic reads along the vector axis; rows of other axes are found by their number."""
        if not item.in_nest:
            return {}
        vector = loop_key(item)[2]
        return {t: own for t, widths in wraps_of(item, vector).items() if (own := widths)}

    # writing

    def _write(self, levels: Levels) -> list[Step]:
        steps: list[Step] = []
        for level in levels.sequence():
            for entry in level:
                for item in entry.items if isinstance(entry, Group) else [entry]:
                    if item.how in ("store", "partial", "add"):
                        self._allocate(item)
                    elif item.how in ("total", "scalar"):
                        self.known[item.term] = self.shop.scalar(self.title(item.term), item.term.kind)
                if isinstance(entry, Item) and entry.how == "scalar":
                    steps.append(self._assign(entry))
                elif isinstance(entry, Item):
                    steps.extend(self.structures[entry.term.op](self, entry.term))
                else:
                    steps.extend(Launch(self.zero_nest(item)) for item in entry.items if item.how == "add")
                    steps.append(Launch(self._nest(entry)))
        return steps

    def title(self, term: Term) -> str:
        """A name for what a term is: that of the result, of the field it is an increment of, or of its operator."""
        if term in self.shop.titles:
            return self.shop.titles[term]
        if term.op == "map" and term.attrs[0] == "group":
            return self.title(term.args[0])
        if term.op == "linear" and term.axes:
            for c, t in zip(term.attrs, term.args, strict=True):
                if c == 1 and t in self.places and t.axes == term.axes:
                    return f"{self.places[t].slot.name.partition('_')[0]}_stage"
        return {"linear": "sum", "contract": "product", "map": "value", "reduce": "extreme", "reindex": "part"}.get(term.op, term.op)

    def title_of_component(self, term: Term, k: int, init: Term) -> str:
        """Name of component k of a loop: that of the result it becomes, or of its first value."""
        component = build.proj(term, k)
        if component in self.shop.titles:
            return self.shop.titles[component]
        return symbol.name_of(init) if init.op == "symbol" else self.shop.titles.get(init, "carry")

    def take(self, term: Term, user: Term) -> Slot | None:
        """The slot of an argument that nobody needs after `user`, for it to overwrite; None if it is needed or part of another."""
        place = self.places[term]
        if user.args.count(term) != 1 or term in self.targets or place.slot.within is not None or place.slot.dense:
            return None
        if place.axes != tuple(term.axes) or any(o != 0 for o in place.offsets) or place.slot.extents != tuple(term.axes.values()):
            return None
        if term.op == "symbol" and (self.inside_loop or place.slot.role != "input"):
            return None
        sharing = {t for t, other in self.places.items() if other.slot is place.slot}
        return None if sharing & self.wanted or any(self._read_after(t, user) for t in sharing) else place.slot

    def _read_after(self, term: Term, user: Term) -> bool:
        """Whether an item reads a term after (or beside) a structure."""
        assert self.levels is not None
        last = self.levels.level[user]
        for item in self.levels.items:
            if item.term is not user and any(p.term is term or self.source(item, p.term) is term for p in item.reads):
                level = self.levels.level[item.term]
                if level > last or (level == last and item.how == "structure"):
                    return True
        return False

    def copy_nest(self, term: Term, place: Place) -> Nest:
        """A nest that copies a stored term to another place."""
        return self._simple_nest("copy", term, place)

    def zero_nest(self, item: Item) -> Nest:
        """A nest that clears the place of a scatter."""
        return self._simple_nest("zero", item.term, self.places[item.term])

    def _simple_nest(self, how: str, term: Term, place: Place) -> Nest:
        member = Member(how, term, term, place)
        order = place.axes
        one = Pass(order, order[-1], dict(term.axes), (member,))
        nest = Nest(self.shop.names.fresh(f"{how}_{place.slot.name}"), (one,), (), {}, order[0])
        self.shop.makers[id(nest)] = self
        return nest

    def _allocate(self, item: Item) -> None:
        term = item.term
        target = self.targets.get(term)
        if target is not None:
            self.places[term] = self.shop.place(term, target)
            return
        shared = self.shop.aliases.place_of(item, self) if item.how == "store" else None
        if shared is None:
            slot = self.shop.slot(self.title(term), term.kind, term.axes.values())
            shared = self.shop.place(term, slot)
        self.places[term] = shared
        for ghosts in self.wraps.values():
            for name, definition in ghosts:
                if definition is term:
                    self.places[name] = shared
        for name, definition in self.definitions.items():
            if definition is term:
                self.places[name] = shared

    def scalars_for(self, ranges: Ranges, loops: Mapping[str, Size]) -> Scalars:
        """A builder of scalar expressions over loops: stored terms are loads, scalars are variables."""
        ghosts = {}
        for term, chain in self.wraps.items():
            if chain and chain[-1][0] in self.places:
                ghosts[term] = Ghosts(chain[-1][0], {a: (f"{a}:w{n}", n) for a, n in self.wrap_axes[term].items()})
        return Scalars(Puller(ranges, lambda t: t in self.places or t in self.known), self.places, self.known, loops, ghosts)

    def _assign(self, item: Item) -> Assign:
        scalars = self.scalars_for(Ranges(()), {})
        value = scalars.own_value(identity(item.term))
        return Assign(self.known[item.term], value, scalars.leaves, scalars.computed)

    def _nest(self, group: Group) -> Nest:
        cuts: dict[str, dict[Size, None]] = {}
        sizes: dict[str, Size] = {}
        for item in group.items:
            sizes.update(item.loops)
            for axis, found in item.cuts.items():
                cuts.setdefault(axis, {}).update(found)
        passes = tuple(Pass(key[0], key[2], dict(zip(key[0], key[1], strict=True)), self._members(items)) for key, items in group.passes)
        settled = {axis: ordered_cuts(found, sizes[axis]) for axis, found in cuts.items() if axis in sizes}
        notes = tuple(dict.fromkeys(self.shop.origins[i.term] for i in group.items if i.term in self.shop.origins))
        name = self.shop.names.fresh("compute_" + self.title(group.items[0].term))
        common = (passes[0].order[0],) if len(passes) > 1 else ()
        nest = Nest(name, passes, common, settled, outer_axis(group.items[0]), notes)
        self.shop.makers[id(nest)] = self
        return nest

    def _members(self, items: Sequence[Item]) -> tuple[Member, ...]:
        members = []
        for item in items:
            place = self.places.get(item.term)
            target = self.known.get(item.term, item.term)
            operation = "sum" if item.term.op != "reduce" else reduce_operation(item.term)
            bound = tuple(a for a in item.loops if a not in item.term.axes)
            axis = str(item.term.attrs[0]) if item.how == "add" else ""
            members.append(Member(item.how, item.term, target, place, operation, bound, axis))
        return tuple(members)


def reduce_operation(term: Term) -> str:
    """Name of the operation of a reduce."""
    return str(term.attrs[0] if isinstance(term.attrs, tuple) else term.attrs)


def wrap_definition(term: Term, axis: str, width: int) -> tuple[Term, Term]:
    """(symbol, definition) of a field extended by `width` periodic ghosts on both sides of an axis."""
    wide = f"{axis}:w{width}"
    size = term.axes[axis]
    axes = {(wide if a == axis else a): (n + 2 * width if a == axis else n) for a, n in term.axes.items()}
    definition = build.reindex(term, axes, {axis: (Index.axis(wide) - width).mod(size)}, fill=0)
    return build.symbol(f"periodic:{definition.digest.hex()[:16]}", definition.type), definition
