"""Declarations: the names of a block, and what each stands for, made on first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from ricci.dsl import build, tree
from ricci.dsl.check import indices, modules
from ricci.dsl.check.agreement import article, describe, short
from ricci.dsl.check.calculus import derivative_rule
from ricci.dsl.check.context import Checker, Context, Side, error, lookup_axis
from ricci.dsl.check.definitions import refuse_lone
from ricci.dsl.check.edits import declared_unit
from ricci.dsl.check.expressions import entity_of, infinity, scalar_of, value_of
from ricci.dsl.check.quantities import bounds, make_let, make_param, make_tensor
from ricci.dsl.check.scope import PREDEFINED, Declaration, Scope
from ricci.dsl.check.values import Axis, Loaded, Network, Procedure, Recipe, Value
from ricci.dsl.model import Coordinate, Domain, Field, Unit
from ricci.dsl.ops.const import value_of as constant_of
from ricci.dsl.spelling import nearest
from ricci.dsl.term import Term
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.dsl.units import NUMBER
from ricci.errors import CheckFailed

KINDS = {"real": Kind.REAL, "complex": Kind.COMPLEX, "int": Kind.INT, "bool": Kind.BOOL}
RANKS = {"vector": 1, "tensor": 2, "sym": 2}
Make = Callable[[], Any]


class Declarer:
    """Enters the declarations of one block into its scope."""

    def __init__(self, checker: Checker, scope: Scope) -> None:
        self.checker = checker
        self.scope = scope
        self.model = checker.model
        self.refused = False  # a name of the statement that is being declared was declared before
        self.starts: dict[str, list[tree.Initial]] = {}  # `initial z[s=-1] = ...` of recurrences

    def context(self, statement: tree.Node | None = None) -> Context:
        return Context(self.checker, self.scope, statement=statement.span if statement is not None else None)

    # names

    def enter(self, name: tree.Name, word: str, make: Make, node: tree.Node | None = None) -> None:
        """Declare a name; E0102 and E0103 where it is taken, and then it means nothing. `node`: the text of its meaning."""
        report = self.checker.diagnostics.absorb
        declaration = Declaration(name.id, word, name.span, make, report, node=node)
        try:
            self.refuse_taken(name, word)
            self.scope.declarations[name.id] = declaration
        except CheckFailed as failure:
            if not (self.refused and failure.code == "E0102"):  # a statement that stands twice is one mistake
                report(failure)
            self.refused |= failure.code == "E0102"
            self.scope.declarations.setdefault(name.id, declaration).state = "failed"

    def refuse_taken(self, name: tree.Name, word: str) -> None:
        span = name.span
        before = self.scope.here(name.id)
        if before is not None:
            where = f" (line {before.span.line})" if before.span else ""
            if before.word == "predefined":
                raise error("E0103", f"`{name.id}` is predefined", span, label="take another name")
            if word == "coordinate" and before.word != "coordinate":
                raise error("E0103", f"`{name.id}` is a coordinate (line {span.line})", before.span, label="take another name")
            if before.word == "coordinate" and word != "coordinate":
                raise error("E0103", f"`{name.id}` is a coordinate{where}", span, label="take another name")
            raise error("E0102", f"`{name.id}` is declared twice", span, label=f"{article(before.word)} {before.word} before{where}")
        if name.id in PREDEFINED:
            raise error("E0103", f"`{name.id}` is predefined", span, label="take another name")
        outer = self.scope.find(name.id)
        if outer is not None and outer.word == "coordinate":
            raise error("E0103", f"`{name.id}` is a coordinate", span, label="take another name")
        used = self.checker.called.get(name.id)
        if used is not None and name.id in self.checker.operators and word not in ("fn", "layer", "index", "operator"):
            raise error("E0103", f"`{name.id}` is an operator that this model uses (line {used.line})", span, label="take another name")
        if used is not None and word in ("fn", "layer") and name.id in self.checker.operators:
            raise error("E0103", f"`{name.id}` is an operator of the language", span, label="take another name")

    def predefined(self) -> None:
        """pi, im, inf and t."""
        for name, value in (
            ("pi", Value(build.pi(), NUMBER, ())),
            ("im", Value(build.im(), NUMBER, ())),
            ("inf", infinity()),
            ("t", Value(build.symbol("t", Type(Kind.REAL)), self.checker.time_unit, ())),
        ):
            self.scope.define(name, "predefined", None, value)

    def declare(self, statement: tree.Statement) -> None:
        """Enter the names of one statement."""
        handler = _DECLARES.get(type(statement))
        self.refused = False
        if handler is not None:
            handler(self, statement)

    # dims and domains

    def dims(self, statement: tree.DimDeclaration) -> None:
        for item in statement.dims:
            self.enter(item.name, "index", partial(self.make_dim, item), item)

    def make_dim(self, item: tree.DimDef) -> Axis:
        name = item.name.id
        if item.within is not None:
            axis = self.ranged(item.within)
            self.model.sizes[name] = axis.size
            return replace(axis, name=name, span=item.name.span)
        if item.size is None:
            size = self.checker.equalities.get(name) or Size.of(Dim(name))
            for dim in size.dims:
                self.model.dims.setdefault(dim.name, dim)
        else:
            size = self.size_of(item.size)
        self.model.sizes[name] = size
        return Axis(name, size, item.name.span)

    def ranged(self, name: tree.Name) -> Axis:
        """What a second index ranges over: a dim, a coordinate, the only coordinate of a domain, the rows of a data set."""
        from ricci.dsl.check.values import DataSet

        axis = lookup_axis(self.context(), name.id)
        if axis is not None:
            return axis
        declaration = self.scope.find(name.id)
        entity = declaration.resolve() if declaration is not None else None
        if isinstance(entity, DataSet):
            return Axis(entity.rows, dict(entity.sizes)[entity.rows], name.span)
        if isinstance(entity, Domain) and len(entity.coordinates) == 1:
            only = lookup_axis(self.context(), entity.coordinates[0].name)
            assert only is not None
            return only
        raise error("E0201", f"`{name.id}` is no range", name, label="an index ranges over a dim, a domain with one axis, or a data set")

    def size_of(self, node: tree.Expr) -> Size:
        """A size: whole numbers and sizes of other dims."""
        from ricci.dsl.check.indexing import as_index
        from ricci.dsl.check.reductions import sizes_for_names

        index = as_index(sizes_for_names(node), self.context())
        if index is not None and not index.axes:
            size = index.constant
        else:
            number = constant_of(scalar_of(node, self.context()).term)
            if not isinstance(number, Fraction) or number.denominator != 1:
                raise error("E0203", f"`{short(node)}` is no size", node, label="a size is a whole number, or a polynomial of other dims")
            size = Size.of(int(number))
        if size.constant is not None and size.constant < 0:
            raise error("E0203", f"the size `{short(node)}` is {size.constant}", node, label="at least 0")
        return size

    def domain(self, statement: tree.DomainDeclaration) -> None:
        """Enter the names; the bounds are read when all names are known."""
        from ricci.dsl.check.geometry import names_of_shape

        made: list[Domain] = []

        def make() -> Domain:
            if not made:
                made.append(self.make_domain(statement))
            return made[0]

        names = [a.name for a in statement.axes] if statement.shape is None else names_of_shape(statement.shape)
        self.enter(statement.name, "domain", make, statement)
        for name in names:
            self.enter(name, "coordinate", partial(self.make_axis, name, make), statement)
        if any(self.scope.declarations[name.id].state == "failed" for name in (statement.name, *names)):
            for name in (statement.name, *names):
                self.scope.declarations[name.id].state = "failed"

    def make_domain(self, statement: tree.DomainDeclaration) -> Domain:
        from ricci.dsl.check.geometry import axes_of_shape

        axes = list(statement.axes)
        if statement.shape is not None:
            axes, holes = axes_of_shape(statement.shape, self.context(statement))
            self.checker.holes[statement.name.id] = tuple(name for name, _ in holes)
            if holes:
                self.checker.lacking("a domain with something cut out", statement.span)
        domain = Domain(statement.name.id, tuple(self.coordinate(a, statement) for a in axes))
        self.model.domains[domain.name] = domain
        for c in domain.coordinates:
            self.model.dims[c.name] = Dim(c.name)
            self.model.sizes[c.name] = Size.of(Dim(c.name))
            unit = Value(
                tuple(build.const(int(c is o), Kind.REAL) for o in domain.coordinates),
                NUMBER,
                (),
                tuple(o.name for o in domain.coordinates),
            )
            if self.scope.here(f"e{c.name}") is None:
                self.scope.define(f"e{c.name}", "unit vector", None, unit)
        return domain

    def make_axis(self, name: tree.Name, domain: Callable[[], Domain]) -> Axis:
        c = next(c for c in domain().coordinates if c.name == name.id)
        return Axis(c.name, self.model.sizes[c.name], name.span, True, c.periodic, c.unit.powers)

    def coordinate(self, axis: tree.AxisDef, statement: tree.Node) -> Coordinate:
        """Bounds of an axis; a plain number takes the unit of the other bound, two of them are an axis without unit (an angle)."""
        context = self.context(statement)
        lo, hi, unit = bounds(axis.lo, axis.hi, context)
        low, high = constant_of(lo), constant_of(hi)
        if low is not None and high is not None and low >= high:
            raise error("E0203", f"the range of `{axis.name.id}` is empty", axis, label="the lower bound comes first")
        return Coordinate(axis.name.id, lo, hi, axis.periodic, unit or Unit(), axis.span)

    # fields, params, tensors

    def fields(self, statement: tree.FieldDeclaration) -> None:
        for item in statement.fields:
            self.enter(item.name, "field", partial(self.make_field, item), item)

    def indices_of(self, items: Sequence[tree.Item], context: Context) -> dict[str, Size]:
        """The declared indices of a field, tensor or left side."""
        axes: dict[str, Size] = {}
        for item in items:
            if not isinstance(item, tree.Name):
                raise error("E0201", f"`{short(item)}` is no index", item, label="a declaration lists names of dims")
            axis = indices.axis_of(item, context)
            if item.id in axes:
                raise error(
                    "E0102",
                    f"the index `{item.id}` is listed twice",
                    item,
                    label=f"write {item.id}' for a second index over the same range",
                )
            axes[item.id] = axis.size
            self.model.sizes.setdefault(item.id, axis.size)
        return axes

    def over(self, name: tree.Name) -> tuple[Domain | None, dict[str, Size]]:
        """What stands in the parentheses of a field: a domain, or the time alone."""
        if name.id == "t":
            return None, {}
        declaration = self.scope.find(name.id)
        domain = declaration.resolve() if declaration is not None and declaration.word == "domain" else None
        if domain is None:
            guess = nearest(name.id, self.model.domains)
            if guess is None:
                self.checker.lost_domains.add(name.id)
            known = ", ".join([*self.model.domains, "t"])
            raise error(
                "E0101", f"there is no domain `{name.id}`", name, label=f"did you mean `{guess}`?" if guess else f"there are {known}"
            )
        return domain, {c.name: self.model.sizes[c.name] for c in domain.coordinates}

    def type_of(self, node: tree.TypeExpr | None, what: str, at: tree.Node, needed: bool) -> tuple[Kind, int, Unit | None]:
        """Kind, rank and unit of a declared type; E0402 where a unit is needed and missing."""
        kind, rank, unit = Kind.REAL, 0, None
        if node is not None and node.kind is not None:
            word = node.kind.id
            if word not in KINDS and word not in RANKS:
                guess = nearest(word, [*KINDS, *RANKS])
                known = ", ".join([*KINDS, *RANKS])
                raise error(
                    "E0104", f"there is no type `{word}`", node.kind, label=f"did you mean `{guess}`?" if guess else f"there are {known}"
                )
            kind, rank = KINDS.get(word, Kind.REAL), RANKS.get(word, 0)
            if word in ("tensor", "sym") and node.arguments:
                number = node.arguments[0]
                if not isinstance(number, tree.Number) or number.value not in (1, 2):
                    raise error("E0206", f"`{word}` has rank 1 or 2", node)
                rank = int(number.value)
        if node is not None and node.unit is not None:
            unit = self.checker.units.resolve(node.unit)
        if unit is None and needed and self.model.uses_units:
            raise error(
                "E0402",
                f"{what} has no unit",
                at,
                label="this model has units: add `: [m/s]`, or `: [1]` for none",
                edits=declared_unit(at, node),
            )
        return kind, rank, unit

    def make_field(self, item: tree.FieldDef) -> Value:
        context = self.context(item)
        family = self.indices_of(item.items, context)
        domain, axes = self.over(item.domain)
        kind, rank, unit = self.type_of(item.type, f"the field `{item.name.id}`", item.name, needed=True)
        unit = unit or Unit()
        labels = tuple(c.name for c in domain.coordinates) if domain else ()
        if rank and domain is None:
            raise error(
                "E0206", f"the {item.type.span.text if item.type else 'vector'} `{item.name.id}` has no space to point in", item.name
            )
        order = (*family, *axes)
        type_ = Type(kind, {**axes, **family})
        symmetric = item.type is not None and item.type.kind is not None and item.type.kind.id == "sym"
        data = self.components(item, rank, labels, type_, domain, order, unit, symmetric)
        return Value(
            data,
            unit.powers,
            order,
            labels if rank else (),
            shown=unit,
            family=len(family),
            origin=item.name.span,
            points=Fraction(int(unit.offset != 0)),
        )

    def components(
        self,
        item: tree.FieldDef,
        rank: int,
        labels: tuple[str, ...],
        type_: Type,
        domain: Domain | None,
        order: tuple[str, ...],
        unit: Unit,
        symmetric: bool,
    ) -> Any:
        """Symbols of all components; each is a scalar field of its own."""
        name = item.name.id

        def make(path: tuple[str, ...]) -> Term:
            if symmetric and len(path) == 2:
                path = tuple(sorted(path, key=labels.index))
            full = ".".join((name, *path))
            symbol = build.symbol(full, type_)
            if full not in self.model.fields:
                self.model.fields[full] = Field(full, symbol, domain.name if domain else None, order, unit, name if path else "", item.span)
            return symbol

        if not rank:
            return make(())
        if rank == 1:
            return tuple(make((a,)) for a in labels)
        return tuple(tuple(make((a, b)) for b in labels) for a in labels)

    def params(self, statement: tree.ParamDeclaration) -> None:
        for item in statement.params:
            self.enter(item.name, "param", partial(make_param, self, item, statement), item)

    def tensors(self, statement: tree.TensorDeclaration) -> None:
        for item in statement.tensors:
            self.enter(item.name, "tensor", partial(make_tensor, self, item, ""), item)

    def let(self, statement: tree.Let) -> None:
        target = statement.target
        if target.arguments:
            self.function_of(target.name, [self.parameter(a) for a in target.arguments], statement.value)
            return
        self.enter(target.name, "let", lambda: make_let(self, statement), statement.value)

    def parameter(self, argument: tree.Argument) -> str:
        if not isinstance(argument, tree.Name):
            raise error("E0203", "a parameter is a name", argument)
        return argument.id

    def function(self, statement: tree.FunctionDefinition) -> None:
        self.function_of(statement.name, [p.id for p in statement.parameters], statement.value)

    def function_of(self, name: tree.Name, parameters: list[str], body: tree.Expr) -> None:
        if len(set(parameters)) < len(parameters):
            raise error("E0102", f"two parameters of `{name.id}` have one name", name)
        procedure = Procedure(name.id, tuple(parameters), body, self.scope, tree.levels(body))
        self.enter(name, "fn", lambda: procedure, body)

    # the rest

    def layer(self, statement: tree.LayerDefinition) -> None:
        from ricci.dsl.check.layers import make_layer

        self.enter(statement.name, "layer", lambda: make_layer(self, statement), statement)

    def submodel(self, statement: tree.ModelDefinition) -> None:
        from ricci.dsl.check.submodels import make_submodel

        self.enter(statement.name, "model", lambda: make_submodel(self, statement), statement)

    def network(self, statement: tree.NetworkDeclaration) -> None:
        self.enter(statement.name, "network", lambda: self.make_network(statement), statement)

    def make_network(self, statement: tree.NetworkDeclaration) -> Network:
        from ricci.dsl.check.networks import structure_of

        context = self.context(statement)
        structure, site = structure_of(statement.structure, context)
        if statement.value is not None:
            indices.plan(statement.value, context, refuse_lone, coordinates=True)
            scalar_of(statement.value, context)
        self.checker.lacking(f"the network `{statement.name.id}`", statement.span)
        return Network(statement.name.id, structure, site)

    def dataset(self, statement: tree.Dataset) -> None:
        self.enter(statement.name, "dataset", lambda: self.make_dataset(statement), statement)

    def make_dataset(self, statement: tree.Dataset) -> Any:
        from ricci.dsl.check.values import DataSet

        context = self.context(statement)
        entity = entity_of(statement.value, context)
        if isinstance(entity, Loaded):
            if not entity.members:
                raise error("E0104", "a data set names its arrays and their axes", statement.value, label='as in load("f.npz", x=[b, d])')
            names = dict.fromkeys(n for _, order in entity.members for n in order)
            sizes = {n: axis.size for n in names if (axis := lookup_axis(context, n)) is not None}
            entity = DataSet(statement.name.id, entity.members, entity.members[0][1][0], tuple(sizes.items()))
        if not isinstance(entity, DataSet):
            raise error("E0203", f"`{short(statement.value)}` is {describe(entity)}, a data set is needed", statement.value)
        self.checker.lacking(f"the data set `{statement.name.id}`", statement.span)
        return replace(entity, name=statement.name.id)

    def region(self, statement: tree.RegionDeclaration) -> None:
        self.enter(statement.name, "region", lambda: self.make_region(statement), statement)

    def make_region(self, statement: tree.RegionDeclaration) -> Value:
        from ricci.dsl.check.agreement import truth

        value = value_of(statement.value, self.context(statement))
        truth(value, statement.value)
        return value

    def grid(self, statement: tree.GridDeclaration) -> None:
        from ricci.dsl.check.solve_options import check_grid

        check_grid(statement.options, self.context(statement))
        self.enter(statement.name, "grid", lambda: Recipe("grid", "grid"))
        self.checker.lacking(f"the named grid `{statement.name.id}`", statement.span)

    def sides(self, statement: tree.SideDeclaration) -> None:
        from ricci.dsl.check.sides import sides_of

        name = statement.name
        if name.id in self.scope.sides:
            raise error("E0102", f"the side `{name.id}` is declared twice", name)

        def make() -> list[Side]:
            return [side for dotted in statement.sides for side in sides_of(dotted.names, dotted, self.context(statement))]

        self.scope.sides[name.id] = Declaration(name.id, "side", name.span, make, self.checker.diagnostics.absorb, node=statement)

    def units(self, statement: tree.UnitDeclaration) -> None:
        self.checker.units.declare(statement)

    def imported(self, statement: tree.Import) -> None:
        folder = Path(self.checker.folder)
        alias = statement.alias or statement.module.names[-1]
        self.enter(alias, "module", lambda: modules.load(statement.module, folder, self.checker))

    def from_imported(self, statement: tree.FromImport) -> None:
        folder = Path(self.checker.folder)

        def member(name: tree.Name) -> Any:
            from ricci.dsl.check.applied import member as find

            return find(modules.load(statement.module, folder, self.checker), name)

        for name in statement.names:
            self.enter(name, "import", partial(member, name))


_DECLARES: dict[type, Callable[[Declarer, Any], None]] = {
    tree.DimDeclaration: Declarer.dims,
    tree.DomainDeclaration: Declarer.domain,
    tree.FieldDeclaration: Declarer.fields,
    tree.ParamDeclaration: Declarer.params,
    tree.TensorDeclaration: Declarer.tensors,
    tree.Let: Declarer.let,
    tree.FunctionDefinition: Declarer.function,
    tree.LayerDefinition: Declarer.layer,
    tree.ModelDefinition: Declarer.submodel,
    tree.NetworkDeclaration: Declarer.network,
    tree.Dataset: Declarer.dataset,
    tree.RegionDeclaration: Declarer.region,
    tree.GridDeclaration: Declarer.grid,
    tree.SideDeclaration: Declarer.sides,
    tree.UnitDeclaration: Declarer.units,
    tree.Import: Declarer.imported,
    tree.FromImport: Declarer.from_imported,
}

__all__ = ["Declarer", "derivative_rule"]
