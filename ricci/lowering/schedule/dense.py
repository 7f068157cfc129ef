"""Steps of `factor_dense` and `solve_dense`: calls of `backends/dense_solve.py`, on arrays without padding."""

from __future__ import annotations

from ricci.dsl import build
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size
from ricci.lowering.schedule.block import Block
from ricci.lowering.schedule.plan import Launch, Place, Routine, Step, Table

ZERO = Size.of(0)


def lower_factor_dense(block: Block, term: Term) -> list[Step]:
    """Copy the matrix, factor it."""
    shop = block.shop
    (matrix,) = term.args
    rows = matrix.axes["row"]
    slot = shop.slot("matrix", Kind.REAL, (rows, rows))
    slot.dense = True
    pivots = shop.slot("pivots", Kind.INT, (rows,))
    block.places[build.proj(term, 0)] = shop.place(matrix, slot)
    block.places[build.proj(term, 1)] = Place(pivots, ("row",), (ZERO,))
    factor = Routine("dense_factor", (Table(slot, rows * rows), Table(pivots, rows), rows))
    return [Launch(block.copy_nest(matrix, shop.place(matrix, slot))), factor]


def lower_solve_dense(block: Block, term: Term) -> list[Step]:
    """Copy the right-hand sides, solve in place, copy the solution to where it is wanted."""
    shop = block.shop
    axis, to = term.attrs[1:]
    factors, pivots = (block.places[a].slot for a in term.args[:2])
    right = term.args[2]
    data = shop.slot("right", Kind.REAL, right.axes.values())
    data.dense = True
    rows = right.axes[axis]
    outer, inner = Size.of(1), Size.of(1)
    for a, n in right.axes.items():
        outer, inner = (outer * n if a < axis else outer), (inner * n if a > axis else inner)
    work = Table(shop.slot("work", Kind.REAL, (rows * 8,)), rows * 8)
    tables = (Table(data, outer * rows * inner), work, Table(factors, rows * rows), Table(pivots, rows))
    part = build.proj(term, 0)
    proxy = build.symbol(f"{data.name}@solution", part.type)
    block.places[proxy] = Place(data, tuple(to if a == axis else a for a in right.axes), (ZERO,) * len(right.axes))
    slot = shop.slot(shop.titles.get(part, "solution"), part.kind, part.axes.values())
    block.places[part] = shop.place(part, slot)
    return [
        Launch(block.copy_nest(right, shop.place(right, data))),
        Routine("dense_solve", (*tables, outer, rows, inner)),
        Launch(block.copy_nest(proxy, shop.place(part, slot))),
    ]
