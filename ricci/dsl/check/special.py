"""Scalar functions, random numbers, data, and operators whose values cannot be computed yet but have types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ricci.dsl import build, tree
from ricci.dsl.check import indices
from ricci.dsl.check.agreement import agree_axes, agree_units, demand_unit, describe, make, numeric, rank_word, rational, short, words
from ricci.dsl.check.applied import Applied
from ricci.dsl.check.context import Context, error, lookup_axis
from ricci.dsl.check.expressions import entity_of, scalar_of, value_of
from ricci.dsl.check.known import known_number
from ricci.dsl.check.reductions import log_of_sum
from ricci.dsl.check.undefined import refuse_argument
from ricci.dsl.check.values import Axis, DataSet, Layered, Loaded, Namespace, Network, Recipe, Text, Value, mapped
from ricci.dsl.model import LAST, Load
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size, Type
from ricci.dsl.units import NUMBER, multiply, raised

# ---------------------------------------------------------------------------------------------------------------------
# scalar functions


def number_function(call: Applied, context: Context) -> Value:
    """exp, sin, ...: a number without unit to a number."""
    node = call.node.positional[0]
    value = scalar_function_argument(call, node, context)
    if value.unit not in (NUMBER, None):
        raise error("E0403", f"`{call.name}` takes a number without unit", node, label=f"this is {words(value.unit, context)}")
    refuse_argument(call.name, value.term, node, context)
    return Value(make(call.name, node, value.term), NUMBER, value.order)


def scalar_function_argument(call: Applied, node: tree.Expr, context: Context) -> Value:
    value = numeric(value_of(node, context), node)
    if value.rank:
        raise error(
            "E0206", f"`{call.name}` of the {rank_word(value.rank)} `{short(node)}`", node, label="apply it to components, as in u.x"
        )
    return value


def kept_unit(call: Applied, context: Context) -> Value:
    """abs, re, im, conj, relu, floor, ...: the unit stays. abs of a vector is its length."""
    node = call.node.positional[0]
    value = numeric(value_of(node, context), node)
    if call.name == "abs" and value.rank == 1:
        square = build.add(*[build.apply("abs2", t) if t.kind == Kind.COMPLEX else build.mul(t, t) for t in value.data])
        return Value(build.apply("sqrt", square), value.unit, value.order, shown=value.shown)
    if call.name in ("re", "im", "conj"):
        return replace(value, data=mapped(lambda t: make(call.name, node, t), value.data), edge="")
    value = scalar_function_argument(call, node, context)
    return Value(make(call.name, node, value.term), value.unit, value.order, shown=value.shown)


def rooted(call: Applied, context: Context) -> Value:
    """sqrt and cbrt: the unit has a root."""
    node = call.node.positional[0]
    value = scalar_function_argument(call, node, context)
    power = Fraction(1, 2) if call.name == "sqrt" else Fraction(1, 3)
    refuse_argument(call.name, value.term, node, context)
    return Value(make(call.name, node, value.term), raised(value.unit, power), value.order)


def unitless_result(call: Applied, context: Context) -> Value:
    """sign, heaviside, arg, isfinite: a number for every unit."""
    node = call.node.positional[0]
    value = scalar_function_argument(call, node, context)
    return Value(make(call.name, node, value.term), NUMBER, value.order)


def square_of_magnitude(call: Applied, context: Context) -> Value:
    """abs2(z) = re(z)^2 + im(z)^2, of a vector summed over components."""
    node = call.node.positional[0]
    value = numeric(value_of(node, context), node)
    terms = [
        build.apply("abs2", t) if t.kind == Kind.COMPLEX else build.mul(t, t) for t in (value.data if value.rank == 1 else [value.data])
    ]
    if value.rank > 1:
        raise error("E0206", f"`abs2` of the tensor `{short(node)}`", node)
    return Value(build.add(*terms), raised(value.unit, 2), value.order)


def two_alike(call: Applied, context: Context) -> Value:
    """hypot, mod (unit kept), atan2, floordiv (a number): two values of one unit."""
    nodes = call.node.positional
    values = [scalar_function_argument(call, n, context) for n in nodes]
    unit = agree_units(values, nodes, context, f"the arguments of `{call.name}`")
    agree_axes(values, nodes, context)
    kept = call.name in ("hypot", "mod")
    return Value(make(call.name, call.node, values[0].term, values[1].term), unit if kept else NUMBER, None)


def derived(formula: Callable[[Term], Term]) -> Callable[[Applied, Context], Value]:
    """A number function that is a formula of others."""

    def elaborate(call: Applied, context: Context) -> Value:
        node = call.node.positional[0]
        value = scalar_function_argument(call, node, context)
        if value.unit not in (NUMBER, None) or value.kind == Kind.COMPLEX:
            raise error("E0403", f"`{call.name}` takes a real number without unit", node, label=f"this is {words(value.unit, context)}")
        return Value(formula(value.term), NUMBER, value.order)

    return elaborate


log10 = derived(lambda t: build.divide(build.apply("log", t), build.apply("log", build.const(10))))
log2 = derived(lambda t: build.divide(build.apply("log", t), build.apply("log", build.const(2))))
silu = derived(lambda t: build.mul(t, build.apply("sigmoid", t)))


def complex_number(call: Applied, context: Context) -> Value:
    """complex(a, b) = a + b i."""
    nodes = call.node.positional
    values = [scalar_function_argument(call, n, context) for n in nodes]
    unit = agree_units(values, nodes, context, "the parts of a complex number")
    agree_axes(values, nodes, context)
    return Value(make("complex", call.node, values[0].term, values[1].term), unit, None)


def ricker(call: Applied, context: Context) -> Value:
    """ricker(t, f) = (1 - 2 a^2) exp(-a^2), a = pi f (t - 1/f): the wavelet of peak frequency f, one period late.

    N. Ricker, "The form and laws of propagation of seismic wavelets", Geophysics 18 (1953).
    """
    nodes = call.node.positional
    moment, frequency = (scalar_function_argument(call, n, context) for n in nodes)
    if multiply(moment.unit, frequency.unit) not in (NUMBER, None):
        raise error(
            "E0401",
            "`ricker(t, f)` takes a time and a frequency",
            nodes[1],
            label=f"{words(frequency.unit, context)} and {words(moment.unit, context)}",
        )
    phase = build.mul(build.pi(), build.sub(build.mul(frequency.term, moment.term), build.const(1)))
    square = build.mul(phase, phase)
    term = build.mul(build.linear([(1, build.const(1)), (-2, square)]), build.apply("exp", build.neg(square)))
    return Value(term, NUMBER, None)


# ---------------------------------------------------------------------------------------------------------------------
# random numbers


def draw(call: Applied, context: Context) -> Value:
    """normal(seed=1), uniform(seed=1): one draw for every entry of what is being defined; the same numbers on every machine."""
    if context.draws is None:
        raise error("E0203", f"`{call.name}` has no axes here", call.node, label="it stands in `initial`, `tensor`, `weight` or `param`")
    seed = Fraction(0)
    for keyword in call.node.keywords:
        found = rational(scalar_of(keyword.value, context).term)
        if found is None or found.denominator != 1:
            raise error("E0104", "a seed is a whole number", keyword.value)
        seed = found
    stream = f"{call.name}:{seed}:{context.checker.place_of_draw(call.node)}"
    return Value(build.random(stream, build.const(0), dict(context.draws), call.name), NUMBER, tuple(n for n, _ in context.draws))


# ---------------------------------------------------------------------------------------------------------------------
# data and what cannot be computed yet


def load(call: Applied, context: Context) -> Loaded:
    """load("file.npz", key="T", t=last); of a data set load("file.npz", x=[b, d]), of a series load("file.npz", t="time")."""
    node = call.node.positional[0]
    if not isinstance(node, tree.String):
        raise error("E0203", "`load` takes the name of a file in quotes", node)
    keys: list[tuple[str, Any]] = []
    members: list[tuple[str, tuple[str, ...]]] = []
    for keyword in call.node.keywords:
        if isinstance(keyword.value, tree.String):
            keys.append((keyword.name.id, keyword.value.value))
        elif isinstance(keyword.value, tree.List):
            order = []
            for item in keyword.value.items:
                if not isinstance(item, tree.Name):
                    raise error("E0203", "the axes of an array are names", item, label="as in x=[b, d]")
                indices.axis_of(item, context)
                order.append(item.id)
            keys.append((keyword.name.id, tuple(order)))
            members.append((keyword.name.id, tuple(order)))
        elif keyword.name.id == "t":
            keys.append(("t", _recorded_time(keyword.value, context)))
        else:
            raise error("E0203", f"`{keyword.name.id}` takes axes [b, d] or a key in quotes", keyword.value)
    return Loaded(Load(node.value, tuple(keys), call.node.span), tuple(members))


def _recorded_time(node: tree.Expr, context: Context) -> Fraction | float | str:
    """The time of a file that is read: a number, or the last one."""
    if isinstance(node, tree.Name) and node.id == LAST:
        return LAST
    value = scalar_of(node, context)
    demand_unit(value, context.checker.time_unit, node, context, "a time")
    number = known_number(value.term)
    if number is None:
        raise error("E0203", f"`{short(node)}` is no time of a file", node, label=f"a number, or `{LAST}`")
    return number


def one_array(found: Loaded, context: Context) -> Load:
    """The data of a param, tensor or initial value; E0104 for what only a data set takes."""
    extra = next((name for name, _ in found.load.keys if name not in ("key", "t")), None)
    if extra is not None:
        label = 'its axes are those of the declaration; it takes key="NAME" and t=...'
        raise error("E0104", f"`load` of one array takes no `{extra}`", found.load.span, label=label)
    return found.load


def sample(call: Applied, context: Context) -> Value:
    """sample[r](p, points): a field at points, one for every r."""
    node = call.node.positional[0]
    value = scalar_of(node, context)
    if len(call.items) != 1 or not isinstance(call.items[0], tree.Name):
        raise error("E0104", "`sample` needs the index of the points", call.node, label="as in sample[r](p, points)")
    axis = indices.axis_of(call.items[0], context)
    recipe(call.node.positional[1], context, "points")
    axes = {n: s for n, s in value.axes.items() if not indices.is_coordinate(n, context)}
    context.lacking("`sample`: a field at points between the nodes", call.node.span)
    term = context.checker.placeholder("sample", value.kind, {**axes, axis.name: axis.size})
    return replace(value, data=term, order=(*axes, axis.name), edge="")


def recipe(node: tree.Expr, context: Context, word: str) -> Recipe:
    found = entity_of(node, context)
    if not isinstance(found, Recipe) or found.word != word:
        raise error("E0203", f"`{short(node)}` is {describe(found)}, {word} are needed", node)
    return found


def line(call: Applied, context: Context) -> Recipe:
    """line(z=20 [m]): points along a straight line."""
    for keyword in call.node.keywords:
        axis = lookup_axis(context, keyword.name.id)
        if axis is None or not axis.coordinate:
            raise error("E0104", f"there is no coordinate `{keyword.name.id}`", keyword.name)
        demand_unit(scalar_of(keyword.value, context), axis.unit, keyword.value, context, f"`{keyword.name.id}`")
    return Recipe("line", "points")


def delta(call: Applied, context: Context) -> Value:
    """delta(x - a, y - b): a point source of strength 1."""
    values = [scalar_of(n, context) for n in call.node.positional]
    unit = raised(multiply(*[v.unit for v in values]), -1)
    axes = {name: size for v in values for name, size in v.axes.items()}
    context.lacking("the point source `delta`", call.node.span)
    return Value(context.checker.placeholder("delta", Kind.REAL, axes), unit, None)


def gaussian_process(call: Applied, context: Context) -> Value:
    """gaussian_process(x, cov=c*inv(k - dxx)^p): a random field with this covariance."""
    axes: dict[str, Size] = {}
    for node in call.node.positional:
        axis = entity_of(node, context)
        if not isinstance(axis, Axis) or not axis.coordinate:
            raise error("E0203", f"`{short(node)}` is no coordinate", node)
        axes[axis.name] = axis.size
    context.lacking("the random field `gaussian_process`", call.node.span)
    return Value(context.checker.placeholder("gaussian_process", Kind.REAL, axes), NUMBER, tuple(axes))


def simulate(call: Applied, context: Context) -> DataSet:
    """simulate[b](model, samples=n, input=..., target=...): a data set of runs."""
    node = call.node.positional[0]
    model = entity_of(node, context)
    if not isinstance(model, Namespace) or model.word != "model":
        raise error("E0203", f"`{short(node)}` is {describe(model)}, a model is needed", node)
    if len(call.items) != 1 or not isinstance(call.items[0], tree.Name):
        raise error("E0104", "`simulate` needs the index of the runs", call.node, label="as in simulate[b](model, ...)")
    rows = indices.axis_of(call.items[0], context)
    sizes = {rows.name: rows.size}
    members = []
    for keyword in call.node.keywords:
        if keyword.name.id == "samples":
            number = rational(scalar_of(keyword.value, context).term)
            if number is None or number.denominator != 1 or number < 1:
                raise error("E0104", "the number of samples is a whole number", keyword.value)
            sizes[rows.name] = Size.of(int(number))
        elif keyword.name.id == "seed":
            scalar_of(keyword.value, context)
        else:
            value = scalar_of(keyword.value, context)
            sizes.update({n: s for n, s in value.axes.items() if n not in sizes})
            members.append((keyword.name.id, (rows.name, *(value.order or tuple(value.axes)))))
    context.lacking("`simulate`: a data set made by running a model", call.node.span)
    return DataSet("data", tuple(members), rows.name, tuple(sizes.items()))


def braket(call: Applied, context: Context) -> Value:
    """braket(a, b) and braket(a, H, b) of networks."""
    for node in call.node.positional:
        found = entity_of(node, context)
        if not isinstance(found, Network):
            raise error("E0203", f"`{short(node)}` is {describe(found)}, a network is needed", node)
    context.lacking("the contraction of networks `braket`", call.node.span)
    return Value(context.checker.placeholder("braket", Kind.REAL, {}), NUMBER, ())


def flops(call: Applied, context: Context) -> Value:
    """flops(L): floating-point operations of a layer as the optimizer arranges it, a number that is known when all sizes are."""
    layer = _layer(call.node.positional[0], context)
    if layer.function is None:
        context.lacking(f"`flops` of `{layer.name}`", call.node.span)
        return Value(context.checker.placeholder("flops", Kind.REAL, {}), NUMBER, ())
    name = f"flops({layer.name})"
    context.checker.model.counts[name] = layer.plain if layer.dense else layer.function
    return Value(build.symbol(name, Type(Kind.REAL)), NUMBER, ())


def _layer(node: tree.Expr, context: Context) -> Layered:
    found = entity_of(node, context)
    if not isinstance(found, Layered):
        raise error("E0203", f"`{short(node)}` is {describe(found)}, a layer is needed", node)
    return found


def dense(call: Applied, context: Context) -> Layered:
    """dense(L): the layer with its weights as dense arrays: the same values, other operations."""
    layer = _layer(call.node.positional[0], context)
    return layer if layer.dense or layer.function is None else replace(layer, name=f"dense({layer.name})", dense=True)


def stack(call: Applied, context: Context) -> Layered:
    """stack(L, n): L applied n times, each time with weights of its own unless shared=true."""
    layer = _layer(call.node.positional[0], context)
    node = call.node.positional[1]
    number = rational(scalar_of(node, context).term)
    if number is None or number.denominator != 1 or number < 1:
        raise error("E0203", "a layer is stacked a whole number of times", node)
    if len(layer.inputs) != 1 or len(layer.outputs) != 1 or sorted(layer.inputs[0][1]) != sorted(layer.outputs[0][1]):
        into, out = (", ".join(layer.inputs[0][1]), ", ".join(layer.outputs[0][1]))
        raise error("E0202", f"`{layer.name}` cannot be stacked", call.node.positional[0], label=f"it takes [{into}] and gives [{out}]")
    context.lacking("`stack`: a layer with itself", call.node.span)
    return replace(layer, name=f"stack({layer.name}, {number})", function=None, depth=int(number))


def transform(call: Applied, context: Context) -> Value:
    """rfft[x to k](u), irfft, fft, ifft; fewer k than there are means the lowest ones."""
    if len(call.items) != 1 or not isinstance(call.items[0], tree.Rename):
        raise error("E0104", f"`{call.name}` moves an axis", call.node, label=f"as in {call.name}[x to k](u)")
    item = call.items[0]
    node = call.node.positional[0]
    inner = context.binding(item.source.id)
    value = numeric(scalar_of(node, inner), node)
    source, target = indices.axis_of(item.source, inner), indices.axis_of(item.target, inner)
    if source.name not in value.axes:
        raise error(
            "E0201", f"`{short(node)}` has no index `{source.name}`", item.source, label=f"it has {', '.join(value.axes) or 'none'}"
        )
    if target.name in value.axes and target.name != source.name:
        raise error("E0210", f"`{short(node)}` has the index `{target.name}` already", item.target)
    if call.name == "rfft" and value.kind == Kind.COMPLEX:
        raise error("E0203", f"`rfft` of the complex `{short(node)}`", node, label="write fft")
    kind = Kind.REAL if call.name == "irfft" else Kind.COMPLEX
    axes = {n: s for n, s in value.axes.items() if n != source.name}
    context.lacking(f"the Fourier transform `{call.name}`", call.node.span)
    term = context.checker.placeholder(call.name, kind, {**axes, target.name: target.size})
    order = tuple(target.name if n == source.name else n for n in value.order) if value.order else None
    return Value(term, value.unit, order)


def text_of(node: tree.Expr, context: Context) -> str:
    found = entity_of(node, context)
    if not isinstance(found, Text):
        raise error("E0203", f"`{short(node)}` is no text", node, label='as in "name"')
    return found.value


# ---------------------------------------------------------------------------------------------------------------------
# the module nn


def unit_free(call: Applied, context: Context) -> list[tuple[Value, tree.Expr]]:
    """Arguments of a layer: real numbers, with the brackets' indices bound."""
    bound = call.bound
    out = []
    for node in call.node.positional:
        value = numeric(scalar_of(node, context.binding(*bound)), node)
        demand_unit(value, NUMBER, node, context, "the input of a layer")
        out.append((value, node))
    return out


