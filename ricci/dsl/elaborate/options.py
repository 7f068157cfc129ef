"""`solve { ... }`: names of options and methods, values as terms; what this version cannot do is noted with its place."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ricci.dsl import tree
from ricci.dsl.elaborate.checker import Checker
from ricci.dsl.model import Call, Option, Solve
from ricci.dsl.ops.const import value_of
from ricci.dsl.spelling import nearest
from ricci.dsl.term import Term
from ricci.errors import CheckFailed

KNOWN = ("grid", "until", "tol", "space", "time", "method", "linear", "dtype", "batch", "epochs", "sweeps", "adjoint", "output", "seed")
LATER = {"method", "linear", "batch", "epochs", "sweeps", "adjoint", "seed", "output"}
SPACES = {"fd": ("order",)}  # discretizations in space and what they take
UNBUILT = {
    "fourier": "the spectral space `fourier`",
    "chebyshev": "the spectral space `chebyshev`",
    "fv": "the finite-volume space `fv`",
    "steady": "the search for a steady state",
    "stretch": "a stretched grid",
    "strang": "the splitting method `strang`",
    "etdrk4": "the exponential integrator `etdrk4`",
    "rk222": "the implicit-explicit integrator `rk222`",
}


def solve(check: Checker, statement: tree.Solve) -> None:
    """One `solve`; with a goal it is an optimization, which is noted."""
    goal = statement.goal.kind.id if statement.goal else ""
    if goal:
        check.cannot(f"`solve {goal}`", statement.span)
        check.model.solves.append(Solve(statement.name.id if statement.name else "", goal, (), statement.span))
        return
    options = []
    for entry in statement.entries:
        if entry.name.id not in KNOWN:
            guess = nearest(entry.name.id, list(KNOWN))
            label = f"did you mean `{guess}`?" if guess else f"options are {', '.join(KNOWN[:5])}"
            raise CheckFailed("E0104", f"`solve` has no option `{entry.name.id}`", entry.name.span, label=label)
        if entry.name.id in LATER:
            check.cannot(f"the option `{entry.name.id}`", entry.span)
            continue
        if entry.name.id == "dtype":
            check.cannot("the option `dtype`", entry.span)
            continue
        options.append(_option(check, entry))
    check.model.solves.append(Solve(statement.name.id if statement.name else "", "", tuple(options), statement.span))


def _option(check: Checker, entry: tree.Entry) -> Option:
    name = entry.name.id
    positional = tuple(v for v in (_value(check, a, name) for a in entry.positional) if v is not None)
    keywords = []
    for k in entry.keywords:
        if name == "grid" and not check.is_coordinate(k.name.id):
            known = [x.name for x in check.coordinates()]
            guess = nearest(k.name.id, known)
            label = f"did you mean `{guess}`?" if guess else f"coordinates are {', '.join(known) or 'none'}"
            raise CheckFailed("E0104", f"there is no coordinate `{k.name.id}`", k.name.span, label=label)
        if name == "until" and k.name.id != "t":
            raise CheckFailed("E0104", f"`until: {k.name.id}=...` is no end", k.name.span, label="write t=...")
        keywords.append((k.name.id, _value(check, k.value, name)))
    for _, value in [*((None, p) for p in positional), *keywords]:
        if name == "grid" and isinstance(value, Term):
            number = value_of(value)
            if not isinstance(number, int | Fraction) or number < 1 or Fraction(number).denominator != 1:
                raise CheckFailed("E0104", "a grid has a whole number of points", entry.span, label="at least 1")
    if name == "tol" and positional and isinstance(positional[0], Term):
        number = value_of(positional[0])
        if not isinstance(number, float) and number is not None and 0 < number < 1:
            check.tolerance = number if not isinstance(number, int) else check.tolerance
        else:
            raise CheckFailed("E0104", "`tol` is a number between 0 and 1", entry.span)
    return Option(name, positional, tuple(keywords), entry.span)


def _value(check: Checker, node: tree.Expr, option: str) -> Any:
    """A term, a named choice with its arguments, or None for what has been noted as not built."""
    reader = check.reader()
    if (
        isinstance(node, tree.Call)
        and isinstance(node.function, tree.Name)
        and check.names.find(node.function.id) is None
        and option in ("space", "time", "grid", "until")
    ):
        name = node.function.id
        if name in UNBUILT:
            check.cannot(UNBUILT[name], node.span)
            return None
        _known(option, name, node.function)
        for k in node.keywords:
            if option == "space" and k.name.id not in SPACES[name]:
                guess = nearest(k.name.id, list(SPACES[name]))
                label = f"did you mean `{guess}`?" if guess else f"it takes {', '.join(SPACES[name])}"
                raise CheckFailed("E0104", f"`{name}` does not take `{k.name.id}`", k.name.span, label=label)
        arguments = tuple(reader.scalar(a).term for a in node.positional)
        keywords = []
        for k in node.keywords:
            value = reader.scalar(k.value)
            if option == "time" and k.name.id == "dt":
                reader.same_unit(check.time_powers, value.unit, k.value.span, "`dt` has another unit")
            keywords.append((k.name.id, value.term))
        return Call(name, arguments, tuple(keywords), node.span)
    if isinstance(node, tree.Name) and option in ("space", "time") and check.names.find(node.id) is None:
        if node.id in UNBUILT:
            check.cannot(UNBUILT[node.id], node.span)
            return None
        _known(option, node.id, node)
        return Call(node.id, (), (), node.span)
    value = reader.scalar(node)
    if option == "until":
        reader.same_unit(check.time_powers, value.unit, node.span, "the end has another unit")
    elif option in ("grid", "tol"):
        reader.same_unit((), value.unit, node.span, f"`{option}` is a number")
    return value.term


def _known(option: str, name: str, node: tree.Expr) -> None:
    """E0104 for a discretization in space that does not exist."""
    if option == "space" and name not in SPACES:
        guess = nearest(name, [*SPACES, *UNBUILT])
        label = f"did you mean `{guess}`?" if guess else f"there is {', '.join(SPACES)}"
        raise CheckFailed("E0104", f"there is no discretization `{name}`", node.span, label=label)
