"""Operators: one table, name -> signature, type rule, unit rule and meaning; calls of functions, layers and values."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ricci.dsl import build, tree
from ricci.dsl.elaborate.values import Axis, Declared, LayerValue, Loaded, Names, Procedure, Value, mapped
from ricci.dsl.model import Load
from ricci.dsl.spelling import nearest
from ricci.dsl.term import Term
from ricci.dsl.types import Kind
from ricci.dsl.units import NUMBER, Powers, multiply, over, raised
from ricci.errors import CheckFailed

if TYPE_CHECKING:
    from ricci.dsl.elaborate.expressions import Reader

NONE: frozenset[str] = frozenset()
NO_ITEMS: tuple[tree.Item, ...] = ()
NUMBERS = [
    "exp",
    "expm1",
    "log",
    "log1p",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "erf",
    "erfc",
    "gamma",
    "lgamma",
    "sigmoid",
    "relu",
    "gelu",
    "softplus",
    "floor",
    "ceil",
    "round",
]
SAME_UNIT = ["abs", "re", "im", "conj"]
DERIVATIVE = re.compile(r"d([^\W\d]+)$")


@dataclass(frozen=True)
class Application:
    """A call being read."""

    reader: Reader
    node: tree.Call
    name: str
    items: tuple[tree.Item, ...]
    free: frozenset[str]

    def arguments(self, count: int) -> tuple[tree.Expr, ...]:
        """Positional arguments, `count` of them (E0206)."""
        given = self.node.positional
        if len(given) != count or self.node.keywords:
            said = f"`{self.name}` takes {count} argument{'s' if count > 1 else ''}, {len(self.node.arguments)} given"
            raise CheckFailed("E0206", said, self.node.span)
        return given

    def one(self) -> Value:
        return self.reader.value(self.arguments(1)[0], self.free)

    def scalar(self) -> Value:
        return self.reader.scalar(self.arguments(1)[0], self.free)


def _scalar_function(a: Application) -> Value:
    value = a.one()
    a.reader.same_unit(NUMBER, value.unit, a.node.positional[0].span, f"`{a.name}` takes a number")
    if value.rank:
        raise CheckFailed("E0206", f"`{a.name}` of a vector", a.node.span, label="apply it to components")
    return Value(build.apply(a.name, value.term), NUMBER, value.order)


def _same_unit(a: Application) -> Value:
    value = a.one()
    return replace(value, data=mapped(lambda t: build.apply(a.name, t), value.data))


def _abs2(a: Application) -> Value:
    value = a.scalar()
    return Value(build.apply("abs2", value.term), raised(value.unit, 2), value.order)


def _root(power: Fraction) -> Callable[[Application], Value]:
    def root(a: Application) -> Value:
        value = a.scalar()
        name = "sqrt" if power == Fraction(1, 2) else "cbrt"
        return Value(build.apply(name, value.term), raised(value.unit, power), value.order)

    return root


def _sign(a: Application) -> Value:
    value = a.scalar()
    return Value(build.apply(a.name, value.term), NUMBER, value.order)


def _atan2(a: Application) -> Value:
    y, x = (a.reader.scalar(n, a.free) for n in a.arguments(2))
    a.reader.same_unit(y.unit, x.unit, a.node.span, "the arguments of `atan2` differ in unit")
    return Value(build.apply("atan2", y.term, x.term), NUMBER, tuple(dict.fromkeys([*y.order, *x.order])))


# space


def _components(a: Application) -> tuple[Axis, ...]:
    found = a.reader.check.coordinates()
    if not found:
        raise CheckFailed("E0206", f"`{a.name}` needs a domain", a.node.span)
    return found


def partial(reader: Reader, value: Value, axis: Axis, order: int, node: tree.Node) -> Value:
    """Derivative along a coordinate, or zero where the value does not depend on it."""
    unit = over(value.unit, raised(axis.unit, order))
    return replace(value, data=mapped(lambda t: build.partial(_real(t), axis.name, order), value.data), unit=unit, shown=None)


def _real(term: Term) -> Term:
    return term if term.kind >= Kind.REAL else build.cast(term, Kind.REAL)


def _common(a: Application, parts: list[Value]) -> Powers | None:
    """The one unit of the derivatives along all coordinates."""
    unit = parts[0].unit
    for p in parts[1:]:
        unit = a.reader.same_unit(unit, p.unit, a.node.span, f"the derivatives in `{a.name}` differ in unit")
    return unit


def _grad(a: Application) -> Value:
    value, axes = a.one(), _components(a)
    if value.rank:
        raise CheckFailed("E0206", "`grad` takes a scalar", a.node.positional[0].span, label=f"rank {value.rank}")
    parts = [partial(a.reader, value, axis, 1, a.node) for axis in axes]
    unit = _common(a, parts)
    return Value(tuple(p.term for p in parts), unit, names=tuple(x.name for x in axes))


def _vector(a: Application, node: tree.Expr) -> Value:
    value, axes = a.reader.value(node, a.free), _components(a)
    if value.rank == 0 or len(value.data) != len(axes):
        raise CheckFailed("E0206", f"`{a.name}` takes a vector of {len(axes)} components", node.span, label=f"rank {value.rank}")
    return value


def _div(a: Application) -> Value:
    value, axes = _vector(a, a.arguments(1)[0]), _components(a)
    parts = [partial(a.reader, replace(value, data=d), axis, 1, a.node) for d, axis in zip(value.data, axes, strict=True)]
    names = value.names if value.rank > 1 else ()
    return Value(mapped(lambda *ts: build.add(*ts), *[p.data for p in parts]), _common(a, parts), names=names)


def _lap(a: Application) -> Value:
    value, axes = a.one(), _components(a)
    parts = [partial(a.reader, value, axis, 2, a.node) for axis in axes]
    unit = _common(a, parts)
    return replace(value, data=mapped(lambda *ts: build.add(*ts), *[p.data for p in parts]), unit=unit, shown=None)


def _curl(a: Application) -> Value:
    value, axes = _vector(a, a.arguments(1)[0]), _components(a)

    def d(component: int, axis: int) -> Term:
        return build.partial(value.data[component], axes[axis].name, 1)

    unit = over(value.unit, axes[0].unit)
    if len(axes) == 2:
        return Value(build.sub(d(1, 0), d(0, 1)), unit)
    if len(axes) != 3:
        raise CheckFailed("E0206", "`curl` needs two or three coordinates", a.node.span)
    parts = (build.sub(d(2, 1), d(1, 2)), build.sub(d(0, 2), d(2, 0)), build.sub(d(1, 0), d(0, 1)))
    return Value(parts, unit, names=tuple(x.name for x in axes))


def _dot(a: Application) -> Value:
    left, right = (a.reader.value(n, a.free) for n in a.arguments(2))
    if not left.rank or not right.rank or len(left.data) != len(right.data):
        raise CheckFailed("E0206", "`dot` takes two vectors of the same domain", a.node.span)
    unit = multiply(left.unit, right.unit)
    if right.rank > 1:
        raise CheckFailed("E0206", "`dot(a, b)`: b is a vector", a.node.positional[1].span)
    rows = left.data if left.rank > 1 else (left.data,)
    sums = tuple(build.add(*(build.mul(p, q) for p, q in zip(row, right.data, strict=True))) for row in rows)
    return Value(sums if left.rank > 1 else sums[0], unit, names=left.names if left.rank > 1 else ())


def _outer(a: Application) -> Value:
    left, right = (_vector(a, n) for n in a.arguments(2))
    data = tuple(tuple(build.mul(p, q) for q in right.data) for p in left.data)
    return Value(data, multiply(left.unit, right.unit), names=left.names)


def _normal(a: Application) -> Value:
    """`dn(u)`: along the outward normal of the side of this condition."""
    if a.reader.side is None:
        raise CheckFailed("E0101", "`dn` has a meaning on a side only", a.node.span, label="write it in a `boundary`")
    coordinate, end = a.reader.side
    axis = next(x for x in a.reader.check.coordinates() if x.name == coordinate)
    value = partial(a.reader, a.one(), axis, 1, a.node)
    return value if end == "hi" else replace(value, data=mapped(build.neg, value.data))


def _general(a: Application) -> Value:
    """`d(e, x, n)`."""
    given = a.node.positional
    if not 2 <= len(given) <= 3 or not isinstance(given[1], tree.Name):
        raise CheckFailed("E0206", "`d(e, x, n)` takes an expression, a coordinate and an order", a.node.span)
    order = given[2] if len(given) == 3 else None
    if order is not None and (not isinstance(order, tree.Number) or order.value.denominator != 1 or not 1 <= order.value <= 8):
        raise CheckFailed("E0206", "the order of a derivative is a whole number from 1 to 8", given[-1].span)
    count = int(order.value) if isinstance(order, tree.Number) else 1
    return derivative(a.reader, given[0], given[1].id, count, a)


def derivative(reader: Reader, node: tree.Expr, coordinate: str, order: int, a: Application) -> Value:
    """`order`-th derivative of an expression along `t` or a coordinate."""
    value = reader.value(node, a.free)
    if coordinate == "t":
        unit = over(value.unit, raised(reader.check.time_powers, order))
        return replace(value, data=mapped(lambda t: build.partial(_real(t), "t", order), value.data), unit=unit, shown=None)
    axis = next((x for x in reader.check.coordinates() if x.name == coordinate), None)
    if axis is None:
        guess = nearest(coordinate, ["t", *(x.name for x in reader.check.coordinates())])
        place = a.node.positional[1].span if len(a.node.positional) > 1 else a.node.function.span
        raise CheckFailed("E0101", f"there is no coordinate `{coordinate}`", place, label=f"did you mean `{guess}`?" if guess else "")
    return partial(reader, value, axis, order, a.node)


def _named_derivative(a: Application) -> Value | None:
    """`dt`, `dx`, `dxxy`: None if the letters are no coordinates."""
    match = DERIVATIVE.match(a.name)
    if match is None:
        return None
    axes = {x.name for x in a.reader.check.coordinates()} | {"t"}
    letters = match.group(1)
    if letters in axes:
        return derivative(a.reader, a.arguments(1)[0], letters, 1, a)
    if not set(letters) <= axes:
        return None
    value = a.one()
    for letter in dict.fromkeys(letters):
        n = letters.count(letter)
        if letter == "t":
            unit = over(value.unit, raised(a.reader.check.time_powers, n))
            value = replace(value, data=mapped(lambda t, n=n: build.partial(_real(t), "t", n), value.data), unit=unit, shown=None)
        else:
            axis = next(x for x in a.reader.check.coordinates() if x.name == letter)
            value = partial(a.reader, value, axis, n, a.node)
    return value


# reductions


def _axes_of(a: Application, term: Term) -> list[str]:
    if not a.items:
        return list(term.axes)
    names = []
    for item in a.items:
        if not isinstance(item, tree.Name) or item.id not in term.axes:
            text = item.span.text
            raise CheckFailed(
                "E0201", f"the argument of `{a.name}` has no index `{text}`", item.span, label=f"it has {', '.join(term.axes) or 'none'}"
            )
        names.append(item.id)
    return names


def _inner(a: Application) -> Value:
    bound = frozenset(i.id for i in a.items if isinstance(i, tree.Name))
    node = a.arguments(1)[0]
    inside = a.reader.indices(node)
    for item in a.items:
        _index_of(a, item, inside)
    return a.reader.scalar(node, a.free | bound if a.items else a.free | inside)


def _index_of(a: Application, item: tree.Item, inside: frozenset[str]) -> None:
    """E0201 for an index in brackets that is not declared, or that none of the tensors in the argument has."""
    known = [n for n in a.reader.scope.all() if a.reader.is_index(n)]
    if isinstance(item, tree.Name) and item.id not in known:
        guess = nearest(item.id, [*known, *inside])
        label = f"did you mean `{guess}`?" if guess else f"write `dim {item.id}`"
        raise CheckFailed("E0201", f"`{item.id}` is no declared index", item.span, label=label)
    if isinstance(item, tree.Name) and inside and item.id not in inside and not a.reader.check.is_coordinate(item.id):
        names = {n.id for argument in a.node.positional for n in tree.walk(argument) if isinstance(n, tree.Name)}
        if item.id not in names and not any(a.reader.has_axis(n, item.id) for n in names):
            label = f"it has {', '.join(sorted(inside))}"
            raise CheckFailed("E0201", f"the argument of `{a.name}` has no index `{item.id}`", item.span, label=label)


def _sum_over(a: Application) -> Value:
    value = _inner(a)
    axes = _axes_of(a, value.term)
    return replace(value, data=build.sum_over(_number(value.term), axes), order=tuple(x for x in value.order if x not in axes))


def _number(term: Term) -> Term:
    return build.cast(term, Kind.INT) if term.kind == Kind.BOOL else term


def _mean(a: Application) -> Value:
    value = _inner(a)
    axes = _axes_of(a, value.term)
    term = _real(_number(value.term))
    space = [x for x in axes if a.reader.check.is_coordinate(x)]
    other = [x for x in axes if x not in space]
    for axis in other:
        term = build.divide(build.sum_over(term, [axis]), build.size_term(value.term.axes[axis]))
    if space:
        term = build.integral(term, space)
        for name in space:
            coordinate = a.reader.check.coordinate(name)
            term = build.divide(term, _real(build.sub(coordinate.hi, coordinate.lo)))
    return replace(value, data=term, order=tuple(x for x in value.order if x not in axes))


def _integral(a: Application) -> Value:
    value = _inner(a)
    axes = [x for x in _axes_of(a, value.term) if a.reader.check.is_coordinate(x)]
    if not axes:
        raise CheckFailed("E0201", "`integral` is over coordinates", a.node.span, label="the argument has none")
    unit = multiply(value.unit, *(a.reader.check.axis(x).unit for x in axes))
    return Value(build.integral(_real(value.term), axes), unit, tuple(x for x in value.order if x not in axes))


def _extreme(a: Application) -> Value:
    if len(a.node.positional) == 2:
        left, right = (a.reader.scalar(n, a.free) for n in a.arguments(2))
        unit = a.reader.same_unit(left.unit, right.unit, a.node.span, f"the arguments of `{a.name}` differ in unit")
        return Value(build.apply(f"{a.name}2", left.term, right.term), unit, tuple(dict.fromkeys([*left.order, *right.order])))
    value = _inner(a)
    axes = _axes_of(a, value.term)
    return replace(value, data=build.reduce(a.name, value.term, axes), order=tuple(x for x in value.order if x not in axes))


def _arg(a: Application) -> Value:
    value = _inner(a)
    axes = _axes_of(a, value.term)
    return Value(build.reduce(a.name, value.term, axes), NUMBER, tuple(x for x in value.order if x not in axes))


def _norm(a: Application) -> Value:
    value = _inner(a)
    axes = _axes_of(a, value.term)
    return replace(value, data=build.apply("sqrt", build.sum_over(build.apply("abs2", value.term), axes)), order=())


def _softmax(a: Application) -> Value:
    value = _inner(a)
    axes = _axes_of(a, value.term)
    a.reader.same_unit(NUMBER, value.unit, a.node.span, "`softmax` takes numbers")
    exponentials = build.apply("exp", build.sub(value.term, build.reduce("max", value.term, axes)))
    return replace(value, data=build.divide(exponentials, build.sum_over(exponentials, axes)))


def _repeat(a: Application) -> Value:
    value = a.reader.scalar(a.arguments(1)[0], a.free)
    term = value.term
    for item in a.items:
        found = a.reader.scope.find(item.id) if isinstance(item, tree.Name) else None
        if found is None or not isinstance(found.get(), Axis):
            raise CheckFailed("E0201", f"`{item.span.text}` is no index", item.span)
        term = build.expand(term, {**term.axes, found.get().name: found.get().size})
    return replace(value, data=term, order=(*value.order, *(i.id for i in a.items if isinstance(i, tree.Name))))


def _edge(a: Application) -> Value:
    edges = {"pad": "fill", "wrap": "wrap", "clamp": "clamp", "mirror": "mirror"}
    value = a.reader.scalar(a.arguments(1)[0], a.free)
    return replace(value, edge=edges[a.name])


def _random(a: Application) -> Value:
    raise CheckFailed("E0601", f"`{a.name}(seed=...)` cannot stand here yet", a.node.span, label="give the data with load(...)")


def _load(a: Application) -> Loaded:
    given = a.node.positional
    if len(given) != 1 or not isinstance(given[0], tree.String):
        raise CheckFailed("E0206", '`load("file.npz")` takes the name of a file', a.node.span)
    keys = []
    for k in a.node.keywords:
        value: Any = k.value.value if isinstance(k.value, tree.String) else None
        if isinstance(k.value, tree.List):
            value = tuple(i.id for i in k.value.items if isinstance(i, tree.Name))
        keys.append((k.name.id, value))
    return Loaded(Load(given[0].value, tuple(keys), a.node.span))


OPERATORS: dict[str, Callable[[Application], Any]] = {
    **dict.fromkeys(NUMBERS, _scalar_function),
    **dict.fromkeys(SAME_UNIT, _same_unit),
    "abs2": _abs2,
    "sqrt": _root(Fraction(1, 2)),
    "cbrt": _root(Fraction(1, 3)),
    "sign": _sign,
    "heaviside": _sign,
    "atan2": _atan2,
    "grad": _grad,
    "div": _div,
    "lap": _lap,
    "curl": _curl,
    "dot": _dot,
    "outer": _outer,
    "dn": _normal,
    "d": _general,
    "sum": _sum_over,
    "mean": _mean,
    "integral": _integral,
    "max": _extreme,
    "min": _extreme,
    "argmax": _arg,
    "argmin": _arg,
    "norm": _norm,
    "softmax": _softmax,
    "repeat": _repeat,
    "pad": _edge,
    "wrap": _edge,
    "clamp": _edge,
    "mirror": _edge,
    "normal": _random,
    "uniform": _random,
    "load": _load,
}
BINDING = frozenset({"sum", "mean", "max", "min", "argmax", "argmin", "norm", "softmax", "integral"})
ALWAYS = ("dt", "dtt", "dx", "dy", "dz", "dxx", "dyy", "dzz", "dxxxx", "dxy")


def operator_names() -> frozenset[str]:
    """Names that stand before parentheses."""
    return frozenset(OPERATORS) | frozenset(ALWAYS)


def bound_by(function: tree.Index) -> frozenset[str]:
    """Indices that an operator with brackets binds in its argument."""
    if not isinstance(function.base, tree.Name) or function.base.id not in BINDING:
        return NONE
    return frozenset(i.id for i in function.items if isinstance(i, tree.Name))


def call(reader: Reader, node: tree.Call, free: frozenset[str]) -> Any:
    """A call: of an operator, a function, a layer, or of a value at a point."""
    function: tree.Expr = node.function
    items = NO_ITEMS
    if isinstance(function, tree.Index) and isinstance(function.base, tree.Name) and function.base.id in OPERATORS:
        items = function.items
        function = function.base
    if isinstance(function, tree.Name):
        found = reader.scope.find(function.id)
        if found is None or (function.id in OPERATORS and not isinstance(found.get(), Procedure | LayerValue)):
            return _operator(Application(reader, node, function.id, items, free))
        entity = found.get()
        if isinstance(entity, Procedure):
            return _procedure(reader, node, entity, free)
        if isinstance(entity, LayerValue):
            from ricci.dsl.elaborate.layers import apply_layer

            return apply_layer(reader, node, entity, free)
    return _at(reader, node, free)


def _operator(a: Application) -> Any:
    rule = OPERATORS.get(a.name)
    if rule is not None:
        return rule(a)
    found = _named_derivative(a)
    if found is not None:
        return found
    guess = nearest(a.name, [*OPERATORS, *a.reader.scope.all()])
    label = f"did you mean `{guess}`?" if guess else "no operator and no function"
    raise CheckFailed("E0101", f"`{a.name}` is not known", a.node.function.span, label=label)


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def _procedure(reader: Reader, node: tree.Call, procedure: Procedure, free: frozenset[str]) -> Any:
    if len(node.positional) != len(procedure.parameters) or node.keywords:
        said = f"`{node.function.span.text}` takes {len(procedure.parameters)} arguments, {len(node.arguments)} given"
        raise CheckFailed("E0206", said, node.span)
    inner = Names(reader.scope)
    for name, argument in zip(procedure.parameters, node.positional, strict=True):
        value = reader.any(argument, free)
        inner.table[name] = Declared("parameter", argument.span, _constant(value))
    if reader.check.depth > 50:
        raise CheckFailed("E0106", f"`{node.function.span.text}` calls itself", node.span, label="recursion has no end here")
    reader.check.depth += 1
    try:
        return replace(reader, scope=inner).any(procedure.body, free)
    finally:
        reader.check.depth -= 1


def _at(reader: Reader, node: tree.Call, free: frozenset[str]) -> Value:
    """`u(x=0.5, t=1)`."""
    value = reader.value(node.function, free)
    if node.positional or not node.keywords:
        raise CheckFailed("E0206", f"`{node.function.span.text}` is a value: write `(x=..., t=...)` for a point", node.span)
    points: dict[str, Term] = {}
    for keyword in node.keywords:
        point = reader.scalar(keyword.value)
        name = keyword.name.id
        unit: Powers
        if name == "t":
            unit = reader.check.time_powers
        elif reader.check.is_coordinate(name):
            unit = reader.check.axis(name).unit
        else:
            guess = nearest(name, ["t", *(x.name for x in reader.check.coordinates())])
            raise CheckFailed("E0104", f"there is no coordinate `{name}`", keyword.span, label=f"did you mean `{guess}`?" if guess else "")
        reader.same_unit(unit, point.unit, keyword.value.span, f"`{name}` has another unit")
        points[name] = point.term
    rest = tuple(a for a in value.order if a not in points)
    return replace(value, data=mapped(lambda t: build.at(t, points), value.data), order=rest)
