"""Tensor train of a matrix: W[(o1..oc), (i1..ic)] = sum over bonds of the product of cores G_t[r_(t-1), ot, it, r_t]."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar, Self

from ricci.dsl.structures.base import Array, Matrix, truncated
from ricci.dsl.structures.train import Train


@dataclass(frozen=True)
class TensorTrain(Train):
    """The sum of r_(t-1) mt nt r_t parameters; operations of the cores one after another, from whichever end costs less.

    TT-SVD cuts singular values of one unfolding after the other: the squared distance is at most the sum of what each
    unfolding cuts off, at most c - 1 times that of the nearest one; for two cores it is the nearest one (I. V. Oseledets, SIAM
    J. Sci. Comput. 33, 2011; A. Novikov et al., "Tensorizing neural networks", NIPS 2015).
    """

    rank: int
    cores: int = 2

    name: ClassVar[str] = "tt"
    theorem: ClassVar[str] = "quasi-optimal"
    tried: ClassVar[tuple[int, ...]] = (3, 4)  # two cores are a sum of Kronecker products

    @classmethod
    def of(cls, matrix: Matrix, cores: int, rank: int) -> Self:
        return cls(matrix, rank, cores)

    def _full(self) -> list[int]:
        """Largest rank of every unfolding."""
        sizes = [m * n for m, n in zip(self._rows, self._columns, strict=True)]
        return [min(prod(sizes[:t]), prod(sizes[t:])) for t in range(1, self.cores)]

    def _digits(self, t: int) -> tuple[range, range]:
        return range(t, t + 1), range(t, t + 1)

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
