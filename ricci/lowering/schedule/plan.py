"""`Plan`: one function scheduled. Slots (arrays with a run-time address), nests of loops, scalar work, library calls, in order.

A *slot* is a variable that holds the address of an array; carries of a loop swap slots. A *place* says where the values of
a term lie: in which slot, which axis of the term each dimension follows, and at which offset (an extended field shares the
slot of the field inside it, at a negative offset). Everything is symbolic in the sizes; `storage.py` turns slots into offsets
of one arena a kind when sizes are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ricci.dsl.index import Index
from ricci.dsl.ops.band import Ordering
from ricci.dsl.term import Function, Term
from ricci.dsl.types import Kind, Size

if TYPE_CHECKING:
    from ricci.lowering.kernel import Leaf
    from ricci.lowering.schedule.block import Block


@dataclass(frozen=True)
class Dimension:
    """One dimension of a layout: extent, and ghosts before and after it."""

    extent: Size
    before: Size
    after: Size


@dataclass
class Slot:
    """An array of a kind; slots of one `family` have the same strides, so that their addresses may be swapped."""

    name: str
    kind: Kind
    extents: tuple[Size, ...]
    before: list[Size]
    after: list[Size]
    family: int
    role: str = "temporary"  # or "input", "carry", "window"
    within: Slot | None = None  # of a window: the slot it is a slice of
    dense: bool = False  # rows follow each other without padding, for routines that take a matrix

    @property
    def rank(self) -> int:
        return len(self.extents)


@dataclass(frozen=True)
class Place:
    """Values of a term: dimension d of `slot` follows axis `axes[d]` at `index + offsets[d]`; without an axis (""), it stays there."""

    slot: Slot
    axes: tuple[str, ...]
    offsets: tuple[Size, ...]

    def index(self, at: Mapping[str, Index]) -> tuple[Index, ...]:
        """Index of the slot for an index of the term."""
        return tuple(at[axis] + offset if axis else Index.of(offset) for axis, offset in zip(self.axes, self.offsets, strict=True))


@dataclass(frozen=True)
class Member:
    """One term that a nest computes.

    store    values of `term` into `place`
    copy     the same for a term that is stored elsewhere
    zero     0 into `place`
    total    `reduce(operation)` of `term` over all axes of the nest, into the scalar `target`
    partial  the same over `bound` axes, stored at the others into `place`
    add      place[position along `axis`] += term
    """

    how: str
    term: Term
    target: Term
    place: Place | None = None
    operation: str = "sum"
    bound: tuple[str, ...] = ()
    axis: str = ""


@dataclass(frozen=True)
class Pass:
    """Members that share one set of loops: `order` outer to inner, `vector` the axis done several lanes at a time."""

    order: tuple[str, ...]
    vector: str | None
    sizes: Mapping[str, Size]
    members: tuple[Member, ...]


@dataclass
class Nest:
    """Passes that share their outer loops over `common`; one kernel. `cuts`: where each axis is split into regions."""

    name: str
    passes: tuple[Pass, ...]
    common: tuple[str, ...] = ()
    cuts: dict[str, tuple[Size, ...]] = field(default_factory=dict)
    shared: str | None = None
    notes: tuple[str, ...] = ()


@dataclass
class Launch:
    """Run a nest; its totals become scalars (in the order of the members)."""

    nest: Nest


@dataclass
class Assign:
    """target = value, a scalar; `leaves` are elements of arrays that the value reads."""

    target: Term
    value: Term
    leaves: dict[Term, Leaf] = field(default_factory=dict)
    computed: dict[str, Term] = field(default_factory=dict)


@dataclass
class Swap:
    """Exchange two slots of one family, if the condition (a scalar symbol) holds."""

    left: Slot
    right: Slot
    condition: Term | None = None


@dataclass
class Rebind:
    """Several scalars get new values at once."""

    targets: tuple[Term, ...]
    values: tuple[Term, ...]


@dataclass
class While:
    """Run `head`, stop unless `condition` holds, run `body`; again."""

    head: list[Step]
    condition: Term
    body: list[Step]


@dataclass
class Window:
    """Lay a slot on the slice of `slot.within` at `counter + shift` of its first dimension (at `shift` without a counter)."""

    slot: Slot
    shift: Size
    counter: Term | None = None


@dataclass
class Put:
    """slot[counter + shift] = value, for a slot of rank one."""

    slot: Slot
    shift: Size
    counter: Term | None
    value: Term


@dataclass
class Repeat:
    """counter runs over 0..count-1, downwards when `reverse`."""

    counter: Term
    count: Size
    reverse: bool
    body: list[Step]


@dataclass(frozen=True)
class Table:
    """A dense slot as an array argument of a routine: shaped `rows` x `columns`, or a vector of `rows`."""

    slot: Slot
    rows: Size
    columns: Size | None = None


@dataclass
class Routine:
    """Call one of `backends/routines.py: FUNCTIONS`, on one thread, the others wait. Arguments: tables, sizes, scalar symbols.

    `together`: all threads call it, each with its number and how many they are behind the arguments.
    """

    function: str
    arguments: tuple[Table | Size | Term, ...]
    together: bool = False


@dataclass
class Call:
    """A step done in Python between compiled parts: `term` (or its tuple components) from places, by numpy or a library."""

    term: Term
    routine: str
    arguments: tuple[Place | Term, ...]
    results: tuple[Place | Term, ...]


Step = Launch | Assign | Swap | Rebind | While | Window | Put | Repeat | Routine | Call


@dataclass
class Plan:
    """A scheduled function: `inputs` and `results` by name; array ones have a place, scalar ones a symbol."""

    function: Function
    slots: list[Slot]
    steps: list[Step]
    inputs: dict[str, Place | Term]
    results: dict[str, Place | Term]
    origins: Mapping[Term, str] = field(default_factory=dict)
    makers: Mapping[int, Block] = field(default_factory=dict)  # by identity of a nest: the block that knows its terms
    orderings: tuple[Ordering, ...] = ()

    def complete(self, dims: Mapping[str, int]) -> dict[str, int]:
        """The dims with those that follow from them: strides of unknowns in band matrices."""
        found = {name: int(n) for name, n in dims.items()}
        for ordering in self.orderings:
            found |= ordering.strides(dims)
        return found

    def show(self) -> str:
        """The plan as text."""
        from ricci.lowering.schedule.show import show_plan

        return show_plan(self)


def steps_of(steps: list[Step]) -> Iterator[Step]:
    """Every step, loops before what they hold."""
    for step in steps:
        yield step
        if isinstance(step, While):
            yield from steps_of(step.head)
            yield from steps_of(step.body)
        elif isinstance(step, Repeat):
            yield from steps_of(step.body)
