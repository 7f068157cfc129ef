"""The equations solved for the highest time derivative of every field; higher orders become first order with velocity states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ricci.dsl import build
from ricci.dsl.derivative import depends, split_linear
from ricci.dsl.elimination import LARGEST_COUPLED, eliminate, groups
from ricci.dsl.formulas import explicit_formulas
from ricci.dsl.model import Equation, Field, Model
from ricci.dsl.ops import OPERATORS
from ricci.dsl.term import Term, rewrite, walk
from ricci.errors import CannotLower
from ricci.lowering.discretize.expressions import TIME, along_time, differentiate, orders_of, partials


@dataclass(frozen=True)
class Component:
    """One array that is integrated in time: the `order`-th time derivative of a field. `symbol` is its model-level symbol."""

    name: str
    field: Field
    order: int
    symbol: Term


@dataclass(frozen=True)
class System:
    """`rates[name]`: model-level right-hand side of each component; `defined`: fields given by an explicit formula.

    `meaning` gives the value of every time derivative of a field: a component or a right-hand side.
    """

    components: tuple[Component, ...]
    rates: Mapping[str, Term]
    origin: Mapping[str, Equation]
    defined: Mapping[Term, Term]
    meaning: Mapping[Term, Term]

    fields: frozenset[Term]

    def resolve(self, term: Term) -> Term:
        """The term with time derivatives replaced by components and right-hand sides, and defined fields by their formulas."""
        inner = Resolver(self.fields, {}, self.meaning)
        occurring = set(walk([term])) if self.defined else set()
        defined = {symbol: inner.resolve(formula) for symbol, formula in self.defined.items() if symbol in occurring}
        return Resolver(self.fields, defined, self.meaning).resolve(term)

    def resolve_velocities(self, term: Term) -> Term:
        """As `resolve`, but only time derivatives that are components are replaced."""
        symbols = {c.symbol for c in self.components}
        velocities = {node: value for node, value in self.meaning.items() if value in symbols}
        return Resolver(self.fields, self.defined, velocities).resolve(term)


def component_name(field: str, order: int) -> str:
    """`u`, `dt(u)`, `dtt(u)`: as a model writes them."""
    return field if order == 0 else f"d{'t' * order}({field})"


def make_system(model: Model) -> System:
    """All equations of a model, solved."""
    by_field: dict[str, Equation] = {}
    for equation in model.equations:
        if equation.determines in by_field:
            raise CannotLower("E0303", f"two equations determine `{equation.determines}`", equation.span)
        by_field[equation.determines] = equation
    for name, field in model.fields.items():
        if name not in by_field:
            raise CannotLower("E0303", f"no equation determines `{name}`", field.span)
    fields = frozenset(f.symbol for f in model.fields.values())
    defined = _definitions(model, by_field, fields)
    components = []
    meaning: dict[Term, Term] = {}
    for name, equation in by_field.items():
        field = model.fields[name]
        for order in range(equation.time_order):
            label = component_name(name, order)
            symbol = field.symbol if order == 0 else build.symbol(label, field.symbol.type)
            components.append(Component(label, field, order, symbol))
            if order:
                meaning[build.partial(field.symbol, TIME, order)] = symbol
    highest = {
        name: build.partial(model.fields[name].symbol, TIME, equation.time_order)
        for name, equation in by_field.items()
        if equation.time_order
    }
    resolver = Resolver(fields, defined, meaning)
    residuals = {name: resolver.resolve(by_field[name].residual) for name in highest}
    solved = _solve(by_field, residuals, highest)
    rates: dict[str, Term] = {}
    origin: dict[str, Equation] = {}
    for component in components:
        name = component.field.name
        top = by_field[name].time_order - 1
        following = component_name(name, component.order + 1)
        rates[component.name] = solved[name] if component.order == top else next(c.symbol for c in components if c.name == following)
        origin[component.name] = by_field[name]
    known = {**meaning, **{node: solved[name] for name, node in highest.items()}}
    return System(tuple(components), rates, origin, defined, known, fields)


def _definitions(model: Model, by_field: Mapping[str, Equation], fields: frozenset[Term]) -> dict[Term, Term]:
    """Fields without a time derivative whose equation gives them explicitly, substituted into each other."""
    formulas = explicit_formulas(model.equations, {name: f.symbol for name, f in model.fields.items()})
    for name, equation in by_field.items():
        if not equation.time_order and model.fields[name].symbol not in formulas:
            what = f"`{equation.text}`, which has no time derivative of `{name}` and is no formula for it"
            others = "a constraint, a steady equation, or one of several that need each other"
            raise CannotLower("E0601", f"this version cannot solve {what} ({others})", equation.span)
    resolver = Resolver(fields, {}, {})
    return {symbol: resolver.resolve(formula) for symbol, formula in formulas.items()}


@dataclass(frozen=True)
class Resolver:
    """Replaces time derivatives by what they stand for. `fields` are the model's field symbols."""

    fields: frozenset[Term]
    defined: Mapping[Term, Term]
    meaning: Mapping[Term, Term]

    def resolve(self, term: Term) -> Term:
        """Bottom-up; a space derivative of a time derivative is the derivative of what that stands for."""
        return rewrite([term], self._visit)[0]

    def _visit(self, t: Term, args: tuple[Term, ...]) -> Term:
        if t in self.defined:
            return self.defined[t]
        if t.op == "partial":
            coordinate, n = t.attrs
            if coordinate == TIME:
                return self._along_time(args[0], n)
            core, orders = orders_of(args[0])
            if TIME in orders and core in self.fields:
                orders[coordinate] = orders.get(coordinate, 0) + n
                return partials(self._meant(core, orders.pop(TIME)), orders)
            return differentiate(args[0], coordinate, n)
        return t if args == t.args else OPERATORS[t.op].rebuild(t, args)

    def _meant(self, symbol: Term, n: int) -> Term:
        node = build.partial(symbol, TIME, n)
        return self.meaning.get(node, node)

    def _along_time(self, term: Term, n: int) -> Term:
        """partial(term, "t", n): of a field what is known, of an expression the chain rule."""
        core, orders = orders_of(term)
        if core in self.fields and not set(orders) & {TIME}:
            return partials(self._meant(core, n), orders)
        for _ in range(n):
            term = self.resolve(along_time(term, self.fields))
        return term


