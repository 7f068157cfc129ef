"""`solve { ... }`: every option, its values, and what of them cannot be run yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ricci.dsl import build, tree
from ricci.dsl.check import indices
from ricci.dsl.check.agreement import article, demand_unit, rational, short
from ricci.dsl.check.calculus import coordinates_of
from ricci.dsl.check.context import Checker, Context, error, lookup_axis, settled
from ricci.dsl.check.expressions import scalar_of
from ricci.dsl.check.foreign import option_edits
from ricci.dsl.check.known import demand_known, demand_moment, known_number
from ricci.dsl.check.values import Layered, Namespace, Network, Value
from ricci.dsl.model import Call, Option, Solve
from ricci.dsl.ops.const import value_of as constant_of
from ricci.dsl.remedies import entry_around, quantity
from ricci.dsl.spelling import nearest
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Type
from ricci.dsl.units import NUMBER
from ricci.errors import CheckFailed


@dataclass(frozen=True)
class Choice:
    """A named value of an option: keywords, how many values by place, and why it cannot be run ("" if it can)."""

    keywords: tuple[str, ...] = ()
    places: int = 0
    coordinate: bool = False  # values by place are coordinates: fourier(x)
    lacking: str = ""


SPACES = {
    "fd": Choice(("order",), 0),
    "fv": Choice(("order", "staggered", "limiter"), 0, lacking="the finite-volume space `fv`"),
    "fourier": Choice((), 3, True, "the spectral space `fourier`"),
    "chebyshev": Choice((), 3, True, "the spectral space `chebyshev`"),
}
FIXED = ("euler", "leapfrog", "midpoint", "heun", "rk3", "rk4", "backward_euler", "crank_nicolson")  # need their step
ADAPTIVE = ("bs32", "dp54", "trbdf2", "rodas3", "rodas4p", "rodas5p")
TIMES = {
    **{name: Choice(("dt",)) for name in (*FIXED, *ADAPTIVE)},
    "strang": Choice(("dt",), lacking="the splitting method `strang`"),
    "etdrk4": Choice(("dt",), lacking="the exponential integrator `etdrk4`"),
    "rk222": Choice(("dt", "cfl", "dt_max"), lacking="the implicit-explicit integrator `rk222`"),
    "rk443": Choice(("dt", "cfl", "dt_max"), lacking="the implicit-explicit integrator `rk443`"),
}
METHODS = {
    "adam": Choice(("lr", "scale", "beta1", "beta2", "eps", "decay")),
    "sgd": Choice(("lr", "momentum", "scale")),
    "lbfgs": Choice(("steps", "memory", "lr")),
    "dmrg": Choice(("cutoff", "bond")),
    "newton": Choice(("steps", "tol")),
    "muon": Choice(("lr", "scale")),
}
LINEARS = {name: Choice(("tol", "steps", "restart")) for name in ("multigrid", "cg", "gmres", "bicgstab", "lu", "direct", "minres")}
ADJOINTS = {"checkpointed": Choice(("steps",)), "stored": Choice(), "implicit": Choice(), "none": Choice()}
SUPPORTED = ("f64", "f32", "c128", "c64")  # number types of generated code
WORDS = {"dtype": ("f64", "f32", "bf16", "f16", "c128", "c64"), "scale": ("mup", "sp")}
COUNTS = ("batch", "epochs", "sweeps", "count", "steps", "seed")
CHOICES = {"space": SPACES, "time": TIMES, "method": METHODS, "linear": LINEARS, "adjoint": ADJOINTS}
OPTIONS = ("grid", "space", "until", "tol", "time", "linear", "method", "adjoint", "dtype", "output", "checkpoint", *COUNTS)
GOALS = ("minimize", "maximize", "find", "eigen", "steady")


def read_solve(statement: tree.Solve, context: Context) -> Solve:
    """One `solve` statement; training and optimization are typed and noted."""
    goal = _goal(statement, context) if statement.goal is not None else ""
    options: list[Option] = []
    for entry in statement.entries:
        if entry.name.id not in OPTIONS:
            edits = option_edits(entry, list(coordinates_of(context)))
            guess = edits[0][1].partition(":")[0] if edits else nearest(entry.name.id, OPTIONS)
            label = f"did you mean `{guess}`?" if guess else f"options are {', '.join(OPTIONS)}"
            raise error("E0104", f"`solve` has no option `{entry.name.id}`", entry.name, label, edits=edits)
        if any(o.name == entry.name.id for o in options):
            raise error("E0102", f"the option `{entry.name.id}` is given twice", entry.name)
        option = _READERS.get(entry.name.id, _count)(entry, context)
        options.append(option)
    _note_rounding(options, context.checker)
    if goal:
        context.checker.lacking(f"`solve {goal}`", statement.span)
    else:
        _note_beyond(options, context.checker)
    return Solve(statement.name.id if statement.name else "", goal, tuple(options), statement.span)


# decimal digits of the number types, and the least `tol` that their rounding allows
DIGITS = {"f64": 15, "c128": 15, "f32": 7, "c64": 7, "bf16": 3, "f16": 3}
ROUNDING = {15: Fraction(1, 10**14), 7: Fraction(1, 10**6), 3: Fraction(1, 100)}


def _note_rounding(options: Sequence[Option], checker: Checker) -> None:
    """W0505: `tol` asks for more digits than the number type has."""
    tol = next((o for o in options if o.name == "tol"), None)
    dtype = next((o.arguments[0] for o in options if o.name == "dtype"), "f64")
    number = constant_of(tol.arguments[0]) if tol else None
    digits = DIGITS.get(dtype)
    if tol is not None and number is not None and digits is not None and number < ROUNDING[digits]:
        text = f"{dtype} has about {digits} digits"
        checker.diagnostics.add("W0505", "`tol` is below the rounding of the numbers", tol.span, label=text)


def _note_beyond(options: Sequence[Option], checker: Checker) -> None:
    for option in options:
        if option.name in ("linear", "method", "adjoint", "dtype", "batch", "epochs", "sweeps", "count", "steps", "seed"):
            word = next((a for a in option.arguments if isinstance(a, str)), None)
            if option.name == "dtype" and word in SUPPORTED:
                continue
            checker.lacking(f"the option `{option.name}`", option.span)


def _goal(statement: tree.Solve, context: Context) -> str:
    goal = statement.goal
    assert goal is not None
    kind = goal.kind.id
    if kind not in GOALS:
        guess = nearest(kind, GOALS)
        raise error(
            "E0104",
            f"`solve` has no goal `{kind}`",
            goal.kind,
            label=f"did you mean `{guess}`?" if guess else f"goals are {', '.join(GOALS)}",
        )
    for dotted in goal.over:
        _over(dotted, context)
    if goal.objective is not None and kind in ("minimize", "maximize"):
        indices.plan(goal.objective, context, lambda index, where: _lone(index, where), coordinates=False)
        value = scalar_of(goal.objective, context)
        if value.axes:
            axes = ", ".join(value.axes)
            raise error(
                "E0206", f"what is {kind}d is one number", goal.objective, label=f"this varies along {axes}: write mean(...) or sum(...)"
            )
    return kind


def _lone(index: str, where: tree.Node) -> None:
    from ricci.dsl.check.definitions import refuse_lone

    refuse_lone(index, where)


def _over(dotted: tree.Dotted, context: Context) -> None:
    """What is varied: a param, a layer, a weight, a field, a network."""
    declaration = context.scope.find(dotted.names[0].id)
    if declaration is None:
        guess = nearest(dotted.names[0].id, context.scope.names())
        raise error("E0101", f"`{dotted.text}` is not declared", dotted, label=f"did you mean `{guess}`?" if guess else "not declared")
    entity = declaration.resolve()
    if declaration.word not in ("param", "layer", "network", "tensor", "field") and not isinstance(entity, Layered | Network):
        raise error(
            "E0203",
            f"`{dotted.text}` is {article(declaration.word)} {declaration.word} and cannot be varied",
            dotted,
            label="a param, layer, tensor or network can",
        )


# ---------------------------------------------------------------------------------------------------------------------
# one reader for each option


def _grid(entry: tree.Entry, context: Context) -> Option:
    arguments: list[Any] = []
    for node in entry.positional:
        if isinstance(node, tree.Name):
            declaration = context.scope.find(node.id)
            if declaration is None or declaration.word != "grid":
                raise error("E0104", f"there is no grid `{node.id}`", node, label="a grid is given as x=100")
            arguments.append(Call(node.id, (), (), node.span))
            context.checker.lacking(f"the named grid `{node.id}`", entry.span)
            continue
        arguments.append(_stretch(node, context))
        context.checker.lacking("a stretched grid", node.span)
    return Option("grid", tuple(arguments), check_grid(entry.keywords, context), entry.span)


def check_grid(keywords: Sequence[tree.Keyword], context: Context) -> tuple[tuple[str, Term], ...]:
    """`x=100, y=50`: a number of points for each coordinate."""
    found: list[tuple[str, Term]] = []
    known = coordinates_of(context)
    for keyword in keywords:
        name = keyword.name.id
        if name not in known:
            settled(context, name, space=True)
            guess = nearest(name, known)
            label = f"did you mean `{guess}`?" if guess else f"coordinates are {', '.join(known) or 'none'}"
            raise error("E0104", f"there is no coordinate `{name}`", keyword.name, label=label)
        if any(n == name for n, _ in found):
            raise error("E0102", f"`{name}` is given twice", keyword.name)
        found.append((name, whole(keyword.value, context, f"the number of points along `{name}`")))
    return tuple(found)


def _stretch(node: tree.Expr, context: Context) -> Call:
    """`stretch(x, center=0, by=20)`."""
    if not isinstance(node, tree.Call) or not isinstance(node.function, tree.Name) or node.function.id != "stretch":
        raise error("E0104", f"`grid` does not take `{short(node)}`", node, label="as in grid: x=100, stretch(x, center=0, by=20)")
    if len(node.positional) != 1 or not isinstance(node.positional[0], tree.Name) or node.positional[0].id not in coordinates_of(context):
        settled(context, *(n.id for n in node.positional if isinstance(n, tree.Name)), space=True)
        raise error("E0104", "`stretch` takes a coordinate", node, label="as in stretch(x, center=0, by=20)")
    coordinate = node.positional[0].id
    axis = lookup_axis(context, coordinate)
    keywords = []
    for keyword in node.keywords:
        if keyword.name.id not in ("center", "by"):
            raise error("E0104", f"`stretch` takes no `{keyword.name.id}`", keyword.name, label="it takes center, by")
        value = scalar_of(keyword.value, context)
        demand_unit(value, axis.unit if axis and keyword.name.id == "center" else NUMBER, keyword.value, context, f"`{keyword.name.id}`")
        keywords.append((keyword.name.id, value.term))
    return Call("stretch", (coordinate,), tuple(keywords), node.span)


def whole(node: tree.Expr, context: Context, what: str) -> Term:
    """A whole number of at least 1; a param is taken as it is."""
    value = scalar_of(node, context)
    demand_unit(value, NUMBER, node, context, what)
    number = rational(value.term)
    if number is not None and (number.denominator != 1 or number < 1):
        raise error("E0104", f"{what} is a whole number of at least 1", node)
    demand_known(value, node, context, what)
    return value.term


def _until(entry: tree.Entry, context: Context) -> Option:
    if len(entry.arguments) != 1:
        raise error("E0104", "`until` takes one end", entry, label="as in until: t=1")
    argument = entry.arguments[0]
    if isinstance(argument, tree.Keyword):
        if argument.name.id != "t":
            guess = "did you mean `t`?" if nearest(argument.name.id, ["t"]) else "a run ends at a time, as in t=1"
            raise error("E0104", f"`until` takes no `{argument.name.id}`", argument.name, label=guess)
        return Option("until", (), (("t", _moment(argument.value, context)),), entry.span)
    if isinstance(argument, tree.Call) and isinstance(argument.function, tree.Name) and argument.function.id == "steady":
        call = _choice(argument, {"steady": Choice(("tol",), 1)}, "until", context)
        context.checker.lacking("the search for a steady state", entry.span)
        return Option("until", (call,), (), entry.span)
    return Option("until", (_moment(argument, context),), (), entry.span)


def _moment(node: tree.Expr, context: Context) -> Term:
    return demand_moment(scalar_of(node, context), node, context)


def _tol(entry: tree.Entry, context: Context) -> Option:
    number = None
    if len(entry.arguments) == 1 and isinstance(entry.arguments[0], tree.Expr):
        value = scalar_of(entry.arguments[0], context)
        demand_unit(value, NUMBER, entry.arguments[0], context, "`tol`")
        number = constant_of(value.term)
    if not isinstance(number, Fraction) or not 0 < number < 1:
        raise error("E0104", "`tol` is one number between 0 and 1", entry, label="as in tol: 1e-6")
    return Option("tol", (value.term,), (), entry.span)


def _space(entry: tree.Entry, context: Context) -> Option:
    calls = _choices(entry, SPACES, context)
    known = coordinates_of(context)
    for call, node in zip(calls, entry.positional, strict=True):
        if call.name == "fourier":
            names = call.arguments or tuple(known)
            for name in names:
                if not known[name].periodic:
                    where = known[name].span
                    raise error(
                        "E0501",
                        f"`fourier` needs `{name}` to be periodic",
                        node,
                        label=f"`{name}` has two sides (line {where.line})" if where else "",
                    )
    return Option("space", calls, (), entry.span)


def _named(table: Mapping[str, Choice]) -> Callable[[tree.Entry, Context], Option]:
    def read(entry: tree.Entry, context: Context) -> Option:
        if len(entry.arguments) != 1:
            raise error("E0104", f"`{entry.name.id}` takes one choice", entry, label=f"as in {entry.name.id}: {next(iter(table))}")
        return Option(entry.name.id, _choices(entry, table, context), (), entry.span)

    return read


def _choices(entry: tree.Entry, table: Mapping[str, Choice], context: Context) -> tuple[Call, ...]:
    if entry.keywords:
        keyword = entry.keywords[0]
        raise error(
            "E0104", f"`{entry.name.id}` takes no `{keyword.name.id}=`", keyword, label=f"as in {entry.name.id}: {next(iter(table))}"
        )
    return tuple(_choice(node, table, entry.name.id, context) for node in entry.positional)


def _choice(node: tree.Expr, table: Mapping[str, Choice], option: str, context: Context) -> Call:
    """A named choice, with arguments or without."""
    name = node.function if isinstance(node, tree.Call) else node
    if not isinstance(name, tree.Name):
        raise error("E0104", f"`{option}` takes a name", node, label=f"there are {', '.join(table)}")
    choice = table.get(name.id)
    if choice is None:
        raise _no_choice(name, node, table, option)
    if choice.lacking:
        context.checker.lacking(choice.lacking, node.span)
    if not isinstance(node, tree.Call):
        return Call(name.id, (), (), node.span)
    if len(node.positional) > choice.places:
        raise error(
            "E0104", f"`{name.id}` takes its values by name", node.positional[0], label=f"it takes {', '.join(choice.keywords) or 'none'}"
        )
    places: list[Any] = []
    for argument in node.positional:
        if choice.coordinate:
            if not isinstance(argument, tree.Name) or argument.id not in coordinates_of(context):
                settled(context, *([argument.id] if isinstance(argument, tree.Name) else []), space=True)
                raise error(
                    "E0104",
                    f"there is no coordinate `{short(argument)}`",
                    argument,
                    label=f"coordinates are {', '.join(coordinates_of(context))}",
                )
            places.append(argument.id)
        else:
            places.append(scalar_of(argument, context).term)
    keywords = []
    for keyword in node.keywords:
        if keyword.name.id not in choice.keywords:
            guess = nearest(keyword.name.id, choice.keywords)
            label = f"did you mean `{guess}`?" if guess else f"it takes {', '.join(choice.keywords) or 'none'}"
            raise error("E0104", f"`{name.id}` takes no `{keyword.name.id}`", keyword.name, label=label)
        keywords.append((keyword.name.id, _setting(keyword, context)))
    return Call(name.id, tuple(places), tuple(keywords), node.span)


def _no_choice(name: tree.Name, node: tree.Expr, table: Mapping[str, Choice], option: str) -> CheckFailed:
    """E0104 for a choice that an option has not; another option may have it."""
    others = [o for o, choices in CHOICES.items() if o != option and name.id in choices]
    guess = nearest(name.id, table)
    label = f"it is a choice of `{others[0]}`" if others else f"did you mean `{guess}`?" if guess else f"there are {', '.join(table)}"
    entry = entry_around(node.span) if others else None
    edits = ((entry, f"{others[0]}: {node.span.text}"),) if entry is not None else ()
    return error("E0104", f"`{option}` has no choice `{name.id}`", name, label, edits=edits)


def _time(entry: tree.Entry, context: Context) -> Option:
    option = _named(TIMES)(entry, context)
    call = option.arguments[0]
    if call.name in FIXED and not any(name == "dt" for name, _ in call.keywords):
        step = f"{call.name}(dt={quantity(Fraction(1, 100), context.checker.model.time_unit)})"
        message, node = f"`{call.name}` has a fixed step and needs it", entry.positional[0]
        raise error("E0104", message, node, label=f"as in {step}", edits=((node.span, step),))
    return option


def _setting(keyword: tree.Keyword, context: Context) -> Any:
    """The value of one keyword of a choice: a number, a time step, true or false, or a word."""
    name, node = keyword.name.id, keyword.value
    if isinstance(node, tree.Name) and (node.id in ("true", "false") or node.id in WORDS.get(name, ())):
        return node.id
    value: Value = scalar_of(node, context)
    demand_unit(value, context.checker.time_unit if name in ("dt", "dt_max") else NUMBER, node, context, f"`{name}`")
    demand_known(value, node, context, f"`{name}`")
    number = known_number(value.term)
    if name in ("dt", "dt_max") and number is not None and not 0 < number < float("inf"):
        raise error("E0104", "a step is positive", node)
    return value.term


def _dtype(entry: tree.Entry, context: Context) -> Option:
    node = entry.arguments[0] if len(entry.arguments) == 1 else None
    if not isinstance(node, tree.Name) or node.id not in WORDS["dtype"]:
        guess = nearest(node.id, WORDS["dtype"]) if isinstance(node, tree.Name) else None
        label = f"did you mean `{guess}`?" if guess else f"there are {', '.join(WORDS['dtype'])}"
        raise error("E0104", "`dtype` takes the name of a number type", node or entry, label=label)
    return Option("dtype", (node.id,), (), entry.span)


def _count(entry: tree.Entry, context: Context) -> Option:
    if len(entry.arguments) != 1 or not isinstance(entry.arguments[0], tree.Expr):
        raise error("E0104", f"`{entry.name.id}` takes one number", entry)
    if entry.name.id == "seed":
        return Option("seed", (scalar_of(entry.arguments[0], context).term,), (), entry.span)
    return Option(entry.name.id, (whole(entry.arguments[0], context, f"`{entry.name.id}`"),), (), entry.span)


def _free_option(entry: tree.Entry, context: Context) -> Option:
    keywords = tuple((k.name.id, scalar_of(k.value, context).term) for k in entry.keywords)
    return Option(entry.name.id, tuple(scalar_of(a, context).term for a in entry.positional), keywords, entry.span)


_READERS: dict[str, Callable[[tree.Entry, Context], Option]] = {
    "grid": _grid,
    "space": _space,
    "until": _until,
    "tol": _tol,
    "time": _time,
    "linear": _named(LINEARS),
    "method": _named(METHODS),
    "adjoint": _named(ADJOINTS),
    "dtype": _dtype,
    "output": _free_option,
    "checkpoint": _free_option,
}

COUNTED = ("steps", "seconds")
RESULTS = ("objective", "objective_at_start", "steps", "seconds")


def counted(name: str) -> Namespace:
    """What is known of a named `solve` that integrates, when its run is over: `a.steps`, `a.seconds`."""
    return Namespace(name, "result", {what: Value(build.symbol(f"{name}.{what}", Type(Kind.REAL)), NUMBER, ()) for what in COUNTED})


def result_of(statement: tree.Solve, context: Context) -> Namespace:
    """`fit.objective`: what a named `solve` gives."""
    assert statement.name is not None
    name = statement.name.id

    def member(what: str) -> Value:
        return Value(context.checker.placeholder(f"{name}.{what}", Kind.REAL, {}), None, ())

    return Namespace(name, "result", {what: member(what) for what in RESULTS})
