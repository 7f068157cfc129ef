"""What a term costs: operations by class, and predicted time on a `Machine`.

The shared graph of terms is counted once: a term used twice is computed once. Every figure is (per point) x (points), where the
points of a term are the product of its axes' sizes; a size that is not known counts as `machine.nominal_size`. Three prices:

  ops    scalar operations: a sum of n terms n - 1, a product of n factors n - 1, a coefficient other than +-1 one, a power by
         repeated squaring, a function 1, a contraction 2 per point of all its labels for two factors
  time   seconds: operations at the machine's vector rates, as generated code spends them (coefficients ride on fused
         multiply-adds, factors of outer loops are multiplied there), and bytes: every array is read once a term that needs it
         elsewhere, sums over axes and terms read at other points are stored
  size   number of operators
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log2, prod
from typing import Any

from ricci.dsl.ops import contract as contracts
from ricci.dsl.ops.reindex import pull_of
from ricci.dsl.term import Function, Term, walk
from ricci.dsl.types import Size, TupleType
from ricci.machine import DEFAULT, Machine

PRICES = ("ops", "time", "size")
LEAVES = frozenset({"symbol", "const", "iota"})
TRANSFORMS = frozenset({"fft", "ifft", "rfft", "irfft"})
TOGETHER = 8  # rows of a transform that share vectors
SHORT = 8192  # lanes of a transform that stay in the cache
GATHERED = 2.5  # times slower are strided rows
FREE = frozenset({"group", "re", "conj"})  # functions that compute nothing
CLASSES = {
    "recip": "div",
    "mod": "div",
    "floordiv": "div",
    "sqrt": "sqrt",
    "hypot": "sqrt",
    "cbrt": "power",
    "pow": "power",
    "gamma": "power",
    "lgamma": "power",
    "polygamma": "power",
    **dict.fromkeys(
        ("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "not", "where", "min2", "max2", "abs", "sign", "relu", "isfinite"),
        "compare",
    ),
    **dict.fromkeys(("floor", "ceil", "round", "heaviside", "complex", "im", "abs2"), "compare"),
    **dict.fromkeys(("exp", "sigmoid"), "transcendental"),
    "log": "log",
    "sin": "sine",
    "cos": "sine",
    "tanh": "tanh",
}
STORE = 2.0  # arrays moved when a value is stored and read again
CROSSING = 0.5  # of the reads at other points lie across two lines of a cache: those along the axis of the vectors
GUARD = 2.0  # comparisons of a guarded read

RIDE = 0.3  # of a multiplication by an outer factor, which a sum often absorbs

Extents = Mapping[str, int]  # label -> extent
Axes = frozenset[tuple[str, int]]  # labels with extents; products of ints are exact, in any order


@dataclass(frozen=True)
class Sizes:
    """Extents of dims: known ones, and the nominal one for the rest."""

    dims: Mapping[str, int]
    nominal: int

    def extent(self, size: Size) -> int:
        constant = size.constant
        if constant is not None:
            return max(constant, 0)
        return max(size.evaluate({d.name: self.dims.get(d.name, max(self.nominal, d.lower)) for d in size.dims}), 1)

    def points(self, axes: Mapping[str, Size]) -> float:
        return float(prod(self.extent(s) for s in axes.values()))


USED = 4  # arrays of a grid that are in use together


def typical_grid(grid: Mapping[str, int], machine: Machine = DEFAULT) -> dict[str, int]:
    """A grid with as many axes whose arrays lie in the middle of the level of memory that holds those of the given one."""
    if not grid:
        return {}
    held = machine.level(USED * machine.real_bytes * float(prod(grid.values())))
    place = machine.levels.index(held)
    largest = held.bytes if place + 1 < len(machine.levels) else 8 * machine.levels[place - 1].bytes
    return dict.fromkeys(grid, max(round((largest / (2 * USED * machine.real_bytes)) ** (1 / len(grid))), 4))


class Price:
    """Prices of single operators. Arguments are points (floats) and counts; results are seconds, operations or nodes."""

    def __init__(self, kind: str = "time", machine: Machine = DEFAULT) -> None:
        if kind not in PRICES:
            raise ValueError(f"a cost is one of {', '.join(PRICES)}, not {kind!r}")
        self.kind = kind
        self.machine = machine
        self._element = machine.real_bytes
        self._add, self._mul = machine.operation("add"), machine.operation("mul")

    def sum(self, members: int, scaled: int, points: float) -> float:
        """Sum of members, of which `scaled` carry a number other than +-1 (or an outer factor)."""
        if self.kind == "size":
            return 1.0
        if self.kind == "ops":
            return (members - 1) * points
        return (members - 1 + (scaled == members)) * points * self._add

    def scale(self, points: float) -> float:
        """A value times a number, outside of a sum (there it rides on the additions)."""
        return {"ops": points, "time": self._mul * points, "size": 1.0}[self.kind]

    def product(self, factors: Sequence[Axes]) -> float:
        """Product of factors over axes with extents, those of outer loops first. An outer factor rides on the sum that uses it."""
        if self.kind == "size":
            return 1.0
        ranked = sorted(factors, key=lambda axes: (_points(axes), sorted(axes)))
        axes = ranked[0]
        total = 0.0
        whole = _points(frozenset().union(*factors))
        outer = True
        for factor in ranked[1:]:
            inner = _points(axes) == whole
            axes |= factor
            points = _points(axes)
            rides = self.kind == "time" and not inner and points == whole and outer
            outer = outer and points < whole
            total += points * (RIDE if rides else 1.0)
        return total * (self._mul if self.kind == "time" else 1.0)

    def power(self, exponent: int, points: float) -> float:
        steps = exponent.bit_length() - 1 + bin(exponent).count("1") - 1
        return {"ops": steps * points, "time": steps * points * self._mul, "size": 1.0}[self.kind]

    def function(self, name: str, points: float) -> float:
        if self.kind == "size":
            return 0.0 if name == "group" else 1.0
        if name in FREE:
            return 0.0
        return points if self.kind == "ops" else points * self.machine.operation(CLASSES.get(name, "call"))

    def contraction(
        self, factors: Sequence[frozenset[str]], extents: Extents, out: frozenset[str], held: Sequence[float] | None = None
    ) -> float:
        """Sum over the labels not in `out` of factors given by labels; `held`: elements each is read from, fewer where it is a view."""
        if self.kind == "size":
            return 1.0
        labels = frozenset().union(*factors) if factors else frozenset()
        points = float(prod(extents[a] for a in labels))
        if self.kind == "ops":
            return points * max(len(factors), 1)
        whole = [float(prod(extents[a] for a in f)) for f in factors]
        sizes = whole if held is None else [min(n, stored) for n, stored in zip(whole, held, strict=True)]
        moved = (sum(sizes) + STORE * prod(extents[a] for a in out)) * self._element
        traffic = self.machine.traffic(moved, moved)
        loops = self._loops_over(points, sizes) + self.machine.launch
        if self._is_matrix_product(factors, out):
            loops = min(loops, points / self.machine.matmul + self.machine.library_call)
        return loops + traffic

    def _loops_over(self, points: float, factors: Sequence[float]) -> float:
        """Seconds of a sum in one set of loops: what is read again and again comes from where it fits."""
        again = 0.0
        largest = max(factors, default=0.0)
        if points > largest and largest * self._element > self.machine.levels[0].bytes:
            again = self.machine.traffic((points - largest) * self._element, largest * self._element)
        return points * max(len(factors), 1) * (self._mul + self.machine.operation("load")) + again

    @staticmethod
    def _is_matrix_product(factors: Sequence[frozenset[str]], out: frozenset[str]) -> bool:
        if len(factors) != 2:
            return False
        a, b = factors
        return bool((a & b) - out) and bool((a - b) & out) and bool((b - a) & out)

    def reduction(self, points_in: float, points_out: float) -> float:
        if self.kind != "time":
            return points_in if self.kind == "ops" else 1.0
        return points_in * self._add + self.store(points_out) + self.machine.launch

    def leaf(self, points: float) -> float:
        """Reading an array once."""
        bytes_ = points * self._element
        return self.machine.traffic(bytes_, bytes_) if self.kind == "time" and points > 1 else 0.0

    def load(self, points: float, guards: int) -> float:
        """Reading a stored array at another point: it is in the first cache, the load is an instruction, often across two lines."""
        if self.kind != "time":
            return 0.0
        read = self.machine.operation("load") + CROSSING * self.machine.operation("cross")
        return (read + GUARD * guards * self.machine.operation("compare")) * points

    def store(self, points: float) -> float:
        """Writing an array and reading it again."""
        bytes_ = points * self._element
        return self.machine.traffic(STORE * bytes_, bytes_) if self.kind == "time" and points > 1 else 0.0

    def other(self, points: float) -> float:
        """Gathers, recurrences, library calls: what the optimizer does not look into."""
        return {"ops": points, "time": points * self.machine.gather * self._add + self.machine.launch, "size": 1.0}[self.kind]

    def transform(self, lanes: int, rows: float, halves: bool, strided: bool) -> float:
        """Fourier transforms of rows, of all lanes or half of the spectrum of real ones: 5 n log2 n operations each."""
        if self.kind == "size":
            return 1.0
        doublings = rows * lanes * log2(max(lanes, 2)) * (0.5 if halves else 1.0)
        if self.kind == "ops":
            return 5.0 * doublings
        slower = (1.0 if rows >= TOGETHER else 2.0 if halves or lanes <= SHORT else 4.0) * (GATHERED if strided else 1.0)
        bytes_ = 2 * self._element * rows * lanes
        called = self.machine.library_call + self.machine.traffic(STORE * bytes_, bytes_)
        return slower * doublings * self.machine.operation("fft") + called


def _points(axes: Axes) -> float:
    return float(prod(n for _, n in axes))


def cost(terms: Sequence[Term], kind: str = "time", machine: Machine = DEFAULT, sizes: Mapping[str, int] | None = None) -> float:
    """Cost of computing terms together, shared subterms once; bodies of loops once a step."""
    price = Price(kind, machine)
    extents = Sizes(sizes or {}, machine.nominal_size)
    order = walk(terms)
    stored: set[Term] = set()
    total = 0.0
    for term in order:
        total += term_cost(term, price, extents)
        if kind == "time" and term.op == "reindex":
            below = ungrouped(term.args[0])
            if below.op not in LEAVES and below not in stored and not _is_stored_anyway(below):
                stored.add(below)
                total += price.store(extents.points(below.axes))
    return total


def _is_stored_anyway(term: Term) -> bool:
    return term.op in ("reduce", "proj", "reindex") or (term.op == "contract" and bool(contracts.contraction_of(term).bound))


def ungrouped(term: Term) -> Term:
    """The term inside parentheses and casts."""
    while term.op == "cast" or (term.op == "map" and term.attrs == ("group",)):
        term = term.args[0]
    return term


def term_cost(term: Term, price: Price, sizes: Sizes) -> float:
    """Cost of one operator, its arguments given."""
    if isinstance(term.type, TupleType):
        if term.op == "library" and term.attrs[0] in TRANSFORMS:
            return transform_cost(term.attrs, term.args[0].axes, price, sizes)
        if term.op == "scan":
            return scan_cost(term.attrs, price, sizes)
        return price.other(max(sizes.points(t.axes) for t in term.type.components) if len(term.type) else 1.0)
    points = sizes.points(term.axes)
    if term.op in LEAVES:
        return price.leaf(points) if term.op == "symbol" else 0.0
    if term.op == "linear":
        scaled = [t for c, t in zip(term.attrs, term.args, strict=True) if t.op != "const" and abs(c) != 1]
        total = price.sum(len(term.args), len(scaled), points) if len(term.args) > 1 else 0.0
        if price.kind == "time" and len(term.args) > 1:
            return total
        return total + sum(price.scale(sizes.points(t.axes)) for t in scaled)
    if term.op == "contract":
        return _contract_cost(term, price, sizes)
    if term.op == "map":
        return price.function(term.attrs[0], points)
    if term.op == "reduce":
        return price.reduction(sizes.points(term.args[0].axes), points)
    if term.op == "reindex":
        return price.load(points, len(pull_of(term).guards)) if term.args[0].op != "const" else price.load(points, 1)
    if term.op in ("cast", "proj"):
        return 0.0
    return price.other(points)


def transform_cost(attrs: tuple[Any, ...], axes: Mapping[str, Size], price: Price, sizes: Sizes) -> float:
    """Cost of a transform along one axis of an array with these axes; `attrs` are those of the term."""
    name, axis, _, size = attrs
    count = max(sizes.extent(axes[axis]), sizes.extent(size))
    rows = sizes.points({a: n for a, n in axes.items() if a != axis})
    return price.transform(count, rows, name in ("rfft", "irfft"), rows > 1 and axis != max(axes))


def scan_cost(attrs: tuple[Any, ...], price: Price, sizes: Sizes) -> float:
    """Cost of a recurrence: its body at every step, one step after the other, and its carries of all steps."""
    body, _, size, count, _, _ = attrs
    steps = sizes.extent(size)
    each = cost(body.roots, price.kind, price.machine, sizes.dims)
    if price.kind != "time":
        return each + 1 if price.kind == "size" else each * steps
    stacked = sum(price.store(steps * sizes.points(p.axes)) for p in body.params[:count])
    return steps * (each + price.machine.launch) + stacked


def _contract_cost(term: Term, price: Price, sizes: Sizes) -> float:
    attrs = contracts.contraction_of(term)
    extents = {a: sizes.extent(s) for a, s in term.axes.items()}
    if not attrs.bound:
        counts: dict[tuple[Term, contracts.Access], int] = {}
        parts = []
        total = 0.0
        for t, access in zip(term.args, attrs.accesses, strict=True):
            key = (t, access)
            if key in counts:
                counts[key] += 1
                continue
            counts[key] = 1
            parts.append(frozenset((str(label), extents[str(label)]) for _, label in access))
        for (t, _), k in counts.items():
            total += price.power(k, sizes.points(t.axes)) if k > 1 else 0.0
        return total + (price.product(parts) if len(parts) > 1 else 0.0)
    named = {**extents, **{str(i): sizes.extent(s) for i, s in enumerate(attrs.bound)}}
    factors = [frozenset(str(label) for _, label in access) for access in attrs.accesses]
    held = [sizes.points(ungrouped(t.args[0]).axes if t.op == "reindex" else t.axes) for t in term.args]
    return price.contraction(factors, named, frozenset(extents), held)


def operations(terms: Sequence[Term], sizes: Mapping[str, int] | None = None, machine: Machine = DEFAULT) -> float:
    """Number of scalar operations of terms that are computed together."""
    return cost(terms, "ops", machine, sizes)


def function_cost(
    functions: Iterable[Function], kind: str = "time", machine: Machine = DEFAULT, sizes: Mapping[str, int] | None = None
) -> float:
    """Sum of the costs of functions, each on its own."""
    return sum(cost(f.roots, kind, machine, sizes) for f in functions)


# kernels

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
    (-1: none) and `links`: how many operations one step is."""

    extents: tuple[tuple[str, int], ...]
    vector: str
    operations: tuple[tuple[int, str, float], ...]
    streams: tuple[Stream, ...]
    chain: int = -1
    links: int = 1

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


