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
from math import prod

from ricci.dsl.ops import contract as contracts
from ricci.dsl.ops.reindex import pull_of
from ricci.dsl.term import Function, Term, walk
from ricci.dsl.types import Size, TupleType
from ricci.machine import DEFAULT, Machine

PRICES = ("ops", "time", "size")
LEAVES = frozenset({"symbol", "const", "iota"})
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
}
STORE = 2.0  # arrays moved when a value is stored and read again
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
        return points if self.kind == "ops" else points * self.machine.operation(CLASSES.get(name, "transcendental"))

    def contraction(self, factors: Sequence[frozenset[str]], extents: Extents, out: frozenset[str]) -> float:
        """Sum over the labels not in `out` of the product of factors given by their labels."""
        if self.kind == "size":
            return 1.0
        labels = frozenset().union(*factors) if factors else frozenset()
        points = float(prod(extents[a] for a in labels))
        if self.kind == "ops":
            return points * max(len(factors), 1)
        results = float(prod(extents[a] for a in out))
        moved = sum(prod(extents[a] for a in f) for f in factors) + STORE * results
        traffic = self.machine.traffic(moved * self._element, moved * self._element)
        if self._is_matrix_product(factors, out):
            return points / self.machine.matmul + traffic + self.machine.library_call
        return points * max(len(factors), 1) * self._mul + traffic + self.machine.launch

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
        """Reading a stored array at another point: it is in the first cache, the load is an instruction."""
        return (0.5 * self._add + GUARD * guards * self.machine.operation("compare")) * points if self.kind == "time" else 0.0

    def store(self, points: float) -> float:
        """Writing an array and reading it again."""
        bytes_ = points * self._element
        return self.machine.traffic(STORE * bytes_, bytes_) if self.kind == "time" and points > 1 else 0.0

    def other(self, points: float) -> float:
        """Gathers, recurrences, library calls: what the optimizer does not look into."""
        return {"ops": points, "time": points * self.machine.gather * self._add + self.machine.launch, "size": 1.0}[self.kind]


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
    return price.contraction(factors, named, frozenset(extents))


def operations(terms: Sequence[Term], sizes: Mapping[str, int] | None = None, machine: Machine = DEFAULT) -> float:
    """Number of scalar operations of terms that are computed together."""
    return cost(terms, "ops", machine, sizes)


def function_cost(
    functions: Iterable[Function], kind: str = "time", machine: Machine = DEFAULT, sizes: Mapping[str, int] | None = None
) -> float:
    """Sum of the costs of functions, each on its own."""
    return sum(cost(f.roots, kind, machine, sizes) for f in functions)
