"""Steps of `factor` and `solve_factored`: calls of the routines of `backends/linear_solve.py`, on tables without padding."""

from __future__ import annotations

from ricci.dsl import build
from ricci.dsl.index import Index
from ricci.dsl.ops.band import Layout
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size, Type
from ricci.lowering.kernel import Load
from ricci.lowering.schedule.block import Block
from ricci.lowering.schedule.plan import Assign, Launch, Place, Put, Routine, Slot, Step, Table

Argument = Table | Size | Term
MOST_AXES = 3


def lower_factor(block: Block, term: Term) -> list[Step]:
    """Assemble the band matrix from its coefficients and factor it."""
    layout: Layout = term.attrs[1]
    shop = block.shop
    if layout.ordering and layout.ordering not in shop.orderings:
        shop.orderings.append(layout.ordering)
    band = shop.slot("matrix", Kind.REAL, (layout.rows, layout.width))
    band.dense = True
    pivots = shop.slot("pivots", Kind.INT, (layout.rows,))
    block.places[build.proj(term, 0)] = Place(band, ("row", "diagonal"), (Size.of(0), Size.of(0)))
    block.places[build.proj(term, 1)] = Place(pivots, ("row",), (Size.of(0),))
    matrix = Table(band, layout.rows, layout.width)
    steps: list[Step] = [Routine("band_clear", (matrix, layout.lower))]
    for k in range(len(layout.unknowns)):
        steps.append(Routine("band_claim", (matrix, layout.lower, Size.of(k), *geometry(layout, k))))
    for entry, coefficient in zip(layout.entries, term.args, strict=True):
        table, before, same = values_of(block, coefficient)
        steps += before
        offsets = [Size.of(entry.offsets[g]) for _, g, _ in layout.unknowns[entry.row].axes]
        offsets += [Size.of(0)] * (MOST_AXES - len(offsets))
        numbers = (Size.of(int(same)), Size.of(entry.row), Size.of(entry.column), *offsets)
        steps.append(Routine("band_add", (matrix, layout.lower, table, *numbers, *geometry(layout, entry.row))))
    steps.append(Routine("band_factor", (matrix, layout.lower, layout.upper, Table(pivots, layout.rows))))
    return steps


def lower_solve_factored(block: Block, term: Term) -> list[Step]:
    """Solve with factors for one set of right-hand sides."""
    layout: Layout = term.attrs[1]
    shop = block.shop
    factors, pivots = (block.places[a].slot for a in term.args[:2])
    matrix, exchanges = Table(factors, layout.rows, layout.width), Table(pivots, layout.rows)
    vector = Table(shop.slot("vector", Kind.REAL, (layout.rows,)), layout.rows)
    steps: list[Step] = [] if layout.is_full else [Routine("vector_clear", (vector,))]
    for k, right in enumerate(term.args[2:]):
        table, before, _ = values_of(block, right)
        steps += [*before, Routine("band_pack", (vector, table, Size.of(k), *geometry(layout, k)))]
    steps.append(Routine("band_solve", (matrix, layout.lower, layout.upper, exchanges, vector)))
    for k in range(len(layout.unknowns)):
        steps += _result(block, build.proj(term, k), vector, k, layout)
    return steps


def geometry(layout: Layout, unknown: int) -> list[Argument]:
    """Extent, first node, size, stride, ring flag of up to three axes of an unknown array."""
    own = layout.unknowns[unknown]
    numbers: list[Argument] = []
    for (_, g, first), extent in zip(own.axes, own.sizes, strict=True):
        axis = layout.axes[g]
        numbers += [extent, Size.of(first), axis.size, axis.stride, Size.of(int(axis.ring))]
    for _ in range(MOST_AXES - len(own.axes)):
        numbers += [Size.of(1), Size.of(0), Size.of(1), Size.of(0), Size.of(0)]
    return numbers


def values_of(block: Block, term: Term) -> tuple[Table, list[Step], bool]:
    """The values of a term as a dense vector in the order of its axes, what must run before, and whether it is one number."""
    shop = block.shop
    rows = Size.of(1)
    for n in term.axes.values():
        rows = rows * n
    if not term.axes:
        slot = shop.slot("value", Kind.REAL, (Size.of(1),))
        return Table(slot, rows), [Put(slot, Size.of(0), None, block.known.get(term, term))], True
    place = block.places[term]
    if len(term.axes) == 1 and place.slot.rank == 1 and place.offsets[0] == 0:
        return Table(place.slot, rows), [], False
    slot = _dense(block, term)
    return Table(slot, rows), [Launch(block.copy_nest(term, shop.place(term, slot)))], False


def _dense(block: Block, term: Term) -> Slot:
    slot = block.shop.slot("dense", Kind.REAL, term.axes.values())
    slot.dense = True
    return slot


def _result(block: Block, part: Term, vector: Table, k: int, layout: Layout) -> list[Step]:
    """Take one unknown out of the solution."""
    shop = block.shop
    rows = Size.of(1)
    for n in part.axes.values():
        rows = rows * n
    name = shop.titles.get(part, "solution")
    if not part.axes:
        block.known[part] = shop.scalar(name, part.kind)
        element = build.symbol(f"{vector.slot.name}[{k}]", Type(Kind.REAL))
        return [Assign(block.known[part], element, {element: Load(vector.slot.name, (Index.of(k),))})]
    slot = shop.slot(name, part.kind, part.axes.values())
    block.places[part] = shop.place(part, slot)
    if slot.rank == 1:
        return [Routine("band_unpack", (vector, Table(slot, rows), Size.of(k), *geometry(layout, k)))]
    # others may read the solution past its ends, so that its rows need not lie one after another
    proxy = build.symbol(f"{slot.name}@dense", part.type)
    dense = _dense(block, part)
    block.places[proxy] = shop.place(proxy, dense)
    return [
        Routine("band_unpack", (vector, Table(dense, rows), Size.of(k), *geometry(layout, k))),
        Launch(block.copy_nest(proxy, shop.place(part, slot))),
    ]
