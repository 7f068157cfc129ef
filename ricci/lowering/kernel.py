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
from typing import Any

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


# printing


def show(kernel: Kernel) -> str:
    """The kernel as a text: one statement a line, index expressions and scalars as terms print."""
    arrays = [f"{a.name}: {a.kind}[{a.rank}]" for a in kernel.arrays]
    names = [str(s.attrs[0]) for s in kernel.scalars]
    out = [f"kernel {kernel.name}({', '.join([*arrays, *names])})"]
    out += [f"  # {note}" for note in kernel.notes]
    if kernel.shared is not None:
        out.append(f"  shared {kernel.shared} in {kernel.start}..{kernel.start + kernel.extent}")
    out += [f"  {name} := {value}" for name, value in kernel.computed.items()]
    stack: list[tuple[Statement, int]] = [(s, 1) for s in reversed(kernel.body)]
    while stack:
        statement, depth = stack.pop()
        out.append("  " * depth + _line(statement))
        if isinstance(statement, Loop):
            stack.extend((s, depth + 1) for s in reversed(statement.body))
    if kernel.totals:
        out.append("  return " + ", ".join(_name(t) for t, _ in kernel.totals))
    return "\n".join(out)


def _line(statement: Statement) -> str:
    if isinstance(statement, Loop):
        lanes = " in vectors" if statement.vector else ""
        return f"for {statement.axis} in {statement.lo}..{statement.hi}{lanes}:"
    if isinstance(statement, Let):
        return f"{_name(statement.name)} = {statement.value}"
    if isinstance(statement, Begin):
        return f"{_name(statement.total)} = identity of {statement.operation}"
    if isinstance(statement, Fold):
        return f"fold {statement.value} into {_name(statement.total)}"
    if isinstance(statement, End):
        return f"finish {_name(statement.total)}"
    place = f"{statement.array}[{', '.join(map(str, statement.index))}]"
    if isinstance(statement, Store):
        return f"{place} = {statement.value}"
    guards = "".join(f" if {g}" for g in statement.guards)
    return f"{place} += {statement.value}{guards}"


def _name(symbol: Term) -> str:
    return str(symbol.attrs[0])


# checking


class KernelError(ValueError):
    """A kernel breaks a rule of the loop IR (a defect of the scheduler)."""


def check(kernel: Kernel) -> None:
    """KernelError unless names are bound where they are used, ranks agree, accumulators are begun, folded and finished in order."""
    _Checker(kernel, {a.name: a for a in kernel.arrays}).body(kernel.body, frozenset(), frozenset(kernel.scalars), frozenset(), False)
    ended = {s.total for s in statements(kernel.body) if isinstance(s, End)}
    if not {t for t, _ in kernel.totals} <= ended:
        raise KernelError(f"{kernel.name} returns a total that it does not finish")


@dataclass
class _Checker:
    kernel: Kernel
    arrays: Mapping[str, Array]

    def body(self, body: Sequence[Statement], axes: frozenset[str], known: frozenset[Term], open_: frozenset[Term], vector: bool) -> None:
        begun: set[Term] = set()
        for statement in body:
            if isinstance(statement, Loop):
                if statement.axis in axes or (vector and statement.vector):
                    raise KernelError(f"{self.kernel.name}: a loop over {statement.axis} inside one, or two vector loops")
                self.body(statement.body, axes | {statement.axis}, known, open_ | begun, vector or statement.vector)
                continue
            if isinstance(statement, (Let, Fold, Store, Add)):
                self.value(statement.value, axes, known)
            if isinstance(statement, (Store, Add)):
                self.place(statement.array, statement.index, axes)
            elif isinstance(statement, Let):
                known |= {statement.name}
            else:
                known |= self.accumulator(statement, begun, open_)
        if begun:
            raise KernelError(f"{self.kernel.name}: {[_name(t) for t in begun]} are never finished")

    def accumulator(self, statement: Begin | Fold | End, begun: set[Term], open_: frozenset[Term]) -> set[Term]:
        """Check the order of accumulator statements; what has a value afterwards."""
        name = _name(statement.total)
        if isinstance(statement, Begin):
            if statement.operation not in OPERATIONS:
                raise KernelError(f"{self.kernel.name}: no operation {statement.operation}")
            begun.add(statement.total)
            return set()
        if isinstance(statement, Fold):
            if statement.total not in open_ | begun:
                raise KernelError(f"{self.kernel.name}: {name} is folded before it is begun")
            return set()
        if statement.total not in begun:
            raise KernelError(f"{self.kernel.name}: {name} is finished where it was not begun")
        begun.discard(statement.total)
        return {statement.total}

    def place(self, array: str, index: tuple[Index, ...], axes: frozenset[str]) -> None:
        found = self.arrays.get(array)
        if found is None or found.rank != len(index):
            raise KernelError(f"{self.kernel.name}: {array} is no array with {len(index)} dimensions")
        for e in index:
            self.axes(e.axes, axes)

    def axes(self, used: frozenset[str], axes: frozenset[str]) -> None:
        for axis in used - axes:
            if axis not in self.kernel.computed:
                raise KernelError(f"{self.kernel.name}: no loop over {axis}")

    def value(self, term: Term, axes: frozenset[str], known: frozenset[Term]) -> None:
        if term.axes:
            raise KernelError(f"{self.kernel.name}: {term} is no scalar")
        for symbol in symbols([term]):
            leaf = self.kernel.leaves.get(symbol)
            if symbol in known or _name(symbol).startswith("#") or _name(symbol) in ("pi", "im"):
                continue
            if leaf is None:
                raise KernelError(f"{self.kernel.name}: {_name(symbol)} has no value here")
            if isinstance(leaf, Load):
                self.place(leaf.array, leaf.index, axes)
            elif isinstance(leaf, Number):
                self.axes(leaf.index.axes, axes)
            for guard in getattr(leaf, "guards", ()):
                self.axes(guard.axes, axes)


