"""Params, tensors and definitions: names with values."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ricci.dsl import build, tree
from ricci.dsl.check import indices
from ricci.dsl.check.agreement import demand_unit, numeric, short, words
from ricci.dsl.check.context import Checker, Context, Side, error
from ricci.dsl.check.definitions import defined_tensor, refuse_lone, refuse_missing, starts_of
from ricci.dsl.check.edits import declared_unit
from ricci.dsl.check.expressions import entity_of, scalar_of, value_of
from ricci.dsl.check.sides import ENDS, NoSide, coordinates, surfaces
from ricci.dsl.check.special import one_array
from ricci.dsl.check.structured import defined, structure_of
from ricci.dsl.check.values import Axis, Loaded, Sided, Value, leaves, paths
from ricci.dsl.model import Load, Param, Quantity, Structured, Unit, Weight
from ricci.dsl.ops.const import value_of as constant_of
from ricci.dsl.ops.pointwise import unexpanded
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Kind, Size, Type
from ricci.dsl.units import NUMBER
from ricci.errors import CheckFailed

if TYPE_CHECKING:
    from ricci.dsl.check.declarations import Declarer


def make_param(declarer: Declarer, item: tree.ParamDef, statement: tree.ParamDeclaration) -> Value:
    name = item.name.id
    family = declarer.indices_of(item.items, declarer.context(item))
    domain, axes = declarer.over(item.domain) if item.domain is not None else (None, {})
    over_time = item.domain is not None and domain is None
    order = (*family, *axes)
    context = replace(declarer.context(item), free=frozenset(order), draws=tuple((n, {**family, **axes}[n]) for n in order), domain=domain)
    kind, rank, unit = declarer.type_of(item.type, f"the param `{name}`", item.name, needed=item.value is None)
    if rank:
        raise error("E0206", f"the param `{name}` is a vector", item.name, label="declare one param for each component")
    value, kind, unit, found = _param_value(declarer, item, kind, unit, context)
    limits = _limits(declarer, item, unit, found, context)
    symbol = build.symbol(name, Type(kind, {**family, **axes}))
    if isinstance(value, Term):
        extra = [a for a in value.axes if a not in symbol.axes]
        if extra:
            assert item.value is not None
            raise error(
                "E0201",
                f"the value of `{name}` varies along `{extra[0]}`",
                item.value,
                label=f"declare it as `{name}(D)` or `let {name} = ...`",
            )
        value = build.conform(value, Type(kind, dict(value.axes.items())))
    if over_time:
        declarer.checker.lacking(f"the param `{name}(t)`, a series in time", item.span)
    unit = unit or Unit()
    declarer.model.params[name] = Param(name, symbol, order, value, limits, unit, statement.constant, item.span)
    return Value(
        symbol,
        unit.powers,
        order,
        shown=unit if unit.text else None,
        family=len(family),
        origin=item.name.span,
        points=Fraction(int(unit.offset != 0)),
    )


def _param_value(
    declarer: Declarer, item: tree.ParamDef, kind: Kind, unit: Unit | None, context: Context
) -> tuple[Term | Load | None, Kind, Unit | None, Value | None]:
    """The default of a param, its kind and its unit."""
    if item.value is None:
        return None, kind, unit, None
    indices.plan(item.value, context, refuse_lone, coordinates=False)
    entity = entity_of(item.value, context)
    if isinstance(entity, Loaded):
        if unit is None and declarer.model.uses_units and item.type is None:
            message, label = f"the param `{item.name.id}` has no unit", "say the unit of the data, as in `: [m/s]`"
            raise error("E0402", message, item.name, label, edits=declared_unit(item.name, None))
        return one_array(entity, context), kind, unit, None
    value = numeric(scalar_of(item.value, context), item.value)
    if any(t.op in ("partial",) or t is _time() for t in walk([value.term])):
        raise error("E0203", f"the value of the param `{item.name.id}` changes with the time", item.value, label="write `let`")
    if unit is not None:
        demand_unit(value, unit.powers, item.value, context, f"`{item.name.id}`")
    else:
        own = None if item.replaced is None else _demand_own_unit(value, item, item.replaced, context)
        unit = unit_from(own if own is not None and value.unit is None else value, declarer.checker)
    term = _of_kind(value, kind, item)
    if term.kind == Kind.COMPLEX:
        kind = Kind.COMPLEX
    return term, kind, unit, value


def _of_kind(value: Value, kind: Kind, item: tree.ParamDef) -> Term:
    """The value of a param; E0203 where it is no whole or no real number and the param is one."""
    assert item.value is not None
    declared = item.type is not None or item.replaced is not None
    if value.kind == Kind.COMPLEX and kind < Kind.COMPLEX and declared:
        raise error("E0203", f"`{item.name.id}` is a real number", item.value, label="this is a complex one")
    if kind == Kind.INT and value.kind > Kind.INT:
        number = constant_of(unexpanded(value.term))
        if not isinstance(number, Fraction) or number.denominator != 1:
            raise error("E0203", f"`{item.name.id}` is a whole number", item.value, label="this is none")
        return build.cast(value.term, Kind.INT)
    return value.term


def _demand_own_unit(value: Value, item: tree.ParamDef, replaced: tree.Expr, context: Context) -> Value | None:
    """The model's own value; E0401 where the one given for a run has another unit."""
    indices.plan(replaced, context, refuse_lone, coordinates=False)
    if isinstance(entity_of(replaced, context), Loaded):
        return None
    model = numeric(scalar_of(replaced, context), replaced)
    own = model.unit
    if own is None or value.unit is None or own == value.unit:
        return model
    name, unit, given = item.name.id, words(own, context), item.value
    bare = isinstance(given, tree.Number) and given.unit is None
    help = f"--set '{name}={given.text} {unit}'" if isinstance(given, tree.Number) and bare else ""
    raise error("E0401", f"`{name}` has the unit {unit}", given, label=f"this is {words(value.unit, context)}", help=help)


