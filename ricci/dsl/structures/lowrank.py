"""Low rank: W[o, i] = sum_r left[o, r] right[r, i]."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from ricci.dsl.structures.base import Array, Core, Matrix, Structure, at_most, powers_of_two, product, truncated
from ricci.dsl.term import Term


@dataclass(frozen=True)
class LowRank(Structure):
    """W = L R with an inner axis of `rank`: r (m + n) parameters, 2 r (m + n) operations.

    The truncated singular value decomposition is the nearest one (C. Eckart, G. Young, Psychometrika 1, 1936).
    """

    rank: int

    name: ClassVar[str] = "lowrank"
    theorem: ClassVar[str] = "optimal"

    def __post_init__(self) -> None:
        at_most("rank", self.rank, self.matrix.full)

    @classmethod
    def candidates(cls, matrix: Matrix) -> Iterable[Self]:
        pays = matrix.parameters / (matrix.rows + matrix.columns)
        return [cls(matrix, r) for r in _ranks(pays)]

    @property
    def arrays(self) -> tuple[Core, ...]:
        m, r = self.matrix, self.rank
        return Core("left", ((m.row, m.rows), (".rank", r)), r), Core("right", ((".rank", r), (m.column, m.columns)), m.columns)

    def expansion(self, cores: Sequence[Term]) -> Term:
        return product(cores, {".rank": self.rank})

    @property
    def flops(self) -> int:
        return 2 * self.rank * (self.matrix.rows + self.matrix.columns)

    def project(self, array: Array) -> tuple[Array, ...]:
        return truncated(array, self.rank)


def _ranks(bound: float) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12, ... below a bound."""
    powers = powers_of_two(bound)
    return sorted({r for p in powers for r in (p, 3 * p // 2) if r < bound})
