"""Triangular factors by halves: of Sum_{k <= i} L[i, k] X[k, j] the first half of the rows needs the first half of the columns only.

One halving leaves 3/4 of the work of a full sum, two leave 5/8. Rows of known number alone, and halves that are long enough to be
matrix products of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ricci.cost import Sizes
from ricci.dsl import build
from ricci.dsl.index import Guard, Index
from ricci.egraph.indexed import Emitter, IndexedProduct, single_label
from ricci.egraph.planners.rebinding import Rebinder
from ricci.egraph.structure import Structure
from ricci.egraph.terms import Loader

SHORTEST = 128  # rows of a half
DEPTH = 2  # halvings one into the other


def halve(loader: Loader, sizes: Sizes, structure: Structure, products: list[tuple[int, IndexedProduct]], limit: int) -> int:
    """Propose halves of products with a triangular condition; returns how many were halved."""
    emitter, rebinder = Emitter(loader, structure), Rebinder(sizes, structure)
    made = 0
    waiting = [(ref, product, 0) for ref, product in products]
    while waiting:
        ref, product, depth = waiting.pop()
        rows = next(_triangles(product), None)
        if rows is None or depth == DEPTH or made >= limit:
            continue
        made += 1
        parts = []
        for start, part in _halves(product, *rows):
            part = rebinder.simplest(part)
            half = emitter.emitted(part)
            waiting.append((half, part, depth + 1))
            axis = str(product.out[rows[0]].single_axis)
            moved = {axis: Index.axis(axis) - start}
            parts.append(build.reindex(emitter.probe(half), dict(product.axes), moved, (), 0))
        loader.space.union(emitter.load(build.add(*parts)), ref)
    return made


def _triangles(product: IndexedProduct) -> Iterator[tuple[str, str, Guard]]:
    """(i, k, guard on i - k) for rows i of known number that are an axis of the result, and a summed label k."""
    for guard in product.guards:
        for i, axis in product.out.items():
            rows = product.sizes[i].constant
            solved = single_label(guard.index, i)
            if solved is None or axis.single_axis is None or rows is None or rows < 2 * SHORTEST:
                continue
            s, rest = solved
            k = rest.single_axis if s < 0 else (-rest).single_axis
            if k is not None and k not in product.out and product.sizes[k].constant is not None:
                yield i, k, guard if s > 0 else _negative(guard)


def _negative(guard: Guard) -> Guard:
    """The same condition on the negative index."""
    return Guard(None if guard.hi is None else 1 - guard.hi, -guard.index, None if guard.lo is None else 1 - guard.lo)


def _halves(product: IndexedProduct, i: str, k: str, guard: Guard) -> Iterator[tuple[int, IndexedProduct]]:
    """(first row, the product of half of the rows), with what the condition on i - k leaves of the columns."""
    rows, columns = product.sizes[i].constant or 0, product.sizes[k]
    axis = product.out[i].single_axis
    for start, end in ((0, rows // 2), (rows // 2, rows)):
        (name,) = product.fresh()
        size = product.sizes[i] - (rows - end + start)
        first = 0 if guard.hi is None else start - guard.hi + 1
        last = columns if guard.lo is None else end - guard.lo
        part = replace(product, out={label: e for label, e in product.out.items() if label != i})
        part = part.substituted({i: Index.axis(name) + start}, {name: size}, [Guard(first, Index.axis(k), last)])
        axes = frozenset((a, size if a == axis else n) for a, n in product.axes)
        yield start, replace(part, out={**part.out, name: Index.axis(str(axis))}, axes=axes)
