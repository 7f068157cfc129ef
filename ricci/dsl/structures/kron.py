"""Sums of Kronecker products: W[(o1, o2), (i1, i2)] = sum_k first[k, o1, i1] second[k, o2, i2]."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from ricci.dsl.structures.base import Array, Core, Matrix, Structure, at_most, digits, digits_of, merged, powers_of_two, product, truncated
from ricci.dsl.term import Term


@dataclass(frozen=True)
class Kronecker(Structure):
    """`terms` products of m1 x n1 and m2 x n2 matrices, m = m1 m2 and n = n1 n2 split as evenly as they can be.

    k (m1 n1 + m2 n2) parameters; 2 k times the smaller of m2 n1 (n2 + m1) and m1 n2 (n1 + m2) operations, one factor after
    the other. The rearrangement R[(o1, i1), (o2, i2)] of W turns the sum into a matrix of rank k, so that its truncated
    singular value decomposition is the nearest one (C. F. Van Loan, N. Pitsianis, 1993).
    """

    terms: int = 1

    name: ClassVar[str] = "kron"
    theorem: ClassVar[str] = "optimal"

    def __post_init__(self) -> None:
        (m1, m2), (n1, n2) = self._split
        at_most("terms", self.terms, min(m1 * n1, m2 * n2))

    @classmethod
    def candidates(cls, matrix: Matrix) -> Iterable[Self]:
        if digits(matrix.rows, 2) is None or digits(matrix.columns, 2) is None:
            return []
        one = cls(matrix)
        return [cls(matrix, k) for k in powers_of_two(matrix.flops / one.flops)]

    @property
    def _split(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        m = self.matrix
        return digits_of(m.row, m.rows, 2), digits_of(m.column, m.columns, 2)

    @property
    def arrays(self) -> tuple[Core, ...]:
        m, k, ((m1, m2), (n1, n2)) = self.matrix, self.terms, self._split
        first = Core("first", ((".term", k), (f"{m.row}.1", m1), (f"{m.column}.1", n1)), n1)
        return first, Core("second", ((".term", k), (f"{m.row}.2", m2), (f"{m.column}.2", n2)), k * n2)

    def expansion(self, cores: Sequence[Term]) -> Term:
        m, split = self.matrix, self._split
        whole = product(cores, {".term": self.terms})
        names = ((m.row, split[0]), (m.column, split[1]))
        return merged(whole, {axis: [(f"{axis}.{j + 1}", n) for j, n in enumerate(sizes)] for axis, sizes in names})

    @property
    def flops(self) -> int:
        (m1, m2), (n1, n2) = self._split
        return 2 * self.terms * min(m2 * n1 * (n2 + m1), m1 * n2 * (n1 + m2))

    def project(self, array: Array) -> tuple[Array, ...]:
        (m1, m2), (n1, n2) = self._split
        rearranged = array.reshape(m1, m2, n1, n2).transpose(0, 2, 1, 3).reshape(m1 * n1, m2 * n2)
        left, right = truncated(rearranged, self.terms)
        return left.T.reshape(self.terms, m1, n1), right.reshape(self.terms, m2, n2)
