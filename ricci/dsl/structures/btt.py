"""Block tensor train: a core has the output digits so far and the input digits to come beside its two bonds."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar, Self

from ricci.dsl.structures.base import Array, Matrix, truncated
from ricci.dsl.structures.train import Train


@dataclass(frozen=True)
class BlockTensorTrain(Train):
    """W[(o1..oc), (i1..ic)] = sum over bonds of the product of cores G_t[r_(t-1), o1..ot, it..ic, r_t], t = 1..c.

    Parameters: sum over t of r_(t-1) r_t (m1..mt) (nt..nc), twice as many operations, digit by digit. For two cores that is
    r (m1 n + m n2), so 2 r d^(3/2) for d = m = n; rank 1 is Monarch up to permutations (S. Qiu et al., "Compute better
    spent: replacing dense layers with structured matrices", ICML 2024). For two cores the parts W[(o1, .), (., i2)] are
    matrices of rank r and their truncated singular value decompositions the nearest ones; for more cores they are taken one
    after another, and the squared distance is at most the sum of what each cuts off.
    """

    cores: int = 2
    rank: int = 1

    name: ClassVar[str] = "btt"
    theorem: ClassVar[str] = "quasi-optimal"
    tried: ClassVar[tuple[int, ...]] = (2, 3)

    @classmethod
    def of(cls, matrix: Matrix, cores: int, rank: int) -> Self:
        return cls(matrix, cores, rank)

    def _full(self) -> list[int]:
        """Largest useful rank of every inner bond: of the matrices [(bond, input digit), later output digits]."""
        m, n, full = self._rows, self._columns, [1]
        for t in range(self.cores - 1):
            full.append(min(full[-1] * n[t], prod(m[t + 1 :])))
        return full[1:]

    def _digits(self, t: int) -> tuple[range, range]:
        return range(t + 1), range(t, self.cores)

    @property
    def flops(self) -> int:
        return 2 * self.parameters

    def project(self, array: Array) -> tuple[Array, ...]:
        m, n, r = self._rows, self._columns, self._bonds()
        rest = array.reshape(1, *m, *n)  # [bond, outputs to come, inputs to come], behind axes of outputs that are done
        cores = []
        for t in range(self.cores - 1):
            done, later, inputs = prod(m[: t + 1]), prod(m[t + 1 :]), prod(n[t + 1 :])
            parts = rest.reshape(prod(m[:t]), r[t], m[t], later, n[t], inputs).transpose(0, 2, 5, 1, 4, 3)
            left, right = truncated(parts.reshape(done, inputs, r[t] * n[t], later), r[t + 1])
            core = left.reshape(done, inputs, r[t], n[t], r[t + 1]).transpose(2, 0, 3, 1, 4)  # [bond, outputs, input, inputs, bond]
            cores.append(core.reshape(*([r[t]] if t else []), *m[: t + 1], *n[t:], r[t + 1]))
            rest = right.transpose(0, 2, 3, 1)  # [outputs done, bond, outputs to come, inputs to come]
        last = rest.reshape(prod(m[:-1]), r[-2], m[-1], n[-1]).transpose(1, 0, 2, 3)
        return (*cores, last.reshape(r[-2], *m, n[-1]))