def instructions(term: Term) -> dict[str, float]:
    """Operations by class that one element of a term adds to those of its arguments in generated code.

    Equal coefficients of a sum are multiplied once, on a fused multiply-add; quotients share one division.
    """
    if term.op == "linear":
        scaled = {abs(c) for c in term.attrs if abs(c) != 1}
        alone = not any(abs(c) == 1 for c in term.attrs)
        members = len(term.args)
        riding = len(scaled) - alone
        return _nonzero({"add": members - 1 - riding, "fma": riding, "mul": float(alone)})
    if term.op == "contract":
        below = sum(a.op == "map" and a.attrs[0] == "recip" for a in term.args)
        return _nonzero({"mul": max(len(term.args) - 1 - (below == 1), 0), "div": -max(below - 1, 0)})
    if term.op == "map":
        name = str(term.attrs[0])
        if name == "sigmoid":
            return {"transcendental": 1.0, "add": 1.0, "div": 1.0}
        return {} if name in FREE else {CLASSES.get(name, "call"): 1.0}
    return {"integer": 1.0} if term.op == "cast" else {}


def _nonzero(counts: Mapping[str, float]) -> dict[str, float]:
    return {kind: float(n) for kind, n in counts.items() if n}


def overlapping(parts: Iterable[float], exponent: float) -> float:
    """(sum of p-th powers)^(1/p): the longest part, and a little of the others."""
    kept = [x for x in parts if x > 0]
    longest = max(kept, default=0.0)
    return longest * sum((x / longest) ** exponent for x in kept) ** (1 / exponent) if longest else 0.0


