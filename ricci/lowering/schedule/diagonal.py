"""Steps of `diagonalize` and `solve_diagonal`: calls of `backends/transforms.py` and `backends/diagonal_solve.py`."""

from __future__ import annotations

from collections.abc import Sequence

from ricci.dsl import build
from ricci.dsl.ops.spectral import KINDS, Along, Part, Spectrum
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size
from ricci.lowering.schedule.block import Block
from ricci.lowering.schedule.plan import Launch, Place, Routine, Slot, Step, Table, Window
from ricci.lowering.schedule.solve import Argument, values_of

MOST_AXES = 3
ROOTS = 13  # elements of the tables of an axis per point of its period, at most (transforms.py: roots_fill)
WORK = 72  # elements of working memory per point of a period, at most (transforms.py: transform)
TEAM = 8  # threads with working memory of their own (transforms.py: own_memory)
ZERO, ONE = Size.of(0), Size.of(1)


def lower_diagonalize(block: Block, term: Term) -> list[Step]:
    """Tables of the axes, then inverse matrices of all frequencies or factors of the bands."""
    spectrum: Spectrum = term.attrs[1]
    shop = block.shop
    whole = shop.slot("modes", Kind.REAL, (spectrum.rows + roots_length(spectrum),))
    block.places[build.proj(term, 0)] = Place(whole, ("row",), (ZERO,))
    roots, modes = Table(whole, roots_length(spectrum)), Table(whole, spectrum.rows + roots_length(spectrum))
    work = _work(block, spectrum)
    steps: list[Step] = [Routine("table_clear", (modes,))]
    for along, start in zip(spectrum.axes, starts(spectrum), strict=True):
        if along.moved:
            steps.append(Routine("roots_fill", (roots, work, start, along.size, _kind(along))))
    for part, coefficient in zip(spectrum.parts, term.args, strict=True):
        table, before, same = values_of(block, coefficient)
        steps += [*before, _add(spectrum, part, (modes, table, roots, work), same)]
    steps.append(_finish(spectrum, modes))
    return steps


def _add(spectrum: Spectrum, part: Part, tables: tuple[Table, ...], same: bool) -> Step:
    """One coefficient into the matrices of all frequencies."""
    if spectrum.band is None:
        plane = spectrum.points * ((part.row * spectrum.count + part.column) * (2 if spectrum.is_complex else 1))
        numbers = [roots_length(spectrum) + plane, spectrum.points if spectrum.is_complex else ZERO]
        numbers += [ONE, ZERO, ONE, ZERO, ZERO] * (MOST_AXES - len(spectrum.axes))
        for a, start, step in zip(spectrum.axes, starts(spectrum), part.shifts, strict=True):
            numbers += [a.size, _kind(a), Size.of(int(a.even)), start, Size.of(step)]
        return Routine("modes_add", (*tables, *numbers))
    others = [
        [a.size, _kind(a), start, Size.of(step)]
        for a, start, step in zip(spectrum.axes, starts(spectrum), part.shifts, strict=True)
        if a.kind != "band"
    ]
    others = [[ONE, ZERO, ZERO, ZERO]] * (MOST_AXES - 1 - len(others)) + others
    own = [Size.of(int(same)), _scale(spectrum)]
    where = [Size.of(spectrum.lower), Size.of(spectrum.upper), Size.of(part.offset), *_around(spectrum, spectrum.band), _ring(spectrum)]
    start = roots_length(spectrum)
    return Routine("lines_add", (*tables, *own, start, *where, *others[0], *others[1]))


def _finish(spectrum: Spectrum, modes: Table) -> Step:
    start = roots_length(spectrum)
    if spectrum.band is None:
        image = spectrum.points if spectrum.is_complex else ZERO
        return Routine("modes_invert", (modes, start, spectrum.points, Size.of(spectrum.count), image, _scale(spectrum)), together=True)
    bands = Size.of(spectrum.lower), Size.of(spectrum.upper)
    return Routine("lines_factor", (modes, start, *bands, *_around(spectrum, spectrum.band), _ring(spectrum)), together=True)


