"""Model-level expressions: partial derivatives pushed towards the fields, and questions about what an expression contains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ricci.dsl import build
from ricci.dsl.derivative import tangent
from ricci.dsl.ops import OPERATORS, contract, linear, reindex
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term, rewrite, symbols, walk
from ricci.dsl.types import Kind, Type

TIME = "t"
TIME_SYMBOL = build.symbol(TIME, Type(Kind.REAL))


def orders_of(term: Term) -> tuple[Term, dict[str, int]]:
    """(f, orders) with term = the mixed partial derivative of f; orders is empty where the term is no derivative."""
    orders: dict[str, int] = {}
    while term.op == "partial":
        coordinate, n = term.attrs
        orders[coordinate] = orders.get(coordinate, 0) + n
        term = term.args[0]
    return term, orders


def partials(term: Term, orders: Mapping[str, int]) -> Term:
    """The mixed derivative of a model-level term, in normal form."""
    for coordinate in sorted(orders):
        term = differentiate(term, coordinate, orders[coordinate])
    return term


def normal(term: Term) -> Term:
    """The same expression with derivatives taken of fields and of what varies along their coordinate only."""
    return rewrite([term], _normal_node)[0]


def _normal_node(term: Term, args: tuple[Term, ...]) -> Term:
    if term.op == "partial":
        coordinate, n = term.attrs
        return differentiate(args[0], coordinate, n)
    return term if args == term.args else OPERATORS[term.op].rebuild(term, args)


def differentiate(term: Term, coordinate: str, n: int) -> Term:
    """n-th derivative along a space coordinate: sums and factors that do not vary along it are taken out.

    What remains inside is a field, or a product or function that varies along the coordinate and is differentiated as a whole.
    """
    like = Type(max(term.kind, Kind.REAL), term.axes)
    if n == 0:
        return build.conform(term, like)
    if coordinate == TIME:
        return build.partial(term, coordinate, n)
    done: dict[Term, Term] = {}
    stack = [term]
    while stack:
        t = stack[-1]
        if t in done:
            stack.pop()
            continue
        parts = _parts(t, coordinate)
        missing = [part for part in parts if part not in done]
        if missing:
            stack.extend(missing)
            continue
        done[t] = _differentiated(t, coordinate, n, [done[part] for part in parts])
        stack.pop()
    return build.conform(done[term], Type(max(done[term].kind, like.kind), like.axes))


def _parts(term: Term, coordinate: str) -> list[Term]:
    """Terms whose derivatives give that of the term: summands, or the varying factor of a product."""
    if coordinate not in term.axes:
        return []
    if term.op == "linear":
        return [t for _, t in linear.terms_of(term)]
    if term.op == "cast" and term.args[0].kind >= Kind.REAL:
        return [term.args[0]]
    if term.op == "reindex":
        core, extra = reindex.split_expand(term)
        return [core] if extra else []
    if term.op == "contract" and is_product(term):
        varying = [t for t in term.args if coordinate in t.axes]
        return [build.mul(*varying)] if len(varying) < len(term.args) else []
    return []


def _differentiated(term: Term, coordinate: str, n: int, parts: Sequence[Term]) -> Term:
    """The derivative of one node from those of its parts."""
    like = Type(max(term.kind, Kind.REAL), term.axes)
    if coordinate not in term.axes:
        return build.zero(like)
    if term.op == "symbol" and name_of(term) == coordinate:
        return build.expand(build.const(1 if n == 1 else 0, Kind.REAL), term.axes)
    if not parts:
        return build.partial(term, coordinate, n)
    if term.op == "linear":
        result = build.linear([(c, part) for (c, _), part in zip(linear.terms_of(term), parts, strict=True)])
    elif term.op == "contract":
        result = build.mul(*[t for t in term.args if coordinate not in t.axes], parts[0])
    else:
        result = parts[0]
    return build.conform(result, Type(max(result.kind, like.kind), like.axes))


def is_product(term: Term) -> bool:
    """Whether a contract is a pointwise product, every axis kept under its name."""
    attrs = contract.contraction_of(term)
    return not attrs.bound and all(axis == label for access in attrs.accesses for axis, label in access)


def along_time(term: Term, fields: Iterable[Term]) -> Term:
    """Total time derivative: fields move by partial(field, "t"), the time itself by 1."""
    present = set(symbols([term]))
    moving = {f: build.partial(f, TIME, 1) for f in fields if f in present and f.kind >= Kind.REAL}
    if TIME_SYMBOL in present:
        moving[TIME_SYMBOL] = build.const(1, Kind.REAL)
    return tangent([term], moving)[0] if moving else build.zero(term.type)


def along_space(term: Term, coordinate: str) -> Term:
    """Derivative along a coordinate by the chain rule: only derivatives of single symbols remain."""
    moving: dict[Term, Term] = {}
    for s in symbols([term]):
        if coordinate in s.axes and s.kind >= Kind.REAL:
            moving[s] = build.expand(build.const(1, Kind.REAL), s.axes) if name_of(s) == coordinate else build.partial(s, coordinate, 1)
    return normal(tangent([term], moving)[0]) if moving else build.zero(term.type)


POINTWISE = frozenset({"const", "symbol", "linear", "map", "cast"})


def is_pointwise(term: Term, coordinate: str) -> bool:
    """Whether the value at a point of the coordinate depends on values at that point only (derivatives along others allowed)."""
    for t in walk([term]):
        if coordinate not in getattr(t.type, "axes", {}):
            continue
        if t.op == "partial" and t.attrs[0] != coordinate:
            continue
        if t.op == "contract" and is_product(t):
            continue
        if t.op == "reindex" and reindex.plain_pull(t) is not None and reindex.split_expand(t)[1]:
            continue
        if t.op not in POINTWISE:
            return False
    return True


def contains_derivative(term: Term, coordinate: str) -> bool:
    """Whether a derivative along the coordinate occurs."""
    return any(t.op == "partial" and t.attrs[0] == coordinate for t in walk([term]))


def inner_derivatives(term: Term, coordinate: str) -> list[tuple[Term, dict[str, int]]]:
    """Every derivative along the coordinate that occurs in the term, as (what is differentiated, orders)."""
    found = [orders_of(t) for t in walk([term]) if t.op == "partial"]
    outermost = [(f, orders) for f, orders in found if coordinate in orders]
    return list({(f, tuple(sorted(o.items()))): (f, o) for f, o in outermost}.values())


def is_flux(term: Term, coordinate: str) -> bool:
    """Whether the term is a flux: first derivatives along the coordinate, none inside another."""
    inner = inner_derivatives(term, coordinate)
    return bool(inner) and all(orders[coordinate] == 1 and not contains_derivative(f, coordinate) for f, orders in inner)
