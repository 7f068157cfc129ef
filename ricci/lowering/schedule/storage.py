"""Memory of a plan for given sizes: strides of every slot, and offsets in one arena a kind, shared by slots never alive together."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ricci.dsl.types import Kind, Size, at_most
from ricci.lowering.schedule.plan import Call, Place, Plan, Put, Repeat, Routine, Slot, Step, Swap, Table, While, Window

ALIGNED = 8  # elements; 64 bytes of reals
PAGE, STAGGER = 4096, 1088  # bytes: a load waits for a store just before it at an address that differs by whole pages
SHORT_ROW = 32  # rows below this many elements are stored without padding
BYTES = {Kind.REAL: 8, Kind.INT: 8, Kind.BOOL: 1, Kind.COMPLEX: 16}
SLACK = 4096  # elements behind the last slot that loads of whole vectors and of masked lanes may touch


@dataclass(frozen=True)
class Layout:
    """Strides in elements (the last is 1), distance from the start of the allocation to element [0, ..], length."""

    strides: tuple[int, ...]
    origin: int
    length: int


@dataclass(frozen=True)
class Storage:
    """`address` of element [0, ..] of every slot in the arena of its kind; `lengths` of the arenas in elements."""

    layouts: Mapping[str, Layout]
    address: Mapping[str, int]
    lengths: Mapping[Kind, int]
    used: frozenset[str] = frozenset()

    def planned_bytes(self, real_bytes: int = 8) -> int:
        """Bytes of all arenas."""
        scale = {Kind.REAL: real_bytes, Kind.COMPLEX: 2 * real_bytes}
        return sum(n * scale.get(kind, BYTES[kind]) for kind, n in self.lengths.items())


def round_up(n: int, to: int = ALIGNED) -> int:
    return -(-n // to) * to


def layout(extents: Sequence[int], before: Sequence[int], after: Sequence[int], element: int, dense: bool = False) -> Layout:
    """Rows start on aligned elements; a row stride is never a multiple of 1 KiB (cache sets would collide).

    The length of a larger array is such that arrays one behind the other begin at different places of their pages.
    """
    strides: list[int] = []
    step, origin = 1, 0
    for d in reversed(range(len(extents))):
        low, n = before[d], before[d] + extents[d] + after[d]
        if d == len(extents) - 1 and extents[d] >= SHORT_ROW and not dense:
            n = round_up(n - low + round_up(low))
            low = round_up(low)
            while d > 0 and n * element % 1024 == 0:
                n += ALIGNED
        strides.insert(0, step)
        origin += low * step
        step *= max(n, 1)
    length = round_up(step)
    if length * element >= 2 * PAGE:
        length += (STAGGER - length * element) % PAGE // element
    elif length // ALIGNED % 2 == 0:
        length += ALIGNED  # an odd number of lines: many arrays one behind the other do not meet in few sets of the first cache
    return Layout(tuple(strides), origin, length)


def layouts(slots: Sequence[Slot], dims: Mapping[str, int]) -> dict[str, Layout]:
    """The layout of every slot; slots of one family share it."""
    families: dict[int, list[Slot]] = {}
    windows = [slot for slot in slots if slot.within is not None]
    for slot in windows:
        whole = owner(slot)
        for d in range(slot.rank):
            outer = whole.rank - slot.rank + d
            whole.before[outer] = _wider(whole.before[outer], slot.before[d])
            whole.after[outer] = _wider(whole.after[outer], slot.after[d])
    for slot in slots:
        if slot.within is not None:
            continue
        families.setdefault(slot.family, []).append(slot)
    out: dict[str, Layout] = {}
    for members in families.values():
        rank = members[0].rank
        extents = [n.evaluate(dims) for n in members[0].extents]
        before = [max(s.before[d].evaluate(dims) for s in members) for d in range(rank)]
        after = [max(s.after[d].evaluate(dims) for s in members) for d in range(rank)]
        shared = layout(extents, before, after, BYTES[members[0].kind], any(s.dense for s in members))
        out.update((s.name, shared) for s in members)
    for slot in windows:
        whole = owner(slot)
        out[slot.name] = Layout(out[whole.name].strides[whole.rank - slot.rank :], 0, 0)
    return out


def _wider(a: Size, b: Size) -> Size:
    return b if at_most(a, b) else a


@dataclass(frozen=True)
class Use:
    """A step and the slots that it touches. `carried`: what it touches crosses turns of the loop around it."""

    names: tuple[str, ...]
    carried: bool = False


@dataclass(frozen=True)
class Turns:
    """A loop. `open_ended`: until a condition, its swapped slots may hold results."""

    body: tuple[Use | Turns, ...]
    open_ended: bool


@dataclass(frozen=True)
class Needs:
    """What of a plan decides where its slots lie."""

    slots: tuple[Slot, ...]
    inputs: tuple[str, ...]
    results: tuple[str, ...]
    uses: tuple[Use | Turns, ...]


def needs_of(plan: Plan, touched: Mapping[int, Sequence[str]], overlapping: Container[int] = ()) -> Needs:
    """`touched`: names of slots by identity of the step, for launches and assignments. `overlapping`: loops, by identity, whose steps
    do not wait for each other: what they touch shares no memory."""
    inputs = tuple(p.slot.name for p in plan.inputs.values() if isinstance(p, Place))
    results = tuple(p.slot.name for p in plan.results.values() if isinstance(p, Place))
    return Needs(tuple(plan.slots), inputs, results, _uses(plan.steps, touched, overlapping))


def _uses(steps: Sequence[Step], touched: Mapping[int, Sequence[str]], overlapping: Container[int]) -> tuple[Use | Turns, ...]:
    out: list[Use | Turns] = []
    for step in steps:
        if isinstance(step, While):
            inside = _uses([*step.head, *step.body], touched, overlapping)
            if id(step) in overlapping:
                inside = (Use(tuple(dict.fromkeys(n for use in inside if isinstance(use, Use) for n in use.names)), True),)
            out.append(Turns(inside, True))
        elif isinstance(step, Repeat):
            out.append(Turns(_uses(step.body, touched, overlapping), False))
        else:
            out.append(Use(tuple(_used_slots(step, touched)), isinstance(step, (Swap, Window, Put))))
    return tuple(out)


def _used_slots(step: Step, touched: Mapping[int, Sequence[str]]) -> Sequence[str]:
    """Names of slots that a single step touches."""
    if isinstance(step, Swap):
        return [step.left.name, step.right.name]
    if isinstance(step, Window):
        return [step.slot.within.name] if step.slot.within else []
    if isinstance(step, Put):
        return [step.slot.name]
    if isinstance(step, Routine):
        return [owner(a.slot).name for a in step.arguments if isinstance(a, Table)]
    if isinstance(step, Call):
        return [p.slot.name for p in (*step.arguments, *step.results) if isinstance(p, Place)]
    return list(touched.get(id(step), ()))


def owner(slot: Slot) -> Slot:
    """The slot whose memory a window shows."""
    while slot.within is not None:
        slot = slot.within
    return slot


@dataclass
class Lifetimes:
    """First and last position at which each slot is alive."""

    spans: dict[str, list[int]]
    clock: int = 0

    def touch(self, names: Iterable[str], at: int) -> None:
        for name in names:
            span = self.spans.setdefault(name, [at, at])
            span[0], span[1] = min(span[0], at), max(span[1], at)

    def run(self, uses: Sequence[Use | Turns]) -> None:
        for use in uses:
            self.clock += 1
            if isinstance(use, Turns):
                self._loop(use)
            else:
                self.touch(use.names, self.clock)

    def _loop(self, loop: Turns) -> None:
        """What a loop only uses inside one turn lives inside; all else it touches lives through the whole loop."""
        start = self.clock
        before = set(self.spans)
        inside = Lifetimes({}, start)
        inside.run(loop.body)
        self.clock = inside.clock + 1
        through = carried(loop)
        for name, span in inside.spans.items():
            if name in before or name in through:
                self.touch([name], start)
                self.touch([name], self.clock)
            else:
                self.touch([name], span[0])
                self.touch([name], span[1])


def carried(loop: Turns) -> set[str]:
    """Slots that cross turns of a loop."""
    names: set[str] = set()
    for use in loop.body:
        if isinstance(use, Turns):
            names |= carried(use)
        elif use.carried:
            names.update(use.names)
    return names


def allocate(needs: Needs, dims: Mapping[str, int]) -> Storage:
    """Offsets by first fit in the order of first use: slots whose lifetimes do not meet may share memory."""
    shapes = layouts(needs.slots, dims)
    lives = Lifetimes({})
    lives.run(needs.uses)
    lives.touch([name for name in needs.inputs if name in lives.spans or name in needs.results], 0)
    swapped = {name for use in needs.uses if isinstance(use, Turns) and use.open_ended for name in carried(use)}
    lives.touch([*needs.results, *[name for name in swapped if needs.results]], lives.clock + 1)
    kinds = {slot.name: slot.kind for slot in needs.slots if slot.within is None}
    address: dict[str, int] = {}
    lengths: dict[Kind, int] = {}
    for kind in dict.fromkeys(kinds.values()):
        placed: list[tuple[int, int, list[int]]] = []  # start, stop, span
        names = sorted((n for n in lives.spans if kinds.get(n) == kind), key=lambda n: (lives.spans[n][0], -shapes[n].length, n))
        for name in names:
            start = _first_fit(placed, shapes[name].length, lives.spans[name])
            placed.append((start, start + shapes[name].length, lives.spans[name]))
            address[name] = start + shapes[name].origin
        lengths[kind] = max((stop for _, stop, _ in placed), default=0) + SLACK
    for slot in needs.slots:
        address.setdefault(slot.name, shapes[slot.name].origin if slot.name in shapes else 0)
    return Storage(shapes, address, lengths, frozenset(lives.spans))


def _first_fit(placed: Sequence[tuple[int, int, list[int]]], length: int, span: Sequence[int]) -> int:
    at = 0
    for start, stop, other in sorted(placed):
        if span[0] <= other[1] and other[0] <= span[1]:
            if at + length <= start:
                break
            at = max(at, stop)
    return at
