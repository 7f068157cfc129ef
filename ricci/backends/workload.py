"""Kernels and plans as the work that `ricci.cost` prices: instructions by class, streams of arrays, loops with their lengths.

What a kernel does is read off its loop IR, with the same decisions as the code that is written from it: values that a loop
does not change are computed outside of it, loops whose values all have lanes are done in vectors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from ricci.backends.executable import useful_threads
from ricci.backends.lanes import in_vectors, leaf_axes
from ricci.backends.numba_cpu import nest_points
from ricci.cost import instructions
from ricci.dsl.index import Index
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Kind, TupleType
from ricci.lowering import kernel as ir
from ricci.lowering.kernel import Kernel, Load, Loop, Statement
from ricci.lowering.loops import lower_launch
from ricci.lowering.schedule.plan import Call, Launch, Plan, Repeat, Step, While
from ricci.machine import Machine
from ricci.work import Demand, Library, Loops, Product, Stream, Work, demands, seconds

EXTREME = 4  # instructions of one step of a largest or smallest value, which also looks for NaN
ACROSS = 6  # instructions that join the lanes of an accumulator
BYTES = {
    False: {Kind.REAL: 8, Kind.INT: 8, Kind.BOOL: 1, Kind.COMPLEX: 16},
    True: {Kind.REAL: 4, Kind.INT: 8, Kind.BOOL: 1, Kind.COMPLEX: 8},
}


@dataclass
class _Path:
    """Loops around a body, outer to inner: axis, turns, whether in vectors."""

    loops: list[tuple[str, int]] = field(default_factory=list)
    vector: str = ""
    begun: dict[Term, tuple[int, str]] = field(default_factory=dict)

    def depth(self, axes: set[str]) -> int:
        return max((k + 1 for k, (axis, _) in enumerate(self.loops) if axis in axes), default=0)


def work_of_kernel(kernel: Kernel, dims: Mapping[str, int], machine: Machine) -> Work:
    """What one call of a kernel does, for given extents of dims."""
    found = list(_bodies(kernel, kernel.body, _Path(), dims, machine))
    common = _common([loops.extents for loops in found])
    extent = max(kernel.extent.evaluate(dims), 0) if kernel.shared is not None else 0
    return Work(kernel.name, tuple(found), common, extent)


def _common(extents: Sequence[tuple[tuple[str, int], ...]]) -> int:
    """How many outer loops all bodies share."""
    if len(extents) < 2:
        return 0
    shared = 0
    for level in zip(*extents, strict=False):
        if len(set(level)) > 1:
            break
        shared += 1
    return shared


def _bodies(kernel: Kernel, body: Sequence[Statement], path: _Path, dims: Mapping[str, int], machine: Machine) -> Iterator[Loops]:
    """One `Loops` for every innermost body, in order."""
    own = [s for s in body if not isinstance(s, Loop)]
    inner = [s for s in body if isinstance(s, Loop)]
    path.begun.update((s.total, (len(path.loops), s.operation)) for s in own if isinstance(s, ir.Begin))
    for loop in inner:
        turns = max(loop.hi.evaluate(dims) - loop.lo.evaluate(dims), 0)
        if turns == 0:
            continue
        vector = path.vector or (loop.axis if in_vectors(loop, kernel, machine.lanes) else "")
        deeper = _Path([*path.loops, (loop.axis, turns)], vector, path.begun)
        yield from _bodies(kernel, loop.body, deeper, dims, machine)
    if any(isinstance(s, (ir.Store, ir.Add, ir.Fold)) for s in own):
        yield _loops(kernel, own, path, dims, machine)


def _loops(kernel: Kernel, body: Sequence[Statement], path: _Path, dims: Mapping[str, int], machine: Machine) -> Loops:
    counter = _Counter(kernel, path, dims, _bytes(machine), begun=path.begun)
    for statement in body:
        counter.statement(statement)
    return counter.result()


@dataclass
class _Counter:
    """Instructions and streams of one body, by the loop in which they are executed."""

    kernel: Kernel
    path: _Path
    dims: Mapping[str, int]
    bytes: Mapping[Kind, int]
    depths: dict[Term, int] = field(default_factory=dict)
    operations: dict[tuple[int, str], float] = field(default_factory=dict)
    streams: dict[tuple[object, ...], list[int]] = field(default_factory=dict)
    begun: Mapping[Term, tuple[int, str]] = field(default_factory=dict)  # accumulators: the loop in which they begin, operation
    chain: int = -1
    squares: set[tuple[Term, int]] = field(default_factory=set)

    def statement(self, statement: Statement) -> None:
        if isinstance(statement, ir.Let):
            self.value(statement.value)
            self.depths[statement.name] = self.depths[statement.value]
        elif isinstance(statement, ir.Fold):
            self.value(statement.value)
            begun = self.begun.get(statement.total, (0, "sum"))
            extreme = begun[1] in ("max", "min")
            self.count(len(self.path.loops), "compare" if extreme else "add", EXTREME if extreme else 1)
            self.chain = begun[0] if self.chain < 0 else min(self.chain, begun[0])
        elif isinstance(statement, ir.End):
            if not self.path.vector:
                self.count(len(self.path.loops), "add", ACROSS)
        elif isinstance(statement, ir.Store):
            self.value(statement.value)
            self.stream(statement.array, statement.index, True)
        elif isinstance(statement, ir.Add):
            self.value(statement.value)
            self.stream(statement.array, statement.index, True)
            self.stream(statement.array, statement.index, False)

    def value(self, root: Term) -> None:
        for term in walk([root]):
            if term in self.depths:
                continue
            if term.op == "symbol":
                self.depths[term] = self.leaf(term)
                continue
            depth = max((self.depths[a] for a in term.args), default=0)
            self.depths[term] = depth
            for kind, n in instructions(term).items():
                self.count(depth, kind, n)
            if term.op == "contract":
                self.count(depth, "mul", -self.saved_by_squares(term))

    def saved_by_squares(self, term: Term) -> int:
        """How many multiplications fewer powers take as products of squares, each of which is computed once."""
        saved = 0
        for factor, power in Counter(term.args).items():
            squares = {(factor, k) for k in range(1, power.bit_length())}
            saved += power - power.bit_count() - len(squares - self.squares)
            self.squares |= squares
        return saved

    def leaf(self, term: Term) -> int:
        leaf = self.kernel.leaves.get(term)
        if leaf is None:
            return 0
        axes = self.axes(leaf_axes(leaf))
        depth = self.path.depth(axes)
        if isinstance(leaf, Load):
            self.stream(leaf.array, leaf.index, False)
            guards = len(leaf.guards)
        else:
            guards = 1 if isinstance(leaf, ir.Number) else len(leaf.guards)
        if guards:
            self.count(depth, "compare", guards)
        return depth

    def axes(self, names: set[str]) -> set[str]:
        """Loops that an index depends on, through computed positions too."""
        out = set(names)
        for name in names & set(self.kernel.computed):
            root = self.kernel.computed[name]
            if root not in self.depths:
                self.value(root)
            out |= {axis for k, (axis, _) in enumerate(self.path.loops) if k < self.depths[root]}
        return out - set(self.kernel.computed)

    def count(self, depth: int, kind: str, n: float = 1) -> None:
        self.operations[depth, kind] = self.operations.get((depth, kind), 0) + n

    def stream(self, array: str, index: tuple[Index, ...], written: bool) -> None:
        """An access: dimensions follow loops at constant offsets, or jump."""
        axes: list[str] = []
        offsets: list[int] = []
        for e in index:
            axis, offset = self.followed(e)
            axes.append(axis)
            offsets.append(offset)
        element = self.bytes[self.kernel.array(array).kind]
        loops = self.axes({a for e in index for a in e.axes})
        depth = self.path.depth(loops)
        key = (array, tuple(axes), tuple(offsets[:-1]), frozenset(loops), element, written, depth)
        places = self.streams.setdefault(key, [])
        if offsets[-1] not in places:
            places.append(offsets[-1])

    def followed(self, e: Index) -> tuple[str, int]:
        """The loop that a dimension follows one by one and the offset; "?" where its places jump, "" where it stands still."""
        constant = e.constant.evaluate(self.dims)
        if not e.terms:
            return "", constant
        atoms = [(atom, k.evaluate(self.dims)) for atom, k in e.terms]
        if len(atoms) == 1:
            atom, k = atoms[0]
            if atom.kind == "axis":
                return (atom.axis, constant) if k == 1 and atom.axis not in self.kernel.computed else ("?", constant)
            inner = _axis_of(atom.inner)
            if inner and k == 1:  # a periodic or clamped neighbour
                shift = atom.inner.constant.evaluate(self.dims)
                size = atom.size.evaluate(self.dims)
                return inner, shift - size if 2 * shift > size else shift
        return "?", constant

    def result(self) -> Loops:
        streams = []
        for key, places in self.streams.items():
            array, axes, offsets, loops, element, written, depth = key
            streams.append(Stream(array, axes, offsets, tuple(sorted(places)), loops, element, written, depth))  # type: ignore[arg-type]
        operations = tuple((depth, kind, n) for (depth, kind), n in self.operations.items())
        return Loops(tuple(self.path.loops), self.path.vector, operations, tuple(streams), self.chain)


def _axis_of(index: Index) -> str:
    """The axis that an index is, up to a constant; "" for any other."""
    if len(index.terms) == 1 and index.terms[0][0].kind == "axis" and index.terms[0][1] == 1:
        return index.terms[0][0].axis
    return ""


def work_of_call(step: Call, dims: Mapping[str, int], machine: Machine) -> Product | Library:
    """A matrix product by its extents, any other call by the elements that it takes and gives."""

    def count(term: Term) -> int:
        return prod(size.evaluate(dims) for size in term.axes.values()) if not isinstance(term.type, TupleType) else 0

    term = step.term
    if term.op != "product":
        components = [t.axes for t in term.type.components] if isinstance(term.type, TupleType) else [term.axes]
        given = sum(count(a) for a in term.args)
        return Library(float(given + sum(prod(s.evaluate(dims) for s in axes.values()) for axes in components)))
    left, right = ({str(label): a.axes[axis].evaluate(dims) for axis, label in access} for a, access in _factors(term))
    groups = {"batch": 1, "rows": 1, "inner": 1, "columns": 1}
    for label, n in {**left, **right}.items():
        both = label in left and label in right
        group = ("batch" if label in term.axes else "inner") if both else "rows" if label in left else "columns"
        groups[group] *= n
    return Product(**groups, element=_bytes(machine)[term.kind], copied=float(count(term)))


def _bytes(machine: Machine) -> Mapping[Kind, int]:
    return BYTES[machine.real_bytes == 4]


def _factors(term: Term) -> list[tuple[Term, tuple[tuple[str, str | int], ...]]]:
    return list(zip(term.args, term.attrs.accesses, strict=True))


def work_of_plan(plan: Plan, dims: Mapping[str, int], machine: Machine) -> list[tuple[Step, Work | Product | Library, int]]:
    """(step, what it does, how often) for every kernel and library call of a plan; loops of unknown length once."""
    dims = plan.complete(dims)
    out: list[tuple[Step, Work | Product | Library, int]] = []
    stack: list[tuple[Sequence[Step], int]] = [(plan.steps, 1)]
    while stack:
        steps, times = stack.pop()
        for step in steps:
            if isinstance(step, Launch):
                out.append((step, work_of_kernel(lower_launch(plan, step), dims, machine), times))
            elif isinstance(step, Call):
                out.append((step, work_of_call(step, dims, machine), times))
            elif isinstance(step, While):
                stack.append(([*step.head, *step.body], times))
            elif isinstance(step, Repeat):
                stack.append((step.body, times * max(step.count.evaluate(dims), 0)))
    return out


def demands_of_plan(plan: Plan, dims: Mapping[str, int], machine: Machine) -> list[tuple[Demand | Product | Library, int]]:
    """What the steps of a plan ask of a machine, for `ricci.cost.seconds`."""
    return demands([(work, times) for _, work, times in work_of_plan(plan, dims, machine)], machine)


def predicted(plan: Plan, dims: Mapping[str, int], machine: Machine, threads: int = 1) -> float:
    """Predicted seconds of one call of a plan whose arguments are in place."""
    useful = useful_threads(nest_points(plan), plan.complete(dims), threads)
    return seconds(demands_of_plan(plan, dims, machine), machine, useful, threads)
