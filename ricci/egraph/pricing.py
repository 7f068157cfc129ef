"""Prices of nodes of a space as integers: `cost.Price` applied to classes instead of terms."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from ricci.cost import TRANSFORMS, Price, Sizes, scan_cost, transform_cost
from ricci.cost import Axes as Extents
from ricci.dsl.ops.contract import Contraction
from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.ops.reindex import Pull
from ricci.egraph.analyses import LARGEST_EXPONENT, Given, Range, Ranges
from ricci.egraph.kinds import Opaque
from ricci.egraph.space import Axes, Node, Space

UNITS = 10**12  # integer units that the source's cost is worth
CEILING = 1 << 52  # one node never costs more: totals stay inside 64 bits
STORED_ANYWAY = frozenset({"leaf", "contract", "reduce"})
NOTHING = frozenset({"leaf", "expand", "group"})


def _bounded(r: Range) -> bool:
    return r.hi <= LARGEST_EXPONENT


RISKS: dict[str, Callable[[Range], bool]] = {
    "exp": _bounded,
    "expm1": _bounded,
    "sinh": lambda r: _bounded(r) and _bounded(r.negative()),
    "cosh": lambda r: _bounded(r) and _bounded(r.negative()),
    "log": lambda r: r.positive,
    "sqrt": lambda r: r.nonnegative,
    "pow": lambda r: r.positive,
}  # functions that overflow or are not defined everywhere: when a form with them is safe


class NodePrice:
    """cost(class, node) for the extractor. `unit` is the cost of one integer unit; classes' extents are looked up once.

    `storing` multiplies what it costs to store a value that is read at other points: alternatives are found by other values of it.
    """

    storing = 1.0

    def __init__(self, space: Space, price: Price, sizes: Sizes, unit: float, given: Given) -> None:
        self.space, self.price, self.sizes, self.unit, self.given = space, price, sizes, unit, given
        self._extents: dict[Axes, Extents] = {}
        self._ranges: Ranges | None = None
        self._safe: set[int] | None = None

    def extents(self, c: int) -> Extents:
        axes = self.space.axes[c]
        found = self._extents.get(axes)
        if found is None:
            found = self._extents[axes] = frozenset((name, self.sizes.extent(size)) for name, size in axes)
        return found

    def points(self, c: int) -> float:
        return float(prod(n for _, n in self.extents(c)))

    def child(self, ref: int) -> int:
        return self.space.find(ref) >> 1

    def children(self, node: Node) -> tuple[int, ...]:
        """Classes that the node needs. In time, numbers in a sum ride on multiply-adds: the sum needs what they multiply."""
        if node.op == "sum" and self.price.kind == "time":
            return tuple(dict.fromkeys(self._multiplied(r) for r in node.children))
        return tuple(dict.fromkeys(self.space.find(r) >> 1 for r in node.children))

    def _multiplied(self, ref: int) -> int:
        """What a summand multiplies by a number, if the product can only be computed that way."""
        c = self.child(ref)
        return self.space.split(ref)[1] >> 1 if all(n.op == "scale" for n in self.space.nodes[c]) else c

    def __call__(self, c: int, node: Node) -> int | None:
        if node.op in RISKS and not self.allowed(c, node):
            return None
        return min(round(self.exact(c, node) / self.unit), CEILING)

    def allowed(self, c: int, node: Node) -> bool:
        """Whether a form may be extracted: the source wrote it, a rule vouches for it, or its argument is known to be safe."""
        if node in self.space.written or c in self._vouched():
            return True
        if self._ranges is None:
            self._ranges = Ranges(self.space, self.given)
        return RISKS[node.op](self._ranges.of(node.children[0]))

    def _vouched(self) -> set[int]:
        if self._safe is None:
            self._safe = {self.space.find(2 * c) >> 1 for c in self.space.vouched}
        return self._safe

    def exact(self, c: int, node: Node) -> float:
        """Cost of computing class c by the node, children given."""
        op = node.op
        if op == "leaf":
            return self.price.leaf(self.points(c)) if node.payload is not None and self.space.axes[c] else 0.0
        if op in NOTHING:
            return 0.0
        if op == "scale":
            return 0.0 if self.child(node.children[0]) == self.space.one >> 1 else self.price.scale(self.points(c))
        if op == "sum":
            parts = [self.space.split(r) for r in node.children]
            scaled = sum(abs(q) != 1 and base != self.space.one for q, base in parts)
            return self.price.sum(len(node.children), scaled, self.points(c))
        if op == "power":
            return self.price.power(node.exponent, self.points(c))
        if op == "product":
            return self.price.product([self.extents(self.child(r)) for r in node.children])
        return self._other(c, node)

    def _other(self, c: int, node: Node) -> float:
        op, payload = node.op, node.payload
        if op == "stored":
            below = self.child(node.children[0])
            return (
                0.0
                if any(n.op in STORED_ANYWAY or isinstance(n.payload, tuple) for n in self.space.nodes[below])
                else self.storing * self.price.store(self.points(c))
            )
        if op == "reindex":
            assert isinstance(payload, Pull)
            return self.price.load(self.points(c), len(payload.guards))
        if op == "contract":
            return self._contraction(c, node)
        if op == "reduce":
            return self.price.reduction(self.points(self.child(node.children[0])), self.points(c))
        if op in SCALARS:
            return self.price.function(op, self.points(c))
        if op in ("cast", "proj"):
            return 0.0
        if op == "map" and isinstance(payload, Opaque):
            return self.price.function(payload.attrs[0], self.points(c))
        if op == "scan" and isinstance(payload, tuple):
            return scan_cost(payload[1], self.price, self.sizes)
        if op == "library" and isinstance(payload, tuple) and payload[1][0] in TRANSFORMS:
            return transform_cost(payload[1], dict(self.space.axes[self.child(node.children[0])]), self.price, self.sizes)
        return 0.0 if isinstance(payload, tuple) and payload and payload[0] in ("cast", "proj") else self.price.other(self.points(c))

    def _contraction(self, c: int, node: Node) -> float:
        payload = node.payload
        assert isinstance(payload, Contraction)
        extents = dict(self.extents(c))
        extents.update({f"{i}": self.sizes.extent(size) for i, size in enumerate(payload.bound)})
        factors = [frozenset(str(label) for _, label in access) for access in payload.accesses]
        held = [self.held(self.child(r)) for r in node.children]
        return self.price.contraction(factors, extents, frozenset(name for name, _ in self.extents(c)), held)

    def held(self, c: int) -> float:
        """How many elements a class is read from: those below an index map, where these are fewer."""
        views = (self.points(self.child(n.children[0])) for n in self.space.nodes[c] if n.op == "reindex")
        return min((self.points(c), *views))