@dataclass(frozen=True)
class Issue:
    """Instructions of one set of loops, each of a whole vector or of one element where there are no vectors: arithmetic and memory
    accesses by class, links of the longest chain, how often an innermost loop begins and how often its last vector is not full."""

    arithmetic: tuple[tuple[str, float], ...]
    memory: tuple[tuple[str, float], ...]
    chain: float
    rows: float
    tails: float

    def seconds(self, machine: Machine) -> float:
        """On one core, all operands in the first cache."""
        lanes = machine.lanes
        arithmetic = sum(n * machine.operation(kind) * (1 if kind == "call" else lanes) for kind, n in self.arithmetic)
        memory = sum(n * lanes * machine.operation(kind) for kind, n in self.memory)
        chain = self.chain * machine.operation("fold") * lanes
        return overlapping((arithmetic, memory, chain), machine.overlap) + self.rows * machine.row + self.tails * machine.tail


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
        chain = trips[-1] * loops.links * length / (length + AHEAD)
    return Issue(tuple(arithmetic.items()), tuple(memory.items()), chain, trips[max(len(axes) - 1, 0)], tails)


@dataclass(frozen=True)
class Demand:
    """What a kernel asks of a machine: instructions of each of its bodies, transfers, and the pieces that threads share."""

    bodies: tuple[Issue, ...]
    transfers: tuple[Transfer, ...]
    pieces: int

    def seconds(self, machine: Machine, threads: int = 1) -> float:
        """Predicted seconds of one call."""
        share = -(-self.pieces // threads) / self.pieces
        core = sum(body.seconds(machine) for body in self.bodies) * share
        moved = 0.0
        for t in self.transfers:
            for level, part in zip(machine.levels[1:], machine.shares(t.distance)[1:], strict=True):
                if part:
                    slower = {"stream": 1.0, "lines": machine.strided, "computed": machine.gather}[t.order]
                    rate = (level.writing if t.written else level.bandwidth) / slower
                    moved += part * t.bytes / rate * max(share, 1 / level.scaling if share < 1 else 1.0)
        begin = machine.launch + (machine.parallel_launch if threads > 1 else 0.0)
        return begin + overlapping((core, moved), machine.overlap)


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


def seconds(steps: Sequence[tuple[Demand | Product | Library, int]], machine: Machine, threads: int = 1) -> float:
    """Predicted seconds of one call of a function."""
    return sum(times * step.seconds(machine, threads) for step, times in steps)


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
