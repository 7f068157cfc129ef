"""Tensor train of a matrix: W[(o1..oc), (i1..ic)] = sum over bonds of the product of cores G_t[r_(t-1), ot, it, r_t]."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Self

from ricci.dsl.structures.base import (
    Array,
    Core,
    Matrix,
    Structure,
    at_most,
    digits,
    digits_of,
    merged,
    powers_of_two,
    product,
    truncated,
)
from ricci.dsl.term import Term


@dataclass(frozen=True)
class TensorTrain(Structure):
    """The sum of r_(t-1) mt nt r_t parameters; operations of the cores one after another, from whichever end costs less.

    TT-SVD cuts singular values of one unfolding after the other: the squared distance is at most the sum of what each
    unfolding cuts off, at most c - 1 times that of the nearest one; for two cores it is the nearest one (I. V. Oseledets, SIAM
    J. Sci. Comput. 33, 2011; A. Novikov et al., "Tensorizing neural networks", NIPS 2015).
    """

    rank: int
    cores: int = 2

    name: ClassVar[str] = "tt"
    theorem: ClassVar[str] = "quasi-optimal"

    def __post_init__(self) -> None:
        if self.cores < 2:
            at_most("cores", self.cores - 1, self.cores)
        at_most("rank", self.rank, max(self._full()))

    @classmethod
    def candidates(cls, matrix: Matrix) -> Iterable[Self]:
        found = []
        for c in (3, 4):  # two cores are a sum of Kronecker products
            if digits(matrix.rows, c) is None or digits(matrix.columns, c) is None:
                continue
            for r in powers_of_two(max(cls(matrix, 1, c)._full()) + 1):
                one = cls(matrix, r, c)
                if one.flops < matrix.flops:
                    found.append(one)
        return found

    @property
    def _rows(self) -> tuple[int, ...]:
        return digits_of(self.matrix.row, self.matrix.rows, self.cores)

    @property
    def _columns(self) -> tuple[int, ...]:
        return digits_of(self.matrix.column, self.matrix.columns, self.cores)

    def _full(self) -> list[int]:
        """Largest rank of every unfolding."""
        sizes = [m * n for m, n in zip(self._rows, self._columns, strict=True)]
        return [min(prod(sizes[:t]), prod(sizes[t:])) for t in range(1, self.cores)]

    def _bonds(self) -> list[int]:
        return [1, *(min(self.rank, full) for full in self._full()), 1]

    @property
    def arrays(self) -> tuple[Core, ...]:
        m, n, r = self._rows, self._columns, self._bonds()
        found = []
        for t in range(self.cores):
            before = [(f".rank.{t}", r[t])] if t else []
            after = [(f".rank.{t + 1}", r[t + 1])] if t < self.cores - 1 else []
            own = [(f"{self.matrix.row}.{t + 1}", m[t]), (f"{self.matrix.column}.{t + 1}", n[t])]
            found.append(Core(f"core{t + 1}", (*before, *own, *after), r[t] * n[t]))
        return tuple(found)

    def expansion(self, cores: Sequence[Term]) -> Term:
        bonds = {f".rank.{t}": r for t, r in enumerate(self._bonds()) if 0 < t < self.cores}
        sizes = ((self.matrix.row, self._rows), (self.matrix.column, self._columns))
        return merged(product(cores, bonds), {axis: [(f"{axis}.{t + 1}", k) for t, k in enumerate(split)] for axis, split in sizes})

    @property
    def flops(self) -> int:
        m, n, r = self._rows, self._columns, self._bonds()
        forward = sum(prod(m[:t]) * r[t] * m[t] * n[t] * r[t + 1] * prod(n[t + 1 :]) for t in range(self.cores))
        backward = sum(prod(n[:t]) * r[t] * m[t] * n[t] * r[t + 1] * prod(m[t + 1 :]) for t in range(self.cores))
        return 2 * min(forward, backward)

    def project(self, array: Array) -> tuple[Array, ...]:
        c, m, n, r = self.cores, self._rows, self._columns, self._bonds()
        order = [k for t in range(c) for k in (t, c + t)]
        rest = array.reshape(*m, *n).transpose(order)
        cores = []
        for t in range(c - 1):
            left, rest = truncated(rest.reshape(r[t] * m[t] * n[t], -1), r[t + 1])
            cores.append(left.reshape(*([r[t]] if t else []), m[t], n[t], r[t + 1]))
        return (*cores, rest.reshape(r[-2], m[-1], n[-1]))
