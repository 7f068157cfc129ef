"""The sparsity of a linear map of arrays, with coefficients: which unknowns a result reads, at which offsets.

For results r[o] = sum_k c_k(o) d_k[E_k(o)] (E_k index maps, c_k terms without d) this finds every c_k, and turns E_k(o) - o
into integer offsets per axis. Axes correspond by the name before a colon: the state axis `x:ab` is grid axis `x` without `a`
nodes at the lower end, so its index i is node i + a. Reads of rows that a guard pins (`[x == 0]`), of fixed points, of
mirrored and of wrapped points are covered. A map that is not of this kind (a sum over an axis, say) gives None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from ricci.dsl import build
from ricci.dsl.index import Guard, Index, Ranges, offset_of
from ricci.dsl.normal import make_guards
from ricci.dsl.ops import contract, linear
from ricci.dsl.ops.reindex import pull_of
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Size

MOST_EXPANDED = 16  # a sum over an axis of at most this constant size is written out
MOST_POINTS = 20_000


@dataclass(frozen=True)
class Read:
    """A direction read at `index` (one entry per own axis) where `guards` hold."""

    direction: Term
    index: tuple[tuple[str, Index], ...]
    guards: tuple[Guard, ...]


@dataclass(frozen=True)
class Offset:
    """Position of what is read relative to where it is used, per grid axis."""

    steps: tuple[tuple[str, int], ...]

    def __getitem__(self, axis: str) -> int:
        return dict(self.steps).get(axis, 0)


@dataclass(frozen=True)
class Stencil:
    """`entries[k, l][offset]`: coefficient with which result k reads direction l there, over the axes of result k.

    `periodic`: grid axes along which offsets are meant modulo the size.
    """

    entries: Mapping[tuple[int, int], Mapping[Offset, Term]]
    periodic: frozenset[str]

    def reach(self, axis: str) -> tuple[int, int]:
        """Least and greatest offset along a grid axis."""
        steps = [offset[axis] for entry in self.entries.values() for offset in entry]
        return min(steps, default=0), max(steps, default=0)


def grid_axis(axis: str) -> tuple[str, int]:
    """(grid axis, node at index 0) of an axis of a state."""
    name, _, removed = axis.partition(":")
    return name, int(removed[0]) if removed[:1].isdigit() else 0


Reads = dict[Read, Term]


@dataclass(frozen=True)
class _Point:
    """A subterm seen from a result: `index` gives each of its axes as an index over the axes of the result."""

    term: Term
    index: tuple[tuple[str, Index], ...]


def reads_of(result: Term, directions: Sequence[Term]) -> Reads | None:
    """Every read of a direction with its coefficient (a term over the axes of the result); None when there are other uses."""
    moving = _moving(result, directions)
    root = _Point(result, tuple((a, Index.axis(a)) for a in result.axes))
    order = _points(root, moving)
    if order is None:
        return None
    done: dict[_Point, Reads] = {}
    for at in order:
        reads = _reads(at, done, moving, set(directions), result)
        if reads is None:
            return None
        done[at] = reads
    return done.get(root, {})


def _moving(result: Term, directions: Sequence[Term]) -> set[Term]:
    found = set(directions)
    for term in walk([result]):
        if any(a in found for a in term.args):
            found.add(term)
    return found


def _points(root: _Point, moving: set[Term]) -> list[_Point] | None:
    """Points that contain a direction, arguments first."""
    if root.term not in moving:
        return []
    seen: set[_Point] = set()
    order: list[_Point] = []
    stack: list[tuple[_Point, bool]] = [(root, False)]
    while stack:
        at, ready = stack.pop()
        if ready:
            order.append(at)
            continue
        if at in seen:
            continue
        seen.add(at)
        if len(seen) > MOST_POINTS:
            return None
        stack.append((at, True))
        below = _arguments(at)
        if below is None:
            return None
        stack.extend((p, False) for p, _ in below if p.term in moving)
    return order


def _arguments(at: _Point) -> list[tuple[_Point, tuple[Guard, ...]]] | None:
    """Points that a point reads, with the guards under which it does; None for an operator that is not pointwise."""
    term, where = at.term, dict(at.index)
    if term.op == "reindex":
        pull = pull_of(term)
        index = tuple((a, e.substitute(where)) for a, e in pull.entries)
        return [(_Point(term.args[0], index), tuple(g.substitute(where) for g in pull.guards))]
    if term.op == "contract":
        return _factors(term, where)
    if term.op in ("linear", "map", "cast"):
        return [(_Point(a, tuple((x, where[x]) for x in a.axes)), ()) for a in term.args]
    return [] if term.op in ("symbol", "const", "iota") else None


def _factors(term: Term, where: Mapping[str, Index]) -> list[tuple[_Point, tuple[Guard, ...]]] | None:
    """Factors at every value of the bound labels; all factors of one product follow each other."""
    bound = contract.bound_of(term)
    counts = []
    for size in bound.values():
        if size.constant is None or size.constant > MOST_EXPANDED:
            return None
        counts.append(size.constant)
    points: list[tuple[_Point, tuple[Guard, ...]]] = []
    for values in product(*(range(n) for n in counts)):
        fixed = dict(zip(bound, map(Index.of, values), strict=True))
        for factor, access in contract.factors_of(term):
            index = tuple((a, where[label] if isinstance(label, str) else fixed[label]) for a, label in access.items())
            points.append((_Point(factor, tuple(sorted(index))), ()))
    return points


def _reads(at: _Point, done: Mapping[_Point, Reads], moving: set[Term], directions: set[Term], result: Term) -> Reads | None:
    term = at.term
    if term in directions:
        return {Read(term, at.index, ()): build.expand(build.cast(build.const(1), term.kind), dict(result.axes))}
    below = _arguments(at)
    if below is None:
        return None
    if term.op == "contract":
        return _product_reads(term, below, done, moving, result)
    if term.op == "linear":
        weights = [c for c, _ in linear.terms_of(term)]
        total: Reads = {}
        for weight, (point, _) in zip(weights, below, strict=True):
            for read, c in done.get(point, {}).items():
                _collect(total, read, build.scale(weight, c))
        return total
    if term.op == "reindex":
        ((point, guards),) = below
        return _guarded(done[point], guards, result)
    if term.op == "cast":
        return {read: build.cast(c, term.kind) for read, c in done[below[0][0]].items()}
    return _map_reads(at, below, done, moving, result)


def _map_reads(
    at: _Point, below: list[tuple[_Point, tuple[Guard, ...]]], done: Mapping[_Point, Reads], moving: set[Term], result: Term
) -> Reads | None:
    """Scalar functions that are linear in what moves: parentheses and choices by a condition that does not move."""
    name = at.term.attrs[0]
    if name == "group":
        return dict(done[below[0][0]])
    if name != "where" or below[0][0].term in moving:
        return None
    condition = _value(below[0][0], result)
    total: Reads = {}
    for k, (point, _) in enumerate(below[1:]):
        for read, c in done.get(point, {}).items():
            zero = build.scale(0, c)
            _collect(total, read, build.where(condition, c, zero) if k == 0 else build.where(condition, zero, c))
    return total


def _product_reads(
    term: Term, below: list[tuple[_Point, tuple[Guard, ...]]], done: Mapping[_Point, Reads], moving: set[Term], result: Term
) -> Reads | None:
    width = len(term.args)
    total: Reads = {}
    for first in range(0, len(below), width):
        group = [point for point, _ in below[first : first + width]]
        active = [p for p in group if p.term in moving]
        if len(active) != 1:
            return None
        guards: tuple[Guard, ...] = ()
        weights = []
        for p in group:
            if p.term in moving:
                continue
            own = _indicator_guards(p)
            if own is None:
                weights.append(_value(p, result))
            else:
                guards += own
        reads = _guarded(done[active[0]], guards, result)
        for read, c in reads.items():
            _collect(total, read, build.expand(build.mul(*weights, c), dict(result.axes)))
    return total


def _indicator_guards(at: _Point) -> tuple[Guard, ...] | None:
    """Guards of a factor that is 1 where they hold and 0 elsewhere."""
    term = at.term
    if term.op == "cast":
        term = term.args[0]
    if term.op != "reindex" or term.args[0].op != "const":
        return None
    pull = pull_of(term)
    if term.args[0] is not build.const(1, term.args[0].kind) or pull.fill != 0:
        return None
    return tuple(g.substitute(dict(at.index)) for g in pull.guards)


def _value(at: _Point, result: Term) -> Term:
    """The subterm at its index, over the axes of the result; 0 where it is read out of range."""
    return build.reindex(at.term, dict(result.axes), dict(at.index), (), 0)


def _guarded(reads: Reads, guards: tuple[Guard, ...], result: Term) -> Reads:
    """Reads where `guards` hold too; those that never happen are dropped."""
    if not guards:
        return dict(reads)
    total: Reads = {}
    for read, c in reads.items():
        joined = make_guards([*read.guards, *guards], Ranges.of(result.axes))
        if joined is not None:
            _collect(total, Read(read.direction, read.index, joined), c)
    return total


def _collect(total: Reads, read: Read, coefficient: Term) -> None:
    total[read] = build.add(total[read], coefficient) if read in total else coefficient


# offsets


def stencil(results: Sequence[Term], directions: Sequence[Term]) -> Stencil | None:
    """Coefficients by offset of results that are linear in the directions; None when the map is not a stencil."""
    entries: dict[tuple[int, int], dict[Offset, Term]] = {}
    periodic: set[str] = set()
    for k, result in enumerate(results):
        reads = reads_of(result, directions)
        if reads is None:
            return None
        for read, coefficient in reads.items():
            found = offsets_of(read, coefficient, result, periodic)
            if found is None:
                return None
            entry = entries.setdefault((k, directions.index(read.direction)), {})
            for offset, c in found:
                entry[offset] = build.add(entry[offset], c) if offset in entry else c
    return Stencil(entries, frozenset(periodic))


def offsets_of(read: Read, coefficient: Term, result: Term, periodic: set[str] | None = None) -> list[tuple[Offset, Term]] | None:
    """A read as coefficients by offset; None where it is no window. Axes that are read around enter `periodic` (None: there is none)."""
    around: set[str] = set()
    windows = _windows(read, result, around)
    if windows is None or (around and periodic is None):
        return None
    if periodic is not None:
        periodic |= around
    return _split(read, windows, coefficient, result)


def _windows(read: Read, result: Term, periodic: set[str]) -> dict[str, tuple[str, int, int, bool]] | None:
    """Per grid axis: own axis of what is read, least and greatest offset, whether it is the same everywhere."""
    mine = {grid_axis(a)[0]: a for a in result.axes}
    theirs = {grid_axis(a)[0]: a for a, _ in read.index}
    if mine.keys() != theirs.keys() or len(mine) != len(result.axes):
        return None
    windows = {}
    ranges = Ranges.of(result.axes).narrow(read.guards)
    pinned = _pinned(read.guards)
    for name, axis in mine.items():
        e = dict(read.index)[theirs[name]].substitute(pinned).within(ranges)
        here = pinned.get(axis, Index.axis(axis))
        shift = grid_axis(theirs[name])[1] - grid_axis(axis)[1]
        window = _window(e, here, axis, result.axes[axis], ranges)
        if window is None:
            return None
        low, high, wraps = window
        if wraps:
            periodic.add(name)
        windows[name] = (theirs[name], low + shift, high + shift, low == high)
    return windows


def _pinned(guards: Sequence[Guard]) -> dict[str, Index]:
    """Axes that guards fix to one value."""
    fixed = {}
    for guard in guards:
        axis = guard.index.single_axis
        if axis is not None and guard.lo is not None and guard.hi is not None and guard.hi - guard.lo == 1:
            fixed[axis] = Index.of(guard.lo)
    return fixed


def _window(e: Index, here: Index, axis: str, size: Size, ranges: Ranges) -> tuple[int, int, bool] | None:
    """Least and greatest value of e - here, and whether it is meant modulo the size."""
    difference = (e - here).within(ranges)
    if not difference.terms:
        return _modulo(difference.constant, size + _removed(axis))
    if len(e.terms) == 1 and e.terms[0][1].constant == 1 and here.single_axis == axis and not e.constant.terms:
        atom = e.terms[0][0]
        if atom.kind in ("mod", "clamp", "mirror") and atom.size == size:
            k = offset_of(atom.inner, axis)
            if k is not None and k.constant is not None:
                n = k.constant
                if atom.kind == "mod":
                    return (n, n, True) if ":" not in axis else None
                return (min(n, 0), max(n, 0), False) if atom.kind == "clamp" else (-abs(n), abs(n), False)
    low, high = difference.bounds(ranges)
    if low is None or high is None or low.constant is None or high.constant is None:
        return None
    return low.constant, high.constant, False


def _removed(axis: str) -> int:
    """Number of grid nodes that a state axis lacks."""
    return sum(int(c) for c in axis.partition(":")[2] if c.isdigit())


def _modulo(difference: Size, size: Size) -> tuple[int, int, bool] | None:
    """An offset c, or c + k * size, which is c modulo the size of the grid axis."""
    if difference.constant is not None:
        return difference.constant, difference.constant, False
    for k in (1, -1):
        rest = (difference - size * k).constant
        if rest is not None:
            return rest, rest, True
    return None


def _split(read: Read, windows: Mapping[str, tuple[str, int, int, bool]], coefficient: Term, result: Term) -> list[tuple[Offset, Term]]:
    """The coefficient at every offset of the window, guarded by [E(o) - o == offset] where the offset varies."""
    mine = {grid_axis(a)[0]: a for a in result.axes}
    parts = []
    for steps in product(*(range(low, high + 1) for _, low, high, _ in windows.values())):
        guards = list(read.guards)
        for step, (name, (theirs, _, _, uniform)) in zip(steps, windows.items(), strict=True):
            if not uniform:
                shift = grid_axis(theirs)[1] - grid_axis(mine[name])[1]
                e = dict(read.index)[theirs]
                guards.append(Guard.equal(e - Index.axis(mine[name]), step - shift))
        c = coefficient
        if guards:
            c = build.mul(build.indicator(dict(result.axes), guards), c)
        parts.append((Offset(tuple(sorted(zip(windows, steps, strict=True)))), c))
    return parts
