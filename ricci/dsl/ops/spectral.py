"""diagonalize and solve_diagonal: a linear system that transforms along axes take apart, prepared once, solved often.

diagonalize     (coefficients; Spectrum) -> (table,); the contents are private to this pair
solve_diagonal  (table, b_1..b_m; Spectrum) -> x_1..x_m

The lowering of `solve` makes them when all derivatives are taken, so they have none. Here the table is the matrix itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ricci.dsl.ops import base
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, Size, TupleType, Type

KINDS = {"apart": 0, "ring": 1, "sine": 2, "cosine": 3, "sine, cosine": 4, "cosine, sine": 5, "band": 6}


@dataclass(frozen=True)
class Along:
    """One axis of all unknowns, and how fields continue beyond its ends.

    apart         nothing couples along it
    ring          around; the Fourier transform. `even`: shifts to both sides have equal coefficients
    sine          odd about the points before the first and behind the last (DST-I)
    cosine        even about the first and the last point (DCT-I)
    sine, cosine  odd about the point before the first, even about the last; `cosine, sine` the other way round
    band          anything that reaches a few neighbours: solved along the axis, for every frequency of the others
    """

    axis: str
    size: Size
    kind: str
    even: bool = True

    @property
    def period(self) -> Size:
        """Points after which a continued field repeats."""
        n = self.size
        return {"ring": n, "sine": (n + 1) * 2, "cosine": (n - 1) * 2}.get(self.kind, n * 4)

    @property
    def moved(self) -> bool:
        """Whether the axis is transformed."""
        return self.kind not in ("apart", "band")


@dataclass(frozen=True)
class Part:
    """One coefficient: equation `row`, unknown `column`; per axis the shift (of an even axis to both sides, added), 0 on a band;
    `offset`: neighbour along the band that is read, its coefficient then has the axis of the band or none."""

    row: int
    column: int
    shifts: tuple[int, ...]
    offset: int = 0


@dataclass(frozen=True)
class Spectrum:
    """sum over parts: coefficient * (shifts along the axes), of `count` unknowns that all have these axes, in sorted order."""

    axes: tuple[Along, ...]
    count: int
    parts: tuple[Part, ...]

    @property
    def band(self) -> int | None:
        """Position of the band axis."""
        return next((d for d, a in enumerate(self.axes) if a.kind == "band"), None)

    @property
    def lower(self) -> int:
        return max([-p.offset for p in self.parts] + [0])

    @property
    def upper(self) -> int:
        return max([p.offset for p in self.parts] + [0])

    @property
    def half(self) -> int | None:
        """Position of the ring whose transform of real numbers keeps half of the frequencies: the outermost."""
        return next((d for d, a in enumerate(self.axes) if a.kind == "ring"), None)

    @property
    def is_complex(self) -> bool:
        """Whether eigenvalues are complex."""
        return any(a.kind == "ring" and not a.even for a in self.axes)

    @property
    def points(self) -> Size:
        total = Size.of(1)
        for a in self.axes:
            total = total * a.size
        return total

    @property
    def rows(self) -> Size:
        """Elements of the table: inverse matrices of all frequencies, or band factors of eight lines at a time."""
        d = self.band
        if d is None:
            return self.points * (self.count * self.count * (2 if self.is_complex else 1))
        outer, inner = Size.of(1), Size.of(1)
        for k, a in enumerate(self.axes):
            outer, inner = (outer * a.size, inner) if k < d else (outer, inner * a.size) if k > d else (outer, inner)
        lines = outer + 7 if d == len(self.axes) - 1 else outer * (inner + 7)
        return lines * self.axes[d].size * (3 * self.lower + self.upper + 1)


def _spectrum(attrs: tuple[Any, ...]) -> Spectrum:
    if len(attrs) != 1 or not isinstance(attrs[0], Spectrum):
        raise TermError("a diagonal system has one attribute, its spectrum")
    return attrs[0]


def prepare_diagonalize(args: Sequence[Term], attrs: tuple[Any, ...]) -> tuple[list[Term], tuple[Any, ...]]:
    spectrum = _spectrum(attrs)
    if len(args) != len(spectrum.parts) or any(a.kind > Kind.REAL for a in args):
        raise TermError("diagonalize takes one real coefficient per part")
    along = None if spectrum.band is None else spectrum.axes[spectrum.band].axis
    if any(set(a.axes) - {along} for a in args):
        raise TermError("coefficients of a diagonal system have the axis of the band or none")
    return list(args), attrs


def infer_diagonalize(args: Sequence[Term], attrs: tuple[Any, ...]) -> TupleType:
    return TupleType((Type(Kind.REAL, {"row": _spectrum(attrs).rows}),))


def prepare_solve(args: Sequence[Term], attrs: tuple[Any, ...]) -> tuple[list[Term], tuple[Any, ...]]:
    if len(args) != 1 + _spectrum(attrs).count:
        raise TermError("solve_diagonal takes the table and one right-hand side per unknown")
    return list(args), attrs


def infer_solve(args: Sequence[Term], attrs: tuple[Any, ...]) -> TupleType:
    return TupleType(tuple(a.type for a in args[1:]))


# numpy meaning


def continued(kind: str, n: int, j: int) -> tuple[int, int]:
    """(point, sign) of position j of a field of n points continued beyond its ends; sign 0: the field is zero there."""
    if kind in ("apart", "ring"):
        return j % n, 1
    if kind == "band":
        return (j, 1) if 0 <= j < n else (0, 0)
    if kind == "cosine, sine":
        i, sign = continued("sine, cosine", n, n - 1 - j)
        return n - 1 - i, sign
    if kind == "cosine":
        p = max(2 * (n - 1), 1)
        j %= p
        return (j if j < n else p - j), 1
    p = 2 * (n + 1) if kind == "sine" else 4 * n
    j, sign = (j + 1) % p, 1
    if 2 * j > p:
        j, sign = p - j, -1
    if j == 0 or 2 * j == p:
        return 0, 0
    if kind == "sine, cosine" and j > n:
        j = 2 * n - j
    return j - 1, sign


def shift_matrix(along: Along, n: int, step: int) -> Any:
    """The matrix of u[i + step] of a continued field; of an even axis of u[i + step] + u[i - step]. The unit matrix for no step."""
    import numpy as np

    matrix = np.zeros((n, n))
    sides = (step, -step) if along.even and along.moved and step else (step,)
    for i in range(n):
        for s in sides:
            j, sign = continued(along.kind, n, i + s)
            matrix[i, j] += sign
    return matrix


def diagonalize(term: Term, args: Sequence[Any], environment: base.Environment) -> tuple[Any]:
    """The matrix, dense."""
    import numpy as np

    spectrum: Spectrum = term.attrs[1]
    sizes = [a.size.evaluate(environment.dims) for a in spectrum.axes]
    points = int(np.prod(sizes))
    matrix = np.zeros((spectrum.count * points,) * 2)
    for part, value in zip(spectrum.parts, args, strict=True):
        block = np.ones((1, 1))
        for d, along in enumerate(spectrum.axes):
            factor = shift_matrix(along, sizes[d], part.offset if along.kind == "band" else part.shifts[d])
            if along.kind == "band":
                factor = np.broadcast_to(value, sizes[d])[:, None] * factor
            block = np.kron(block, factor)
        if spectrum.band is None:
            block = block * value
        rows = slice(part.row * points, (part.row + 1) * points)
        matrix[rows, part.column * points : (part.column + 1) * points] += block
    return (matrix,)


def solve(term: Term, args: Sequence[Any], environment: base.Environment) -> tuple[Any, ...]:
    """Dense solution; NaN for a singular matrix, as generated code has it."""
    import numpy as np

    matrix, right = args[0], np.concatenate([np.ravel(b) for b in args[1:]])
    try:
        x = np.linalg.solve(matrix, right) if right.size else right
    except np.linalg.LinAlgError:
        x = np.full(right.size, np.nan)
    return tuple(part.reshape(np.shape(b)) for part, b in zip(np.split(x, len(args) - 1), args[1:], strict=True))


def no_tangent(term: Term, results: Sequence[Term], tangents: Sequence[Term | None]) -> Sequence[Term | None]:
    raise TermError("a diagonal system is made after all derivatives are taken")


def no_cotangent(term: Term, results: Sequence[Term], seeds: Sequence[Term]) -> Sequence[Term | None]:
    raise TermError("a diagonal system is made after all derivatives are taken")
