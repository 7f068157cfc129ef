"""The loop IR: one generated kernel as loops, accumulators and stores.

Scalar expressions are `Term`s without axes and index expressions are `Index`es, as everywhere else. The symbols of a scalar
expression are leaves (`Kernel.leaves`: a load, an index value, a condition), scalar arguments, `Let`s or accumulators.

  Loop(axis, lo, hi, body, vector)   axis runs over lo <= axis < hi; `vector` loops may be done several lanes at a time
  Let(name, value)                   one scalar value, used by later statements of the same body and deeper
  Begin(total, operation)            an accumulator at its identity
  Fold(total, value)                 total = operation(total, value); loops between Begin and End may regroup (fixed by the sizes)
  End(total)                         from here the total is a scalar value
  Store(array, index, value)         array[index] = value
  Add(array, index, value, guards)   array[index] += value where the guards hold (places may coincide: never in a shared loop)

An array element [0, .., 0] is the first point of the stored term: indices may be negative where the array has ghosts.
The loop over `Kernel.shared` is cut into slabs, one a thread; every loop over that axis is clipped to the slab.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ricci.dsl.index import Guard, Index
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Kind, Size

OPERATIONS = ("sum", "prod", "max", "min", "any", "all")


@dataclass(frozen=True)
class Array:
    """An array argument; `rank` dimensions, each with a run-time stride."""

    name: str
    kind: Kind
    rank: int


@dataclass(frozen=True)
class Load:
    """array[index] where all guards hold, else zero and no access."""

    array: str
    index: tuple[Index, ...]
    guards: tuple[Guard, ...] = ()


@dataclass(frozen=True)
class Number:
    """The integer that an index expression is."""

    index: Index


@dataclass(frozen=True)
class Holds:
    """Whether all guards hold."""

    guards: tuple[Guard, ...]


Leaf = Load | Number | Holds


@dataclass(frozen=True)
class Loop:
    axis: str
    lo: Size
    hi: Size
    body: tuple[Statement, ...]
    vector: bool = False


@dataclass(frozen=True)
class Let:
    name: Term
    value: Term


@dataclass(frozen=True)
class Begin:
    total: Term
    operation: str


@dataclass(frozen=True)
class Fold:
    total: Term
    value: Term


@dataclass(frozen=True)
class End:
    total: Term


@dataclass(frozen=True)
class Store:
    array: str
    index: tuple[Index, ...]
    value: Term


@dataclass(frozen=True)
class Add:
    array: str
    index: tuple[Index, ...]
    value: Term
    guards: tuple[Guard, ...] = ()


Statement = Loop | Let | Begin | Fold | End | Store | Add


@dataclass(frozen=True)
class Kernel:
    """`totals` are accumulators returned to the caller: (symbol, operation), one partial result a slab."""

    name: str
    arrays: tuple[Array, ...]
    scalars: tuple[Term, ...]
    body: tuple[Statement, ...]
    leaves: Mapping[Term, Leaf] = field(default_factory=dict)
    computed: Mapping[str, Term] = field(default_factory=dict)  # names that indices use for data-dependent positions
    totals: tuple[tuple[Term, str], ...] = ()
    shared: str | None = None
    extent: Size = field(default_factory=lambda: Size.of(1))  # of the shared axis, from `start`
    start: Size = field(default_factory=lambda: Size.of(0))
    notes: tuple[str, ...] = ()

    def array(self, name: str) -> Array:
        return next(a for a in self.arrays if a.name == name)


def statements(body: Sequence[Statement]) -> Iterator[Statement]:
    """Every statement, loops before what they hold."""
    for statement in body:
        yield statement
        if isinstance(statement, Loop):
            yield from statements(statement.body)


def values(body: Sequence[Statement]) -> Iterator[Term]:
    """Every scalar expression of a body."""
    for statement in statements(body):
        if isinstance(statement, (Let, Fold, Store, Add)):
            yield statement.value


def symbols(terms: Sequence[Term]) -> list[Term]:
    """The symbols that occur in scalar expressions, in order of first use."""
    return [t for t in walk(terms) if t.op == "symbol"]


__all__ = [
    "Add",
    "Array",
    "Begin",
    "End",
    "Fold",
    "Holds",
    "Kernel",
    "Leaf",
    "Let",
    "Load",
    "Loop",
    "Number",
    "OPERATIONS",
    "Statement",
    "Store",
    "statements",
    "symbols",
    "values",
]