def linear_layer(call: Applied, context: Context) -> Value:
    """nn.linear[to c](a, b): weights of its own over the consumed and the new axis; nn.linear[c to k](a)."""
    given = unit_free(call, context)
    axes = {n: s for value, _ in given for n, s in value.axes.items()}
    order = list(axes)
    if not call.items:
        raise error("E0104", f"`{call.name}` needs the axes that it takes and makes", call.node, label=f"as in {call.name}[c to k](v)")
    for item in call.items:
        source = item.source if isinstance(item, tree.Rename) else item.name if isinstance(item, tree.Consume) else None
        target = item.target if isinstance(item, tree.Rename) else item.name if isinstance(item, tree.Produce) else None
        if source is None and target is None:
            raise error("E0104", f"`{call.name}` needs the axes that it takes and makes", item, label=f"as in {call.name}[c to k](v)")
        if source is not None:
            if source.id not in axes:
                raise error(
                    "E0201", f"`{short(call.node.positional[0])}` has no index `{source.id}`", source, label=f"it has {', '.join(axes)}"
                )
            del axes[source.id]
            order.remove(source.id)
        if target is not None:
            axis = indices.axis_of(target, context)
            if axis.name in axes:
                raise error("E0210", f"the input of `{call.name}` has the index `{axis.name}` already", target)
            axes[axis.name] = axis.size
            order.append(axis.name)
    context.lacking(f"`{call.name}`: a layer with weights of its own", call.node.span)
    return Value(context.checker.placeholder(call.name, Kind.REAL, axes), NUMBER, tuple(order))