def _time() -> Term:
    return build.symbol("t", Type(Kind.REAL))


def _limits(declarer: Declarer, item: tree.ParamDef, unit: Unit | None, found: Value | None, context: Context) -> tuple[Term, Term] | None:
    """`in lo..hi`."""
    if item.bounds is None:
        return None
    lo, hi, own = bounds(item.bounds.lo, item.bounds.hi, context, unit)
    powers = own.powers if own else NUMBER
    wanted = unit.powers if unit is not None else NUMBER
    if powers != wanted and not (found is not None and found.unit is None):
        raise error(
            "E0401",
            f"the bounds of `{item.name.id}` have another unit",
            item.bounds,
            label=f"it has {declarer.checker.units.words(wanted)}",
        )
    low, high = constant_of(lo), constant_of(hi)
    if low is not None and high is not None:
        if low > high:
            raise error("E0203", f"the range of `{item.name.id}` is empty", item.bounds, label="the lower bound comes first")
        default = constant_of(found.term) if found is not None else None
        if default is not None and not low <= default <= high:
            assert item.value is not None
            raise error(
                "E0203",
                f"the value of `{item.name.id}` lies outside of its range",
                item.value,
                label=f"the range is {short(item.bounds)}",
            )
    return lo, hi


def make_tensor(declarer: Declarer, item: tree.TensorDef, prefix: str) -> Value:
    """A tensor of the model, or (with a prefix) a weight of a layer."""
    context = declarer.context(item)
    axes = declarer.indices_of(item.items, context)
    kind, rank, unit = declarer.type_of(item.type, f"the tensor `{item.name.id}`", item.name, needed=False)
    if rank:
        raise error("E0206", "the rank of a tensor is the number of its indices", item.type)
    unit = unit or Unit()
    note = structure_of(declarer, item)
    name = prefix + item.name.id
    if note is not None:
        return _structured(declarer, item, defined(declarer, item, note, name, axes, kind, unit), bool(prefix))
    value = _tensor_value(declarer, item, axes, kind, unit, context)
    symbol = build.symbol(name, Type(kind, axes))
    given = build.conform(value, symbol.type) if isinstance(value, Term) else value
    weight = Weight(name, symbol, tuple(axes), item.span, given, unit)
    if prefix:
        declarer.checker.weights.append(weight)
    elif value is None:
        declarer.model.tensors[name] = weight
    else:
        whole = build.conform(value, symbol.type) if isinstance(value, Term) else value
        declarer.model.params[name] = Param(name, symbol, tuple(axes), whole, None, unit, False, item.span)
    return Value(symbol, unit.powers, tuple(axes), shown=unit if unit.text else None, family=len(axes), origin=item.name.span)


