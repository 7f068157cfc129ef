"""Trains of cores: W[(o1..oc), (i1..ic)] = sum over bonds of a product of cores, digit by digit of rows and columns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from ricci.dsl.structures.base import Core, Matrix, Structure, at_most, digits, digits_of, merged, powers_of_two, product
from ricci.dsl.term import Term


@dataclass(frozen=True)
class Train(Structure):
    """Cores G_t between bonds r_(t-1) and r_t, t = 1..cores; every bond has the rank, or the full one where that is smaller.

    What a core reads of the digits o1..oc of the row and i1..ic of the column is said by `_digits`.
    """

    tried: ClassVar[tuple[int, ...]]  # numbers of cores that a matrix is tried with

    def __post_init__(self) -> None:
        if self._cores < 2:
            at_most("cores", self._cores - 1, self._cores)
        at_most("rank", self._rank, max(self._full()))

    @property
    def _cores(self) -> int:
        return self.chosen["cores"]

    @property
    def _rank(self) -> int:
        return self.chosen["rank"]

    @classmethod
    @abstractmethod
    def of(cls, matrix: Matrix, cores: int, rank: int) -> Self:
        """The train of so many cores and this rank."""

    @classmethod
    def candidates(cls, matrix: Matrix) -> Iterable[Self]:
        found = []
        for c in cls.tried:
            if digits(matrix.rows, c) is None or digits(matrix.columns, c) is None:
                continue
            for r in powers_of_two(max(cls.of(matrix, c, 1)._full()) + 1):
                one = cls.of(matrix, c, r)
                if one.flops < matrix.flops:
                    found.append(one)
        return found

    @property
    def _rows(self) -> tuple[int, ...]:
        return digits_of(self.matrix.row, self.matrix.rows, self._cores)

    @property
    def _columns(self) -> tuple[int, ...]:
        return digits_of(self.matrix.column, self.matrix.columns, self._cores)

    @abstractmethod
    def _full(self) -> list[int]:
        """Largest useful rank of every inner bond."""

    def _bonds(self) -> list[int]:
        return [1, *(min(self._rank, full) for full in self._full()), 1]

    @abstractmethod
    def _digits(self, t: int) -> tuple[range, range]:
        """Which digits of the row and of the column core t has, from 0."""

    @property
    def arrays(self) -> tuple[Core, ...]:
        m, n, r = self._rows, self._columns, self._bonds()
        found = []
        for t in range(self._cores):
            before = [(f".rank.{t}", r[t])] if t else []
            after = [(f".rank.{t + 1}", r[t + 1])] if t < self._cores - 1 else []
            of_row, of_column = self._digits(t)
            own = [(f"{self.matrix.row}.{s + 1}", m[s]) for s in of_row] + [(f"{self.matrix.column}.{s + 1}", n[s]) for s in of_column]
            found.append(Core(f"core{t + 1}", (*before, *own, *after), r[t] * n[t]))
        return tuple(found)

    def expansion(self, cores: Sequence[Term]) -> Term:
        bonds = {f".rank.{t}": r for t, r in enumerate(self._bonds()) if 0 < t < self._cores}
        sizes = ((self.matrix.row, self._rows), (self.matrix.column, self._columns))
        return merged(product(cores, bonds), {axis: [(f"{axis}.{t + 1}", k) for t, k in enumerate(split)] for axis, split in sizes})
