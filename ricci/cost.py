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
    "pow": "power",
    **dict.fromkeys(
        ("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "not", "where", "min2", "max2", "abs", "sign", "relu", "isfinite"),
        "compare",
    ),
    **dict.fromkeys(("floor", "ceil", "round", "heaviside", "complex", "im", "abs2"), "compare"),
    **dict.fromkeys(("exp", "expm1", "asin", "acos", "hypot"), "transcendental"),
    **dict.fromkeys(("log", "log1p", "atanh", "cbrt"), "log"),
    **dict.fromkeys(("sin", "cos"), "sine"),
    **dict.fromkeys(("tanh", "sinh", "cosh", "tan", "atan", "sigmoid"), "tanh"),
    **dict.fromkeys(("asinh", "acosh", "atan2", "erf", "erfc", "softplus", "gelu", "gelu_tanh"), "inverse"),
}
ALONE = frozenset({"mod", "floordiv", "complex", "im"})  # have no form in vectors: one result at a time
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


def place(grid: Mapping[str, int], machine: Machine = DEFAULT) -> int:
    """Which level of memory holds arrays of a grid, from 0."""
    return machine.levels.index(machine.level(USED * machine.real_bytes * float(prod(grid.values()))))


def typical_grids(axes: Sequence[str], machine: Machine = DEFAULT) -> list[dict[str, int]]:
    """For every level of memory a grid whose arrays lie in the middle of it; one without points where there are no axes."""
    if not axes:
        return [{}]
    grids = []
    for place, level in enumerate(machine.levels):
        largest = level.bytes if place + 1 < len(machine.levels) else 8 * machine.levels[place - 1].bytes
        points = largest / (2 * USED * machine.real_bytes)
        grids.append(dict.fromkeys(axes, max(round(points ** (1 / len(axes))), 4)))
    return grids


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
        if self.kind == "ops":
            return points
        return points * self.machine.operation(CLASSES.get(name, "call")) * (self.machine.lanes if name in ALONE else 1)

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
        return {} if name in FREE else {CLASSES.get(name, "call"): 1.0}
    return {"integer": 1.0} if term.op == "cast" else {}


def _nonzero(counts: Mapping[str, float]) -> dict[str, float]:
    return {kind: float(n) for kind, n in counts.items() if n}
