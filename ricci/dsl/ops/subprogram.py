"""Closed functions as the bodies of scan, iterate and solve: positional parameters, so that equal bodies are one object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ricci.dsl import build
from ricci.dsl.ops.symbol import CONSTANTS, name_of
from ricci.dsl.term import Function, Term, TermError, substitute, walk
from ricci.dsl.types import Kind, Type


def positional(function: Function, results: Sequence[Type]) -> Function:
    """The function without names: params `%0`, `%1`, .. and results "0", "1", .. of the given types."""
    if len(function.results) != len(results):
        raise TermError(f"{function.name or 'the body'} has {len(function.results)} results, not {len(results)}")
    check_closed(function)
    params = tuple(build.symbol(f"%{k}", p.type) for k, p in enumerate(function.params))
    roots = [build.conform(root, type_) for root, type_ in zip(function.roots, results, strict=True)]
    if params != function.params:
        roots = substitute(roots, dict(zip(function.params, params, strict=True)))
    return Function("", params, tuple((str(k), root) for k, root in enumerate(roots)))


def check_closed(function: Function) -> None:
    """TermError unless every symbol is a parameter, a size or a mathematical constant."""
    params = set(function.params)
    if len(params) != len(function.params) or any(p.op != "symbol" for p in params):
        raise TermError(f"the parameters of {function.name or 'a body'} are distinct symbols")
    for term in walk(function.roots):
        if term.op == "symbol" and term not in params:
            name = name_of(term)
            if not name.startswith("#") and name not in CONSTANTS:
                raise TermError(f"`{name}` is free in {function.name or 'a body'}: outer values enter as constants")


def reached(roots: Sequence[Term], sources: Iterable[Term]) -> list[bool]:
    """Which roots depend on one of the sources."""
    hit = set(sources)
    for term in walk(roots):
        if any(a in hit for a in term.args):
            hit.add(term)
    return [root in hit for root in roots]


def active_carries(body: Function, count: int, moving: Sequence[bool]) -> list[bool]:
    """Which of the first `count` params change when the params marked in `moving` do, around any number of steps."""
    active = list(moving)
    while True:
        hit = reached(body.roots[:count], [p for p, a in zip(body.params, active, strict=True) if a])
        grown = [active[k] or (hit[k] and body.params[k].kind >= Kind.REAL) for k in range(count)]
        if grown == active[:count]:
            return grown
        active[:count] = grown


def dual(body: Function, active: Sequence[bool], groups: Sequence[int]) -> tuple[Function, list[list[int]]]:
    """The body on dual numbers: results followed by their tangents for the active carries.

    Params come in groups (carries, sequences, constants), each followed by the tangents of its active members, whose places
    within the group are the second result.
    """
    from ricci.dsl.derivative import tangent

    directions = {p: build.symbol(f"%{k}'", p.type) for k, p in enumerate(body.params) if active[k]}
    params: list[Term] = []
    places: list[list[int]] = []
    start = 0
    for size in groups:
        members = body.params[start : start + size]
        places.append([k for k in range(size) if active[start + k]])
        params += [*members, *[directions[p] for p in members if p in directions]]
        start += size
    moved = [body.roots[k] for k in places[0]]
    tangents = [build.conform(t, root.type) for t, root in zip(tangent(moved, directions), moved, strict=True)]
    roots = [*body.roots, *tangents]
    return Function("", tuple(params), tuple((str(k), root) for k, root in enumerate(roots))), places
