"""Model-level expressions to terms of the program: fields become arrays, derivatives stencils, coordinates positions.

A term is lowered at a `Place`: on which points of each coordinate it is evaluated. The same expression may be needed on the nodes of
a state, on all nodes, on half points (inside a flux) or at a side (in a condition).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.index import Index
from ricci.dsl.ops import OPERATORS, contract, random, reindex
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.program import Point
from ricci.dsl.remedies import with_options
from ricci.dsl.term import Term, symbols
from ricci.dsl.types import Size
from ricci.errors import CannotLower, Span
from ricci.lowering.discretize import expressions
from ricci.lowering.discretize import lines as stencils
from ricci.lowering.discretize.grid import SIDES, Along, Line, Place, all_nodes, half_points
from ricci.lowering.discretize.lines import Edge
from ricci.lowering.discretize.resize import Resizer
from ricci.lowering.discretize.schemes import closures, weights
from ricci.lowering.discretize.schemes.closures import Closure
from ricci.lowering.discretize.unknowns import SideConditions, Unknown

Key = tuple[Term, Place]
DEEPEST = 16  # derivatives inside derivatives that are lowered


@dataclass(eq=False)
class Lowering:
    """What lowering needs to know, and what it has lowered. `lines` and `accuracy` by coordinate, `unknowns` by model symbol.

    `observe` lowers the operators `at` and `integral`. `needed` collects how many nodes each coordinate must have.
    """

    lines: Mapping[str, Line]
    accuracy: int
    unknowns: dict[Term, Unknown]
    observe: Callable[[Lowering, Term, Place], Term]
    resizer: Resizer
    needed: dict[str, int] = field(default_factory=dict)
    statement: tuple[str, Span | None] = ("", None)
    solve: Span | None = None  # the statement that says the scheme, for remedies
    moving: set[Term] = field(default_factory=set)  # what changes during the run: the time, the states
    points: list[Point] = field(default_factory=list)  # places looked at that are known before the run
    reduced: dict[tuple[str, int], int] = field(default_factory=dict)  # (coordinate, derivative) -> order at its sides
    _done: dict[Key, Term] = field(default_factory=dict)
    _depth: int = 0
    _open: list[tuple[str, str, int, Place]] = field(default_factory=list)  # conditions whose values are being lowered

    # entry points

    @contextmanager
    def about(self, text: str, span: Span | None) -> Iterator[None]:
        """Name the statement that errors point at."""
        before, self.statement = self.statement, (text, span)
        try:
            yield
        finally:
            self.statement = before

    def place(self) -> Place:
        """All nodes of every coordinate."""
        return Place(tuple((c, all_nodes(line)) for c, line in sorted(self.lines.items())))

    def place_of(self, unknown: Unknown) -> Place:
        """The nodes of a state."""
        return Place(tuple((c, unknown.own.get(c, all_nodes(line))) for c, line in sorted(self.lines.items())))

    def need(self, coordinate: str, nodes: int) -> None:
        self.needed[coordinate] = max(nodes, self.needed.get(coordinate, 1))

    def on(self, term: Term, place: Place) -> dict[str, Size]:
        """Axes that a model-level term has at a place."""
        axes: dict[str, Size] = {}
        for name, size in term.axes.items():
            axes.update(place[name].axes(self.lines[name]) if name in self.lines else {name: size})
        return axes

    def expanded(self, term: Term, place: Place) -> Term:
        """The lowered term with exactly the axes that its model-level type has there."""
        return build.expand(self.lower(term, place), self.on(term, place))

    def lower(self, term: Term, place: Place) -> Term:
        """A model-level term (derivatives in normal form) at a place. Axes of coordinates get the names of the place."""
        stack = [(term, place)]
        while stack:
            key = stack[-1]
            if key in self._done:
                stack.pop()
                continue
            below = self._below(*key)
            missing = [k for k in below if k not in self._done]
            if missing:
                stack.extend(missing)
                continue
            self._done[key] = self._node(*key, [self._done[k] for k in below])
            stack.pop()
        return self._done[term, place]

    # one node

    def _below(self, term: Term, place: Place) -> list[Key]:
        """What must be lowered first: arguments at the same point, or on all nodes where an operator mixes points."""
        if term.op in ("partial", "at", "integral"):
            return []
        free = self._passing(term)
        return [(a, self._opened(place, [c for c in self._coordinates(a) if c not in free])) for a in term.args]

    def _coordinates(self, term: Term) -> list[str]:
        return [c for c in getattr(term.type, "axes", ()) if c in self.lines]

    def _opened(self, place: Place, coordinates: Sequence[str]) -> Place:
        for c in coordinates:
            place = place.at(c, all_nodes(self.lines[c]))
        return place

    def _passing(self, term: Term) -> set[str]:
        """Coordinates along which the operator works point by point."""
        if term.op in ("linear", "map", "cast"):
            return set(self.lines)
        if term.op == "contract":
            return self._passing_contract(term)
        if term.op == "reindex":
            return self._passing_reindex(term)
        if term.op == "reduce":
            return set(self.lines) - set(term.attrs[1])
        return set()

    def _passing_contract(self, term: Term) -> set[str]:
        passing = set(self.lines)
        for access in contract.contraction_of(term).accesses:
            for axis, label in access:
                if axis != label:
                    passing -= {axis, str(label)}
        return passing

    def _passing_reindex(self, term: Term) -> set[str]:
        pull = reindex.pull_of(term)
        passing = set()
        for c in self.lines:
            plain = c not in pull.index or pull.index[c].single_axis == c
            others = [e for a, e in pull.entries if a != c] + [g.index for g in pull.guards]
            if plain and all(c not in e.axes for e in others):
                passing.add(c)
        return passing

    def _node(self, term: Term, place: Place, args: Sequence[Term]) -> Term:
        if term.op == "symbol":
            return self._symbol(term, place)
        if term.op == "partial":
            return self._partial(term, place)
        if term.op in ("at", "integral"):
            return self.observe(self, term, place)
        if term.op == "iota" and term.attrs[0] in self.lines:
            return self._iota(term, place)
        if term.op == "contract":
            result = self._contract(term, args)
        elif term.op == "reindex":
            result = self._reindex(term, place, args[0])
        elif term.op == "random":
            result = self._random(term, args[0])
        else:
            result = OPERATORS[term.op].rebuild(term, tuple(args)) if args else term
        return self._restricted(result, term, place)

    def _restricted(self, result: Term, term: Term, place: Place) -> Term:
        """What was lowered on all nodes of some coordinates, at the points of the place."""
        free = self._passing(term)
        for c in self._coordinates(term):
            if c not in free and place[c] != all_nodes(self.lines[c]):
                result = self.resample(result, c, place[c])
        return result

    def resample(self, values: Term, coordinate: str, target: Along) -> Term:
        """Values on all nodes of a coordinate, at the points of the target."""
        line = self.lines[coordinate]
        if coordinate not in values.axes:
            return values
        if target.where == "halves":
            return self._derivative_of_values(values, coordinate, 0, target, self._value_edge(values, coordinate, 0, target))
        return stencils.reread(line, values, coordinate, target.node(line), target)

    def _iota(self, term: Term, place: Place) -> Term:
        (axis, _) = term.attrs
        line, along = self.lines[axis], place[axis]
        full = build.iota(axis, line.nodes)
        if along.where == "halves":
            raise self.cannot(f"the index `{axis}` inside a flux")
        return stencils.reread(line, full, axis, along.node(line), along)

    def _random(self, term: Term, counter: Term) -> Term:
        """One draw for every node of the grid, end nodes included: what is prescribed at a side changes no other draw."""
        stream, axes, distribution = term.attrs
        sizes = {name: self.lines[name].nodes if name in self.lines else self.resizer.size(size) for name, size in axes}
        return random.make_random(stream, counter, sizes, distribution)

    def _contract(self, term: Term, args: Sequence[Term]) -> Term:
        """The product with its factors lowered; labels of coordinates that pass are named as the place names them."""
        passing = self._passing(term)
        bound: dict[contract.Label, Size] = {}
        factors = []
        for (_, access), arg in zip(contract.factors_of(term), args, strict=True):
            kept = {axis: label for axis, label in access.items() if axis not in passing and axis in arg.axes}
            factors.append((arg, kept))
            for axis, label in kept.items():
                if isinstance(label, int):
                    bound[label] = arg.axes[axis]
        return contract.make_contract(factors, {**contract.bound_of(term), **bound})

    def _reindex(self, term: Term, place: Place, arg: Term) -> Term:
        """The same index map; coordinates that pass are named as the place names them."""
        pull = reindex.pull_of(term)
        passing = self._passing(term)
        axes: dict[str, Size] = {}
        for name, size in pull.axes:
            if name not in self.lines:
                axes[name] = self.resizer.size(size)
            elif name in passing:
                axes.update(place[name].axes(self.lines[name]))
            else:
                axes[name] = self.lines[name].nodes
        index = {a: self.resizer.index(e) for a, e in pull.entries if a in arg.axes and not (a in passing and a in self.lines)}
        return build.reindex(arg, axes, index, [self.resizer.guard(g) for g in pull.guards], pull.fill)

    def _symbol(self, term: Term, place: Place) -> Term:
        name = name_of(term)
        if term in self.unknowns:
            return self.value(self.unknowns[term], {}, place)
        if name in self.lines and set(term.axes) == {name}:
            return place[name].position(self.lines[name])
        return term

    # fields

    def value(self, unknown: Unknown, orders: Mapping[str, int], place: Place) -> Term:
        """A mixed derivative of a field at a place."""
        orders = {c: n for c, n in orders.items() if n}
        pending = [c for c in unknown.own if self._needs_work(unknown, c, orders.get(c, 0), place[c])]
        if not pending:
            return self._read(unknown, place)
        outermost = max(pending, key=lambda c: (place[c].where in SIDES, unknown.rank(c), c))
        target = place[outermost]
        rest = {c: n for c, n in orders.items() if c != outermost}
        n = orders.get(outermost, 0)
        if target.where in SIDES:
            return self._at_side(unknown, outermost, n, rest, place)
        own = unknown.own[outermost]
        inner = self.value(unknown, rest, place.at(outermost, own))

        def edge_of(side: str) -> Edge:
            return self._edge(unknown, outermost, side, n, rest, place)

        return stencils.derivative_along(self.lines[outermost], inner, own, n, self.accuracy, target, edge_of, self.need)

    def _needs_work(self, unknown: Unknown, c: str, n: int, target: Along) -> bool:
        own = unknown.own[c]
        if n or target.where == "halves":
            return True
        if target.where in SIDES:
            return own.skip[SIDES.index(target.where)] > 0
        return target.skip[0] < own.skip[0] or target.skip[1] < own.skip[1]

    def _read(self, unknown: Unknown, place: Place) -> Term:
        """The state's array at nodes that it has."""
        index: dict[str, Index] = {}
        axes = {name: size for name, size in unknown.values.axes.items() if name not in {o.axis for o in unknown.own.values()}}
        for c, own in unknown.own.items():
            axes.update(place[c].axes(self.lines[c]))
            index[own.axis] = place[c].node(self.lines[c]) - own.skip[0]
        return build.reindex(unknown.values, axes, index, fill=0)

    def _at_side(self, unknown: Unknown, c: str, n: int, rest: Mapping[str, int], place: Place) -> Term:
        """A derivative at the end node: what a condition prescribes, else a one-sided difference of full order."""
        side = place[c].where
        conditions = unknown.conditions(c, side)
        if conditions is not None and n in conditions.kind:
            return self._prescribed(unknown, conditions, n, rest, c, place)
        line = self.lines[c]
        nodal = self.value(unknown, rest, place.at(c, all_nodes(line)))
        return self._one_sided(nodal, c, side, n)

    def _prescribed(self, unknown: Unknown, conditions: SideConditions, n: int, rest: Mapping[str, int], c: str, place: Place) -> Term:
        """What a condition prescribes for the n-th derivative along c, differentiated along the side as `rest` says."""
        key = (unknown.name, c, n, place)
        if key in self._open:
            what = f"this version cannot use the condition of `{unknown.name}` on {c}.{place[c].where}"
            others = sorted(
                {f"`{name}` on {other}.{at[other].where}" for name, other, _, at in self._open}
                - {f"`{unknown.name}` on {c}.{place[c].where}"}
            )
            why = f"it and those of {', '.join(others)} are given by each other" if others else "it is given by itself"
            raise CannotLower("E0601", f"{what}: {why}", conditions.span)
        self._open.append(key)
        try:
            return self.lower(expressions.partials(conditions.values[conditions.kind.index(n)], rest), place)
        finally:
            self._open.pop()

    def _one_sided(self, values: Term, c: str, side: str, n: int) -> Term:
        """The n-th derivative at the end node from values on all nodes."""
        line = self.lines[c]
        if c not in values.axes:
            return values if n == 0 else build.zero(values.type)
        read = weights.one_sided_weights(n, self.accuracy) if n else (Fraction(1),)
        self.need(c, len(read))
        parts = []
        for j, w in enumerate(read):
            index = Size.of(j) if side == "lo" else line.nodes - 1 - j
            sign = -1 if side == "hi" and n % 2 else 1
            parts.append((w * sign, build.slice_at(values, c, index)))
        total = build.linear(parts)
        return build.mul(line.per_spacing(n), total) if n else total

    def _edge(self, unknown: Unknown, c: str, side: str, n: int, rest: Mapping[str, int], place: Place) -> Edge:
        """How a field is continued beyond a side for a derivative of order n."""
        conditions = unknown.conditions(c, side)
        kind = conditions.kind if conditions is not None else ()
        target = place[c]
        k = SIDES.index(side)
        if target.where == "halves":
            used, how = closures.flux_field_closure(self.accuracy, kind)
        elif n >= 2 and kind[:1] in ((), (0,)) and target.skip[k] == 0:
            used, how = kind, self._observed(n, kind)
        else:
            used = closures.used_conditions(n, kind)
            how = self._stable(n, used, kind, c, side)
        data = []
        at_side = place.at(c, Along(side))
        for m in used:
            assert conditions is not None
            value = self._prescribed(unknown, conditions, m, rest, c, at_side)
            data.append(build.neg(value) if side == "hi" and m % 2 else value)
        return Edge(used, tuple(data), how)

    def _observed(self, n: int, kind: tuple[int, ...]) -> Closure:
        """For a derivative at an end node where no equation of the field is solved: as accurate as inside."""
        degree = max(self.accuracy + n - 1, len(kind))
        return Closure(degree, degree + 1 - len(kind))

    def _stable(self, n: int, used: tuple[int, ...], kind: tuple[int, ...], c: str, side: str) -> Closure:
        how = closures.closure(n, self.accuracy, used)
        if how is None:
            text, span = self.statement
            known = closures.stable_accuracies(n, kind)
            remedy = with_options(self.solve, [("space", f"fd(order={known[-1]})")]) if known else ""
            what = f"derivatives of order {n} along `{c}` have no stable closure of order {self.accuracy} at {c}.{side}"
            given = ", ".join(str(m) for m in kind) or "none"
            notes = (f"the conditions there prescribe derivatives of order: {given}",)
            raise CannotLower("E0502", f"{what} in `{text}`" if text else what, span, help=remedy, notes=notes)
        stated = closures.STATED_ORDER.get(n, self.accuracy)
        if stated < self.accuracy:
            self.reduced[c, n] = stated
        return how

    # derivatives of expressions

    def _partial(self, term: Term, place: Place) -> Term:
        if self._depth == DEEPEST:
            raise self.cannot(f"derivatives nested more than {DEEPEST} deep")
        self._depth += 1
        try:
            return self._derivative(term, place)
        finally:
            self._depth -= 1

    def _derivative(self, term: Term, place: Place) -> Term:
        core, orders = expressions.orders_of(term)
        if expressions.TIME in orders:
            raise self.cannot("a time derivative that no equation determines")
        if core in self.unknowns:
            return self.value(self.unknowns[core], orders, place)
        c, n = term.attrs
        inner = term.args[0]
        target = place[c]
        if target.where in SIDES:
            return self._expression_at_side(inner, c, n, place)
        if expressions.contains_derivative(inner, c):
            if n == 1 and target.where == "nodes" and expressions.is_flux(inner, c):
                return self._divergence(inner, c, place)
            return self._nested(inner, c, n, place)
        values = self._all_nodes(inner, c, place)
        return self._derivative_of_values(values, c, n, target, self._expression_edge(inner, values, c, n, place))

    def _all_nodes(self, inner: Term, c: str, place: Place) -> Term:
        line = self.lines[c]
        values = self.lower(inner, place.at(c, all_nodes(line)))
        return build.expand(values, {c: line.nodes})

    def _expression_at_side(self, inner: Term, c: str, n: int, place: Place) -> Term:
        values = self._all_nodes(inner, c, place)
        return self._one_sided(values, c, place[c].where, n)

    def _derivative_of_values(self, values: Term, c: str, n: int, target: Along, edge_of: Callable[[str], Edge]) -> Term:
        line = self.lines[c]
        return stencils.derivative_along(line, values, all_nodes(line), n, self.accuracy, target, edge_of, self.need)

    def _value_edge(self, values: Term, c: str, n: int, target: Along) -> Callable[[str], Edge]:
        """Continue by the values themselves: the end node counts as prescribed."""

        def edge_of(side: str) -> Edge:
            if target.where == "halves":
                used, how = closures.flux_field_closure(self.accuracy, closures.DIRICHLET)
            elif n >= 2 and target.skip[SIDES.index(side)] == 0:
                used, how = closures.DIRICHLET, self._observed(n, closures.DIRICHLET)
            else:
                used, how = closures.DIRICHLET, self._stable(n, closures.DIRICHLET, closures.DIRICHLET, c, side)
            return Edge(used, (self._one_sided(values, c, side, 0),), how)

        return edge_of

    def _expression_edge(self, inner: Term, values: Term, c: str, n: int, place: Place) -> Callable[[str], Edge]:
        """As for a field: where a field in the expression has a prescribed slope, so has the expression, by the chain rule."""
        by_value = self._value_edge(values, c, n, place[c])

        def edge_of(side: str) -> Edge:
            if not self._has_slope(inner, c, side):
                return by_value(side)
            slope = self.lower(expressions.along_space(inner, c), place.at(c, Along(side)))
            datum = build.neg(slope) if side == "hi" else slope
            if place[c].where == "halves":
                used, how = closures.flux_field_closure(self.accuracy, closures.NEUMANN)
            else:
                used, how = closures.NEUMANN, self._stable(n, closures.NEUMANN, closures.NEUMANN, c, side)
            return Edge(used, (datum,), how)

        return edge_of

    def _has_slope(self, inner: Term, c: str, side: str) -> bool:
        if not expressions.is_pointwise(inner, c):
            return False
        kinds = [self._kind(s, c, side) for s in symbols([inner]) if s in self.unknowns]
        return any(kind[:1] == (1,) for kind in kinds)

    def _kind(self, symbol: Term, c: str, side: str) -> tuple[int, ...]:
        conditions = self.unknowns[symbol].conditions(c, side)
        return conditions.kind if conditions is not None else ()

    def _divergence(self, inner: Term, c: str, place: Place) -> Term:
        """d/dx of a flux, in conservative form: the flux at half points, and at a side where the conditions give it."""
        line = self.lines[c]
        own = half_points(line)
        flux = build.expand(self.lower(inner, place.at(c, own)), own.axes(line))

        def edge_of(side: str) -> tuple[Closure, Term | None]:
            prescribed = self._flux_at_side(inner, c, side, place)
            return closures.flux_closure(self.accuracy, prescribed is not None), prescribed

        return stencils.divergence_along(line, flux, own, self.accuracy, place[c], edge_of, self.need)

    def _flux_at_side(self, inner: Term, c: str, side: str, place: Place) -> Term | None:
        """The flux at the end node, if every derivative in it is prescribed there."""
        for core, orders in expressions.inner_derivatives(inner, c):
            if core not in self.unknowns or orders[c] not in self._kind(core, c, side):
                return None
        return self.lower(inner, place.at(c, Along(side)))

    def _nested(self, inner: Term, c: str, n: int, place: Place) -> Term:
        """A derivative of an expression with higher derivatives: nodal values differentiated again."""
        line = self.lines[c]
        if not line.periodic and self.accuracy > 2:
            text, span = self.statement
            what = f"a derivative along `{c}` of an expression with derivatives along `{c}` has no stable closure above order 2"
            raise CannotLower(
                "E0502", f"{what} in `{text}`" if text else what, span, help=with_options(self.solve, [("space", "fd(order=2)")])
            )
        values = self._all_nodes(inner, c, place)
        return self._derivative_of_values(values, c, n, place[c], self._value_edge(values, c, n, place[c]))

    def cannot(self, what: str) -> CannotLower:
        """E0601 for the current statement."""
        text, span = self.statement
        return CannotLower("E0601", f"this version cannot discretize {what}" + (f" in `{text}`" if text else ""), span)
