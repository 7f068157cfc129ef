"""What a structured matrix is: cores, the dense matrix as a term of them, counts, and the nearest one to a given matrix.

A structure is a definition of a matrix W[row, column] by smaller arrays, its cores. The expansion is a term over named
axes, so that the optimizer finds the fast product by itself: there is no second form of it anywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from math import gcd, prod
from typing import Any, ClassVar, Self

import numpy as np

from ricci.dsl import build, reference
from ricci.dsl.index import Index
from ricci.dsl.ops import const
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Type

Array = np.ndarray[Any, Any]


class StructureError(Exception):
    """A structure that does not fit a matrix. `remedy`: sizes or numbers that would do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


@dataclass(frozen=True)
class Matrix:
    """Names and extents of the two axes of a matrix; the first index that is declared is the row."""

    row: str
    rows: int
    column: str
    columns: int

    @property
    def full(self) -> int:
        """The largest rank."""
        return min(self.rows, self.columns)

    @property
    def parameters(self) -> int:
        """Entries of the dense matrix."""
        return self.rows * self.columns

    @property
    def flops(self) -> int:
        """Operations of the dense matrix times one vector: a multiplication and an addition for every entry."""
        return 2 * self.rows * self.columns


@dataclass(frozen=True)
class Core:
    """One array of a structure: axes with extents in declared order, and over how many products an entry of the result sums here.

    Entries drawn with variance 1/fan keep the variance of what the matrix is multiplied with.
    """

    name: str
    axes: tuple[tuple[str, int], ...]
    fan: int

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(n for _, n in self.axes)

    @property
    def size(self) -> int:
        return prod(self.shape)

    def type(self, kind: Kind) -> Type:
        return Type(kind, dict(self.axes))


@dataclass(frozen=True)
class Structure(ABC):
    """A structured matrix with all its numbers. Options of the annotation are the fields behind `matrix`, whole numbers.

    `name` is the annotation; `theorem` says what is known of `project`: "optimal" in the Frobenius norm, "quasi-optimal"
    (within a factor that depends on the structure alone) or "stationary".
    """

    matrix: Matrix

    name: ClassVar[str]
    theorem: ClassVar[str]

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """Names of the options."""
        return tuple(f.name for f in fields(cls) if f.name != "matrix")

    @property
    def chosen(self) -> dict[str, int]:
        """The options and their values."""
        return {name: getattr(self, name) for name in self.options()}

    def __str__(self) -> str:
        """The annotation as it is written."""
        return f"@{self.name}({', '.join(f'{k}={v}' for k, v in self.chosen.items())})" if self.chosen else f"@{self.name}"

    @classmethod
    @abstractmethod
    def candidates(cls, matrix: Matrix) -> Iterable[Self]:
        """Structures of this sort that a matrix of this shape may be tried with, coarse ones first."""

    @property
    @abstractmethod
    def arrays(self) -> tuple[Core, ...]:
        """The arrays that define the matrix."""

    @abstractmethod
    def expansion(self, cores: Sequence[Term]) -> Term:
        """The matrix as a term of its cores, with the axes row and column."""

    @property
    @abstractmethod
    def flops(self) -> int:
        """Operations of the product with one vector, a fused multiply-add counting two."""

    @abstractmethod
    def project(self, array: Array) -> tuple[Array, ...]:
        """Cores of the nearest matrix of this structure; array[row, column] real or complex."""

    @property
    def parameters(self) -> int:
        """Numbers that define the matrix."""
        return sum(core.size for core in self.arrays)

    def dense(self, cores: Sequence[Array]) -> Array:
        """The matrix as an array [row, column], by the meaning of its expansion."""
        kind = Kind.COMPLEX if any(np.iscomplexobj(a) for a in cores) else Kind.REAL
        symbols = [build.symbol(core.name, core.type(kind)) for core in self.arrays]
        values = {}
        for core, array in zip(self.arrays, cores, strict=True):
            order = [axis for axis, _ in core.axes]
            values[core.name] = np.transpose(np.asarray(array, const.DTYPES[kind]), [order.index(a) for a in sorted(order)])
        (out,) = reference.evaluate([self.expansion(symbols)], values, {})
        return np.asarray(out if self.matrix.row < self.matrix.column else out.T)


# axes that are split