def _tensor_value(
    declarer: Declarer, item: tree.TensorDef, axes: dict[str, Size], kind: Kind, unit: Unit, context: Context
) -> Term | Load | None:
    if item.value is None:
        return None
    inner = replace(context, free=frozenset(axes), draws=tuple(axes.items()))
    indices.plan(item.value, inner, refuse_lone, coordinates=True)
    entity = entity_of(item.value, inner)
    if isinstance(entity, Loaded):
        return one_array(entity, context)
    value = numeric(scalar_of(item.value, inner), item.value)
    demand_unit(value, unit.powers, item.value, context, f"`{item.name.id}`")
    extra = [a for a in value.axes if a not in axes]
    if extra:
        refuse_lone(extra[0], indices.place_of(extra[0], item.value))
    refuse_missing(item.items, value)
    if value.kind > kind:
        raise error("E0203", f"`{item.name.id}` is {kind}, its value {value.kind}", item.value, label=f"declare it as `: {value.kind}`")
    return value.term


def _structured(declarer: Declarer, item: tree.TensorDef, found: Structured, of_layer: bool) -> Value:
    """The tensor as what its cores make of it; in a layer its symbol, which the layer replaces when all of it is read."""
    if of_layer:
        declarer.checker.weights += found.cores
        declarer.checker.structured.append(found)
    else:
        declarer.model.tensors |= {core.name: core for core in found.cores}
        declarer.model.structured[found.name] = found
    term = found.symbol if of_layer else found.expansion
    return Value(term, NUMBER, found.order, family=len(found.order), origin=item.name.span)


# lets and functions


def make_let(declarer: Declarer, statement: tree.Let) -> Any:
    context = declarer.context(statement)
    try:
        value = _let_value(declarer, statement, context)
    except NoSide as failure:
        return _sided(declarer, statement, context, failure)
    if not isinstance(value, Value):
        return value
    declarer.checker.mark(value, statement.span)
    computed = _computed(declarer, value)
    if computed:
        unit_ = value.shown or unit_from(value, declarer.checker) or Unit()
        lets = declarer.model.lets if computed == TENSOR else declarer.checker.numbers
        text = " ".join(statement.span.text.split())
        for path, leaf in paths(value.data, value.labels):
            label = ".".join((statement.target.name.id, *path))
            lets[label] = Quantity(label, leaf, unit_, value.order if value.order is not None else tuple(leaf.axes), text)
    return value


def _sided(declarer: Declarer, statement: tree.Let, context: Context, no_side: NoSide) -> Sided:
    """A definition with the outward normal in it: read at every side now, so that one that needs others finds them read."""
    sides = [Side(c.name, end) for c in coordinates(context).values() if not c.periodic for end in ENDS]
    known: dict[Side, Value] = {}

    def at(side: Side) -> Value:
        if side not in known:
            known[side] = _let_value(declarer, statement, replace(declarer.context(statement), side=side))
        return known[side]

    failures: list[CheckFailed] = [no_side]
    for side in [*sides, *(Side("", name) for name in surfaces(context))]:
        try:
            at(side)
        except CheckFailed as failure:  # a quantity of another domain has no value there
            failures.append(failure)
    if not known:
        raise failures[min(1, len(failures) - 1)]
    return Sided(statement.target.name.id, next(iter(known.values())), at)


