"""Evaluation of a term at a symbolic point: which arguments are read where, and the scalar expression that results.

A `Point` is a term with one index per axis (over the axes of the loops around it) and the guards under which it is reached.
`Puller.arguments` gives the points that a point reads; everything else (what to store, where regions end, scalar code) is a
walk over points. Ranges of the loop axes decide guards and simplify indices, so that code for the bulk of a field has no
index arithmetic left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from ricci.dsl import build
from ricci.dsl.index import Guard, Index, Ranges
from ricci.dsl.normal import make_guards
from ricci.dsl.ops import contract
from ricci.dsl.ops.reindex import pull_of
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size, Type
from ricci.lowering.kernel import Holds, Leaf, Load, Number
from ricci.lowering.schedule.plan import Place


@dataclass(frozen=True)
class Point:
    """`term` at `index` (one per axis, in axis order), reached only where `guards` hold."""

    term: Term
    index: tuple[Index, ...]
    guards: tuple[Guard, ...] = ()

    @property
    def at(self) -> dict[str, Index]:
        return dict(zip(self.term.axes, self.index, strict=True))


def point(term: Term, at: Mapping[str, Index], guards: tuple[Guard, ...] = ()) -> Point:
    """The point of `term` where its axes have the indices in `at`."""
    return Point(term, tuple([at[axis] for axis in term.axes]), guards)


def identity(term: Term) -> Point:
    """`term` at the loops over its own axes."""
    return Point(term, tuple([Index.axis(axis) for axis in term.axes]))


def bound_names(term: Term) -> dict[int, str]:
    """Loop names for the bound labels of a contract: the axis of a factor that has the label, if that name is free."""
    names: dict[int, str] = {}
    for factor, access in contract.factors_of(term):
        for axis in factor.axes:
            label = access[axis]
            if isinstance(label, int) and label not in names:
                name = axis
                while name in term.axes or name in names.values():
                    name += "'"
                names[label] = name
    return names


def summand(term: Term) -> tuple[list[tuple[Term, dict[str, Index]]], dict[str, Size]]:
    """Factors of a contract with the index of each axis, and the loops over its bound labels."""
    names = bound_names(term)
    sizes = contract.bound_of(term)
    factors = []
    for factor, access in contract.factors_of(term):
        at = {axis: Index.axis(label if isinstance(label, str) else names[label]) for axis, label in access.items()}
        factors.append((factor, at))
    return factors, {names[label]: sizes[label] for label in names}


@lru_cache(maxsize=8192)
def is_pointwise(term: Term) -> bool:
    """Whether a contract multiplies values at one point, each factor by its own axes."""
    return not contract.bound_of(term) and all(axis == label for _, access in contract.factors_of(term) for axis, label in access.items())


@dataclass(frozen=True)
class Arguments:
    """What a point reads. `fill`: the guards never hold. `holds`: guards that must be tested at run time."""

    points: tuple[Point, ...] = ()
    holds: tuple[Guard, ...] = ()
    never: bool = False
    position: str = ""  # name under which the value of points[0] serves as an index of points[1]


@dataclass
class Puller:
    """Points over loops with known ranges. `is_leaf` says which terms are read from storage or scalars instead of recomputed."""

    ranges: Ranges
    is_leaf: Callable[[Term], bool]
    positions: dict[Point, str] = field(default_factory=dict)
    tag: int = 0  # keeps names of positions in different regions apart

    def arguments(self, at: Point, own: bool = False) -> Arguments:
        """The points that `at` reads directly; none for leaves (unless the point is to be computed: `own`)."""
        term = at.term
        if term.op in ("symbol", "const", "iota") or (not own and self.is_leaf(term)):
            return Arguments()
        where = at.at
        if term.op == "reindex":
            return self._reindex(at, where)
        if term.op == "contract":
            if is_pointwise(term):
                return Arguments(tuple([point(f, where, at.guards) for f in term.args]))
            factors, _ = summand(term)
            points = [point(f, {axis: e.substitute(where) for axis, e in access.items()}, at.guards) for f, access in factors]
            return Arguments(tuple(points))
        if term.op == "gather":
            return self._gather(at, where)
        return Arguments(tuple([point(a, where, at.guards) for a in term.args]))

    def _reindex(self, at: Point, where: dict[str, Index]) -> Arguments:
        pull = pull_of(at.term)
        guards = make_guards([g.substitute(where) for g in pull.guards], self.narrowed(at.guards))
        if guards is None:
            return Arguments(never=True)
        active = at.guards
        if guards:
            joined = make_guards([*at.guards, *guards], self._known())
            if joined is None:
                return Arguments(never=True)
            active = joined
        inside = self.narrowed(active)
        index = {axis: e.substitute(where).within(inside) for axis, e in pull.index.items()}
        return Arguments((point(at.term.args[0], index, active),), holds=guards)

    def _gather(self, at: Point, where: dict[str, Index]) -> Arguments:
        """A position outside the axis reads 0: the guard on it is tested at run time."""
        source, position = at.term.args
        axis = gathered_axis(at.term)
        first = point(position, where, at.guards)
        name = self.positions.setdefault(first, f"@{self.tag}.{len(self.positions)}")
        inside = Guard(0, Index.axis(name), source.axes[axis])
        second = point(source, {**where, axis: Index.axis(name)}, (*at.guards, inside))
        return Arguments((first, second), holds=(inside,), position=name)

    def narrowed(self, guards: Iterable[Guard]) -> Ranges:
        guards = tuple(guards)
        return self._known().narrow(guards) if guards else self._known()

    def _known(self) -> Ranges:
        """Ranges of the loops; nothing is known of positions that data gives."""
        if not self.positions:
            return self.ranges
        return Ranges([*self.ranges.items, *[(name, (None, None)) for name in self.positions.values()]])

    def walk(self, roots: Iterable[Point]) -> list[Point]:
        """Every point that the roots read, arguments before the points that read them."""
        seen: set[Point] = set()
        order: list[Point] = []
        for root in roots:
            stack: list[tuple[Point, bool]] = [(root, False)]
            while stack:
                at, ready = stack.pop()
                if ready:
                    order.append(at)
                    continue
                if at in seen:
                    continue
                seen.add(at)
                stack.append((at, True))
                stack.extend((a, False) for a in reversed(self.arguments(at).points) if a not in seen)
        return order


def gathered_axis(term: Term) -> str:
    """The axis of the first argument that a gather reads by position."""
    attrs = term.attrs
    return str(attrs[0] if isinstance(attrs, tuple) else attrs)


@dataclass(frozen=True)
class Ghosts:
    """Where reads past the ends of a periodic term go: `wide` is the extended term, axis -> (its name there, width)."""

    wide: Term
    axes: Mapping[str, tuple[str, int]]


@dataclass
class Scalars:
    """Builds scalar expressions of points; collects the leaves they read.

    `places`: where stored terms lie; `known`: scalar symbols of terms without axes; `loops`: full sizes of the loops.
    """

    puller: Puller
    places: Mapping[Term, Place]
    known: Mapping[Term, Term]
    loops: Mapping[str, Size] = field(default_factory=dict)
    ghosts: Mapping[Term, Ghosts] = field(default_factory=dict)
    leaves: dict[Term, Leaf] = field(default_factory=dict)
    computed: dict[str, Term] = field(default_factory=dict)
    _forwarded: dict[tuple[str, tuple[Index, ...]], Term] = field(default_factory=dict)
    _done: dict[Point, Term] = field(default_factory=dict)

    def value(self, root: Point) -> Term:
        """The scalar expression of a point; a load or a variable if its term is stored."""
        for at in self.puller.walk([root]):
            if at not in self._done:
                self._done[at] = self._leaf(at) if self.puller.is_leaf(at.term) else self._combine(at, self.puller.arguments(at))
        return self._done[root]

    def own_value(self, root: Point) -> Term:
        """The scalar expression that computes a stored term at a point."""
        reads = self.puller.arguments(root, own=True)
        for p in reads.points:
            self.value(p)
        return self._combine(root, reads)

    def forward(self, array: str, index: tuple[Index, ...], name: Term) -> None:
        """From now on array[index] is the variable `name` of this loop body."""
        self._forwarded[array, index] = name

    def _leaf(self, at: Point) -> Term:
        term = at.term
        if term in self.known:
            return self.known[term]
        return self._load(at) if term in self.places else term

    def _combine(self, at: Point, reads: Arguments) -> Term:
        term = at.term
        if term.op in ("const", "symbol"):
            return term
        if term.op == "iota":
            return self.number(at.index[0])
        if reads.never:
            return self._fill(term)
        if reads.position and reads.position not in self.computed:
            self.computed[reads.position] = self._done[reads.points[0]]
        args = [self._done[p] for p in reads.points]
        if term.op == "reindex":
            inside = args[0]
            if reads.holds:
                inside = build.where(self.holds(reads.holds), inside, self._fill(term))
            return build.cast(inside, term.kind)
        if term.op == "gather":
            return build.where(self.holds(reads.holds), args[1], build.const(0, term.kind))
        return combine(term, args)

    def _fill(self, term: Term) -> Term:
        fill = pull_of(term).fill
        return build.const(Fraction(0) if fill is None else fill, term.kind)

    def _load(self, at: Point) -> Term:
        term, where = at.term, at.at
        ghosts = self.ghosts.get(term)
        if ghosts is not None:
            reach = {a: wrap_reach(e, term.axes[a], self.loops) if a in ghosts.axes else None for a, e in where.items()}
            if any(r is not None for r in reach.values()):
                moved = {}
                for axis, e in where.items():
                    wide, width = ghosts.axes.get(axis, (axis, 0))
                    step = reach[axis]
                    moved[wide] = (e if step is None else Index.axis(step[0]) + step[1]) + width
                term, where = ghosts.wide, moved
        place = self.places[term]
        index = place.index(where)
        stored = self._forwarded.get((place.slot.name, index))
        if stored is not None:
            return stored
        text = f"{place.slot.name}[{', '.join(map(str, index))}]"
        if at.guards:
            text += " | " + ", ".join(map(str, at.guards))
        symbol = build.symbol(text, Type(at.term.kind))
        self.leaves[symbol] = Load(place.slot.name, index, at.guards)
        return symbol

    def number(self, index: Index) -> Term:
        """The value of an index as a scalar."""
        if not index.terms and index.constant.constant is not None:
            return build.const(index.constant.constant)
        symbol = build.symbol(f"({index})", Type(Kind.INT))
        self.leaves[symbol] = Number(index)
        return symbol

    def holds(self, guards: tuple[Guard, ...]) -> Term:
        """The truth of a conjunction of guards as a scalar."""
        symbol = build.symbol("(" + " and ".join(map(str, guards)) + ")", Type(Kind.BOOL))
        self.leaves[symbol] = Holds(guards)
        return symbol


def combine(term: Term, args: list[Term]) -> Term:
    """The operator of `term` on scalar arguments, with the kind of `term`."""
    if term.op == "linear":
        return build.cast(build.linear(list(zip(term.attrs, args, strict=True))), term.kind)
    if term.op == "contract":
        return build.cast(build.mul(*args), term.kind)
    if term.op == "cast":
        return build.cast(args[0], term.kind)
    from ricci.dsl.ops import OPERATORS

    return OPERATORS[term.op].rebuild(term, tuple(args))


WIDEST_WRAP = 8


def unit_axis(index: Index) -> tuple[str, int, Size] | None:
    """(axis, +-1, c) when the index is +-axis + c."""
    if len(index.terms) == 1:
        atom, k = index.terms[0]
        if atom.kind == "axis" and k.constant in (1, -1):
            return atom.axis, int(k.constant), index.constant
    return None


def wrap_reach(index: Index, size: Size, loops: Mapping[str, Size]) -> tuple[str, int] | None:
    """(axis, c) when the index is mod(axis + c, size) for a small c and a loop over exactly that size."""
    if len(index.terms) != 1 or index.constant.terms:
        return None
    atom, k = index.terms[0]
    if atom.kind != "mod" or k.constant != 1 or atom.size != size:
        return None
    unit = unit_axis(atom.inner)
    if unit is None or unit[1] != 1 or loops.get(unit[0]) != size:
        return None
    for shift in (unit[2], unit[2] - size, unit[2] + size):
        c = shift.constant
        if c is not None and abs(c) <= WIDEST_WRAP and (size.constant is None or abs(c) * 2 <= size.constant):
            return unit[0], c
    return None