def digits(size: int, count: int) -> tuple[int, ...] | None:
    """`size` as a product of `count` factors above 1, as even as its divisors allow, ascending; None where there is none."""
    if count == 1:
        return (size,) if size > 1 else None
    root = next(k for k in range(1, size + 2) if (k + 1) ** count > size)
    for first in range(root, 1, -1):
        if size % first == 0:
            rest = digits(size // first, count - 1)
            if rest is not None:
                return tuple(sorted((first, *rest)))
    return None


def digits_of(axis: str, size: int, count: int) -> tuple[int, ...]:
    """`digits`, or StructureError with the nearest sizes that have them."""
    found = digits(size, count)
    if found is None:
        raise StructureError(
            f"`{axis}` of size {size} is no product of {count} numbers", f"{axis} = {_near(size, lambda n: bool(digits(n, count)))}"
        )
    return found


def refuse_blocks(matrix: Matrix, blocks: int) -> None:
    """StructureError where rows and columns have not so many equal blocks, with the nearest sizes and numbers that would do."""
    for axis, size in ((matrix.row, matrix.rows), (matrix.column, matrix.columns)):
        if blocks < 1 or size % blocks:
            common = gcd(matrix.rows, matrix.columns)
            counts = sorted((b for b in range(2, common + 1) if common % b == 0), key=lambda b: (abs(b - blocks), b))[:2]
            remedy = f"{axis} = {_near(size, lambda n: n % blocks == 0)}" if blocks > 0 else ""
            remedy += (", or " if remedy and counts else "") + (f"blocks={' or '.join(map(str, sorted(counts)))}" if counts else "")
            raise StructureError(f"`{axis}` of size {size} has no {blocks} equal blocks", remedy)


def refuse_rectangle(matrix: Matrix, what: str) -> None:
    """StructureError where rows and columns differ in number."""
    if matrix.rows != matrix.columns:
        raise StructureError(f"{what}, this is {matrix.rows} x {matrix.columns}", f"{matrix.column} = {matrix.rows}")


def at_most(name: str, value: int, full: int) -> None:
    """StructureError for a rank above the full one, or below one."""
    if value > full:
        raise StructureError(f"{name}={value} is above the full rank {full}", f"{name}={full}")
    if value < 1:
        raise StructureError(f"{name}={value}: at least one", f"{name}=1")


def _near(size: int, fits: Any) -> str:
    """The nearest fitting numbers below and above."""
    below = next((n for n in range(size - 1, 1, -1) if fits(n)), None)
    above = next(n for n in range(size + 1, 64 * size + 64) if fits(n))
    return f"{below} or {above}" if below is not None else f"{above}"


def powers_of_two(bound: float) -> list[int]:
    """1, 2, 4, ... below a bound."""
    return [1 << k for k in range(64) if 1 << k < bound]


def merged(t: Term, parts: Mapping[str, Sequence[tuple[str, int]]]) -> Term:
    """Axes joined: out[o] = t[o.1 = o div n2, o.2 = o mod n2] for parts {o: [(o.1, n1), (o.2, n2)]}, the slowest first."""
    index: dict[str, Index] = {}
    axes: dict[str, int] = {}
    for whole, pieces in parts.items():
        stride = axes[whole] = prod(n for _, n in pieces)
        for k, (piece, n) in enumerate(pieces):
            stride //= n
            digit = Index.axis(whole).div(stride)
            index[piece] = digit.mod(n) if k else digit
    return build.reindex(t, axes, index)


def product(factors: Sequence[Term], bound: Mapping[str, int]) -> Term:
    """Sum over the bound axes of the product of factors, axes joined by name: one factor after the other, sums as soon as they can be."""
    total = factors[0]
    for k, t in enumerate(factors[1:], 1):
        later = {axis for f in factors[k + 1 :] for axis in f.axes}
        sizes = {**total.axes, **t.axes}
        total = build.contract([(total, {}), (t, {})], {name: sizes[name] for name in bound if name in sizes and name not in later})
    return total


def truncated(array: Array, rank: int) -> tuple[Array, Array]:
    """Stacks of matrices as left @ right of rank at most `rank`, nearest in every unitarily invariant norm (Eckart, Young, 1936)."""
    array = np.ascontiguousarray(array)
    u, s, v = _singular_values(array.tobytes(), array.dtype.str, array.shape)
    root = np.sqrt(s[..., :rank])
    return u[..., :, :rank] * root[..., None, :], root[..., :, None] * v[..., :rank, :]


@lru_cache(maxsize=2)
def _singular_values(content: bytes, dtype: str, shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """A decomposition serves all ranks that are tried one after another."""
    u, s, v = np.linalg.svd(np.frombuffer(content, dtype).reshape(shape), full_matrices=False)
    return u, s, v
