"""Monarch: W[o, i] = left[l, s, k] right[k, l, p] for o = (s, l), i = (k, p): two block-diagonal matrices around a permutation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from ricci.dsl.structures.base import Array, Core, Matrix, Structure, merged, product, refuse_blocks, truncated
from ricci.dsl.term import Term


@dataclass(frozen=True)
class Monarch(Structure):
    """W = P L P' R with b = `blocks` blocks each in L and R: b (m + n) parameters, 2 b (m + n) operations.

    For b^2 = m = n that is 2 n sqrt(n) parameters. Every part W[(., l), (k, .)] has rank one, and their singular vectors to the
    largest singular value give the nearest one (T. Dao et al., "Monarch: expressive structured matrices for efficient and accurate
    training", ICML 2022, theorem 1).
    """

    blocks: int

    name: ClassVar[str] = "monarch"
    theorem: ClassVar[str] = "optimal"

    def __post_init__(self) -> None:
        refuse_blocks(self.matrix, self.blocks)

    @classmethod
    def candidates(cls, matrix: Matrix) -> Iterable[Self]:
        both = [b for b in range(2, matrix.full) if matrix.rows % b == 0 and matrix.columns % b == 0]
        return [cls(matrix, b) for b in both if b * (matrix.rows + matrix.columns) < matrix.parameters]

    @property
    def _inner(self) -> tuple[int, int]:
        return self.matrix.rows // self.blocks, self.matrix.columns // self.blocks

    @property
    def arrays(self) -> tuple[Core, ...]:
        m, b, (s, p) = self.matrix, self.blocks, self._inner
        left = Core("left", ((f"{m.row}.2", b), (f"{m.row}.1", s), (f"{m.column}.1", b)), b)
        return left, Core("right", ((f"{m.column}.1", b), (f"{m.row}.2", b), (f"{m.column}.2", p)), p)

    def expansion(self, cores: Sequence[Term]) -> Term:
        m, b, (s, p) = self.matrix, self.blocks, self._inner
        whole = product(cores, {})
        return merged(whole, {m.row: [(f"{m.row}.1", s), (f"{m.row}.2", b)], m.column: [(f"{m.column}.1", b), (f"{m.column}.2", p)]})

    @property
    def flops(self) -> int:
        return 2 * self.blocks * (self.matrix.rows + self.matrix.columns)

    def project(self, array: Array) -> tuple[Array, ...]:
        b, (s, p) = self.blocks, self._inner
        parts = array.reshape(s, b, b, p).transpose(1, 2, 0, 3)  # [l, k, s, p]
        left, right = truncated(parts, 1)
        return left[..., 0].transpose(0, 2, 1), right[..., 0, :].transpose(1, 0, 2)
