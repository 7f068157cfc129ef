"""Derivatives and values along one coordinate: the extended field and the stencil that reads it.

A quantity known on the nodes of a line is continued beyond a side by ghosts, linear combinations of the nearest nodes and the data
of the side's conditions (schemes/closures.py); the stencil of the interior then reads the extended quantity everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.index import Index
from ricci.dsl.term import Term
from ricci.dsl.types import Size
from ricci.lowering.discretize.grid import SIDES, Along, Line
from ricci.lowering.discretize.schemes import weights
from ricci.lowering.discretize.schemes.closures import Closure, Ghost, flux_ghosts, ghosts

Need = Callable[[str, int], None]  # (coordinate, how many nodes it must have at least)


@dataclass(frozen=True)
class Edge:
    """What continues a quantity beyond one side.

    `kind` are the orders of the inward normal derivatives that `data` prescribes (terms without the coordinate's axis).
    """

    kind: tuple[int, ...]
    data: tuple[Term, ...]
    closure: Closure


def stencil(derivative: int, accuracy: int, target: Along) -> dict[int, Fraction]:
    """Offset from the target's node -> weight; times h^-derivative."""
    if target.where == "halves":
        return {k + 1: w for k, w in weights.staggered_weights(derivative, accuracy).items()}
    return weights.central_weights(derivative, accuracy) if derivative else {0: Fraction(1)}


def ghosts_needed(offsets: Sequence[int], line: Line, target: Along) -> tuple[int, int]:
    """How many ghosts beyond lo and hi a stencil reads."""
    if line.periodic:
        return 0, 0
    if target.where == "halves":
        return max(0, -min(offsets)), max(0, max(offsets) - 1)
    return max(0, -min(offsets) - target.skip[0]), max(0, max(offsets) - target.skip[1])


def apply(line: Line, values: Term, own: Along, read: Mapping[int, Fraction], target: Along, ghost_count: int) -> Term:
    """sum_k w_k values[node(target) + k]; `values` stand on `own` with `ghost_count` more points beyond each side."""
    node = target.node(line)
    parts = []
    for k, w in read.items():
        index = node + k - own.skip[0] + ghost_count
        if line.periodic:
            index = index.mod(line.nodes)
        parts.append((w, reread(line, values, own.axis, index, target)))
    return build.linear(parts)


def reread(line: Line, values: Term, axis: str, index: Index, target: Along) -> Term:
    """`values` at an index along one axis, on the axis of the target."""
    rest = {name: size for name, size in values.axes.items() if name != axis}
    return build.reindex(values, {**rest, **target.axes(line)}, {axis: index}, fill=0)


def extend(
    line: Line, values: Term, own: Along, edges: Mapping[str, Edge | None], reach: tuple[int, int], need: Need
) -> tuple[Term, Along, int]:
    """The extended field on axis `x:eR` (R ghosts a side, of which `reach` are read) from values on nodes own.skip .. N-1-own.skip.

    A node that `own` lacks is a Dirichlet node: its value is the first datum of the edge. An edge that is None is not read.
    Result: the term, where it stands, and R.
    """
    count = max(reach)
    if not count and own.skip == (0, 0):
        return values, own, 0
    need(line.name, sum(own.skip) + 1)  # a state has a node
    axis = f"{line.name}:e{count}"
    size = line.nodes + 2 * count
    parts = [reread_into(values, own.axis, axis, size, own.skip[0] + count)]
    for side, edge in edges.items():
        if edge is None:
            continue
        k = SIDES.index(side)
        if own.skip[k]:
            at = Size.of(count) if k == 0 else line.nodes - 1 + count
            parts.append(build.place(edge.data[0], axis, at, size))
        for ghost in ghosts(edge.closure, edge.kind, reach[k]):
            distance = int(ghost.distance)
            at = Size.of(count - distance) if k == 0 else line.nodes - 1 + count + distance
            need(line.name, ghost.first + len(ghost.nodal) + own.skip[1 - k])
            value = ghost_value(line, values, own, k, ghost, edge)
            parts.append(build.place(value, axis, at, size))
    return build.add(*parts), Along("nodes", axis), count


def reread_into(values: Term, axis: str, wide: str, size: Size, shift: int) -> Term:
    """`values` placed into a longer axis, `shift` points after its start, zero elsewhere."""
    rest = {name: extent for name, extent in values.axes.items() if name != axis}
    return build.reindex(values, {**rest, wide: size}, {axis: Index.axis(wide) - shift}, fill=0)


def ghost_value(line: Line, values: Term, own: Along, k: int, ghost: Ghost, edge: Edge) -> Term:
    """One ghost as a term without the coordinate's axis; `k` is 0 at lo, 1 at hi."""
    parts = []
    for j, w in enumerate(ghost.nodal):
        inwards = ghost.first + j
        index = Size.of(inwards) if k == 0 else line.nodes - 1 - inwards
        parts.append((w, build.slice_at(values, own.axis, Index.of(index - own.skip[0]))))
    for order, w, datum in zip(edge.kind, ghost.data, edge.data, strict=True):
        scaled = build.mul(build.power(line.spacing, order), datum) if order else datum
        parts.append((w, scaled))
    return build.linear([(w, t) for w, t in parts if w])


def derivative_along(
    line: Line,
    values: Term,
    own: Along,
    derivative: int,
    accuracy: int,
    target: Along,
    edge_of: Callable[[str], Edge],
    need: Need,
) -> Term:
    """d^n/dx^n of a quantity on the nodes of `own`, at the points of `target`."""
    read = stencil(derivative, accuracy, target)
    below, above = ghosts_needed(tuple(read), line, target)
    scale = line.per_spacing(derivative) if derivative else None
    if line.periodic:
        need(line.name, max(read) - min(read) + 1)
        result = apply(line, values, own, read, target, 0)
    else:
        touched = {"lo": below > 0 or own.skip[0] > target_first(read, target), "hi": above > 0 or own.skip[1] > target_last(read, target)}
        edges = {side: edge_of(side) if touched[side] else None for side in SIDES}
        extended, full, count = extend(line, values, own, edges, (below, above), need)
        result = apply(line, extended, full, read, target, count)
    return build.mul(scale, result) if scale is not None else result


def target_first(read: Mapping[int, Fraction], target: Along) -> int:
    """The first node that is read, from lo (negative: a ghost)."""
    return (0 if target.where == "halves" else target.skip[0]) + min(read)


def target_last(read: Mapping[int, Fraction], target: Along) -> int:
    """The last node that is read, from hi (negative: a ghost)."""
    return 1 - max(read) if target.where == "halves" else target.skip[1] - max(read)


def divergence_along(
    line: Line,
    flux: Term,
    own: Along,
    accuracy: int,
    target: Along,
    edge_of: Callable[[str], tuple[Closure, Term | None]],
    need: Need,
) -> Term:
    """d/dx of a flux on the half points, at the nodes of `target`: (F[i+1/2] - F[i-1/2])/h and its higher orders.

    `edge_of(side)` gives how the flux is continued and its prescribed value at the side, if it has one.
    """
    read = weights.staggered_weights(1, accuracy)
    if line.periodic:
        need(line.name, max(read) - min(read) + 1)
        parts = [(w, reread(line, flux, own.axis, (target.node(line) + k).mod(line.nodes), target)) for k, w in read.items()]
        return build.mul(line.per_spacing(1), build.linear(parts))
    below = max(0, -min(read) - target.skip[0])
    above = max(0, max(read) + 1 - target.skip[1])
    count = max(below, above)
    wide, axis = flux, own.axis
    if count:
        axis, size = f"{line.name}:g{count}", line.halves + 2 * count
        placed = [reread_into(flux, own.axis, axis, size, count)]
        for k, (side, reach) in enumerate(zip(SIDES, (below, above), strict=True)):
            closure, prescribed = edge_of(side)
            need(line.name, closure.points + 1)
            for g, ghost in enumerate(flux_ghosts(closure, prescribed is not None, reach)):
                at = Size.of(count - 1 - g) if k == 0 else line.halves + count + g
                placed.append(build.place(_flux_ghost(line, flux, own, k, ghost, prescribed), axis, at, size))
        wide = build.add(*placed)
    parts = [(w, reread(line, wide, axis, target.node(line) + k + count, target)) for k, w in read.items()]
    return build.mul(line.per_spacing(1), build.linear(parts))


def _flux_ghost(line: Line, flux: Term, own: Along, k: int, ghost: Ghost, prescribed: Term | None) -> Term:
    parts = []
    for j, w in enumerate(ghost.nodal):
        index = Size.of(j) if k == 0 else line.halves - 1 - j
        parts.append((w, build.slice_at(flux, own.axis, Index.of(index))))
    if prescribed is not None:
        parts.append((ghost.data[0], prescribed))
    return build.linear(parts)
