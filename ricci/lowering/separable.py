"""Linear maps as sums of products of one-dimensional ones, and which of these sine, cosine and Fourier transforms diagonalize.

A `Piece` reads one point: along every axis at an index of that axis alone, under guards of that axis alone. Whether a transform
diagonalizes what the pieces do along an axis is decided exactly: the coefficients far from the ends give shifts of the field, the
ends are compared, entry by entry and with symbolic coefficients, with the same shifts of the field continued as the transform
continues it. As indices and guards are affine with the size of the axis in them, equality for all sizes up to the reach of
both ends is equality for every size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import lcm
from typing import Any

from ricci.dsl import build
from ricci.dsl.index import Guard, Index, offset_of
from ricci.dsl.ops.pointwise import unexpanded
from ricci.dsl.ops.reindex import pull_of
from ricci.dsl.ops.spectral import Along, shift_matrix
from ricci.dsl.term import Term
from ricci.dsl.types import Size
from ricci.lowering.coefficients import Polynomial, axes_of_atoms, indicators, polynomial, restricted
from ricci.lowering.windows import Read, reads_of

TRANSFORMS = ("ring", "sine", "cosine", "sine, cosine", "cosine, sine")
LARGEST_NUMBER = 1 << 40  # sums of a few products with small numbers fit
LARGEST_CONSTANT = 12  # in an index or a guard, for a proof by comparison at small sizes


@dataclass(frozen=True)
class Way:
    """What a piece does along one axis: reads `index`, under guards; or shifts (`step`, of an even transform to both sides)."""

    index: Index | None
    guards: tuple[Guard, ...] = ()
    step: int = 0


@dataclass(frozen=True)
class Piece:
    """coefficient * (ways along the axes), of unknown `column` in equation `row`.

    `along`: the axis along which the coefficient varies (None: it is a number); by indicators only unless `smooth`.
    """

    row: int
    column: int
    coefficient: Term
    ways: tuple[tuple[str, Way], ...]
    along: str | None = None
    smooth: bool = False

    def way(self, axis: str) -> Way:
        return dict(self.ways)[axis]

    def rest(self, axis: str) -> tuple[Any, ...]:
        """What distinguishes pieces beside what they do along an axis."""
        others = tuple((a, w) for a, w in self.ways if a != axis)
        return (self.row, self.column, others, self.along if self.along != axis else None)


STAY = Way(None)


def pieces_of(results: Sequence[Term], unknowns: Sequence[Term]) -> list[Piece] | None:
    """The map as a sum of products; None when it is not one. All unknowns have the same axes."""
    pieces: list[Piece] = []
    for row, result in enumerate(results):
        reads = reads_of(result, unknowns)
        if reads is None:
            return None
        for read, coefficient in reads.items():
            ways = _ways(read, result)
            if ways is None:
                return None
            parts = _separated(coefficient)
            if parts is None:
                return None
            column = unknowns.index(read.direction)
            pieces += [Piece(row, column, c, ways, along, smooth) for c, along, smooth in parts]
    return pieces


def _ways(read: Read, result: Term) -> tuple[tuple[str, Way], ...] | None:
    own: dict[str, tuple[Guard, ...]] = dict.fromkeys(result.axes, ())
    for guard in read.guards:
        axes = guard.index.axes
        if len(axes) != 1:
            return None
        (axis,) = axes
        own[axis] += (guard,)
    ways = []
    for axis, index in read.index:
        if set(index.axes) - {axis}:
            return None
        stays = not own[axis] and (k := offset_of(index, axis)) is not None and k == 0
        ways.append((axis, STAY if stays else Way(index, own[axis])))
    return tuple(ways)


def _separated(coefficient: Term) -> list[tuple[Term, str | None, bool]] | None:
    """Summands that vary along one axis at most, with that axis, and whether by more than indicators."""
    core = unexpanded(coefficient)
    if not core.axes:
        return [(core, None, False)]
    found = axes_of_atoms(polynomial(core))
    if any(len(axes) > 1 for axes in found):
        return None
    axes = sorted(set().union(*found))
    if not axes:
        return None
    flags = {t: next(iter(pull_of(t).guards[0].index.axes)) for t in indicators(core)}
    plain = restricted(core, dict.fromkeys(flags, False))
    if plain.axes:
        return [(core, axes[0], True)] if len(axes) == 1 else None
    parts: list[tuple[Term, str | None, bool]] = [(plain, None, False)]
    for axis in axes:
        others = restricted(core, {t: False for t, a in flags.items() if a != axis})
        parts.append((build.sub(others, plain), axis, False))
    return parts


# what a transform diagonalizes


Entries = list[tuple[int, int, Term]]  # row, column, coefficient


@lru_cache(maxsize=64)
def shifts_along(pieces: tuple[Piece, ...], axis: str, size: Size) -> tuple[Along, tuple[Piece, ...]] | None:
    """How a transform diagonalizes the map along an axis, and the same map as shifts along it; None when none does."""
    if all(p.way(axis) == STAY and p.along != axis for p in pieces):
        return Along(axis, size, "apart"), pieces
    sizes = _proof_sizes(pieces, axis, size)
    if sizes is None:
        return None
    groups = _groups(pieces, axis, sizes)
    for kind in TRANSFORMS:
        along = Along(axis, size, kind, kind != "ring")
        if kind == "cosine" and sizes[0][1] < 2:
            continue
        moved: list[Piece] = []
        for model, entries in groups:
            found = _interior(entries[-1], along, sizes[-1][1])
            if found is None or any(_misses(own, found, along, n) for own, (_, n) in zip(entries, sizes, strict=True)):
                break
            moved += _pieces(model, along, found)
        else:
            return _evened(moved, along)
    return None


@lru_cache(maxsize=64)
def nearest_shifts(pieces: tuple[Piece, ...], axis: str, size: Size) -> tuple[Along, tuple[Piece, ...]] | None:
    """The transform that fits all but the fewest entries of what the map does along an axis between two sides, and the map with those entries changed."""
    sizes = _proof_sizes(pieces, axis, size)
    if sizes is None or sizes[0][1] < 2:
        return None
    n = sizes[-1][1]
    groups = _groups(pieces, axis, sizes[-1:])
    best: tuple[int, Along, tuple[Piece, ...]] | None = None
    for kind in TRANSFORMS[1:]:
        along = Along(axis, size, kind)
        found = [_interior(entries[0], along, n) for _, entries in groups]
        if any(steps is None for steps in found):
            continue
        misses = sum(_misses(entries[0], steps, along, n) for (_, entries), steps in zip(groups, found, strict=True) if steps is not None)
        moved = tuple(p for (model, _), steps in zip(groups, found, strict=True) if steps is not None for p in _pieces(model, along, steps))
        if moved and (best is None or misses < best[0]):
            best = misses, along, moved
    return None if best is None else best[1:]


def _groups(pieces: Sequence[Piece], axis: str, sizes: Sequence[tuple[dict[str, int], int]]) -> list[tuple[Piece, list[Entries]]]:
    """Pieces that differ along the axis only: one of them, and the entries of the matrix that they are at every size."""
    groups: dict[tuple[Any, ...], list[Piece]] = {}
    for p in pieces:
        groups.setdefault(p.rest(axis), []).append(p)
    return [(group[0], [_entries(group, axis, dims, n) for dims, n in sizes]) for group in groups.values()]


def _proof_sizes(pieces: Sequence[Piece], axis: str, size: Size) -> list[tuple[dict[str, int], int]] | None:
    """Dims and points of the axis for which equality must be seen; None where that would be no proof."""
    dims = list(size.dims)
    if len(dims) > 1 or (dims and size - Size.of(dims[0]) != (size - Size.of(dims[0])).constant):
        return None
    reach = 1
    for piece in pieces:
        own = [] if piece.along != axis else indicators(piece.coefficient)
        if piece.along == axis and piece.smooth:
            return None
        way = piece.way(axis)
        guards = [*way.guards, *(g for t in own for g in pull_of(t).guards)]
        for e in [g.index for g in guards] + ([] if way.index is None else [way.index]):
            k = _constant(e, axis, size)
            if k is None:
                return None
            reach = max(reach, k)
        for bound in (b for g in guards for b in (g.lo, g.hi) if b is not None):
            k = _near(bound, size)
            if k is None:
                return None
            reach = max(reach, k)
    if reach > LARGEST_CONSTANT:
        return None
    if not dims:
        return [({}, int(size.constant or 0))] if size.constant else None
    lower = dims[0].lower
    values = range(lower, lower + 6 * reach + 6)
    return [({dims[0].name: n}, size.evaluate({dims[0].name: n})) for n in values if size.evaluate({dims[0].name: n}) > 0]


def _constant(index: Index, axis: str, size: Size) -> int | None:
    """Largest constant in an index of the form c, n + c, axis + c or a fold of axis + c into n points."""
    if not index.terms:
        return _near(index.constant, size)
    if len(index.terms) > 1 or index.terms[0][1].constant not in (1, -1):
        return None
    atom = index.terms[0][0]
    k = _near(index.constant, size)
    if k is None or atom.kind == "axis":
        return k
    if atom.kind == "div" or atom.size != size:
        return None
    inner = offset_of(atom.inner, axis)
    return None if inner is None or inner.constant is None else max(k, abs(inner.constant))


def _near(bound: Size, size: Size) -> int | None:
    """|c| of a size c, or n + c."""
    for rest in (bound, bound - size):
        if rest.constant is not None:
            return abs(rest.constant)
    return None


def _entries(group: Sequence[Piece], axis: str, dims: Mapping[str, int], n: int) -> Entries:
    """Entries of the matrix along the axis that pieces are, at one size."""
    import numpy as np

    lanes = np.arange(n)
    entries: Entries = []
    for piece in group:
        way = piece.way(axis)
        held = np.ones(n, bool)
        for guard in way.guards:
            held &= guard.evaluate({axis: lanes}, dims)
        columns = lanes + way.step if way.index is None else np.broadcast_to(way.index.evaluate({axis: lanes}, dims), n)
        for i in lanes[held].tolist():
            coefficient = piece.coefficient
            if piece.along == axis:
                flags = {t: all(bool(g.evaluate({axis: i}, dims)) for g in pull_of(t).guards) for t in indicators(coefficient)}
                coefficient = restricted(coefficient, flags)
            entries.append((i, int(columns[i]), coefficient))
    return entries


Steps = dict[int, Term]  # shift -> coefficient, of an even transform shifts to one side


def _interior(entries: Entries, along: Along, n: int) -> Steps | None:
    """Shifts that the matrix does far from both ends; None where a transform that is even has no such shifts."""
    terms: dict[int, list[Term]] = {}
    for i, j, coefficient in entries:
        if i == n // 2:
            step = (j - i + n // 2) % n - n // 2 if along.kind == "ring" else j - i
            terms.setdefault(step, []).append(coefficient)
    steps = {k: build.add(*t) for k, t in sorted(terms.items())}
    steps = {k: t for k, t in steps.items() if polynomial(t)}
    if any(abs(k) > LARGEST_CONSTANT for k in steps):
        return None
    if along.even:
        if any(-k not in steps or polynomial(t) != polynomial(steps[-k]) for k, t in steps.items()):
            return None
        steps = {k: t for k, t in steps.items() if k >= 0}
    return steps


def _pieces(model: Piece, along: Along, steps: Steps) -> list[Piece]:
    """Shifts along the axis as pieces that do what the model does along the others."""
    varies = model.along if model.along != along.axis else None
    out = []
    for k, t in steps.items():
        ways = {**dict(model.ways), along.axis: Way(None, (), k)}
        out.append(Piece(model.row, model.column, t, tuple(sorted(ways.items())), varies, model.smooth and varies is not None))
    return out


def _vectors(terms: Sequence[Term]) -> dict[Term, Any] | None:
    """Coefficients as vectors of whole numbers over all monomials that occur, times one denominator; None if these are huge."""
    import numpy as np

    found = {t: polynomial(t) for t in dict.fromkeys(terms)}
    places: dict[Any, int] = {}
    for p in found.values():
        for monomial in p:
            places.setdefault(monomial, len(places))
    denominator = lcm(*[c.denominator for p in found.values() for c in p.values()], 1)
    out = {}
    for t, p in found.items():
        vector = np.zeros(len(places), np.int64)
        for monomial, c in p.items():
            number = int(c * denominator)
            if abs(number) > LARGEST_NUMBER:
                return None
            vector[places[monomial]] = number
        out[t] = vector
    return out


def _misses(entries: Entries, steps: Steps, along: Along, n: int) -> int:
    """Number of entries in which the matrix is not the shifts of the continued field."""
    import numpy as np

    vectors = _vectors([*steps.values(), *(c for _, _, c in entries)])
    if vectors is None or any(not 0 <= j < n for _, j, _ in entries):
        return n * n
    width = len(next(iter(vectors.values()), ()))
    matrix = np.zeros((n, n, width), np.int64)
    for i, j, coefficient in entries:
        matrix[i, j] += vectors[coefficient]
    for step, term in steps.items():
        matrix -= shift_matrix(along, n, step).astype(np.int64)[:, :, None] * vectors[term]
    return int(matrix.any(axis=2).sum())


def _evened(pieces: Sequence[Piece], along: Along) -> tuple[Along, tuple[Piece, ...]]:
    """A ring on which shifts to both sides always have equal coefficients, as one whose shifts go to both sides."""
    if along.kind != "ring":
        return along, tuple(pieces)
    steps: dict[tuple[Any, ...], dict[int, Polynomial]] = {}
    for p in pieces:
        steps.setdefault(p.rest(along.axis), {})[p.way(along.axis).step] = polynomial(p.coefficient)
    if any(own.get(-k) != c for own in steps.values() for k, c in own.items()):
        return along, tuple(pieces)
    kept = tuple(p for p in pieces if p.way(along.axis).step >= 0)
    return Along(along.axis, along.size, along.kind), kept


__all__ = ["Piece", "Way", "nearest_shifts", "pieces_of", "shifts_along"]
