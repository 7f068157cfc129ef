"""Circulant: W[o, i] = column[(o - i) mod n]."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ricci.dsl import build
from ricci.dsl.build import Index
from ricci.dsl.structures.base import Array, Core, Matrix, Structure, refuse_rectangle
from ricci.dsl.term import Term


@dataclass(frozen=True)
class Circulant(Structure):
    """A matrix that commutes with cyclic shifts: n parameters, 2 n^2 operations as the sum that it is.

    The means over the wrapped diagonals are the nearest one (T. F. Chan, SIAM J. Sci. Stat. Comput. 9, 1988).
    """

    name: ClassVar[str] = "circulant"
    theorem: ClassVar[str] = "optimal"

    def __post_init__(self) -> None:
        refuse_rectangle(self.matrix, "a circulant matrix is square")

    @classmethod
    def candidates(cls, matrix: Matrix) -> Iterable[Self]:
        return [cls(matrix)] if matrix.rows == matrix.columns else []

    @property
    def arrays(self) -> tuple[Core, ...]:
        return (Core("column", ((".shift", self.matrix.rows),), self.matrix.columns),)

    def expansion(self, cores: Sequence[Term]) -> Term:
        m = self.matrix
        shift = (Index.axis(m.row) - Index.axis(m.column)).mod(m.rows)
        return build.reindex(cores[0], {m.row: m.rows, m.column: m.columns}, {".shift": shift})

    @property
    def flops(self) -> int:
        return self.matrix.flops

    def project(self, array: Array) -> tuple[Array, ...]:
        i = np.arange(len(array))
        return (array[(i[:, None] + i) % len(array), i].mean(axis=1),)