def _solve(by_field: Mapping[str, Equation], residuals: Mapping[str, Term], nodes: Mapping[str, Term]) -> dict[str, Term]:
    """Each highest time derivative as a term without any of them: one division, or elimination where equations share several."""
    coefficients: dict[str, dict[str, Term]] = {}
    rests: dict[str, Term] = {}
    for name, residual in residuals.items():
        rest = residual
        row: dict[str, Term] = {}
        occurring = set(walk([residual]))
        inside = {other: node for other, node in nodes.items() if node in occurring}
        for other, node in inside.items():
            if not depends(rest, node):
                continue
            split = split_linear(rest, node)
            if split is None or any(depends(split[0], n) for n in inside.values()):
                raise _not_linear(by_field[name], other, by_field[other].time_order)
            row[other], rest = split
        if name not in row and not row:
            raise CannotLower("E0303", f"`{by_field[name].text}` does not determine `{name}`", by_field[name].span)
        coefficients[name], rests[name] = row, rest
    solved: dict[str, Term] = {}
    for group in groups(coefficients):
        if len(group) > LARGEST_COUPLED:
            raise CannotLower("E0601", f"this version cannot solve for {len(group)} coupled time derivatives", by_field[group[0]].span)
        solved.update(eliminate(group, coefficients, rests, lambda name: _undetermined(name, by_field[name])))
    return solved


def _undetermined(name: str, equation: Equation) -> CannotLower:
    return CannotLower("E0303", f"no equation determines `{name}`", equation.span)


def _not_linear(equation: Equation, field: str, order: int) -> CannotLower:
    what = component_name(field, order)
    return CannotLower("E0601", f"this version cannot solve `{equation.text}` for {what}: it does not stand there linearly", equation.span)
