"""Diagonal plus low rank: W[o, i] = [o == i] diagonal[o] + sum_r left[o, r] right[r, i], square."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ricci.dsl import build
from ricci.dsl.build import Guard, Index
from ricci.dsl.structures.base import Array, Core, Matrix, Structure, at_most, powers_of_two, product, refuse_rectangle, truncated
from ricci.dsl.term import Term

SWEEPS = 40  # alternations of the fit


@dataclass(frozen=True)
class DiagonalLowRank(Structure):
    """W = D + L R: n (2 r + 1) parameters, n (4 r + 2) operations.

    No closed form of the nearest one is known. The diagonal of the low-rank part follows exactly from blocks off the
    diagonal where W has the structure; from there L R and D are fitted in turn, which never makes the distance larger.
    """

    rank: int

    name: ClassVar[str] = "diaglowrank"
    theorem: ClassVar[str] = "stationary"

    def __post_init__(self) -> None:
        refuse_rectangle(self.matrix, "a diagonal needs a square matrix")
        at_most("rank", self.rank, self.matrix.full)

    @classmethod
    def candidates(cls, matrix: Matrix) -> Iterable[Self]:
        n = matrix.rows
        return [cls(matrix, r) for r in powers_of_two((n - 1) / 2)] if n == matrix.columns else []

    @property
    def arrays(self) -> tuple[Core, ...]:
        m, r = self.matrix, self.rank
        diagonal = Core("diagonal", ((m.row, m.rows),), 2)  # half of the variance each
        return (
            diagonal,
            Core("left", ((m.row, m.rows), (".rank", r)), 2 * r),
            Core("right", ((".rank", r), (m.column, m.columns)), m.columns),
        )

    def expansion(self, cores: Sequence[Term]) -> Term:
        m = self.matrix
        same = build.indicator({m.row: m.rows, m.column: m.columns}, [Guard.equal(Index.axis(m.row), Index.axis(m.column))])
        return build.add(build.mul(same, cores[0]), product(cores[1:], {".rank": self.rank}))

    @property
    def flops(self) -> int:
        return self.matrix.rows * (4 * self.rank + 2)

    def project(self, array: Array) -> tuple[Array, ...]:
        whole = np.diagonal(array)
        fits = [self._fitted(array, whole - low) for low in (_hidden_diagonal(array, self.rank), whole)]
        return min(fits, key=lambda fit: fit[0])[1]

    def _fitted(self, array: Array, diagonal: Array) -> tuple[float, tuple[Array, ...]]:
        """Distance and cores, from a first diagonal: subspaces turned to the rest of W, the diagonal taken from what they leave."""
        left, right = truncated(array - np.diag(diagonal), self.rank)
        best = (np.inf, (diagonal, left, right))
        for _ in range(SWEEPS):
            diagonal = np.diagonal(array) - np.einsum("ir,ri->i", left, right)
            rest = array - np.diag(diagonal)
            distance = float(np.linalg.norm(rest - left @ right))
            if distance >= best[0] * (1 - 1e-9):
                break
            best = (distance, (diagonal, left, right))
            onto = np.linalg.qr(rest @ np.linalg.qr(right.conj().T)[0])[0]
            u, s, v = np.linalg.svd(onto.conj().T @ rest, full_matrices=False)
            left, right = onto @ u * np.sqrt(s), np.sqrt(s)[:, None] * v
        return best


def _hidden_diagonal(array: Array, rank: int) -> Array:
    """Diagonal of the low-rank part A: A_ii = A[i, J] A[I, J]^+ A[I, i] for sets I, J without i, where A is W off the diagonal."""
    n = len(array)
    thirds = np.array_split(np.arange(n), 3)
    found = np.diagonal(array).copy()
    if min(len(t) for t in thirds) < rank:
        return found
    for k in range(3):
        mine, rows, columns = thirds[k], thirds[k - 1], thirds[k - 2]
        u, s, v = np.linalg.svd(array[np.ix_(rows, columns)], full_matrices=False)
        keep = (s > s[0] * 1e-13) & (np.arange(len(s)) < rank) if len(s) else s > 0
        inverse = (v[keep].conj().T / s[keep]) @ u[:, keep].conj().T
        found[mine] = np.einsum("ij,ji->i", array[np.ix_(mine, columns)] @ inverse, array[np.ix_(rows, mine)])
    return found
