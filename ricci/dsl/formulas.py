"""Unknowns that an equation gives explicitly: `equation p = 3*u` makes p a formula of u, as `let p = 3*u` would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ricci.dsl import build
from ricci.dsl.derivative import depends, split_linear
from ricci.dsl.elimination import LARGEST_COUPLED, circles, eliminate, negated_quotient
from ricci.dsl.model import Equation
from ricci.dsl.term import Term, substitute, walk


class _Singular(Exception):
    """Equations of a group that say the same, or contradict each other."""


def explicit_formulas(equations: Sequence[Equation], symbols: Mapping[str, Term]) -> dict[Term, Term]:
    """symbol of a field -> its value, a term without any of the symbols that are keys.

    Taken are equations without a time derivative of the field they determine in which it stands linearly and in no derivative.
    Formulas are put into each other; up to `LARGEST_COUPLED` that need each other (`p + q = u`, `p - q = 1`) are solved by
    elimination. What is given only implicitly, or by itself, is no key. `symbols`: by name of the field.
    """
    solving = {e.determines: e.residual for e in equations if not e.time_order and is_explicit(e.residual, symbols[e.determines])}
    names = list(solving)
    inside = [set(walk([solving[name]])) for name in names]
    below = [{j for j, other in enumerate(names) if j != k and symbols[other] in inside[k]} for k in range(len(names))]
    groups = circles(below)
    grouped = {k for group in groups for k in group}
    waiting = [*groups, *([k] for k in range(len(names)) if k not in grouped)]
    found: dict[Term, Term] = {}
    while waiting:
        pending = {k for group in waiting for k in group}
        ready = [group for group in waiting if not any((below[k] & pending) - set(group) for k in group)]
        waiting = [group for group in waiting if group not in ready]
        for group in ready:
            unknown = {names[k]: symbols[names[k]] for k in group}
            found.update(_solved({name: substitute([solving[name]], found)[0] for name in unknown}, unknown))
    return found


def is_explicit(residual: Term, symbol: Term) -> bool:
    """Whether residual = 0 gives the symbol by a division: it stands there linearly and in no derivative."""
    if not depends(residual, symbol):
        return False
    split = split_linear(residual, symbol)
    return split is not None and not any(depends(part, symbol) for part in split)


def _solved(residuals: Mapping[str, Term], symbols: Mapping[str, Term]) -> dict[Term, Term]:
    """Values of a group of unknowns; none where it is too large, not linear, singular, or of a kind that does not fit."""
    if len(residuals) > LARGEST_COUPLED:
        return {}
    coefficients: dict[str, dict[str, Term]] = {}
    rests: dict[str, Term] = {}
    for name, residual in residuals.items():
        row, rest = {}, residual
        for other, symbol in symbols.items():
            if not depends(rest, symbol):
                continue
            split = split_linear(rest, symbol)
            if split is None or any(depends(split[0], s) for s in symbols.values()):
                return {}
            row[other], rest = split
        if any(depends(rest, s) for s in symbols.values()):
            return {}
        coefficients[name], rests[name] = row, rest
    try:
        values = (
            eliminate(list(residuals), coefficients, rests, _Singular)
            if len(residuals) > 1
            else {name: negated_quotient(rests[name], coefficients[name][name]) for name in residuals}
        )
    except _Singular:
        return {}
    if any(value.kind > symbols[name].kind or not set(value.axes) <= set(symbols[name].axes) for name, value in values.items()):
        return {}
    return {symbols[name]: build.conform(value, symbols[name].type) for name, value in values.items()}


__all__ = ["explicit_formulas", "is_explicit"]