def _let_value(declarer: Declarer, statement: tree.Let, context: Context) -> Any:
    target = statement.target
    if not target.items:
        if target.name.id in declarer.starts:
            raise error("E0105", f"`{target.name.id}` is no recurrence and has no start", declarer.starts[target.name.id][0].target)
        indices.plan(statement.value, context, refuse_lone, coordinates=True)
        entity = entity_of(statement.value, context)
        if isinstance(entity, Axis):
            entity = value_of(statement.value, context)
        if not isinstance(entity, Value):
            return entity
        value = replace(entity, origin=target.name.span, edge="")
    else:
        axes = declarer.indices_of(target.items, context)
        starts = starts_of(declarer.starts.get(target.name.id, []), declarer).get(target.name.id, {})
        value = defined_tensor(target, statement.value, axes, starts, context)
    if statement.type is not None:
        kind, _, unit = declarer.type_of(statement.type, f"`{target.name.id}`", target.name, needed=False)
        demand_unit(value, unit.powers if unit else value.unit, statement.value, context, f"`{target.name.id}`")
        if value.kind > kind and statement.type.kind is not None:
            raise error("E0203", f"`{target.name.id}` is {kind}, its value {value.kind}", statement.value)
        value = replace(value, shown=unit or value.shown)
    return value


NUMBERS = 4
MOVING, TENSOR = 1, 2  # a field, a coordinate or the time occurs; a tensor or param with indices occurs


def _computed(declarer: Declarer, value: Value) -> int:
    """TENSOR for a `let` that is computed on its own: made of tensors, without fields, coordinates and time. NUMBERS: of numbers alone."""
    found = 0
    for leaf in leaves(value.data):
        found |= _traits(leaf, declarer)
    if found & MOVING:
        return 0
    return TENSOR if found & TENSOR or value.axes else NUMBERS


def _traits(term: Term, declarer: Declarer) -> int:
    """What occurs in a term; known parts are not entered again, so a chain of definitions costs its length."""
    known = declarer.checker.traits
    fields = {f.symbol for f in declarer.model.fields.values()}
    tensors = {w.symbol for w in declarer.model.tensors.values()} | {p.symbol for p in declarer.model.params.values() if p.symbol.axes}
    coordinates = {c.name for d in declarer.model.domains.values() for c in d.coordinates}
    stack = [(term, False)]
    while stack:
        t, ready = stack.pop()
        if t in known:
            continue
        if not ready:
            stack.append((t, True))
            stack.extend((a, False) for a in t.args if a not in known)
            continue
        own = MOVING if t in fields or t is _time() or any(a in coordinates for a in getattr(t.type, "axes", ())) else 0
        own |= TENSOR if t in tensors else 0
        for a in t.args:
            own |= known[a]
        known[t] = own
    return known[term]


def bounds(lo: tree.Expr, hi: tree.Expr, context: Context, default: Unit | None = None) -> tuple[Term, Term, Unit | None]:
    """Two bounds in SI units; a plain number takes the unit of the other bound, or the default."""
    nodes = (lo, hi)
    values = [numeric(scalar_of(n, context), n) for n in nodes]
    plain = [v.shown is None and v.unit in (NUMBER, None) for v in values]
    shown = next((v.shown for v, p in zip(values, plain, strict=True) if not p and v.shown is not None), None)
    if shown is None and not all(plain):
        shown = next(unit_from(v, context.checker) for v, p in zip(values, plain, strict=True) if not p)
    shown = shown or default
    terms = []
    for value, is_plain, node in zip(values, plain, nodes, strict=True):
        if value.axes:
            raise error("E0206", "a bound is one number", node, label=f"it varies along {', '.join(value.axes)}")
        term = build.cast(value.term, Kind.REAL)
        if is_plain and shown is not None:
            term = (
                build.add(build.scale(Fraction(shown.factor), term), build.const(shown.offset))
                if shown.offset
                else build.scale(Fraction(shown.factor), term)
            )
            term = build.cast(term, Kind.REAL)
        elif shown is not None:
            demand_unit(value, shown.powers, node, context, "the other bound")
        terms.append(term)
    return terms[0], terms[1], shown


def unit_from(value: Value, checker: Checker) -> Unit | None:
    """The unit of a value as it is shown: what the user wrote, or the SI unit; None for a number."""
    if value.shown is not None and value.shown.powers == value.unit:
        return value.shown
    if not value.unit:
        return None
    known = next((u for u in checker.units.used.values() if u.powers == value.unit and not u.offset), None)
    if known is not None:
        return known
    return Unit(Fraction(1), value.unit, " ".join(n if p == 1 else f"{n}^{p}" for n, p in value.unit))
