"""Sizes of grid axes in terms of dims that know how many nodes the schemes need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ricci.dsl.index import Guard, Index
from ricci.dsl.types import Dim, Size


@dataclass(frozen=True)
class Resizer:
    """Exchanges dims by name in sizes, index expressions and guards; a dim that is not in `dims` stays."""

    dims: Mapping[str, Dim]

    def size(self, size: Size) -> Size:
        if not any(dim.name in self.dims for dim in size.dims):
            return size
        total = Size.of(0)
        for monomial, c in size.terms:
            product = Size.of(c)
            for dim, power in monomial:
                for _ in range(power):
                    product = product * Size.of(self.dims.get(dim.name, dim))
            total = total + product
        return total

    def index(self, index: Index) -> Index:
        total = Index.of(self.size(index.constant))
        for atom, k in index.terms:
            if atom.kind == "axis":
                part = Index.axis(atom.axis)
            else:
                inner, n = self.index(atom.inner), self.size(atom.size)
                makers = {"mod": inner.mod, "div": inner.div, "clamp": inner.clamp, "mirror": inner.mirror}
                part = makers[atom.kind](n)
            total = total + part * self.size(k)
        return total

    def guard(self, guard: Guard) -> Guard:
        lo = None if guard.lo is None else self.size(guard.lo)
        hi = None if guard.hi is None else self.size(guard.hi)
        return Guard(lo, self.index(guard.index), hi)