# meaning


@dataclass(frozen=True)
class Memory:
    """An array argument: elements of `flat`, element [0, ..] at `base`, strides in elements."""

    flat: Any
    base: int
    strides: tuple[int, ...]

    def at(self, place: Sequence[int]) -> int:
        return self.base + sum(i * s for i, s in zip(place, self.strides, strict=True))


def interpret(
    kernel: Kernel, arrays: Mapping[str, Memory], scalars: Mapping[str, Any], dims: Mapping[str, int], begin: int, end: int
) -> list[Any]:
    """Run a kernel over the slab begin..end of its shared axis, one turn after another; the totals.  The meaning of the IR."""
    return Interpreter(kernel, arrays, scalars, dims, begin, end).run()


@dataclass
class Interpreter:
    kernel: Kernel
    arrays: Mapping[str, Memory]
    scalars: Mapping[str, Any]
    dims: Mapping[str, int]
    begin: int
    end: int
    axes: dict[str, int] = field(default_factory=dict)
    values: dict[Term, Any] = field(default_factory=dict)
    operations: dict[Term, str] = field(default_factory=dict)

    def run(self) -> list[Any]:
        self.body(self.kernel.body)
        return [self.values[t] for t, _ in self.kernel.totals]

    def body(self, body: Sequence[Statement]) -> None:
        for statement in body:
            if isinstance(statement, Loop):
                self.loop(statement)
            elif isinstance(statement, Let):
                self.values[statement.name] = self.value(statement.value)
            elif isinstance(statement, Begin):
                self.operations[statement.total] = statement.operation
                self.values[statement.total] = _identity(statement.operation, statement.total.kind)
            elif isinstance(statement, Fold):
                old, new = self.values[statement.total], self.value(statement.value)
                self.values[statement.total] = fold(self.operations[statement.total], old, new)
            elif isinstance(statement, (Store, Add)):
                self.store(statement)

    def loop(self, loop: Loop) -> None:
        lo, hi = loop.lo.evaluate(self.dims), loop.hi.evaluate(self.dims)
        if loop.axis == self.kernel.shared:
            lo, hi = max(lo, self.begin), min(hi, self.end)
        for i in range(lo, hi):
            self.axes[loop.axis] = i
            self.body(loop.body)
        self.axes.pop(loop.axis, None)

    def store(self, statement: Store | Add) -> None:
        value = self.value(statement.value)
        memory = self.arrays[statement.array]
        if isinstance(statement, Store):
            memory.flat[memory.at(self.place(statement.index))] = value
        elif self.holds(statement.guards):
            memory.flat[memory.at(self.place(statement.index))] += value

    def place(self, index: Sequence[Index]) -> list[int]:
        return [int(e.evaluate(self.positions(e.axes), self.dims)) for e in index]

    def positions(self, axes: frozenset[str]) -> dict[str, int]:
        return {a: self.axes[a] if a in self.axes else int(self.value(self.kernel.computed[a])) for a in axes}

    def holds(self, guards: Sequence[Guard]) -> bool:
        return all(bool(g.evaluate(self.positions(g.axes), self.dims)) for g in guards)

    def value(self, term: Term) -> Any:
        from ricci.dsl.reference import evaluate

        found = {_name(s): self.symbol(s) for s in symbols([term]) if s in self.kernel.leaves or s in self.values}
        (result,) = evaluate([term], {**self.scalars, **found}, self.dims)
        return result[()]

    def symbol(self, symbol: Term) -> Any:
        if symbol in self.values:
            return self.values[symbol]
        leaf = self.kernel.leaves[symbol]
        if isinstance(leaf, Number):
            return int(leaf.index.evaluate(self.positions(leaf.index.axes), self.dims))
        if not self.holds(leaf.guards):
            return 0
        if isinstance(leaf, Holds):
            return True
        memory = self.arrays[leaf.array]
        return memory.flat[memory.at(self.place(leaf.index))]


def _identity(operation: str, kind: Kind) -> Any:
    if operation == "sum":
        return 0
    from ricci.dsl.ops.reduce import identity

    return identity(operation, kind)


def fold(operation: str, old: Any, new: Any) -> Any:
    """operation(old, new); a NaN stays."""
    import numpy as np

    functions = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum, "any": np.logical_or, "all": np.logical_and}
    return functions[operation](old, new)
