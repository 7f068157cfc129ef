"""factor and solve_factored: a linear system whose matrix is given by coefficients at offsets, factored once, solved often.

factor          (coefficients; Layout) -> (factors, pivots); the contents of the two are private to this pair
solve_factored  (factors, pivots, b_1..b_m; Layout) -> x_1..x_m

The lowering of `solve` makes them when all derivatives are taken, so they have none. Here the factors are the matrix itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ricci.dsl.ops import base
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Dim, Kind, Size, TupleType, Type

Tangents = Sequence[Term | None]


@dataclass(frozen=True)
class GridAxis:
    """A grid axis of the unknowns: its number of nodes, distance of neighbours in the order of unknowns, and whether it is a
    ring, whose nodes are then taken in the order 0, n-1, 1, n-2, .. so that neighbours stay near."""

    name: str
    size: Size
    stride: Size
    ring: bool


@dataclass(frozen=True)
class Unknown:
    """One unknown array: (its axis, number of the grid axis, node at index 0), in the order of its axes; its axis sizes."""

    axes: tuple[tuple[str, int, int], ...]
    sizes: tuple[Size, ...]


@dataclass(frozen=True)
class Entry:
    """What one coefficient is: row of unknown `row`, column of unknown `column` at `offsets` (per grid axis)."""

    row: int
    column: int
    offsets: tuple[int, ...]


@dataclass(frozen=True)
class Ordering:
    """Row-major order over several grid axes (name, number of nodes), the longest outermost; `count` unknowns in a node.

    Which one is the longest is known when sizes are, so the strides are dims of their own: one code serves grids of every shape.
    """

    extents: tuple[tuple[str, Size], ...]
    count: int

    def stride(self, axis: str) -> Dim:
        """The dim that stands for the distance of neighbours along an axis."""
        others = ",".join(f"{name}={size}" for name, size in self.extents)
        return Dim(f"stride:{axis}:{self.count}:{others}")

    def strides(self, dims: Mapping[str, int]) -> dict[str, int]:
        """Values of the strides."""
        found, stride = {}, self.count
        for length, name in sorted((size.evaluate(dims), name) for name, size in self.extents):
            found[self.stride(name).name] = stride
            stride *= length
        return found


@dataclass(frozen=True)
class Layout:
    """Order of unknowns: row-major over the grid axes, unknowns of one node together. `lower`, `upper`: bandwidths.

    `ordering`: what the strides follow from, with more than one axis.
    """

    axes: tuple[GridAxis, ...]
    unknowns: tuple[Unknown, ...]
    entries: tuple[Entry, ...]
    rows: Size
    lower: Size
    upper: Size
    ordering: Ordering | None = None

    def complete(self, dims: Mapping[str, int]) -> dict[str, int]:
        """The dims with the strides among them."""
        return {**dims, **(self.ordering.strides(dims) if self.ordering else {})}

    @property
    def width(self) -> Size:
        """Entries of a stored row: the band and the fill of row exchanges."""
        return self.lower * 2 + self.upper + 1

    @property
    def is_full(self) -> bool:
        """Whether every row belongs to an unknown: no unknown lacks a node of its axes."""
        return all(n == self.axes[g].size for u in self.unknowns for (_, g, _), n in zip(u.axes, u.sizes, strict=True))


def prepare_factor(args: Sequence[Term], attrs: tuple[Any, ...]) -> tuple[list[Term], tuple[Any, ...]]:
    layout = _layout(attrs)
    if len(args) != len(layout.entries) or any(a.kind > Kind.REAL for a in args):
        raise TermError("factor takes one real coefficient per entry")
    return list(args), attrs


def infer_factor(args: Sequence[Term], attrs: tuple[Any, ...]) -> TupleType:
    layout = _layout(attrs)
    rows = {"row": layout.rows}
    return TupleType((Type(Kind.REAL, {**rows, "diagonal": layout.width}), Type(Kind.INT, rows)))


def prepare_solve(args: Sequence[Term], attrs: tuple[Any, ...]) -> tuple[list[Term], tuple[Any, ...]]:
    if len(args) != 2 + len(_layout(attrs).unknowns):
        raise TermError("solve_factored takes the factors, the pivots and one right-hand side per unknown")
    return list(args), attrs


def infer_solve(args: Sequence[Term], attrs: tuple[Any, ...]) -> TupleType:
    return TupleType(tuple(a.type for a in args[2:]))


def _layout(attrs: tuple[Any, ...]) -> Layout:
    if len(attrs) != 1 or not isinstance(attrs[0], Layout):
        raise TermError("a factored system has one attribute, its layout")
    return attrs[0]


# numpy meaning


def positions(layout: Layout, unknown: int, dims: dict[str, int], offsets: Sequence[int] | None = None) -> Any:
    """Row of every element of an unknown, or, with offsets, of the node at that distance (-1 where there is none)."""
    import numpy as np

    own = layout.unknowns[unknown]
    shape = tuple(n.evaluate(dims) for n in own.sizes)
    total = np.full(shape, unknown)
    inside = np.ones(shape, bool)
    for d, (_, g, first) in enumerate(own.axes):
        axis = layout.axes[g]
        n = axis.size.evaluate(dims)
        node = np.arange(shape[d]) + first + (0 if offsets is None else offsets[g])
        if axis.ring:
            node = node % max(n, 1)
            node = np.where(2 * node < n, 2 * node, 2 * (n - 1 - node) + 1)
        lanes = [-1 if k == d else 1 for k in range(len(shape))]
        inside &= ((node >= 0) & (node < n)).reshape(lanes)
        total = total + (node * axis.stride.evaluate(dims)).reshape(lanes)
    return np.where(inside, total, -1)


def factor(term: Term, args: Sequence[Any], environment: base.Environment) -> tuple[Any, Any]:
    """The matrix in band storage; rows without an unknown are those of the unit matrix."""
    import numpy as np

    layout: Layout = term.attrs[1]
    dims = layout.complete(environment.dims)
    rows, lower, width = (n.evaluate(dims) for n in (layout.rows, layout.lower, layout.width))
    band = np.zeros((rows, width))
    held = np.zeros(rows, bool)
    for k in range(len(layout.unknowns)):
        held[positions(layout, k, dims)] = True
    band[~held, lower] = 1.0
    for entry, value in zip(layout.entries, args, strict=True):
        row = positions(layout, entry.row, dims)
        column = positions(layout, entry.row, dims, entry.offsets) - entry.row + entry.column
        real = positions(layout, entry.row, dims, entry.offsets) >= 0
        np.add.at(band, (row[real], (column - row)[real] + lower), np.broadcast_to(value, row.shape)[real])
    return band, np.zeros(rows, np.int64)


def solve(term: Term, args: Sequence[Any], environment: base.Environment) -> tuple[Any, ...]:
    """Dense solution; NaN for a singular matrix, as generated code has it."""
    import numpy as np

    layout: Layout = term.attrs[1]
    dims = layout.complete(environment.dims)
    band, right = args[0], np.zeros(layout.rows.evaluate(dims))
    for k, b in enumerate(args[2:]):
        right[positions(layout, k, dims)] = b
    n, lower = len(right), layout.lower.evaluate(dims)
    matrix = np.zeros((n, n))
    for d in range(band.shape[1]):
        i = np.arange(n)
        j = i + d - lower
        good = (j >= 0) & (j < n)
        matrix[i[good], j[good]] = band[i[good], d]
    try:
        x = np.linalg.solve(matrix, right) if n else right
    except np.linalg.LinAlgError:
        x = np.full(n, np.nan)
    return tuple(x[positions(layout, k, dims)] for k in range(len(layout.unknowns)))


def no_tangent(term: Term, results: Sequence[Term], tangents: Tangents) -> Tangents:
    raise TermError("a factored system is made after all derivatives are taken")


def no_cotangent(term: Term, results: Sequence[Term], seeds: Sequence[Term]) -> Tangents:
    raise TermError("a factored system is made after all derivatives are taken")
