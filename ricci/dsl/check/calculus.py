"""Derivatives, vector calculus and integrals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ricci.dsl import build, tree
from ricci.dsl.check import indices
from ricci.dsl.check.agreement import agree_axes, agree_units, numeric, rank_word, rational, short
from ricci.dsl.check.applied import DERIVATIVE, Applied, Rule
from ricci.dsl.check.context import Context, Side, error, lookup_axis, settled
from ricci.dsl.check.expressions import number_of, value_of
from ricci.dsl.check.scope import unknown
from ricci.dsl.check.sides import no_side, side_items
from ricci.dsl.check.values import Axis, Data, Value, mapped, rank, shape
from ricci.dsl.model import Coordinate, Domain
from ricci.dsl.term import Term
from ricci.dsl.types import Kind
from ricci.dsl.units import NUMBER, multiply, over, raised

HIGHEST = 8


def coordinates_of(context: Context) -> dict[str, Coordinate]:
    """All coordinates of the model by name."""
    domains = [context.domain] if context.domain is not None else list(context.checker.model.domains.values())
    return {c.name: c for d in domains for c in d.coordinates}


def domain_of(value: Value, node: tree.Node, context: Context, operator: str) -> Domain:
    """The domain over which a value varies: the one that has its coordinates."""
    domains = list(context.checker.model.domains.values())
    varying = {name for name in value.axes if indices.is_coordinate(name, context)}
    found = [d for d in domains if varying <= {c.name for c in d.coordinates} and (varying or value.rank)]
    if not found and context.domain is not None:
        return context.domain
    if not found and len(domains) == 1:
        return domains[0]
    if not found:
        raise error("E0206", f"`{operator}` of `{short(node)}`, which varies along no coordinate", node)
    if value.labels:
        found = [d for d in found if tuple(c.name for c in d.coordinates) == value.labels] or found
    return found[0]


def letters(name: str, known: Sequence[str]) -> list[str] | None:
    """`dxxy` as coordinates: the longest names first; None where it cannot be read."""

    def read(rest: str) -> list[str] | None:
        if not rest:
            return []
        for c in known:
            if rest.startswith(c):
                tail = read(rest[len(c) :])
                if tail is not None:
                    return [c, *tail]
        return None

    if len(name) < 2 or len(name) > 40 or name[0] != "d":
        return None
    return read(name[1:])


def derivative_rule(name: str, context: Context) -> Rule | None:
    """`dx`, `dtt`, `dxxy`: operators that exist because coordinates have these names."""
    if not DERIVATIVE.fullmatch(name):
        return None
    known = sorted([*coordinates_of(context), "t"], key=lambda n: (-len(n), n))
    parts = letters(name, known)
    if not parts or len(parts) > HIGHEST:
        return None
    orders = {c: parts.count(c) for c in dict.fromkeys(parts)}
    return Rule(name, f"{name}(u)", 1, 1, lambda call, ctx: along(call, ctx, orders))


def along(call: Applied, context: Context, orders: dict[str, int]) -> Value:
    """A (mixed) partial derivative of given orders."""
    node = call.node.positional[0]
    value = numeric(value_of(node, context), node)
    return differentiated(value, orders, node, context)


def differentiated(value: Value, orders: dict[str, int], node: tree.Node, context: Context) -> Value:
    unit = value.unit
    data = value.data
    for coordinate, n in orders.items():
        axis = lookup_axis(context, coordinate) if coordinate != "t" else None
        along_unit = axis.unit if axis is not None else context.checker.time_unit
        unit = over(unit, raised(along_unit, n))
        data = mapped(lambda t, c=coordinate, k=n: build.partial(t, c, k), data)
    return replace(value, data=data, unit=unit, order=value.order, edge="", shown=None, points=value.points * 0)


def general(call: Applied, context: Context) -> Value:
    """`d(u, x, 3)`."""
    node = call.node.positional[0]
    coordinate = call.node.positional[1]
    if isinstance(coordinate, tree.Name) and coordinate.id != "t" and context.scope.find(coordinate.id) is None:
        settled(context, space=True)
        raise unknown(coordinate.id, coordinate.span, [*coordinates_of(context), "t"], "coordinate")
    if not isinstance(coordinate, tree.Name) or not (coordinate.id == "t" or coordinate.id in coordinates_of(context)):
        settled(context, *([coordinate.id] if isinstance(coordinate, tree.Name) else []), space=True)
        raise error(
            "E0201",
            f"`{short(coordinate)}` is no coordinate",
            coordinate,
            label=f"the model has {', '.join([*coordinates_of(context), 't'])}",
        )
    n = 1
    if len(call.node.positional) == 3:
        number = rational(number_of(call.node.positional[2], context, "the order of a derivative"))
        if number is None or number.denominator != 1 or not 0 <= number <= HIGHEST:
            raise error("E0203", f"the order of a derivative is a whole number of at most {HIGHEST}", call.node.positional[2])
        n = int(number)
    value = numeric(value_of(node, context), node)
    return differentiated(value, {coordinate.id: n}, node, context) if n else value


def _argument(call: Applied, context: Context, position: int = 0) -> tuple[Value, tree.Expr]:
    node = call.node.positional[position]
    return numeric(value_of(node, context), node), node


def _partial(term: Term, coordinate: Coordinate) -> Term:
    return build.partial(term, coordinate.name, 1)


def _length(domain: Domain, node: tree.Node, operator: str) -> tuple[tuple[str, ...], object]:
    """Names of coordinates, and their common unit (vector calculus needs one)."""
    units = {c.unit.powers for c in domain.coordinates}
    if len(units) > 1:
        names = ", ".join(c.name for c in domain.coordinates)
        raise error("E0401", f"`{operator}` needs coordinates of one unit; {names} differ", node)
    return tuple(c.name for c in domain.coordinates), next(iter(units), NUMBER)


def gradient(call: Applied, context: Context) -> Value:
    """grad(u)[i] = d u / d x_i; of a vector: grad(u)[i][j] = d u_j / d x_i."""
    value, node = _argument(call, context)
    if value.rank > 1:
        raise error("E0206", f"`grad` of the {rank_word(value.rank)} `{short(node)}`", node, label="takes a scalar or a vector")
    domain = domain_of(value, node, context, "grad")
    names, unit = _length(domain, call.node, "grad")
    data = tuple(mapped(lambda t, c=c: _partial(t, c), value.data) for c in domain.coordinates)
    return Value(data, over(value.unit, unit), value.order, names)  # type: ignore[arg-type]


def divergence(call: Applied, context: Context) -> Value:
    """div(u) = sum_i d u_i / d x_i; of a tensor: div(T)[j] = sum_i d T[i][j] / d x_i."""
    value, node = _argument(call, context)
    if not value.rank:
        raise error("E0206", f"`div` of the scalar `{short(node)}`", node, label="takes a vector or a tensor")
    domain = domain_of(value, node, context, "div")
    names, unit = _length(domain, call.node, "div")
    if len(value.data) != len(names):
        raise error("E0206", f"`{short(node)}` has {len(value.data)} components, the domain {len(names)} coordinates", node)
    data = _added([mapped(lambda t, c=c: _partial(t, c), part) for c, part in zip(domain.coordinates, value.data, strict=True)])
    labels = names if rank(data) else ()
    return Value(data, over(value.unit, unit), value.order, labels)  # type: ignore[arg-type]


def _added(parts: Sequence[Data]) -> Data:
    return mapped(lambda *terms: build.add(*terms), *parts)


def laplacian(call: Applied, context: Context) -> Value:
    """lap(u) = sum_i d^2 u / d x_i^2, of every component."""
    value, node = _argument(call, context)
    domain = domain_of(value, node, context, "lap")
    _, unit = _length(domain, call.node, "lap")
    data = mapped(lambda t: build.add(*[build.partial(t, c.name, 2) for c in domain.coordinates]), value.data)
    return Value(data, over(value.unit, raised(unit, 2)), value.order, value.labels)  # type: ignore[arg-type]


def curl(call: Applied, context: Context) -> Value:
    """In 3-D a vector; in 2-D dx(u.y) - dy(u.x) of a vector and (dy(u), -dx(u)) of a scalar."""
    value, node = _argument(call, context)
    domain = domain_of(value, node, context, "curl")
    names, unit = _length(domain, call.node, "curl")
    c = domain.coordinates
    u = value.data
    if len(c) == 3 and value.rank == 1 and len(u) == 3:
        data: Data = tuple(build.sub(_partial(u[(i + 2) % 3], c[(i + 1) % 3]), _partial(u[(i + 1) % 3], c[(i + 2) % 3])) for i in range(3))
    elif len(c) == 2 and value.rank == 1 and len(u) == 2:
        data, names = build.sub(_partial(u[1], c[0]), _partial(u[0], c[1])), ()
    elif len(c) == 2 and value.rank == 0:
        data = (_partial(u, c[1]), build.neg(_partial(u, c[0])))
    else:
        what = f"`curl` of the {rank_word(value.rank)} `{short(node)}` in {len(c)}-D"
        raise error("E0206", what, node, label="takes a vector in 2-D or 3-D, or a scalar in 2-D")
    return Value(data, over(value.unit, unit), value.order, names)  # type: ignore[arg-type]


def _two(call: Applied, context: Context) -> tuple[Value, Value]:
    a, a_node = _argument(call, context, 0)
    b, b_node = _argument(call, context, 1)
    agree_axes([a, b], [a_node, b_node], context)
    return a, b


def dot(call: Applied, context: Context) -> Value:
    """dot(a, b) = sum_i a_i b_i over the last index of a and the first of b."""
    a, b = _two(call, context)
    for value, node in zip((a, b), call.node.positional, strict=True):
        if not value.rank:
            raise error("E0206", f"`dot` of the scalar `{short(node)}`", node, label="takes two vectors, or a tensor and a vector")
    count = shape(a.data)[-1]
    if count != len(b.data):
        raise error("E0206", f"`dot` of {count} and {len(b.data)} components", call.node)

    def contracted(left: Data) -> Data:
        if isinstance(left[0], Term):
            return _added([mapped(lambda t, s=s: build.mul(s, t), part) for s, part in zip(left, b.data, strict=True)])
        return tuple(contracted(part) for part in left)

    data = contracted(a.data)
    labels = (a.labels or b.labels) if rank(data) else ()
    return Value(data, multiply(a.unit, b.unit), None, labels)


def outer(call: Applied, context: Context) -> Value:
    """outer(a, b)[i][j] = a_i b_j."""
    a, b = _two(call, context)
    for value, node in zip((a, b), call.node.positional, strict=True):
        if value.rank != 1:
            raise error("E0206", f"`outer` of the {rank_word(value.rank)} `{short(node)}`", node, label="takes two vectors")
    data = tuple(tuple(build.mul(s, t) for t in b.data) for s in a.data)
    return Value(data, multiply(a.unit, b.unit), None, a.labels or b.labels)


def cross(call: Applied, context: Context) -> Value:
    """cross(a, b) in 3-D; in 2-D the scalar a.x b.y - a.y b.x."""
    a, b = _two(call, context)
    for value, node in zip((a, b), call.node.positional, strict=True):
        if value.rank != 1:
            raise error("E0206", f"`cross` of the {rank_word(value.rank)} `{short(node)}`", node, label="takes two vectors")
    u, v = a.data, b.data
    if len(u) != len(v) or len(u) not in (2, 3):
        raise error("E0206", f"`cross` of {len(u)} and {len(v)} components", call.node, label="takes two vectors of 2 or 3")

    def minor(i: int, j: int) -> Term:
        return build.sub(build.mul(u[i], v[j]), build.mul(u[j], v[i]))

    unit = multiply(a.unit, b.unit)
    if len(u) == 2:
        return Value(minor(0, 1), unit, None)
    return Value((minor(1, 2), minor(2, 0), minor(0, 1)), unit, None, a.labels or b.labels)


def transpose(call: Applied, context: Context) -> Value:
    """transpose(T)[i][j] = T[j][i]."""
    value, node = _argument(call, context)
    if value.rank != 2:
        raise error("E0206", f"`transpose` of the {rank_word(value.rank)} `{short(node)}`", node, label="takes a tensor of rank 2")
    return replace(value, data=tuple(zip(*value.data, strict=True)))


def trace(call: Applied, context: Context) -> Value:
    """trace(T) = sum_i T[i][i]."""
    value, node = _argument(call, context)
    if value.rank != 2:
        raise error("E0206", f"`trace` of the {rank_word(value.rank)} `{short(node)}`", node, label="takes a tensor of rank 2")
    return replace(value, data=build.add(*[value.data[i][i] for i in range(len(value.data))]), labels=())


# ---------------------------------------------------------------------------------------------------------------------
# sides and integrals


def normal_derivative(call: Applied, context: Context) -> Value:
    """dn(u): along the outward normal of the side at hand."""
    value, node = _argument(call, context)
    side = context.side
    if side is None:
        raise no_side(short(call.node), call.node, context)
    if side.coordinate == "":
        context.lacking("a derivative along the normal of a curved side", node.span)
        return _along_a_surface(value, node, context)
    found = differentiated(value, {side.coordinate: 1}, node, context)
    return found if side.end == "hi" else replace(found, data=mapped(build.neg, found.data))


def _along_a_surface(value: Value, node: tree.Node, context: Context) -> Value:
    """sum_i n_i d u / d x_i with the components of the normal of a curved side as symbols."""
    domain = domain_of(value, node, context, "dn")
    _, unit = _length(domain, node, "dn")
    normal = [context.checker.placeholder(f"n.{c.name}", Kind.REAL, {}) for c in domain.coordinates]
    data = mapped(lambda t: build.add(*[build.mul(n, _partial(t, c)) for n, c in zip(normal, domain.coordinates, strict=True)]), value.data)
    return Value(data, over(value.unit, unit), value.order, value.labels)  # type: ignore[arg-type]


def outward(node: tree.Node, context: Context) -> Value:
    """`n`: the outward normal as a vector; on a curved side its components are symbols."""
    side, model = context.side, context.checker.model
    if side is None:
        raise no_side("n", node, context)
    if not side.coordinate:
        context.lacking("the normal of a curved side", node.span)
        domain = next(model.domains[d] for d, holes in context.checker.holes.items() if side.end in holes)
        data: Data = tuple(context.checker.placeholder(f"n.{c.name}", Kind.REAL, {}) for c in domain.coordinates)
    else:
        domain = next(d for d in model.domains.values() if any(c.name == side.coordinate for c in d.coordinates))
        sign = 1 if side.end == "hi" else -1
        data = tuple(build.const(sign if c.name == side.coordinate else 0, Kind.REAL) for c in domain.coordinates)
    return Value(data, NUMBER, None, tuple(c.name for c in domain.coordinates))


def integral(call: Applied, context: Context) -> Value:
    """Over coordinates, or over sides with the normal derivative there."""
    node = call.node.positional[0]
    sides = side_items(call.items, context)
    if sides:
        return _over_sides(call, sides, context)
    names = [i for i in call.items if isinstance(i, tree.Name)]
    for name in names:
        indices.axis_of(name, context)  # before the argument, which may need a side
    inner = context.binding(*[name.id for name in names])
    value = numeric(value_of(node, inner), node)
    axes = _coordinates_to_remove(call, value, context)
    data = mapped(lambda t: _integrated(t, axes), value.data)
    unit = multiply(value.unit, *[a.unit for a in axes])
    order = tuple(n for n in value.order if n not in {a.name for a in axes}) if value.order else None
    return Value(data, unit, order, value.labels)


def _integrated(term: Term, axes: Sequence[Axis]) -> Term:
    missing = {a.name: a.size for a in axes if a.name not in term.axes}
    if missing:
        term = build.expand(term, missing)
    return build.integral(term, [a.name for a in axes])


def _coordinates_to_remove(call: Applied, value: Value, context: Context) -> list[Axis]:
    """The coordinates in brackets, or all that the value has."""
    if not call.items:
        found = [lookup_axis(context, n) for n in value.axes]
        axes = [a for a in found if a is not None and a.coordinate]
        if not axes:
            raise error("E0206", f"`{call.name}` of `{short(call.node.positional[0])}`, which varies along no coordinate", call.node)
        return axes
    out = []
    for item in call.items:
        if not isinstance(item, tree.Name):
            raise error("E0203", f"`{call.name}` takes coordinates in brackets", item)
        axis = indices.axis_of(item, context)
        if not axis.coordinate:
            raise error("E0201", f"`{item.id}` is no coordinate", item, label=f"for a dim write sum[{item.id}](...)")
        if item.id not in value.axes:
            raise error(
                "E0201",
                f"`{short(call.node.positional[0])}` does not vary along `{item.id}`",
                item,
                label=f"it varies along {', '.join(value.axes) or 'nothing'}",
            )
        out.append(axis)
    return out


def _over_sides(call: Applied, sides: Sequence[tuple[Side, tree.Node]], context: Context) -> Value:
    """Sum over sides of the integral along each: over all coordinates of the domain but the one that the side ends."""
    node = call.node.positional[0]
    parts: list[Value] = []
    for side, item in sides:
        value = numeric(value_of(node, replace(context, side=side)), node)
        parts.append(_over_surface(value, side, item, context) if not side.coordinate else _over_end(value, side, context))
    nodes = [item for _, item in sides]
    unit = agree_units(parts, nodes, context, "integrals over sides")
    return Value(_added([p.data for p in parts]), unit, None, parts[0].labels)


def _over_end(value: Value, side: Side, context: Context) -> Value:
    domain = next(d for d in context.checker.model.domains.values() if any(c.name == side.coordinate for c in d.coordinates))
    end = next(c for c in domain.coordinates if c.name == side.coordinate)
    point = {end.name: build.cast(end.lo if side.end == "lo" else end.hi, Kind.REAL)}
    others = [axis for c in domain.coordinates if c is not end and (axis := lookup_axis(context, c.name)) is not None]
    data = mapped(lambda t: build.at(t, point) if end.name in t.axes else t, value.data)
    data = mapped(lambda t: _integrated(t, others) if others else t, data)
    return Value(data, multiply(value.unit, *[a.unit for a in others]), None, value.labels)


def _over_surface(value: Value, side: Side, item: tree.Node, context: Context) -> Value:
    """An integral over a curved side is a symbol: this version cannot compute it."""
    context.lacking(f"an integral over the surface `{side.end}`", item.span)
    domain = next(context.checker.model.domains[d] for d, holes in context.checker.holes.items() if side.end in holes)
    names = {c.name for c in domain.coordinates}
    units = [c.unit.powers for c in domain.coordinates[1:]]
    data = mapped(
        lambda t: context.checker.placeholder("integral", t.kind, {a: n for a, n in t.axes.items() if a not in names}), value.data
    )
    return Value(data, multiply(value.unit, *units), None, value.labels)


def measure(axes: Sequence[Axis], context: Context) -> Term:
    """Product of the lengths of coordinates."""
    known = {c.name: c for d in context.checker.model.domains.values() for c in d.coordinates}
    return build.mul(*[build.sub(known[a.name].hi, known[a.name].lo) for a in axes])
