"""Fields as the lowering sees them: an array on state nodes, and what its conditions prescribe at every side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ricci.dsl import build
from ricci.dsl.derivative import depends, split_linear
from ricci.dsl.elimination import LARGEST_COUPLED, circles, eliminate, negated_quotient
from ricci.dsl.model import Condition
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Type
from ricci.errors import CannotLower, Span
from ricci.lowering.discretize.expressions import TIME, normal, orders_of
from ricci.lowering.discretize.grid import SIDES, Along, Line, all_nodes, state_nodes


@dataclass(frozen=True)
class SideConditions:
    """What holds at one side: `kind[i]` is the order of the derivative along +coordinate that `values[i]` (a model-level term) gives.

    `rank` is the place of the last statement about the side: at corners the later wins.
    """

    kind: tuple[int, ...]
    values: tuple[Term, ...]
    rank: int
    text: str
    span: Span | None


@dataclass(frozen=True, eq=False)
class Unknown:
    """A field or a given array over coordinates. `symbol` is the model's, `values` the program's array on `own` nodes."""

    name: str
    symbol: Term
    values: Term
    own: Mapping[str, Along]
    sides: Mapping[tuple[str, str], SideConditions] = field(default_factory=dict)

    def conditions(self, coordinate: str, side: str) -> SideConditions | None:
        return self.sides.get((coordinate, side))

    def rank(self, coordinate: str) -> int:
        """Order of extension: the coordinate whose conditions stand last in the source is extended last."""
        found = [s.rank for (c, _), s in self.sides.items() if c == coordinate]
        return max(found, default=-1)


def make_unknown(
    name: str, symbol: Term, array: str, lines: Mapping[str, Line], sides: Mapping[tuple[str, str], SideConditions]
) -> Unknown:
    """An unknown whose program array is called `array`; end nodes with a prescribed value are no part of it."""
    own = {}
    for c in symbol.axes:
        if c in lines:
            removed = tuple(int((c, s) in sides and sides[c, s].kind[:1] == (0,)) for s in SIDES)
            own[c] = state_nodes(lines[c], (removed[0], removed[1]))
    axes = {}
    for name_, size in symbol.axes.items():
        axes.update(own[name_].axes(lines[name_]) if name_ in own else {name_: size})
    return Unknown(name, symbol, build.symbol(array, Type(symbol.kind, axes)), own, sides)


def make_given(symbol: Term, lines: Mapping[str, Line]) -> Unknown:
    """A param over coordinates: known on every node, without conditions."""
    axes = {}
    own = {c: all_nodes(lines[c]) for c in symbol.axes if c in lines}
    for name, size in symbol.axes.items():
        axes.update(own[name].axes(lines[name]) if name in own else {name: size})
    return Unknown(name_of(symbol), symbol, build.symbol(name_of(symbol), Type(symbol.kind, axes)), own)


@dataclass(frozen=True)
class _Solving:
    """A condition in normal form; it is solved for `node`, the derivative of `order` of its field along its coordinate."""

    condition: Condition
    order: int
    node: Term
    residual: Term


def solve_conditions(fields: Mapping[str, Term], conditions: Iterable[Condition]) -> dict[str, dict[tuple[str, str], SideConditions]]:
    """By field: every condition solved for its field's highest normal derivative; conditions of one side that share them together."""
    by_side: dict[tuple[str, str], list[_Solving]] = {}
    for condition in conditions:
        by_side.setdefault((condition.coordinate, condition.side), []).append(_prepared(fields[condition.field], condition))
    found: dict[str, dict[tuple[str, str], SideConditions]] = {}
    for key, solving in by_side.items():
        values = _solved(solving)
        for field_name in dict.fromkeys(s.condition.field for s in solving):
            own = sorted((s.order, k) for k, s in enumerate(solving) if s.condition.field == field_name)
            last = max((solving[k].condition for _, k in own), key=lambda c: c.rank)
            kind = tuple(order for order, _ in own)
            if len(set(kind)) < len(kind):
                where = f"{last.coordinate}.{last.side}"
                what = f"two conditions prescribe the same derivative of `{last.field}` on {where}"
                raise CannotLower("E0302", what, last.span)
            found.setdefault(field_name, {})[key] = SideConditions(kind, tuple(values[k] for _, k in own), last.rank, last.text, last.span)
    return found


def _prepared(symbol: Term, condition: Condition) -> _Solving:
    residual = normal(condition.residual)
    order = -1
    for t in walk([residual]):
        core, orders = orders_of(t)
        if core is symbol:
            if TIME in orders:
                raise _unsolvable(condition, "contains a time derivative")
            order = max(order, orders.get(condition.coordinate, 0))
    if order < 0:
        raise _unsolvable(condition, f"does not contain `{condition.field}`")
    return _Solving(condition, order, build.partial(symbol, condition.coordinate, order) if order else symbol, residual)


def _solved(solving: list[_Solving]) -> list[Term]:
    """The value of every node on one side; those that are given by each other linearly are solved for together."""
    inside = [set(walk([s.residual])) for s in solving]
    below = [{j for j, other in enumerate(solving) if j != k and other.node in inside[k]} for k in range(len(solving))]
    values = [_solved_alone(s) for s in solving]
    for group in circles(below):
        for k, value in zip(group, _solved_together([solving[k] for k in group]), strict=True):
            values[k] = value
    return values


def _solved_alone(s: _Solving) -> Term:
    split = split_linear(s.residual, s.node)
    if split is None or depends(split[0], s.node) or (s.order == 0 and depends(split[1], s.node)):
        raise _unsolvable(s.condition, "is not linear in its highest normal derivative")
    coefficient, rest = split
    if any(t.op == "partial" and t.attrs[0] == TIME for t in walk([rest, coefficient])):
        raise _unsolvable(s.condition, "contains a time derivative")
    return negated_quotient(rest, coefficient)


def _solved_together(group: list[_Solving]) -> list[Term]:
    """Elimination; E0601 where a node stands inside another derivative or not linearly, E0302 where two conditions say the same."""
    names = [str(k) for k in range(len(group))]
    first = group[0].condition
    if len(group) > LARGEST_COUPLED:
        raise _unsolvable(first, f"is given by those of {len(group) - 1} other components there")
    coefficients: dict[str, dict[str, Term]] = {}
    rests: dict[str, Term] = {}
    for name, s in zip(names, group, strict=True):
        row, rest = {}, s.residual
        for other, t in zip(names, group, strict=True):
            if not depends(rest, t.node):
                continue
            split = split_linear(rest, t.node)
            if split is None or any(depends(split[0], o.node) for o in group):
                raise _unsolvable(s.condition, f"and that of `{t.condition.field}` there are given by each other")
            row[other], rest = split
        if any(depends(rest, o.node) for o in group):
            raise _unsolvable(s.condition, "is given by itself along the side")
        coefficients[name], rests[name] = row, rest

    def undetermined(name: str) -> CannotLower:
        last = group[int(name)].condition
        others = " and ".join(f"`{s.condition.field}`" for s in group if s.condition is not last)
        where = f"{last.coordinate}.{last.side}"
        return CannotLower("E0302", f"the conditions of {others} and of `{last.field}` on {where} say the same or contradict", last.span)

    solved = eliminate(names, coefficients, rests, undetermined)
    return [solved[name] for name in names]


def _unsolvable(condition: Condition, why: str) -> CannotLower:
    side = f"{condition.coordinate}.{condition.side}"
    return CannotLower("E0601", f"this version cannot use the condition of `{condition.field}` on {side}: it {why}", condition.span)
