"""Statements -> `Model`: what each declares, and the equations, conditions and options it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from typing import Any

from ricci.dsl import build, tree
from ricci.dsl.elaborate.expressions import Reader
from ricci.dsl.elaborate.recurrence import is_recurrence
from ricci.dsl.elaborate.values import Axis, Declared, Loaded, Names, Procedure, Skip, Value, real
from ricci.dsl.model import (
    Check,
    Comparison,
    Coordinate,
    Domain,
    Event,
    Field,
    Load,
    Model,
    Output,
    Param,
    Plot,
    Quantity,
    Unit,
    Unsupported,
    Weight,
)
from ricci.dsl.ops.const import value_of
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.dsl.units import NUMBER, Powers, Units
from ricci.errors import CheckFailed, Diagnostics, Span

KINDS = {"real": Kind.REAL, "complex": Kind.COMPLEX, "int": Kind.INT, "bool": Kind.BOOL}
SECOND = (("s", Fraction(1)),)


@dataclass
class Checker:
    """One check of one file."""

    file: tree.File
    model: Model
    diagnostics: Diagnostics = field(default_factory=Diagnostics)
    units: Units = field(default_factory=Units)
    names: Names = field(default_factory=Names)
    tolerance: Fraction = Fraction(1, 10**4)
    spans: dict[Term, set[Span]] = field(default_factory=dict)
    sides: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    equations: list[Any] = field(default_factory=list)
    called: frozenset[str] = frozenset()  # operators that the model applies: no declaration may take their names
    depth: int = 0

    @property
    def time_powers(self) -> Powers:
        return SECOND if self.model.uses_units else NUMBER

    def reader(self, side: tuple[str, str] | None = None, scope: Names | None = None) -> Reader:
        return Reader(self, scope or self.names, side)

    def mark(self, term: Term, span: Span) -> None:
        self.spans.setdefault(term, set()).add(span)

    def cannot(self, what: str, span: Span | None) -> None:
        """Note what this version understands and cannot run."""
        self.model.unsupported.append(Unsupported(what, span))

    def attempt(self, step: Callable[[], object]) -> None:
        """Run one statement; its error is collected, so that the next one is read, too."""
        try:
            step()
        except CheckFailed as error:
            self.diagnostics.absorb(error)
        except Skip:
            pass

    def need(self, name: str) -> None:
        """Skip where the declaration of a name was wrong: it has been reported."""
        found = self.names.find(name)
        if found is not None and found.state == "failed":
            raise Skip

    # coordinates

    def coordinates(self) -> tuple[Axis, ...]:
        return tuple(self.axis(c.name) for d in self.model.domains.values() for c in d.coordinates if self.names.find(c.name))

    def coordinate(self, name: str) -> Coordinate:
        return next(c for d in self.model.domains.values() for c in d.coordinates if c.name == name)

    def is_coordinate(self, name: str) -> bool:
        return any(c.name == name for d in self.model.domains.values() for c in d.coordinates)

    def axis(self, name: str) -> Axis:
        declared = self.names.find(name)
        assert declared is not None
        axis: Axis = declared.get()
        return axis

    # declarations

    def declare(self, statement: tree.Statement) -> None:
        """Enter the names of a statement; their meaning is made when first used."""
        match statement:
            case tree.DomainDeclaration():
                self.attempt(partial(self._domain, statement))
            case tree.UnitDeclaration():
                self.attempt(partial(self.units.declare, statement))
            case tree.SideDeclaration():
                self.sides[statement.name.id] = tuple(s for d in statement.sides for s in self._named_sides(d))
            case _:
                for name, word, make in self.declared(statement):
                    if name.id in self.called:
                        said = f"`{name.id}` is an operator that this model uses"
                        self.diagnostics.add("E0103", said, name.span, label="take another name")
                        continue
                    self.names.declare(name, word, make, self.diagnostics)

    def declared(self, statement: tree.Statement) -> list[tuple[tree.Name, str, Callable[[], Any]]]:
        """Names of a statement that are made when first used, with the word for each."""
        match statement:
            case tree.DimDeclaration():
                return [(dim.name, "dim", partial(self._dim, dim)) for dim in statement.dims]
            case tree.FieldDeclaration():
                return [(f.name, "field", partial(self._field, f)) for f in statement.fields]
            case tree.ParamDeclaration():
                return [(p.name, "param", partial(self._param, p, statement.constant)) for p in statement.params]
            case tree.Let():
                return [(statement.target.name, "let", partial(self._definition, statement))]
            case tree.TensorDeclaration():
                return [(t.name, "tensor", partial(self._tensor, t)) for t in statement.tensors]
            case tree.FunctionDefinition():
                procedure = Procedure(tuple(p.id for p in statement.parameters), statement.value)
                return [(statement.name, "fn", lambda: procedure)]
            case tree.LayerDefinition():
                from ricci.dsl.elaborate.layers import layer

                return [(statement.name, "layer", partial(layer, self, statement))]
        return []

    def _dim(self, dim: tree.DimDef) -> Axis:
        if dim.within is not None:
            self.cannot("`dim ... in`", dim.span)
        size = Size.of(Dim(dim.name.id))
        if dim.size is not None:
            value = value_of(self.reader().number(dim.size, what="a size"))
            if not isinstance(value, int | Fraction) or Fraction(value).denominator != 1 or value < 0:
                raise CheckFailed("E0202", "a size is a whole number", dim.size.span)
            size = Size.of(int(value))
        else:
            self.model.dims[dim.name.id] = Dim(dim.name.id)
        self.model.sizes[dim.name.id] = size
        return Axis(dim.name.id, size)

    def _domain(self, statement: tree.DomainDeclaration) -> None:
        if statement.shape is not None:
            self.cannot("the geometry of a domain made of shapes", statement.shape.span)
            self._shape_axes(statement)
            return
        try:
            self._interval_axes(statement)
        except (CheckFailed, Skip):  # what needs this domain has no errors of its own
            for name in [statement.name, *(axis.name for axis in statement.axes)]:
                self.names.table[name.id] = Declared("domain", name.span, lambda: None, state="failed")
            raise

    def _interval_axes(self, statement: tree.DomainDeclaration) -> None:
        coordinates = []
        for axis in statement.axes:
            lo, hi = self.reader().scalar(axis.lo), self.reader().scalar(axis.hi)
            unit = (
                self.reader().same_unit(lo.unit, hi.unit, axis.hi.span, "the bounds differ in unit")
                if lo.shown and hi.shown
                else hi.unit
                if hi.shown
                else lo.unit
            )
            if (
                self.model.uses_units
                and isinstance(axis.lo, tree.Number)
                and isinstance(axis.hi, tree.Number)
                and not (lo.shown or hi.shown)
            ):
                said = f"the unit of `{axis.name.id}` is missing"
                where = f"a unit stands behind the upper bound, [1] for a number: {axis.hi.span.text} [1]"
                self.diagnostics.add("E0402", said, axis.name.span, label=where)
            shown = hi.shown or lo.shown or Unit()
            low = self._bound(lo, shown)
            coordinates.append(Coordinate(axis.name.id, low, self._bound(hi, shown), axis.periodic, shown, axis.span))
            self._coordinate(axis.name, unit or NUMBER)
        self._add_domain(statement.name, tuple(coordinates))

    def _bound(self, value: Value, shown: Unit) -> Term:
        """A plain number takes the unit of the other bound."""
        term = value.term if value.term.kind >= Kind.REAL else build.cast(value.term, Kind.REAL)
        if value.shown is None and not value.unit and shown.factor != 1:
            return build.mul(build.const(Fraction(shown.factor)), term)
        return term

    def _shape_axes(self, statement: tree.DomainDeclaration) -> None:
        found = []
        assert statement.shape is not None
        for node in tree.walk(statement.shape):
            if isinstance(node, tree.Call) and isinstance(node.function, tree.Name) and node.function.id == "box":
                for k in node.keywords:
                    if isinstance(k.value, tree.Range):
                        lo, hi = self.reader().scalar(k.value.lo), self.reader().scalar(k.value.hi)
                        found.append(Coordinate(k.name.id, self._bound(lo, Unit()), self._bound(hi, Unit()), False, Unit(), k.span))
                        self._coordinate(k.name, hi.unit or NUMBER)
            for k in node.keywords if isinstance(node, tree.Call) else ():
                if k.name.id == "name" and isinstance(k.value, tree.String):
                    self.sides[k.value.value] = ()
        self._add_domain(statement.name, tuple(found))

    def _coordinate(self, name: tree.Name, unit: Powers) -> None:
        size = Size.of(Dim(name.id))
        self.model.dims[name.id] = Dim(name.id)
        self.model.sizes[name.id] = size
        axis = Axis(name.id, size, True, unit)
        self.names.declare(name, "coordinate", lambda: axis, self.diagnostics)

    def _add_domain(self, name: tree.Name, coordinates: tuple[Coordinate, ...]) -> None:
        domain = Domain(name.id, coordinates)
        self.model.domains[name.id] = domain
        self.names.declare(name, "domain", lambda: domain, self.diagnostics)

    def _complete(self, name: tree.Name, type_: tree.TypeExpr | None, declaration: str) -> None:
        """E0402 where a model with units leaves one out: nothing else would say what the quantity is."""
        if self.model.uses_units and (type_ is None or type_.unit is None):
            said = f"the unit of `{name.id}` is missing"
            self.diagnostics.add(
                "E0402", said, name.span, label="this model declares units", help=f"{declaration}: [1]  # or its unit, [1] is a number"
            )

    def unit_of(self, type_: tree.TypeExpr | None) -> tuple[Unit, Powers]:
        """Unit of a declared type; a file with units must give one where it is not a number (E0402)."""
        if type_ is None or type_.unit is None:
            return Unit(), NUMBER
        unit = self.units.resolve(type_.unit)
        return unit, unit.powers

    def indices(self, items: tuple[tree.Item, ...], typed: bool = False) -> list[Axis]:
        """The indices of a declaration; `typed` where the name has a unit that may have been meant (E0405)."""
        found = []
        for item in items:
            declared = self.names.find(item.id) if isinstance(item, tree.Name) else None
            entity = declared.get() if declared and declared.word in ("dim", "coordinate") else self.second(item)
            if not isinstance(entity, Axis):
                text = item.span.text
                if typed and self.reader().is_unit(item):
                    label = f"write it behind a colon: `: [{text}]`"
                    raise CheckFailed("E0405", f"`{text}` is a unit where an index stands", item.span, label=label)
                raise CheckFailed("E0201", f"`{text}` is no declared index", item.span, label=f"write `dim {text}`")
            found.append(entity)
        return found

    def second(self, item: tree.Item) -> Axis | None:
        """`h'`: a second index over the range of `h`."""
        if not isinstance(item, tree.Name) or not item.id.endswith("'"):
            return None
        base = self.names.find(item.id.rstrip("'"))
        entity = base.get() if base else None
        if not isinstance(entity, Axis):
            return None
        axis = Axis(item.id, entity.size)
        self.names.declare(item, "dim", lambda: axis, self.diagnostics)
        self.model.sizes[item.id] = entity.size
        return axis

    def _field(self, f: tree.FieldDef) -> Value:
        kind = f.type.kind.id if f.type is not None and f.type.kind is not None else "real"
        family = self.indices(f.items, typed=True)
        if kind in ("real", "complex", "vector", "tensor", "sym"):
            self._complete(f.name, f.type, f"field {f.span.text}".partition(":")[0])
        unit, powers = self.unit_of(f.type)
        axes = {a.name: a.size for a in family}
        order = [a.name for a in family]
        domain = None
        if f.domain.id != "t":
            domain = self.model.domains.get(f.domain.id)
            self.need(f.domain.id)
            if domain is None:
                raise CheckFailed("E0101", f"there is no domain `{f.domain.id}`", f.domain.span)
            axes |= {c.name: self.model.sizes[c.name] for c in domain.coordinates}
            order += [c.name for c in domain.coordinates]
        if kind in ("vector", "tensor", "sym"):
            return self._vector_field(f, kind, domain, axes, tuple(order), unit, powers)
        if kind not in KINDS:
            raise CheckFailed("E0101", f"there is no type `{kind}`", f.type.kind.span if f.type and f.type.kind else f.span)
        symbol = build.symbol(f.name.id, Type(KINDS[kind], axes))
        self.model.fields[f.name.id] = Field(f.name.id, symbol, domain.name if domain else None, tuple(order), unit, "", f.span)
        return Value(symbol, powers, tuple(order), shown=unit)

    def _vector_field(
        self, f: tree.FieldDef, kind: str, domain: Domain | None, axes: dict[str, Size], order: tuple[str, ...], unit: Unit, powers: Powers
    ) -> Value:
        if kind != "vector" or domain is None:
            raise CheckFailed("E0206", f"a field of type `{kind}` needs a domain and rank 1", f.span)
        names = tuple(c.name for c in domain.coordinates)
        parts = []
        for component in names:
            name = f"{f.name.id}.{component}"
            symbol = build.symbol(name, Type(Kind.REAL, axes))
            self.model.fields[name] = Field(name, symbol, domain.name, order, unit, f.name.id, f.span)
            parts.append(symbol)
        return Value(tuple(parts), powers, order, names, shown=unit)

    def _param(self, p: tree.ParamDef, constant: bool) -> Value:
        axes, order = {}, []
        for a in self.indices(p.items, typed=True):
            axes[a.name] = a.size
            order.append(a.name)
        if p.domain is not None and p.domain.id == "t":
            self.cannot(f"`{p.name.id}(t)`: a param that is a series in time", p.span)
        elif p.domain is not None:
            domain = self.model.domains.get(p.domain.id)
            self.need(p.domain.id)
            if domain is None:
                raise CheckFailed("E0101", f"there is no domain `{p.domain.id}`", p.domain.span)
            for c in domain.coordinates:
                axes[c.name] = self.model.sizes[c.name]
                order.append(c.name)
        unit, powers = self.unit_of(p.type)
        value: Any = None
        if p.value is not None:
            entity = self.reader().any(p.value)
            if isinstance(entity, Loaded):
                self._complete(p.name, p.type, f"param {p.span.text[: p.value.span.start - p.span.start].rstrip(' =')}")
                value = entity.load
            else:
                found = self.reader().scalar(p.value)
                if p.type is not None and p.type.unit is not None:
                    self.reader().same_unit(powers, found.unit, p.value.span, f"`{p.name.id}` and its value differ in unit")
                elif found.unit is not None:
                    unit, powers = (
                        found.shown or Unit(Fraction(1), found.unit, self.units.words(found.unit)[1:-1] if found.unit else ""),
                        found.unit,
                    )
                value = found.term
                extra = [a for a in value.axes if a not in axes]
                if extra:
                    raise CheckFailed(
                        "E0201",
                        f"the value of `{p.name.id}` depends on `{extra[0]}`",
                        p.value.span,
                        label=f"declare it over its domain: `{p.name.id}(D)`",
                    )
        kind = KINDS.get(p.type.kind.id, Kind.REAL) if p.type is not None and p.type.kind is not None else Kind.REAL
        if isinstance(value, Term):
            kind = max(kind, value.kind) if value.kind > Kind.BOOL else Kind.REAL
            value = build.cast(value, kind) if value.kind != kind else value
        symbol = build.symbol(p.name.id, Type(kind, axes))
        self.model.params[p.name.id] = Param(p.name.id, symbol, tuple(order), value, None, unit, constant, p.span)
        return Value(symbol, powers, tuple(order), shown=unit)

    def _tensor(self, t: tree.TensorDef) -> Value:
        indices = self.indices(t.items)
        axes = {a.name: a.size for a in indices}
        order = tuple(a.name for a in indices)
        unit, powers = self.unit_of(t.type)
        kind = KINDS.get(t.type.kind.id, Kind.REAL) if t.type is not None and t.type.kind is not None else Kind.REAL
        symbol = build.symbol(t.name.id, Type(kind, axes))
        if t.value is None and not powers:
            self.model.tensors[t.name.id] = Weight(t.name.id, symbol, order, None, t.span)
        else:
            value = None if t.value is None else self.tensor_value(t, order, symbol, powers)
            self.model.params[t.name.id] = Param(t.name.id, symbol, order, value, None, unit, False, t.span)
        if t.annotations:
            self.cannot(f"the structure `@{t.annotations[0].name.id}` of a tensor", t.annotations[0].span)
        return Value(symbol, powers, order, shown=unit)

    def tensor_value(self, t: tree.TensorDef, order: tuple[str, ...], symbol: Term, powers: Powers) -> Load | Term:
        """The data or the term that a tensor is declared with; a term without an index of the tensor is the same along it."""
        assert t.value is not None
        entity = self.reader().any(t.value, frozenset(order))
        if isinstance(entity, Loaded):
            return entity.load
        if not isinstance(entity, Value) or entity.rank:
            raise CheckFailed("E0206", f"`{t.value.span.text}` is no value of a tensor", t.value.span)
        self.same_axes(order, entity, t.value.span)
        self.reader().same_unit(powers, entity.unit, t.value.span, f"`{t.name.id}` and its value differ in unit")
        if entity.term.kind > symbol.kind:
            found, declared = entity.term.kind.name.lower(), symbol.kind.name.lower()
            raise CheckFailed("E0206", f"`{t.name.id}` is {declared}, its value is {found}", t.value.span, label=f"declare it `: {found}`")
        return build.conform(build.cast(entity.term, symbol.kind) if entity.term.kind < symbol.kind else entity.term, symbol.type)

    def same_axes(self, order: tuple[str, ...], value: Value, span: Span) -> None:
        """E0204 for an index on the right that is not on the left."""
        extra = [a for a in value.term.axes if a not in order]
        if extra:
            label = f"write sum[{extra[0]}](...) or name it on the left"
            raise CheckFailed("E0204", f"the index `{extra[0]}` stands alone", span, label=label)

    def left_and_right(self, order: tuple[str, ...], value: Value, span: Span) -> None:
        """A definition has the same indices on both sides: E0204, E0205."""
        self.same_axes(order, value, span)
        missing = [a for a in order if a not in value.term.axes]
        if missing:
            raise CheckFailed("E0205", f"`{missing[0]}` stands on the left only", span, label=f"write repeat[{missing[0]}](...)")

    def _definition(self, statement: tree.Let) -> Any:
        """`let a = ...` and `let R[j, m] = ...`."""
        target = statement.target
        if not target.items and not target.arguments:
            return self.reader().any(statement.value)
        if target.arguments:
            raise CheckFailed("E0206", "`let` defines a name or a tensor", target.span, label="a function is `fn`")
        indices = self.indices(target.items)
        order = tuple(a.name for a in indices)
        if is_recurrence(statement):
            self.cannot(f"the recurrence of `{target.name.id}` over an index", statement.span)
            return Value(build.symbol(target.name.id, Type(Kind.REAL, {a.name: a.size for a in indices})), NUMBER, order)
        value = self.reader().scalar(statement.value, frozenset(order))
        self.left_and_right(order, value, statement.value.span)
        quantity = Quantity(target.name.id, value.term, Unit(), order)
        self.model.lets[target.name.id] = quantity
        return Value(value.term, value.unit, order)

    def _computed(self) -> Names:
        """Names as a check sees them: a definition that depends on data alone stands for the array that was computed for it."""
        scope = Names(self.names)
        for name, quantity in self.model.lets.items():
            moving = any(s.op == "symbol" and (name_of(s) in self.model.fields or name_of(s) == "t") for s in walk([quantity.term]))
            if moving or any(self.is_coordinate(a) for a in quantity.order):
                continue
            declared = self.names.table[name]
            known = replace(declared.get(), data=build.symbol(name, quantity.term.type))
            scope.table[name] = Declared(declared.word, declared.span, declared.make, known, "done")
        return scope

    def _named_sides(self, dotted: tree.Dotted) -> tuple[tuple[str, str], ...]:
        names = [n.id for n in dotted.names]
        if len(names) == 2 and self.is_coordinate(names[0]) and names[1] in ("lo", "hi"):
            return ((names[0], names[1]),)
        if len(names) == 1 and names[0] in self.sides:
            return self.sides[names[0]]
        self.need(names[0])
        from ricci.dsl.spelling import nearest

        known = [f"{c.name}.{e}" for d in self.model.domains.values() for c in d.coordinates for e in ("lo", "hi")] + list(self.sides)
        guess = nearest(dotted.text, known)
        label = f"did you mean `{guess}`?" if guess else f"sides are {', '.join(known)}"
        raise CheckFailed("E0104", f"there is no side `{dotted.text}`", dotted.span, label=label)

    def sides_of(self, dotted: tree.Dotted) -> tuple[tuple[str, str], ...]:
        """The sides that a name stands for."""
        return self._named_sides(dotted)

    # what is looked at

    def check_statement(self, statement: tree.Check) -> None:
        """`check` as comparisons with measured left sides."""
        reader = self.reader(scope=self._computed())
        condition = reader.scalar(statement.condition)
        if condition.term.kind != Kind.BOOL:
            raise CheckFailed("E0206", "a check is a condition", statement.condition.span, label="compare with <, > or ~")
        parts = (
            statement.condition.operands
            if isinstance(statement.condition, tree.Logic) and statement.condition.operator == "and"
            else (statement.condition,)
        )
        comparisons = []
        for part in parts:
            if isinstance(part, tree.Compare):
                values = [reader.scalar(o) for o in part.operands]
                for op, a, b in zip(part.operators, values, values[1:], strict=False):
                    shown = b.shown or a.shown or Unit()
                    comparisons.append(Comparison(a.term, op, b.term, shown, part.span.text))
        self.model.checks.append(Check(statement.condition.span.text, tuple(comparisons), condition.term, statement.span))

    def quantity(self, node: tree.Expr) -> list[Quantity]:
        """What an output or plot shows; a vector becomes one quantity per component."""
        value = self.reader().value(node)
        unit = value.shown or Unit()
        if not value.rank:
            return [Quantity(node.span.text, value.term, unit, value.order or tuple(value.term.axes))]
        parts = zip(value.names or tuple(str(k + 1) for k in range(len(value.data))), value.data, strict=True)
        return [Quantity(f"{node.span.text}.{n}", t, unit, value.order or tuple(t.axes)) for n, t in parts if isinstance(t, Term)]

    def moment(self, node: tree.Node) -> Term:
        """A time, given as `t=5` or `5`."""
        expression = node.value if isinstance(node, tree.Keyword) else node
        assert isinstance(expression, tree.Expr)
        value = self.reader().scalar(expression)
        self.reader().same_unit(self.time_powers, value.unit, expression.span, "a time has another unit")
        return value.term

    def output(self, statement: tree.Output) -> None:
        quantities = tuple(q for n in statement.quantities for q in self.quantity(n))
        every = self.moment(statement.every) if statement.every is not None else None
        at = tuple(self.moment(a) for a in statement.at)
        self.model.outputs.append(Output(quantities, every, at, statement.path.value, statement.span))

    def plot(self, statement: tree.Plot) -> None:
        at = tuple(self.moment(a) for a in statement.at)
        path = statement.path.value if statement.path else None
        self.model.plots += [Plot(q, at, path, statement.span) for q in self.quantity(statement.quantity)]

    def event(self, statement: tree.Event) -> None:
        """`event when a > b: u = value`."""
        condition = statement.condition
        if not isinstance(condition, tree.Compare) or len(condition.operators) != 1 or condition.operators[0] not in ("<", "<=", ">", ">="):
            raise CheckFailed("E0206", "an event is one comparison", condition.span, label="for example t > 30 [s]")
        reader = self.reader()
        left, right = (reader.scalar(o) for o in condition.operands)
        reader.same_unit(left.unit, right.unit, condition.operands[1].span, "the compared values differ in unit")
        sign = 1 if condition.operators[0].startswith(">") else -1
        margin = build.linear([(sign, left.term), (-sign, right.term)])
        name = statement.target.name
        self.need(name.id)
        known = self.model.fields.get(name.id)
        if known is None:
            raise CheckFailed("E0101", f"`{name.id}` is no field", name.span, label="an event sets fields")
        value = reader.scalar(statement.value)
        reader.same_unit(known.unit.powers, value.unit, statement.value.span, f"`{name.id}` has another unit")
        truth = build.apply("gt", margin, build.const(0))
        self.model.events.append(Event(truth, margin, ((name.id, value.term),), statement.span.text, statement.span))


__all__ = ["Checker", "Skip", "real"]
