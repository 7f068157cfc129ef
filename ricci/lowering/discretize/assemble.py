"""Model -> Program: every equation, condition, check and output as a function of terms on the grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.certainty import certainty
from ricci.dsl.model import Condition, Initial, Load, Model, Quantity, Unit
from ricci.dsl.ops.symbol import CONSTANTS, name_of
from ricci.dsl.program import Argument, Choice, Instant, Program, State
from ricci.dsl.term import Function, Term, substitute, symbols, walk
from ricci.dsl.types import Dim, Kind, Size
from ricci.errors import CannotLower
from ricci.lowering.discretize.expressions import TIME, TIME_SYMBOL, along_time, normal
from ricci.lowering.discretize.grid import Line
from ricci.lowering.discretize.lower import Lowering
from ricci.lowering.discretize.observe import Instants, observe
from ricci.lowering.discretize.options import Options
from ricci.lowering.discretize.resize import Resizer
from ricci.lowering.discretize.system import Component, System
from ricci.lowering.discretize.unknowns import SideConditions, Unknown, make_given, make_unknown, solve_conditions

SERIES = 200  # points of a quantity that is drawn over time


@dataclass(eq=False)
class Assembly:
    """One pass over a model for given lower bounds of the grid's dims."""

    model: Model
    system: System
    options: Options
    dims: Mapping[str, Dim]
    arguments: list[Argument] = field(default_factory=list)
    origins: dict[Term, str] = field(default_factory=dict)
    states: list[State] = field(default_factory=list)
    instants: Instants = field(default_factory=Instants)

    def __post_init__(self) -> None:
        lines = {}
        for domain in self.model.domains.values():
            for c in domain.coordinates:
                lo, hi = (build.cast(bound, Kind.REAL) for bound in (c.lo, c.hi))
                lines[c.name] = Line(c.name, Size.of(self.dims[c.name]), lo, hi, c.periodic)
        self.lowering = Lowering(lines, self.options.accuracy, {}, observe, Resizer(self.dims), solve=self.options.span)
        self._make_unknowns()

    # fields and arguments

    def _make_unknowns(self) -> None:
        lines = self.lowering.lines
        for c, line in lines.items():
            self.lowering.need(c, 1 if line.periodic else 2)
        sides = self._sides()
        for component in self.system.components:
            unknown = make_unknown(component.name, component.symbol, component.name, lines, sides[component.name])
            self.lowering.unknowns[component.symbol] = unknown
            for c, own in unknown.own.items():
                self.lowering.need(c, sum(own.skip) + 1)
            f, order = component.field, component.order
            units = per_time(f.unit, order), per_second(f.unit, order)
            self.states.append(State(component.name, unknown.values, f.name, order, *units))
        self.lowering.moving = {TIME_SYMBOL, *(s.symbol for s in self.states)}
        for param in self.model.params.values():
            if any(c in lines for c in param.symbol.axes):
                self.lowering.unknowns[param.symbol] = make_given(param.symbol, lines)

    def _sides(self) -> dict[str, dict[tuple[str, str], SideConditions]]:
        """By component: the conditions of its field, as often differentiated in time as the component is."""
        fields = {name: f.symbol for name, f in self.model.fields.items()}
        solved = solve_conditions(fields, [self._resolved(c) for c in self.model.conditions])
        found = {}
        for component in self.system.components:
            sides = solved.get(component.field.name, {})
            for _ in range(component.order):
                sides = {key: self._moving(s) for key, s in sides.items()}
            found[component.name] = sides
        return found

    def _resolved(self, condition: Condition) -> Condition:
        """Formulas and velocities put in; the time derivative of a field of first order stays, and is refused later."""
        return replace(condition, residual=self.system.resolve_velocities(condition.residual))

    def _moving(self, s: SideConditions) -> SideConditions:
        values = tuple(self.system.resolve(along_time(v, self.system.fields)) for v in s.values)
        return SideConditions(s.kind, values, s.rank, s.text, s.span)

    def _prepared(self, term: Term) -> Term:
        return normal(self.system.resolve(term))

    def _everywhere(self, term: Term) -> Term:
        """A model-level term on all nodes, with all its axes."""
        return self.lowering.expanded(self._prepared(term), self.lowering.place())

    def make_arguments(self) -> None:
        """Params, data for initial values, weights and inputs of layers."""
        for name, param in self.model.params.items():
            with self.lowering.about(f"param {name}", param.span):
                value = param.value
                if isinstance(value, Term):
                    value = build.conform(self._everywhere(value), self._program_symbol(param.symbol).type)
            symbol = self._program_symbol(param.symbol)
            self.arguments.append(Argument(name, symbol, "param", value, param.order, param.unit, span=param.span))
        for weight in self.model.tensors.values():
            self.arguments.append(
                Argument(weight.name, weight.symbol, "weight", None, weight.order, weight.unit, span=weight.span, fan=weight.fan)
            )
        for layer in self.model.layers.values():
            weights = {name_of(w.symbol): w for w in layer.weights}
            for symbol in layer.function.params:
                known = weights.get(name_of(symbol))
                orders = dict(layer.inputs)
                order = known.order if known is not None else orders.get(name_of(symbol).rpartition(".")[2], tuple(symbol.axes))
                role, value = ("weight", known.value) if known is not None else ("data", None)
                unit, span, fan = (known.unit, known.span, known.fan) if known is not None else (Unit(), layer.span, 0)
                self.arguments.append(Argument(name_of(symbol), symbol, role, value, order, unit, span=span, layer=layer.name, fan=fan))

    def _program_symbol(self, symbol: Term) -> Term:
        known = self.lowering.unknowns.get(symbol)
        return known.values if known is not None else symbol

    # functions

    def function(self, name: str, results: Sequence[tuple[str, Term]], first: Sequence[Term] = (), extra: Iterable[Term] = ()) -> Function:
        """A closed function: `first` are always parameters, further symbols as they occur (arguments in their order)."""
        roots = [t for _, t in results]
        given = list(dict.fromkeys([*first, *extra]))
        known = set(given)
        order = {a.symbol: k for k, a in enumerate(self.arguments)}
        occurring = [s for s in symbols(roots) if s not in known and not name_of(s).startswith("#") and name_of(s) not in CONSTANTS]
        late = sorted(occurring, key=lambda s: (order.get(s, len(order)), name_of(s)))
        return Function(name, (*given, *late), tuple(results))

    @property
    def now(self) -> list[Term]:
        """Time and states: parameters of everything that is evaluated at an instant; none in a model without time."""
        return [TIME_SYMBOL, *(s.symbol for s in self.states)] if self.states else []

    def rhs(self) -> Function:
        results = []
        for component in self.system.components:
            equation = self.system.origin[component.name]
            unknown = self.lowering.unknowns[component.symbol]
            with self.lowering.about(equation.text, equation.span):
                results.append((component.name, self._on_state(self.system.rates[component.name], unknown)))
            self.origins[results[-1][1]] = equation.text
        return self.function("rhs", results, self.now)

    def summands(self, name: str) -> Function:
        """(t, states, params) -> what is added up in the equation of a state, on its points; result names are their texts."""
        component = next(c for c in self.system.components if c.name == name)
        equation = self.system.origin[name]
        unknown = self.lowering.unknowns[component.symbol]
        results = []
        for text, term in equation.summands() if component.order + 1 == equation.time_order else ():
            if any(t.op == "partial" and t.attrs[0] == TIME for t in walk([term])):
                continue  # the rate itself
            with suppress(CannotLower):
                results.append((text, self._on_state(term, unknown)))
        return self.function(f"summands:{name}", results, self.now)

    def _on_state(self, term: Term, unknown: Unknown) -> Term:
        place = self.lowering.place_of(unknown)
        lowered = self.lowering.lower(self._prepared(term), place)
        if lowered.kind > unknown.values.kind:
            raise self.lowering.cannot(f"a {lowered.kind} value for the {unknown.values.kind} field `{unknown.name}`")
        return build.conform(lowered, unknown.values.type)

    def initial(self) -> Function:
        given = {(i.field, i.time_order): i for i in self.model.initials}
        results = []
        for component in self.system.components:
            initial = given.get((component.field.name, component.order))
            if initial is None:
                raise CannotLower("E0301", f"`{component.name}` has no initial value", component.field.span)
            unknown = self.lowering.unknowns[component.symbol]
            with self.lowering.about(initial.text, initial.span):
                results.append((component.name, self._initial_value(initial, component, unknown, given)))
            self.origins[results[-1][1]] = initial.text
        return self.function("initial", results)

    def _initial_value(self, initial: Initial, component: Component, unknown: Unknown, given: Mapping[tuple[str, int], Initial]) -> Term:
        if isinstance(initial.value, Load):
            symbol = build.symbol(f"initial:{component.name}", component.symbol.type)
            known = make_given(symbol, self.lowering.lines)
            self.lowering.unknowns[symbol] = known
            unit, order = per_second(component.field.unit, component.order), component.field.order
            known_as = component.name
            self.arguments.append(Argument(name_of(symbol), known.values, "data", initial.value, order, unit, known_as, initial.span))
            return self._on_state(symbol, unknown)
        value = self.system.resolve(initial.value)
        for _ in self.system.components:
            replacement = {}
            occurring = set(symbols([value]))
            for other in self.system.components:
                start = given.get((other.field.name, other.order))
                if start is not None and other.symbol in occurring:
                    if isinstance(start.value, Load):
                        raise self.lowering.cannot("an initial value that reads another field's data")
                    replacement[other.symbol] = build.conform(self.system.resolve(start.value), other.symbol.type)
            if not replacement:
                break
            value = substitute([value], replacement)[0]
        value = substitute([value], {TIME_SYMBOL: build.const(0, Kind.REAL)})[0]
        if any(s in self.system.fields for s in symbols([value])):
            raise self.lowering.cannot("an initial value that refers to itself")
        return self._on_state(value, unknown)

    def final(self) -> Function:
        results = []
        for equation in self.model.equations:
            with self.lowering.about(equation.text, equation.span):
                results.append((equation.determines, self._everywhere(self.model.fields[equation.determines].symbol)))
        results.sort(key=lambda item: list(self.model.fields).index(item[0]))
        return self.function("final", results, self.now)

    def whole_states(self) -> Function:
        return self.function("states", [(c.name, self._everywhere(c.symbol)) for c in self.system.components], self.now)

    def events(self) -> dict[str, Function]:
        found = {}
        for k, event in enumerate(self.model.events):
            with self.lowering.about(event.text, event.span):
                margin = build.cast(self._everywhere(event.margin), Kind.REAL)
                found[f"event:{k}"] = self.function(f"event:{k}", [("margin", margin)], self.now)
                found[f"apply:{k}"] = self._assignments(k, event.assignments)
        return found

    def _assignments(self, k: int, assignments: Sequence[tuple[str, Term]]) -> Function:
        """New states; each assignment sees the ones before it."""
        new: dict[Term, Term] = {}
        for name, value in assignments:
            target = self.model.fields[name].symbol
            new[target] = build.conform(substitute([value], new)[0], target.type)
        results = []
        for component in self.system.components:
            unknown = self.lowering.unknowns[component.symbol]
            changed = component.symbol in new
            results.append((component.name, self._on_state(new[component.symbol], unknown) if changed else unknown.values))
        return self.function(f"apply:{k}", results, self.now)

    # what looks at results

    def checks(self) -> dict[str, Function]:
        found = {}
        for k, check in enumerate(self.model.checks):
            named = []
            for j, comparison in enumerate(check.comparisons):
                named += [(f"left:{j}", comparison.left), (f"right:{j}", comparison.right)]
            certain, possible = certainty(check.condition)
            named += [("holds", certain), ("possible", possible)]
            results = []
            with self.lowering.about(f"check {check.text}", check.span):
                for name, term in named:
                    at_end = self.instants.take_out(term, check.text, check.span)
                    self._enter_instants()
                    results.append((name, self._everywhere(at_end)))
            roots = [t for _, t in results]
            found[f"check:{k}"] = self.function(f"check:{k}", results, [s for s in self.now if s in set(symbols(roots))])
        return found

    def _enter_instants(self) -> None:
        """Values from other times are given arrays on all nodes."""
        for entries in self.instants.values:
            for symbol, _ in entries:
                if symbol not in self.lowering.unknowns and any(c in self.lowering.lines for c in symbol.axes):
                    self.lowering.unknowns[symbol] = make_given(symbol, self.lowering.lines)

    def snapshots(self) -> tuple[dict[str, Function], list[Instant]]:
        functions, moments = {}, []
        for k, (time, entries) in enumerate(zip(self.instants.times, self.instants.values, strict=True)):
            results = [(name_of(symbol), self._everywhere(term)) for symbol, term in entries]
            functions[f"snapshot:{k}"] = self.function(f"snapshot:{k}", results, self.now)
            moments.append(Instant(f"snapshot:{k}", time, None, self.instants.spans[k]))
        return functions, moments

    def outputs(self) -> tuple[dict[str, Function], list[Instant]]:
        functions: dict[str, Function] = {}
        moments = []
        for k, output in enumerate(self.model.outputs):
            name = f"output:{k}"
            with self.lowering.about("output", output.span):
                functions[name] = self.function(name, [self._quantity(q) for q in output.quantities], self.now)
            if output.every is not None:
                moments.append(Instant(name, None, output.every, output.span))
            moments += [Instant(name, time, None, output.span) for time in output.at]
            if output.every is None and not output.at:
                moments.append(Instant(name, None))
        for k, plot in enumerate(self.model.plots):
            name = f"plot:{k}"
            with self.lowering.about("plot", plot.span):
                functions[name] = self.function(name, [self._quantity(q) for q in plot.quantities], self.now)
            series = self._interval() if plot.over_time else None
            asked = [Instant(name, time, None, plot.span) for time in plot.at] or [Instant(name, None)]
            moments += asked if series is None else [Instant(name, None, series, plot.span), Instant(name, None)]
        return functions, moments

    def _interval(self) -> Term | None:
        """Time between points of a series: a share of the run; of fixed steps a whole number, so that none is cut. None without time."""
        if self.options.end is None or not self.states:
            return None
        from ricci.lowering.integrate import named

        solve = next((s for s in self.model.solves if not s.goal), None)
        option = solve.option("time") if solve else None
        step = named(option).dt if option is not None else None
        share = build.scale(Fraction(1, SERIES), self.options.end)
        if step is None:
            return share
        return build.mul(step, build.apply("max2", build.const(1), build.apply("ceil", build.divide(share, step))))

    def _quantity(self, quantity: Quantity) -> tuple[str, Term]:
        return quantity.label, self._everywhere(quantity.term)

    def definitions(self) -> dict[str, Function]:
        found = {}
        for name, quantity in self.model.lets.items():
            with self.lowering.about(f"let {name}", None):
                found[f"let:{name}"] = self.function(f"let:{name}", [(name, self._everywhere(quantity.term))])
            (root,) = found[f"let:{name}"].roots
            if root.args and quantity.text:
                self.origins.setdefault(root, quantity.text)
        return found

    def coordinates(self) -> dict[str, Term]:
        place = self.lowering.place()
        return {c: place[c].position(line) for c, line in self.lowering.lines.items()}

    def choices(self) -> tuple[Choice, ...]:
        if not self.lowering.lines or not self.states:
            return ()
        why = "named in `solve`" if self.options.chosen else "the default: conservative, the smallest stencil"
        found = [Choice("space", f"fd(order={self.options.accuracy})", why)]
        for (c, n), order in sorted(self.lowering.reduced.items()):
            reason = f"the derivative of order {n} along `{c}` has stable closures up to this order"
            found.append(Choice(f"order at the sides of {c}", str(order), reason))
        return tuple(found)

    def program(self) -> Program:
        self.make_arguments()
        functions: dict[str, Function] = {}
        moments: list[Instant] = []
        if self.states:
            functions["initial"] = self.initial()
            functions["rhs"] = self.rhs()
            functions.update(self.events())
        if self.model.fields:
            functions["final"] = self.final()
        looks, at = self.outputs()
        functions.update(looks)
        moments += at if self.states else []
        functions.update(self.definitions())
        functions.update({name: layer.function for name, layer in self.model.layers.items()})
        functions.update(self.checks())
        looks, at = self.snapshots()
        functions.update(looks)
        return Program(
            self.model.name,
            functions,
            tuple(self.states),
            tuple(self.arguments),
            tuple(at + moments),
            {**self.model.dims, **self.dims},
            {**_fixed_sizes(self.model), **self.options.sizes},
            self.options.end,
            self.options.tolerance,
            self.coordinates(),
            self.choices(),
            dict(self.origins),
            {c.name: c.unit for domain in self.model.domains.values() for c in domain.coordinates},
            tuple(dict.fromkeys(self.lowering.points)),
            self.options.span,
            self.model.time_unit,
            dict(self.model.counts),
            tuple(self.model.rules),
            self.options.bits,
        )


def per_time(unit: Unit, order: int) -> Unit:
    """The unit of the time derivative of this order."""
    powers = dict(unit.powers)
    powers["s"] = powers.get("s", Fraction(0)) - order
    return Unit(powers=tuple(sorted((base, p) for base, p in powers.items() if p)))


def per_second(unit: Unit, order: int) -> Unit:
    """The unit in which users read and give time derivatives of this order: that of the field, per second."""
    if not order:
        return unit
    seconds = "s" if order == 1 else f"s^{order}"
    return Unit(unit.factor, per_time(unit, order).powers, f"{unit.text or '1'}/{seconds}" if unit.powers or unit.text else "")


def _fixed_sizes(model: Model) -> dict[str, int]:
    """Dims whose size the model states."""
    return {name: size.constant for name, size in model.sizes.items() if name in model.dims and size.constant is not None}
