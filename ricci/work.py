"""The work of kernels and library calls, and the seconds it takes on a `Machine`: the part of the cost model that knows no terms.

A kernel is sets of loops. Each turn of the innermost one issues instructions (arithmetic, loads and stores, accumulations that
wait for each other), which overlap; each row has a fixed price; arrays stream from the fastest memory that still holds them
since they were last touched. Instructions and streams overlap too, imperfectly, (a^p + b^p)^(1/p): much of what comes from caches hides,
less of what comes from memory.

The distance of a reuse is the memory that is touched in between: that of one turn of the loop that reads the same place again
(the rows of a stencil, a vector that every row of a matrix meets), or everything, for what is read for the first time. This is the
execution-cache-memory model of kernels, with rates that are fitted to the machine instead of read in its manual.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ricci.machine import Machine

AHEAD = 64.0  # steps of an accumulation that a core looks ahead of: shorter ones wait for nothing
MOST_PIECES = 64  # a loop is shared by threads in at most so many pieces,
PIECE_POINTS = 2048  # each of at least so many points


@dataclass(frozen=True)
class Stream:
    """Accesses to one array at one row: dimensions follow `axes` ("" stands still, "?" jumps) at constant `offsets` (all but the
    last), at `places` along the last one. `loops` are those its place depends on, `depth` the innermost of them (0: none)."""

    array: str
    axes: tuple[str, ...]
    offsets: tuple[int, ...]
    places: tuple[int, ...]
    loops: frozenset[str]
    element: int = 8
    written: bool = False
    depth: int = 0


@dataclass(frozen=True)
class Loops:
    """One innermost body: `extents` of the loops around it, outer to inner; the axis that is done in vectors ("": none);
    operations as (depth, class, how many); `chain`: the loop in which an accumulation begins whose steps wait for each other
    (-1: none)."""

    extents: tuple[tuple[str, int], ...]
    vector: str
    operations: tuple[tuple[int, str, float], ...]
    streams: tuple[Stream, ...]
    chain: int = -1

    @property
    def points(self) -> float:
        return float(prod(n for _, n in self.extents))


@dataclass(frozen=True)
class Work:
    """One kernel: its bodies, how many outer loops they share, and the extent of the loop that threads share (0: none)."""

    name: str
    bodies: tuple[Loops, ...]
    common: int = 0
    extent: int = 0

    @property
    def operations(self) -> dict[str, float]:
        """Scalar operations by class."""
        found: dict[str, float] = {}
        for loops in self.bodies:
            for depth, kind, count in loops.operations:
                found[kind] = found.get(kind, 0.0) + count * prod(n for _, n in loops.extents[:depth])
        return {kind: count for kind, count in found.items() if count}

    @property
    def touched(self) -> dict[str, float]:
        """Bytes of every array that is read or written, by name."""
        found: dict[str, float] = {}
        for loops in self.bodies:
            sizes = dict(loops.extents)
            for s in loops.streams:
                found[s.array] = max(found.get(s.array, 0.0), _elements(s, sizes) * s.element)
        return found


@dataclass(frozen=True)
class Product:
    """A matrix product by a library: `batch` products of rows x inner by inner x columns."""

    batch: int
    rows: int
    inner: int
    columns: int
    element: int = 8
    copied: float = 0.0  # elements that are put into another order before or after it

    def seconds(self, machine: Machine, threads: int = 1) -> float:
        """Predicted seconds of the products and of putting them into order."""
        edge = machine.matmul_edge
        work = (self.rows + edge[0]) * (self.inner + edge[1]) * (self.columns + edge[2]) * self.batch
        rate = machine.matmul * (machine.matmul_scaling if threads > 1 else 1.0) * machine.real_bytes / self.element
        moved = self.copied * self.element
        copies = sum(
            part * moved * (1 / level.bandwidth + 1 / level.writing)
            for level, part in zip(machine.levels, machine.shares(2 * moved), strict=True)
        )
        return machine.library_call + work / rate + copies


@dataclass(frozen=True)
class Library:
    """Another call of a library: how many elements it takes and gives."""

    points: float

    def seconds(self, machine: Machine, threads: int = 1) -> float:
        """Predicted seconds of a sort, a transform, a factorization: so much an element."""
        return machine.library_call + self.points * machine.operation("call")


Step = Work | Product | Library


def _elements(stream: Stream, sizes: Mapping[str, int]) -> float:
    """How many different elements a stream touches over loops of these sizes."""
    return float(prod(sizes.get(a, 1) for a in stream.loops))


def overlapping(parts: Iterable[float], exponent: float) -> float:
    """(sum of p-th powers)^(1/p): the longest part, and a little of the others."""
    kept = [x for x in parts if x > 0]
    longest = max(kept, default=0.0)
    return longest * sum((x / longest) ** exponent for x in kept) ** (1 / exponent) if longest else 0.0


@dataclass(frozen=True)
class Issue:
    """Instructions of one set of loops, each of a whole vector or of one element where there are no vectors: arithmetic and memory
    accesses by class, steps of the longest chain, how often an innermost loop begins and how often its last vector is not full."""

    arithmetic: tuple[tuple[str, float], ...]
    memory: tuple[tuple[str, float], ...]
    chain: float
    rows: float
    tails: float

    def parts(self, machine: Machine) -> tuple[float, float, float, float]:
        """Seconds of arithmetic, of memory accesses, of the longest chain, and of beginning and ending rows."""
        lanes = machine.lanes
        arithmetic = sum(n * machine.operation(kind) * (1 if kind == "call" else lanes) for kind, n in self.arithmetic)
        memory = sum(n * lanes * machine.operation(kind) for kind, n in self.memory)
        chain = self.chain * machine.operation("fold") * lanes
        return arithmetic, memory, chain, self.rows * machine.row + self.tails * machine.tail

    def seconds(self, machine: Machine) -> float:
        """On one core, all operands in the first cache."""
        arithmetic, memory, chain, rows = self.parts(machine)
        return overlapping((arithmetic, memory, chain), machine.overlap) + rows


def issue(loops: Loops, lanes: int) -> Issue:
    """The instructions of a set of loops with vectors of so many elements."""
    axes = [axis for axis, _ in loops.extents]
    trips = [1.0]
    for axis, n in loops.extents:
        trips.append(trips[-1] * (-(-n // lanes) if axis == loops.vector else n))
    arithmetic: dict[str, float] = {}
    for depth, kind, count in loops.operations:
        if kind != "fold":
            arithmetic[kind] = arithmetic.get(kind, 0.0) + trips[depth] * count
    memory: dict[str, float] = {}
    for s in loops.streams:
        often = trips[s.depth]
        kind = "store" if s.written else "load"
        memory[kind] = memory.get(kind, 0.0) + often * len(s.places)
        if loops.vector and s.axes[-1:] == (loops.vector,):
            memory["cross"] = memory.get("cross", 0.0) + often * sum(place % lanes != 0 for place in s.places)
    ragged = bool(loops.vector) and dict(loops.extents)[loops.vector] % lanes > 0
    tails = trips[axes.index(loops.vector)] if ragged else 0.0
    chain = 0.0
    if loops.chain >= 0:
        length = trips[-1] / max(trips[loops.chain], 1.0)
        chain = trips[-1] * length / (length + AHEAD)
    return Issue(tuple(arithmetic.items()), tuple(memory.items()), chain, trips[max(len(axes) - 1, 0)], tails)


@dataclass(frozen=True)
class Demand:
    """What a kernel asks of a machine: instructions of each of its bodies, transfers, and the pieces that threads share."""

    bodies: tuple[Issue, ...]
    transfers: tuple[Transfer, ...]
    pieces: int

    def seconds(self, machine: Machine, threads: int = 1) -> float:
        """Predicted seconds of one call."""
        core = sum(body.seconds(machine) for body in self.bodies) * self.share(threads)
        cached = memory = 0.0
        for level, _, spent in self.moved(machine, threads):
            if level == machine.levels[-1].name:
                memory += spent
            else:
                cached += spent
        busy = overlapping((core, cached), machine.overlap)
        return self.start(machine, threads) + overlapping((busy, memory), machine.overlap_memory)

    def share(self, threads: int) -> float:
        """Which part of the work the busiest of so many threads has."""
        return -(-self.pieces // threads) / self.pieces

    def start(self, machine: Machine, threads: int) -> float:
        """Seconds before the first loop begins."""
        return machine.launch + (machine.parallel_launch if threads > 1 else 0.0)

    def moved(self, machine: Machine, threads: int) -> Iterator[tuple[str, float, float]]:
        """(level, bytes, seconds) of every transfer from or to a level beyond the first."""
        share = self.share(threads)
        for t in self.transfers:
            for level, part in zip(machine.levels[1:], machine.shares(t.distance)[1:], strict=True):
                if part:
                    slower = {"stream": 1.0, "lines": machine.strided, "computed": machine.gather}[t.order]
                    rate = (level.writing if t.written else level.bandwidth) / slower
                    yield level.name, part * t.bytes, part * t.bytes / rate * max(share, 1 / level.scaling if share < 1 else 1.0)


def demand(work: Work, machine: Machine, resident: Mapping[str, float] | None = None) -> Demand:
    """What a kernel asks of a machine. `resident`: how many bytes were touched since each of its arrays was (default: its own)."""
    if resident is None:
        resident = dict.fromkeys(work.touched, sum(work.touched.values()))
    points = max((loops.points for loops in work.bodies), default=0.0)
    pieces = max(1, min(MOST_PIECES, work.extent, int(points) // PIECE_POINTS))
    return Demand(tuple(issue(loops, machine.lanes) for loops in work.bodies), tuple(transfers(work, resident)), pieces)


@dataclass(frozen=True)
class Transfer:
    """Bytes that move between a core and wherever they are `distance` bytes after they were last touched."""

    bytes: float
    distance: float
    written: bool
    order: str = "stream"  # or "lines", which do not follow each other, or "computed"


def transfers(work: Work, resident: Mapping[str, float]) -> list[Transfer]:
    """What moves for the streams of a kernel; `resident`: the distance at which each array was last touched before it."""
    out: list[Transfer] = []
    seen: dict[str, float] = {}  # arrays that an earlier body of the kernel touched in the same turn of the common loops
    for loops in work.bodies:
        sizes = dict(loops.extents)
        turn = [_touched(loops, k, sizes) for k in range(len(loops.extents))]
        for s in loops.streams:
            first = _reuse(s, loops, turn)
            if first is None:
                first = seen.get(s.array, resident.get(s.array, 0.0))
            out += _moves(s, first, loops, turn, sizes)
        if work.common:
            seen.update((s.array, turn[work.common - 1]) for s in loops.streams)
    return out


def _touched(loops: Loops, k: int, sizes: Mapping[str, int]) -> float:
    """Bytes that one turn of loop k touches."""
    deeper = {axis for axis, _ in loops.extents[k + 1 :]}
    found: dict[tuple[object, ...], float] = {}
    for s in loops.streams:
        fixed = tuple(o for axis, o in zip(s.axes, s.offsets, strict=False) if axis not in deeper)
        found[s.array, fixed] = max(found.get((s.array, fixed), 0.0), prod(sizes[a] for a in s.loops & deeper) * float(s.element))
    return sum(found.values())


def _reuse(stream: Stream, loops: Loops, turn: Sequence[float]) -> float | None:
    """The distance at which another stream of the array touched the same places before; None if none does."""
    best: float | None = None
    order = [axis for axis, _ in loops.extents]
    for other in loops.streams:
        if other.array != stream.array or other.axes != stream.axes or other is stream:
            continue
        if other.offsets == stream.offsets:
            if stream.written and not other.written:
                return 0.0
            continue
        ahead = 0.0
        for axis, a, b in zip(stream.axes, other.offsets, stream.offsets, strict=False):
            ahead += (a - b) * turn[order.index(axis)] if axis in order else 0.0
        if ahead > 0 and (best is None or ahead < best):
            best = ahead
    return best


def _moves(stream: Stream, first: float, loops: Loops, turn: Sequence[float], sizes: Mapping[str, int]) -> list[Transfer]:
    """Transfers of one stream: its elements once at the distance `first`, again for every loop that it does not follow."""
    order = [axis for axis, _ in loops.extents]
    inner = max((order.index(a) for a in stream.loops), default=-1)
    followed = inner < 0 or stream.axes[-1] == order[inner]
    kind = "computed" if "?" in stream.axes else "stream" if followed else "lines"
    unit = float(stream.element)
    out = [Transfer(_elements(stream, sizes) * unit, first, stream.written, kind)]
    around = 1.0
    for k, (axis, n) in enumerate(loops.extents[: inner + 1]):
        if axis not in stream.loops:
            again = around * (n - 1) * prod(sizes[a] for a in stream.loops if order.index(a) > k)
            out.append(Transfer(again * unit, turn[k], stream.written, kind))
        around *= n
    return out


def demands(steps: Sequence[tuple[Step, int]], machine: Machine) -> list[tuple[Demand | Product | Library, int]]:
    """What every step of a function asks for (and how often), called over and over: what the first ones read, the last ones touched."""
    touched = [step.touched if isinstance(step, Work) else {} for step, _ in steps]
    out: list[tuple[Demand | Product | Library, int]] = []
    for i, (step, times) in enumerate(steps):
        if isinstance(step, Work):
            out.append((demand(step, machine, {array: _distance(array, i, touched) for array in touched[i]}), times))
        else:
            out.append((step, times))
    return out


def seconds(
    steps: Sequence[tuple[Demand | Product | Library, int]], machine: Machine, threads: int = 1, in_library: int | None = None
) -> float:
    """Predicted seconds of one call of a function; threads that are too many for its loops may still serve a library (`in_library`)."""
    others = threads if in_library is None else in_library
    return sum(times * step.seconds(machine, threads if isinstance(step, Demand) else others) for step, times in steps)


def _distance(array: str, i: int, touched: Sequence[Mapping[str, float]]) -> float:
    """Bytes touched since an earlier step touched the array, going round."""
    between = dict(touched[i])
    for back in range(1, len(touched) + 1):
        step = touched[i - back]
        for name, size in step.items():
            between[name] = max(between.get(name, 0.0), size)
        if array in step:
            break
    return sum(between.values())
