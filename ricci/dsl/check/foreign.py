"""Words of other tools, and what is written here for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ricci.dsl import tree
from ricci.dsl.check.edits import Edit
from ricci.errors import Span

# Operators and functions with another name.
OPERATORS: Mapping[str, str] = {
    "ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
    "arctan2": "atan2", "laplacian": "lap", "laplace": "lap", "Laplacian": "lap", "Laplace": "lap", "nabla2": "lap", "del2": "lap",
    "gradient": "grad", "nabla": "grad", "divergence": "div", "rot": "curl", "rotor": "curl", "average": "mean", "avg": "mean",
    "maximum": "max", "minimum": "min", "amax": "max", "amin": "min", "integrate": "integral", "int": "integral", "fabs": "abs",
    "sgn": "sign", "logistic": "sigmoid", "theta": "heaviside", "step": "heaviside", "real": "re", "imag": "im", "conjugate": "conj",
    "Δ": "lap", "∆": "lap", "inner": "dot", "concatenate": "stack", "rand": "uniform", "random": "uniform", "randn": "normal", "ceiling": "ceil", "total": "sum",
}  # fmt: skip
# Operators that are written in another way.
FORMS: Mapping[str, str] = {
    "pow": "a power is written `a^b`", "power": "a power is written `a^b`", "factorial": "n! is gamma(n + 1)",
    "clip": "min(max(u, lo), hi)", "where": "if c then a else b", "ifelse": "if c then a else b", "iif": "if c then a else b",
    "select": "if c then a else b", "piecewise": "if c then a else b", "Piecewise": "if c then a else b", "sec": "1/cos(x)",
    "csc": "1/sin(x)", "cot": "1/tan(x)", "linspace": "a range is `x in 0..1`", "sinc": "sin(x)/x",
    "diff": "a derivative is dx(u), dt(u) or d(u, x, 2)", "derivative": "a derivative is dx(u), dt(u) or d(u, x, 2)",
    "partial": "a derivative is dx(u), dt(u) or d(u, x, 2)", "Derivative": "a derivative is dx(u), dt(u) or d(u, x, 2)",
}  # fmt: skip
VALUES: Mapping[str, str] = {"PI": "pi", "Pi": "pi", "true": "1 == 1", "false": "1 == 0", "True": "1 == 1", "False": "1 == 0", "time": "t"}
LOW = ("lo", "low", "left", "min", "start", "lower", "bottom", "first", "begin", "0")
HIGH = ("hi", "high", "right", "max", "end", "upper", "top", "last", "1")
PLACES: Mapping[str, tuple[int, str]] = {
    "left": (0, "lo"), "right": (0, "hi"), "bottom": (1, "lo"), "top": (1, "hi"), "front": (2, "lo"), "back": (2, "hi"),
}  # fmt: skip

UNTIL = ("tend", "t_end", "tmax", "t_max", "tfinal", "t_final", "tf", "end", "stop", "tstop", "duration", "tspan", "T", "t", "t1")
STEP = ("dt", "step", "stepsize", "step_size", "timestep", "time_step", "h", "delta_t")
TOLERANCE = ("rtol", "atol", "reltol", "abstol", "tolerance", "eps", "accuracy")
TIME = ("solver", "integrator", "scheme", "stepper", "timestepper", "algorithm", "alg", "time_stepping")
GRID = ("nx", "n", "N", "points", "resolution", "cells", "nodes", "size")


def side_named(text: str, coordinates: Sequence[str]) -> str | None:
    """The side that other words for it mean: `x.high`, `xmax`, `x_left`, `right`, `top`."""
    for c in coordinates:
        found = re.fullmatch(rf"{re.escape(c)}[._]?(\w+)", text)
        if found and found[1].lower() in LOW + HIGH:
            return f"{c}.{'lo' if found[1].lower() in LOW else 'hi'}"
    axis, end = PLACES.get(text.lower(), (len(coordinates), ""))
    return f"{coordinates[axis]}.{end}" if axis < len(coordinates) else None


def option_edits(entry: tree.Entry, coordinates: Sequence[str]) -> tuple[Edit, ...]:
    """The option of `solve` that another tool's setting is."""
    if len(entry.arguments) != 1:
        return ()
    argument = entry.arguments[0]
    value = (argument.value if isinstance(argument, tree.Keyword) else argument).span.text
    name = entry.name.id
    if name in UNTIL:
        return ((entry.span, f"until: t={value}"),)
    if name in STEP:
        return ((entry.span, f"time: rk4(dt={value})"),)
    if name in TOLERANCE:
        return ((entry.span, f"tol: {value}"),)
    if name in TIME:
        return ((entry.span, f"time: {value}"),)
    if name in GRID:
        return ((entry.span, "grid: " + ", ".join(f"{c}={value}" for c in coordinates)),)
    return ((entry.span, f"space: fd(order={value})"),) if name == "order" else ()


def operator_edits(call: tree.Call, name: tree.Name, coordinates: Sequence[str]) -> tuple[Edit, ...]:
    """What is written here for an operator of another tool, as far as it is a matter of names."""
    if name.id in OPERATORS:
        return ((name.span, OPERATORS[name.id]),)
    arguments = [a.span.text for a in call.positional]
    if name.id in ("pow", "power") and len(arguments) == 2:
        return ((call.span, f"({arguments[0]})^({arguments[1]})"),)
    if name.id in ("diff", "derivative", "Derivative", "partial") and len(arguments) in (2, 3) and arguments[1] in (*coordinates, "t"):
        order = int(arguments[2]) if arguments[2:] and arguments[2].isdigit() else 1
        return ((call.span, f"d{arguments[1] * min(order, 8)}({arguments[0]})"),)
    if name.id in ("where", "ifelse", "iif", "select") and len(arguments) == 3:
        return ((call.span, "(if {} then {} else {})".format(*arguments)),)
    if name.id == "clip" and len(arguments) == 3:
        return ((call.span, "min(max({}, {}), {})".format(*arguments)),)
    if name.id == "factorial" and len(arguments) == 1:
        return ((call.span, f"gamma({arguments[0]} + 1)"),)
    second = re.fullmatch(r"d2(\w)", name.id)
    return ((name.span, f"d{second[1] * 2}"),) if second else ()


def unknown_coordinate(name: str, coordinates: Sequence[str]) -> str:
    """The coordinate that a derivative like `dyy` names and the model lacks; "" where it is no such name."""
    letters = set(name[1:])
    if name[:1] != "d" or not letters or not letters <= {*coordinates, "t", *"xyzrs"}:
        return ""
    return next((c for c in name[1:] if c not in (*coordinates, "t")), "")


def derivative(span: Span) -> tuple[Span, str, str] | None:
    """`dT/dt` or `ΔT` from the place of the first name on: what it spans, the field, and what is written here."""
    found = re.compile(r"[d∂](\w+)\s*/\s*[d∂](\w)\b").match(span.source.text, span.start)
    if found:
        return Span(span.source, span.start, found.end()), found[1], f"d{found[2]}({found[1]})"
    name = span.text
    return (span, name[1:], f"lap({name[1:]})") if name[:1] in ("Δ", "∆") and len(name) > 1 else None