def lower_solve_diagonal(block: Block, term: Term) -> list[Step]:
    """Transform the right-hand sides, solve for every frequency, transform back."""
    spectrum: Spectrum = term.attrs[1]
    shop = block.shop
    whole = block.places[term.args[0]].slot
    roots, modes = Table(whole, roots_length(spectrum)), Table(whole, spectrum.rows + roots_length(spectrum))
    planes = 1 if spectrum.half is None else 2
    sizes = [a.size for a in spectrum.axes]
    data = shop.slot("frequencies", Kind.REAL, (Size.of(planes * spectrum.count), *sizes))
    data.dense = True
    vector = Table(data, spectrum.points * (planes * spectrum.count))
    work = _work(block, spectrum)
    windows = [_window(block, data, term.args[1 + k], f"right_{k}") for k in range(spectrum.count)]
    steps: list[Step] = []
    for k, window in enumerate(windows):
        right = term.args[1 + k]
        steps += [Window(window, Size.of(planes * k)), Launch(block.copy_nest(right, shop.place(right, window)))]
    order = _order(spectrum)
    for k in range(spectrum.count):
        steps += [_transform(spectrum, d, k, vector, work, roots, 0) for d in order]
    steps += _apply(spectrum, vector, work, modes)
    for k in range(spectrum.count):
        steps += [_transform(spectrum, d, k, vector, work, roots, 1) for d in reversed(order)]
    for k, window in enumerate(windows):
        part = build.proj(term, k)
        proxy = build.symbol(f"{window.name}@solution", part.type)
        block.places[proxy] = shop.place(proxy, window)
        slot = shop.slot(shop.titles.get(part, "solution"), part.kind, part.axes.values())
        block.places[part] = shop.place(part, slot)
        steps.append(Launch(block.copy_nest(proxy, shop.place(part, slot))))
    return steps


def _window(block: Block, data: Slot, term: Term, title: str) -> Slot:
    """One plane of the data, of the shape of an unknown."""
    slot = block.shop.slot(title, Kind.REAL, term.axes.values(), "window")
    slot.within = data
    return slot


def _order(spectrum: Spectrum) -> list[int]:
    """Axes to transform, in order: while numbers are real, then the ring that halves them, then the other rings."""
    rings = [d for d, a in enumerate(spectrum.axes) if a.kind == "ring"]
    return [d for d, a in enumerate(spectrum.axes) if a.moved and a.kind != "ring"] + rings


def _transform(spectrum: Spectrum, d: int, unknown: int, vector: Table, work: Table, roots: Table, backward: int) -> Step:
    along = spectrum.axes[d]
    ring = along.kind == "ring"
    planes = 1 if spectrum.half is None else 2
    numbers = [
        spectrum.points * (planes * unknown),
        starts(spectrum)[d],
        spectrum.points if ring else ZERO,
        *_around(spectrum, d),
        spectrum.axes[0].size if ring and spectrum.half == 0 and d > 0 else ZERO,
        _kind(along),
        Size.of(int(d == spectrum.half)),
        Size.of(backward),
    ]
    return Routine("transform", (vector, work, roots, *numbers), together=True)


def _apply(spectrum: Spectrum, vector: Table, work: Table, modes: Table) -> list[Step]:
    start = roots_length(spectrum)
    image = ZERO if spectrum.half is None else spectrum.points
    ring = spectrum.axes[0].size if spectrum.half == 0 else ZERO
    if spectrum.band is None:
        numbers = [start, spectrum.points, ring, Size.of(spectrum.count), image, Size.of(int(spectrum.is_complex))]
        return [Routine("modes_apply", (vector, work, modes, *numbers), together=True)]
    bands = [Size.of(spectrum.lower), Size.of(spectrum.upper), *_around(spectrum, spectrum.band), _ring(spectrum)]
    places = [ZERO] if spectrum.half is None else [ZERO, spectrum.points]
    return [Routine("lines_solve", (vector, work, modes, place, start, *bands), together=True) for place in places]


# numbers


def _kind(along: Along) -> Size:
    return Size.of(KINDS[along.kind])


def _around(spectrum: Spectrum, d: int) -> list[Size]:
    """Points of the axes outside of one, of it, and inside."""
    return [_product(spectrum.axes[:d]), spectrum.axes[d].size, _product(spectrum.axes[d + 1 :])]


def _product(axes: Sequence[Along]) -> Size:
    total = ONE
    for a in axes:
        total = total * a.size
    return total


def _ring(spectrum: Spectrum) -> Size:
    """Points of the first axis beside the band, if it is the ring that is halved."""
    others = [d for d in range(len(spectrum.axes)) if d != spectrum.band]
    return spectrum.axes[others[0]].size if spectrum.half == others[0] else ZERO


def _scale(spectrum: Spectrum) -> Size:
    """By which transforms forth and back multiply."""
    total = ONE
    for a in spectrum.axes:
        total = total * (a.period if a.moved else ONE)
    return total


def starts(spectrum: Spectrum) -> list[Size]:
    """Where the tables of every axis begin."""
    places, at = [], ZERO
    for a in spectrum.axes:
        places.append(at)
        at = at + (a.period * ROOTS if a.moved else ZERO)
    return places


def roots_length(spectrum: Spectrum) -> Size:
    total = ZERO
    for a in spectrum.axes:
        total = total + (a.period * ROOTS if a.moved else ZERO)
    return total + 8


def _work(block: Block, spectrum: Spectrum) -> Table:
    rows = Size.of(64 * spectrum.count)
    for a in spectrum.axes:
        rows = rows + (a.period * WORK + a.size * 32 if a.moved else a.size * 8 if a.kind == "band" else ZERO)
    rows = rows * TEAM
    return Table(block.shop.slot("work", Kind.REAL, (rows,)), rows)


__all__ = ["Argument", "lower_diagonalize", "lower_solve_diagonal"]
