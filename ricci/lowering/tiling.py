"""Time tiling: which loops over steps may run several steps on a few rows while these are in cache, and how far apart rows must stay.

A step is a list of launches over rows of one shared axis. Launch j at row r touches rows r + least .. r + most of a slot. Two launches
that touch the same row, one of them writing, keep their order if row r of launch j follows row r + d of an earlier launch i, where
d = most_j - least_i: rows of j lag behind those of i, `right` towards larger rows, `left` towards smaller ones. Every step lags by
`right_step` and `left_step` behind the one before. A band of rows moves through the grid; at a height h launch j of step t has done
all rows below h - t*right_step - right_j. Between slabs of threads a triangle stays open and is closed in a second phase. Nothing is computed twice and no value
changes: the same kernels run over the same rows.

Source: trapezoid decomposition (Frigo, Strumpen 2005), time skewing (McCalpin, Wonnacott 1999).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ricci.dsl.index import Index
from ricci.dsl.term import Term
from ricci.dsl.types import Size
from ricci.lowering.kernel import Add, Fold, Kernel, Let, Load, Loop, Statement, Store, symbols
from ricci.lowering.schedule.plan import Assign, Launch, Rebind, Step, Swap, While

ORDERLESS = ("max", "min", "any", "all")  # reductions whose value does not depend on how they are grouped
LARGEST_LAG = 256  # rows that a step may lag behind the one before
PERIODS = 4  # steps after which exchanged slots are where they were


@dataclass(frozen=True)
class Reach:
    """Rows of a slot that a launch touches, relative to its own row; `around`: they go round a periodic axis."""

    slot: str
    written: bool
    least: int
    most: int
    around: bool = False


@dataclass(frozen=True)
class Lags:
    """How many rows each launch of a step stays behind, and one step behind the step before."""

    launches: tuple[int, ...]
    step: int

    @property
    def most(self) -> int:
        return max(self.launches)


@dataclass(frozen=True)
class Tiling:
    """A loop whose launches may overlap, of several steps or of one (`alone`: why not of several). `slots`: all that its launches touch."""

    launches: tuple[Launch, ...]
    right: Lags
    left: Lags
    around: bool
    slots: tuple[str, ...]
    alone: str = ""


def tiling_of(loop: While, kernels: Mapping[int, Kernel]) -> Tiling | str:
    """How the launches of a loop may overlap, or why they may not. `kernels` by identity of the launch."""
    other = next((s for s in (*loop.head, *loop.body) if not isinstance(s, (Assign, Rebind, Swap, Launch))), None)
    if other is not None:
        return f"a step holds a {type(other).__name__}"
    launches = tuple(s for s in loop.body if isinstance(s, Launch))
    if not launches or any(isinstance(s, Launch) for s in loop.head):
        return "a step launches nothing"
    found = [kernels[id(launch)] for launch in launches]
    alone = _steps_hang_together(loop, found)
    refused = _scalars_object(loop, kernels) or _shapes_object(found)
    if not refused and alone and len(launches) == 1:
        refused = alone
    return refused or _overlapping(loop, launches, found, alone)


# scalars


def _scalars_object(loop: While, kernels: Mapping[int, Kernel]) -> str:
    """Why launches of one step wait for what others find; "" if they do not."""
    found: set[Term] = set()
    for s in (*loop.head, *loop.body):
        if isinstance(s, Assign) and s.leaves:
            return "an element of an array decides"
        if isinstance(s, (Swap, Rebind)) and _launches_follow(loop, s):
            return "slots or scalars are exchanged within a step"
        if isinstance(s, Launch):
            kernel = kernels[id(s)]
            if any(op not in ORDERLESS for _, op in kernel.totals):
                return "a sum is taken in every step"
            if any(t in found for t in kernel.scalars):
                return "what a launch finds decides the next one"
            found |= {total for total, _ in kernel.totals}
        found |= {t for t, value in _values(s) if found & set(symbols([value]))}
    return ""


def _launches_follow(loop: While, step: Step) -> bool:
    place = next(k for k, s in enumerate(loop.body) if s is step)
    return any(isinstance(s, Launch) for s in loop.body[place:])


def _steps_hang_together(loop: While, kernels: Sequence[Kernel]) -> str:
    """Why a step cannot begin before the one before has ended; "" if it can."""
    body = (*loop.head, *loop.body)
    if any(isinstance(s, Swap) and s.condition is not None for s in body):
        return "steps may be rejected"
    found = {total for kernel in kernels for total, _ in kernel.totals}
    while True:
        more = {t for s in body for t, value in _values(s) if t not in found and found & set(symbols([value]))}
        if not more:
            break
        found |= more
    if any(t in found for kernel in kernels for t in kernel.scalars):
        return "what a step finds decides the next one"
    return ""


def _values(step: Step) -> Iterator[tuple[Term, Term]]:
    """Scalars that a step sets, and to what."""
    if isinstance(step, Assign):
        yield step.target, step.value
    elif isinstance(step, Rebind):
        yield from zip(step.targets, step.values, strict=True)


# rows


def _shapes_object(kernels: Sequence[Kernel]) -> str:
    if any(kernel.shared is None for kernel in kernels):
        return "a launch has no rows to share"
    if any(kernel.computed for kernel in kernels):
        return "an index is computed"
    return ""


def _overlapping(loop: While, launches: tuple[Launch, ...], kernels: Sequence[Kernel], alone: str) -> Tiling | str:
    reaches: list[tuple[Reach, ...]] = []
    written = _with_exchanged({s.array for kernel in kernels for s in _stored(kernel.body)}, loop)
    for kernel in kernels:
        own = reaches_of(kernel, written)
        if own is None:
            return f"{kernel.name} reads or writes rows far away"
        reaches.append(own)
    around = any(r.around for own in reaches for r in own)
    if around and len({kernel.extent for kernel in kernels}) > 1:
        return "a periodic axis has rows of several counts"
    order = _turns(loop, 0, {}) if alone else _order(loop)
    if order is None:
        return "slots do not come back to their places"
    right = _lags(order, reaches, lambda before, after: after.most - before.least)
    left = _lags(order, reaches, lambda before, after: before.most - after.least)
    if right is None or left is None:
        return "a step reaches too far"
    return Tiling(launches, right, left, around, tuple(sorted({a.name for kernel in kernels for a in kernel.arrays})), alone)


def _with_exchanged(written: set[str], loop: While) -> set[str]:
    """All slots whose array is written under one of its names."""
    pairs = [{s.left.name, s.right.name} for s in loop.body if isinstance(s, Swap)]
    while any(pair & written and not pair <= written for pair in pairs):
        written = written.union(*(pair for pair in pairs if pair & written))
    return written


def _stored(body: Sequence[Statement]) -> Iterator[Store | Add]:
    for statement in body:
        if isinstance(statement, Loop):
            yield from _stored(statement.body)
        elif isinstance(statement, (Store, Add)):
            yield statement


def reaches_of(kernel: Kernel, written: set[str]) -> tuple[Reach, ...] | None:
    """What a kernel touches of the slots that the loop writes; None where a row is not near the one that is computed."""
    found: dict[tuple[str, bool], Reach] = {}
    for statement, region in _regions(kernel, kernel.body, None):
        accesses: list[tuple[str, tuple[Index, ...], bool]] = []
        if isinstance(statement, (Store, Add)):
            accesses.append((statement.array, statement.index, True))
        if isinstance(statement, (Let, Fold, Store, Add)):
            leaves = (kernel.leaves.get(s) for s in symbols([statement.value]))
            accesses += [(leaf.array, leaf.index, False) for leaf in leaves if isinstance(leaf, Load)]
        for array, index, stored in accesses:
            if array not in written:
                continue
            reach = None if region is None else _reach(kernel, array, index, stored, region)
            if reach is None:
                return None
            known = found.get((array, stored), reach)
            found[array, stored] = Reach(
                array, stored, min(known.least, reach.least), max(known.most, reach.most), known.around or reach.around
            )
    return tuple(found.values())


Region = tuple[Size, Size]


def _regions(kernel: Kernel, body: Sequence[Statement], region: Region | None) -> Iterator[tuple[Statement, Region | None]]:
    """Every statement with the rows that the loop around it runs over."""
    for statement in body:
        if isinstance(statement, Loop):
            yield from _regions(kernel, statement.body, (statement.lo, statement.hi) if statement.axis == kernel.shared else region)
        else:
            yield statement, region


def _reach(kernel: Kernel, array: str, index: tuple[Index, ...], stored: bool, region: Region) -> Reach | None:
    """One access, relative to the row of the loop."""
    assert kernel.shared is not None
    if any(kernel.shared in e.axes for e in index[1:]):
        return None
    row = index[0]
    if not row.terms:  # a given row, from the few of a region
        least, most = row.constant - (region[1] - 1), row.constant - region[0]
        return _whole(array, stored, least, most, False)
    if len(row.terms) > 1 or row.terms[0][1] != 1:
        return None
    atom, constant = row.terms[0][0], row.constant
    if atom.kind == "axis":
        return _whole(array, stored, constant, constant, False) if atom.axis == kernel.shared else None
    inner = atom.inner
    if atom.kind not in ("mod", "mirror", "clamp") or inner is None or constant != 0:
        return None
    if len(inner.terms) != 1 or inner.terms[0][0].kind != "axis" or inner.terms[0][0].axis != kernel.shared or inner.terms[0][1] != 1:
        return None
    shift = inner.constant
    if atom.kind == "mod":
        return _whole(array, stored, shift, shift, True) if kernel.extent == atom.size else None
    far = Size.of(abs(shift.constant)) if shift.constant is not None else shift
    return _whole(array, stored, -far, far, False)


def _whole(array: str, stored: bool, least: Size, most: Size, around: bool) -> Reach | None:
    """A reach whose ends are numbers."""
    if least.constant is None or most.constant is None:
        return None
    return Reach(array, stored, least.constant, most.constant, around)


# lags

Turn = tuple[int, int, Mapping[str, str]]  # step, launch, and which array each slot is


def _order(loop: While) -> list[Turn] | None:
    """Launches of so many steps that exchanged slots are back in their places, and one more; None if they do not come back."""
    names = {n for s in loop.body if isinstance(s, Swap) for n in (s.left.name, s.right.name)}
    arrays = {name: name for name in names}
    out: list[Turn] = []
    for step in range(PERIODS + 1):
        if step and all(name == array for name, array in arrays.items()):
            return out + _turns(loop, step, arrays)
        out += _turns(loop, step, arrays)
    return None


def _turns(loop: While, step: int, arrays: dict[str, str]) -> list[Turn]:
    """The launches of one step; `arrays` afterwards are those of the next."""
    out: list[Turn] = []
    for s in loop.body:
        if isinstance(s, Launch):
            out.append((step, len(out), dict(arrays)))
        elif isinstance(s, Swap) and arrays:
            left, right = s.left.name, s.right.name
            arrays[left], arrays[right] = arrays[right], arrays[left]
    return out


def _lags(order: Sequence[Turn], reaches: Sequence[Sequence[Reach]], distance: Callable[[Reach, Reach], int]) -> Lags | None:
    """The least lags that keep the order of all launches that touch the same rows."""
    edges: dict[tuple[int, int, int], int] = {}
    for p, (step, i, arrays) in enumerate(order):
        for later, j, others in order[p + 1 :]:
            for before in reaches[i]:
                for after in reaches[j]:
                    if arrays.get(before.slot, before.slot) == others.get(after.slot, after.slot) and (before.written or after.written):
                        key = i, j, later - step
                        edges[key] = max(edges.get(key, distance(before, after)), distance(before, after))
    count = len(reaches)
    for per_step in range(LARGEST_LAG + 1):
        lags = _longest(count, {(i, j, d - gap * per_step) for (i, j, gap), d in edges.items()})
        if lags is not None:
            return Lags(tuple(lag - min(lags) for lag in lags), per_step)
    return None


def _longest(count: int, edges: set[tuple[int, int, int]]) -> list[int] | None:
    """Longest paths from anywhere; None where a cycle grows for ever."""
    lags = [0] * count
    for _ in range(count + 1):
        grown = list(lags)
        for i, j, weight in edges:
            grown[j] = max(grown[j], grown[i] + weight)
        if grown == lags:
            return lags
        lags = grown
    return None


__all__ = ["Lags", "Reach", "Tiling", "reaches_of", "tiling_of"]