def cross_entropy(call: Applied, context: Context) -> Value:
    """nn.cross_entropy[k](z, y) = logsumexp_k z - z[k = y]; z over k, y the right k."""
    if len(call.items) != 1 or not isinstance(call.items[0], tree.Name):
        raise error("E0104", "`nn.cross_entropy` needs the index of the classes", call.node, label="as in nn.cross_entropy[k](z, y)")
    name = call.items[0].id
    (z, z_node), (y, y_node) = unit_free(call, context)
    if name not in z.axes:
        raise error("E0201", f"`{short(z_node)}` has no index `{name}`", call.items[0], label=f"it has {', '.join(z.axes) or 'none'}")
    if name in y.axes:
        raise error("E0202", f"`{short(y_node)}` has the index `{name}`", y_node, label="it says which class, one number each")
    agree_axes([z, y], [z_node, y_node], context)
    total = log_of_sum(z.term, [name])
    label = y.term if y.term.kind == Kind.INT else build.cast(build.apply("round", y.term), Kind.INT)
    picked = build.gather(z.term, name, label)
    return Value(build.sub(total, picked), NUMBER, None)


def relative_error(call: Applied, context: Context) -> Value:
    """nn.rel_l2(a, b): |a - b|/|b| over the coordinates (over all axes if there are none), averaged over the rest."""
    (a, a_node), (b, b_node) = unit_free(call, context)
    agree_axes([a, b], [a_node, b_node], context)
    axes = {**a.axes, **b.axes}
    inside = [n for n in axes if indices.is_coordinate(n, context)] or list(axes)
    outside = [n for n in axes if n not in inside]

    def square(term: Term) -> Term:
        full = build.expand(term, {n: axes[n] for n in inside if n not in term.axes})
        return build.sum_over(build.mul(full, full), inside)

    ratio = build.apply("sqrt", build.divide(square(build.sub(a.term, b.term)), square(b.term)))
    if outside:
        count = build.mul(*[build.size_term(axes[n]) for n in outside])
        ratio = build.divide(build.sum_over(build.expand(ratio, {n: axes[n] for n in outside if n not in ratio.axes}), outside), count)
    return Value(ratio, NUMBER, ())
