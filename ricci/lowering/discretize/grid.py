"""Node-centred uniform grids: points of a coordinate, and the part of them that a term is evaluated on."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.index import Index
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size

HALF = Fraction(1, 2)
SIDES = ("lo", "hi")


@dataclass(frozen=True)
class Line:
    """One coordinate and its N nodes: lo + i*h with h = (hi - lo)/(N - 1), or (hi - lo)/N where periodic."""

    name: str
    nodes: Size
    lo: Term
    hi: Term
    periodic: bool

    @property
    def intervals(self) -> Size:
        """How many spacings fit into the coordinate's length."""
        return self.nodes if self.periodic else self.nodes - 1

    @property
    def length(self) -> Term:
        return build.sub(self.hi, self.lo)

    @property
    def spacing(self) -> Term:
        """h, a real without axes."""
        return build.divide(self.length, build.cast(build.size_term(self.intervals), Kind.REAL))

    def per_spacing(self, power: int) -> Term:
        """h^-power, a real without axes."""
        return build.power(build.divide(build.cast(build.size_term(self.intervals), Kind.REAL), self.length), power)

    @property
    def halves(self) -> Size:
        """How many half points i + 1/2 lie on the line."""
        return self.intervals


@dataclass(frozen=True)
class Along:
    """Where a term is evaluated along one coordinate.

    nodes   nodes skip[0] .. N-1-skip[1], on an axis named `axis`
    halves  half points 1/2, 3/2, ..., on an axis named `axis`
    lo, hi  the one node at a side; the term has no axis there
    """

    where: str
    axis: str = ""
    skip: tuple[int, int] = (0, 0)

    def size(self, line: Line) -> Size:
        """Extent of the axis."""
        return line.halves if self.where == "halves" else line.nodes - self.skip[0] - self.skip[1]

    def node(self, line: Line) -> Index:
        """Node at the axis' index (the node before the half point)."""
        if self.where in SIDES:
            return Index.of(0) if self.where == "lo" else Index.of(line.nodes - 1)
        return Index.axis(self.axis) + self.skip[0]

    def axes(self, line: Line) -> dict[str, Size]:
        return {} if self.where in SIDES else {self.axis: self.size(line)}

    def position(self, line: Line) -> Term:
        """The coordinate itself: lo + i*h on the axis, lo or hi at a side."""
        if self.where in SIDES:
            return line.lo if self.where == "lo" else line.hi
        shift = Fraction(self.skip[0]) + (HALF if self.where == "halves" else 0)
        steps = build.linear([(1, build.iota(self.axis, self.size(line))), (shift, build.const(1))])
        return build.add(line.lo, build.mul(line.spacing, build.cast(steps, Kind.REAL)))


def all_nodes(line: Line) -> Along:
    """Every node, on the axis that is named as the coordinate."""
    return Along("nodes", line.name)


def state_nodes(line: Line, removed: tuple[int, int]) -> Along:
    """The nodes that a state has: without the end nodes of Dirichlet sides."""
    name = line.name if removed == (0, 0) else f"{line.name}:{removed[0]}{removed[1]}"
    return Along("nodes", name, removed)


def removed_nodes(axis: str) -> tuple[int, int]:
    """How many nodes the axis of a state has not, at its lower and upper end; see `state_nodes`."""
    removed = axis.partition(":")[2]
    return (int(removed[0]), int(removed[1])) if removed else (0, 0)


def node_of(axis: str, index: int) -> tuple[str, int]:
    """Coordinate and node of an index along the axis of a state; any other axis gives itself."""
    return axis.partition(":")[0], index + removed_nodes(axis)[0]


def half_points(line: Line) -> Along:
    return Along("halves", f"{line.name}:h")


@dataclass(frozen=True)
class Place:
    """Where a term is evaluated: one `Along` per coordinate, sorted by name."""

    entries: tuple[tuple[str, Along], ...]

    def __getitem__(self, coordinate: str) -> Along:
        return dict(self.entries)[coordinate]

    def at(self, coordinate: str, along: Along) -> Place:
        """The same place with another part of one coordinate."""
        return Place(tuple((name, along if name == coordinate else old) for name, old in self.entries))
