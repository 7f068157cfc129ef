"""Linear systems that transforms along axes take apart: which axes are transformed, along which one a band is solved, at what cost.

A map that Fourier, sine or cosine transforms diagonalize along all axes but one becomes, for every frequency, a number (or a small
matrix of the unknowns of one point), or a band matrix along the remaining axis (R. W. Hockney, J. ACM 12 (1965): transforms in
one direction, elimination in the other).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ricci.dsl import build
from ricci.dsl.ops.pointwise import unexpanded
from ricci.dsl.ops.spectral import Along, Part, Spectrum
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size, Type
from ricci.lowering.separable import Piece, nearest_shifts, pieces_of, shifts_along
from ricci.lowering.windows import Read, offsets_of

MOST_AXES = 3
WIDEST_BAND = 8  # neighbours to one side
MOST_UNKNOWNS = 4  # per point
NOMINAL = 256  # points of an axis whose size is not known
# seconds a point, of moving a line to be transformed, of a pass over it, of an entry of a band row, of all else; of a root of unity
# (the machine in docs/performance.md; what is compared are ratios)
LINE, PASS, ROW, POINT, ROOT = 1.5e-9, 0.1e-9, 0.5e-9, 1.2e-9, 20e-9


@dataclass(frozen=True)
class Diagonal:
    """A system to be solved by transforms: its coefficients, one per part of the spectrum; what is done and why, in words.

    `changed`: axes along which rows near the ends were changed so that a transform fits; then it is a system near the given one.
    """

    spectrum: Spectrum
    coefficients: tuple[Term, ...]
    cost: float
    name: str
    reason: str
    changed: tuple[str, ...] = ()


def diagonal(results: Sequence[Term], unknowns: Sequence[Term], sizes: Mapping[str, int]) -> Diagonal | str:
    """How transforms solve results(unknowns) = b; in words, what is in the way, when the map is not diagonal in them."""
    axes = dict(unknowns[0].axes)
    if any(dict(u.axes) != axes for u in unknowns):
        return "unknowns lie on different points"
    if len(axes) > MOST_AXES or len(unknowns) > MOST_UNKNOWNS:
        return f"more than {MOST_AXES} axes" if len(axes) > MOST_AXES else f"more than {MOST_UNKNOWNS} unknowns at a point"
    pieces = pieces_of(results, unknowns)
    if pieces is None:
        return "coefficients vary along several axes"
    found = {axis: shifts_along(tuple(pieces), axis, size) for axis, size in axes.items()}
    open_axes = [axis for axis, way in found.items() if way is None]
    if not open_axes and not any(way is not None and way[0].moved for way in found.values()):
        return "points are coupled along no axis"
    best: Diagonal | None = None
    if len(open_axes) < 2:
        bands = [a for a, way in found.items() if way is not None and _may_be_band(way[0])]
        choices: list[str | None] = [*open_axes] or [None, *bands]
        for band in choices:
            best = _cheaper(best, _assembled(pieces, axes, band, (), len(unknowns), sizes))
    if best is not None:
        return best
    left: list[str | None] = [*open_axes, None]
    for band in left:
        best = best or _assembled(pieces, axes, band, [a for a in open_axes if a != band], len(unknowns), sizes)
    return best or f"no transform fits what happens along {', '.join(a.partition(':')[0] for a in open_axes)}"


def _cheaper(best: Diagonal | None, other: Diagonal | None) -> Diagonal | None:
    return other if best is None or (other is not None and other.cost < best.cost) else best


def _may_be_band(along: Along) -> bool:
    return along.moved and along.kind != "ring"


def _assembled(
    pieces: Sequence[Piece], axes: Mapping[str, Size], band: str | None, nearly: Sequence[str], count: int, sizes: Mapping[str, int]
) -> Diagonal | None:
    """The system with a band along one axis (None: no band) and transforms along the others, the nearest ones along some."""
    moved = tuple(pieces)
    along: list[Along] = []
    for axis, size in axes.items():
        if axis == band:
            along.append(Along(axis, size, "band"))
            continue
        found = nearest_shifts(moved, axis, size) if axis in nearly else shifts_along(moved, axis, size)
        if found is None:
            return None
        along.append(found[0])
        moved = found[1]
    if not any(a.moved for a in along):
        return None
    parts: dict[Part, Term] = {}
    for piece in moved:
        steps = tuple(0 if a == band else piece.way(a).step for a in axes)
        offsets = _offsets(piece, band, axes)
        if offsets is None:
            return None
        for offset, term in offsets:
            part = Part(piece.row, piece.column, steps, offset)
            parts[part] = build.add(parts[part], term) if part in parts else term
    order = sorted(parts, key=lambda p: (p.row, p.column, p.shifts, p.offset))
    spectrum = Spectrum(tuple(along), count, tuple(order))
    if band is not None and (count > 1 or spectrum.is_complex or max(spectrum.lower, spectrum.upper) > WIDEST_BAND):
        return None
    coefficients = tuple(_real(parts[p]) for p in order)
    return Diagonal(spectrum, coefficients, _cost(spectrum, sizes), _name(spectrum), _reason(spectrum), tuple(nearly))


def _real(term: Term) -> Term:
    return build.cast(unexpanded(term), Kind.REAL)


def _offsets(piece: Piece, band: str | None, axes: Mapping[str, Size]) -> list[tuple[int, Term]] | None:
    """Neighbours along the band that a piece reads, with coefficients over that axis."""
    if band is None:
        return [(0, piece.coefficient)]
    way = piece.way(band)
    line = build.symbol("line", Type(Kind.REAL, {band: axes[band]}))
    if way.index is None:
        return [(way.step, piece.coefficient)]
    coefficient = build.expand(unexpanded(piece.coefficient), dict(line.axes))
    found = offsets_of(Read(line, ((band, way.index),), way.guards), coefficient, line)
    return None if found is None else [(offset[band.partition(":")[0]], term) for offset, term in found]


# the choice


def _cost(spectrum: Spectrum, sizes: Mapping[str, int]) -> float:
    """Predicted seconds of one solve and its share of the preparation."""
    extents = [_extent(a.size, sizes) for a in spectrum.axes]
    points = math.prod(extents) * spectrum.count
    seconds = points * POINT * spectrum.count + sum(ROOT * _extent(a.period, sizes) for a in spectrum.axes if a.moved)
    for a, n in zip(spectrum.axes, extents, strict=True):
        if a.kind == "band":
            seconds += points * ROW * (3 * spectrum.lower + 2 * spectrum.upper + 2)
        elif a.moved:
            p = _extent(a.period, sizes)
            seconds += points * (LINE + PASS * (p / n) * 2 * passes(p))
    return seconds


def passes(n: int) -> float:
    """Passes over the data of a Fourier transform of length n, in those of radix 4."""
    total, rest = 0.0, n
    for r, weight in ((4, 1.0), (2, 0.7), (3, 0.9), *((r, 0.25 * r) for r in range(5, 80, 2))):
        while rest % r == 0 and rest > 1:
            total, rest = total + weight, rest // r
    return total if rest == 1 else 4.5 * math.log2(n) + 4


def _extent(size: Size, sizes: Mapping[str, int]) -> int:
    return max(size.evaluate({d.name: sizes.get(d.name, NOMINAL) for d in size.dims}), 1)


WORDS = {"ring": "Fourier", "sine": "sine", "cosine": "cosine", "sine, cosine": "quarter-wave sine", "cosine, sine": "quarter-wave cosine"}


def _name(spectrum: Spectrum) -> str:
    """`sine transform along x, Fourier transform along y, band of width 3 along z`."""
    by_kind: dict[str, list[str]] = {}
    for a in spectrum.axes:
        if a.moved:
            by_kind.setdefault(WORDS[a.kind], []).append(a.axis.partition(":")[0])
    texts = [f"{word} transform along {', '.join(axes)}" for word, axes in by_kind.items()]
    if spectrum.band is not None:
        width = spectrum.lower + spectrum.upper + 1
        texts.append(f"band of width {width} along {spectrum.axes[spectrum.band].axis.partition(':')[0]}")
    return ", ".join(texts)


ENDS = {
    "ring": "is periodic",
    "sine": "continues as an odd function",
    "cosine": "continues as an even function",
    "sine, cosine": "continues as an odd function at the low and an even one at the high side",
    "cosine, sine": "continues as an even function at the low and an odd one at the high side",
}


def _reason(spectrum: Spectrum) -> str:
    """`coefficients do not vary along x, y; the unknown is periodic along y and continues as an odd function along x`."""
    moved = [a for a in spectrum.axes if a.moved]
    names: dict[str, list[str]] = {}
    for a in moved:
        names.setdefault(a.kind, []).append(a.axis.partition(":")[0])
    axes = ", ".join(a.axis.partition(":")[0] for a in moved)
    ways = " and ".join(f"{ENDS[kind]} along {', '.join(own)}" for kind, own in names.items())
    return f"coefficients do not vary along {axes}; the unknown {ways}"


__all__ = ["Diagonal", "diagonal"]
