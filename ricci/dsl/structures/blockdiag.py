"""Block diagonal: W[o, i] = block[g, p, q] for o = (g, p), i = (g, q), zero between blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ricci.dsl import build
from ricci.dsl.build import Guard, Index
from ricci.dsl.structures.base import Array, Core, Matrix, Structure, merged, refuse_blocks
from ricci.dsl.term import Term


@dataclass(frozen=True)
class BlockDiagonal(Structure):
    """`blocks` equal blocks on the diagonal: m n / b parameters, 2 m n / b operations. The blocks of W are the nearest ones."""

    blocks: int

    name: ClassVar[str] = "blockdiag"
    theorem: ClassVar[str] = "optimal"

    def __post_init__(self) -> None:
        refuse_blocks(self.matrix, self.blocks)

    @classmethod
    def candidates(cls, matrix: Matrix) -> Iterable[Self]:
        return [cls(matrix, b) for b in range(matrix.full, 1, -1) if matrix.rows % b == 0 and matrix.columns % b == 0]

    @property
    def _inner(self) -> tuple[int, int]:
        return self.matrix.rows // self.blocks, self.matrix.columns // self.blocks

    @property
    def arrays(self) -> tuple[Core, ...]:
        m, (p, q) = self.matrix, self._inner
        return (Core("block", ((".block", self.blocks), (f"{m.row}.2", p), (f"{m.column}.2", q)), q),)

    def expansion(self, cores: Sequence[Term]) -> Term:
        m, b, (p, q) = self.matrix, self.blocks, self._inner
        row, column = f"{m.row}.1", f"{m.column}.1"
        same = build.indicator({row: b, column: b}, [Guard.equal(Index.axis(row), Index.axis(column))])
        whole = build.mul(same, build.rename(cores[0], {".block": row}))
        return merged(whole, {m.row: [(row, b), (f"{m.row}.2", p)], m.column: [(column, b), (f"{m.column}.2", q)]})

    @property
    def flops(self) -> int:
        return self.matrix.flops // self.blocks

    def project(self, array: Array) -> tuple[Array, ...]:
        p, q = self._inner
        k = np.arange(self.blocks)
        return (array.reshape(self.blocks, p, self.blocks, q)[k, :, k, :],)
