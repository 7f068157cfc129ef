"""Fields as the lowering sees them: an array on state nodes, and what its conditions prescribe at every side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ricci.dsl import build
from ricci.dsl.derivative import depends, split_linear
from ricci.dsl.model import Condition
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Type
from ricci.errors import CannotLower, Span
from ricci.lowering.discretize.expressions import TIME, negated_quotient, normal, orders_of
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


def solve_conditions(symbol: Term, conditions: Iterable[Condition]) -> dict[tuple[str, str], SideConditions]:
    """Every condition of one field solved for its highest normal derivative."""
    found: dict[tuple[str, str], list[tuple[int, Term, Condition]]] = {}
    for condition in conditions:
        order, value = solve_condition(symbol, condition)
        found.setdefault((condition.coordinate, condition.side), []).append((order, value, condition))
    sides = {}
    for key, items in found.items():
        items.sort(key=lambda item: item[0])
        kind = tuple(order for order, _, _ in items)
        last = max((c for _, _, c in items), key=lambda c: c.rank)
        if len(set(kind)) < len(kind):
            raise CannotLower(
                "E0302", f"two conditions prescribe the same derivative of `{last.field}` on {last.coordinate}.{last.side}", last.span
            )
        sides[key] = SideConditions(kind, tuple(value for _, value, _ in items), last.rank, last.text, last.span)
    return sides


def solve_condition(symbol: Term, condition: Condition) -> tuple[int, Term]:
    """(m, v): the condition says that the m-th derivative along its coordinate is v at the side."""
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
    node = build.partial(symbol, condition.coordinate, order) if order else symbol
    split = split_linear(residual, node)
    if split is None or depends(split[0], node) or (order == 0 and depends(split[1], symbol)):
        raise _unsolvable(condition, "is not linear in its highest normal derivative")
    coefficient, rest = split
    if any(t.op == "partial" and t.attrs[0] == TIME for t in walk([rest, coefficient])):
        raise _unsolvable(condition, "contains a time derivative")
    return order, negated_quotient(rest, coefficient)


def _unsolvable(condition: Condition, why: str) -> CannotLower:
    side = f"{condition.coordinate}.{condition.side}"
    return CannotLower("E0601", f"this version cannot use the condition of `{condition.field}` on {side}: it {why}", condition.span)
