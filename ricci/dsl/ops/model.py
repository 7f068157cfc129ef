"""Operators of a model before discretization: partial derivative, value at a point, integral over coordinates.

They have types and tangents, no value: discretize replaces them. A field's axes are named like its coordinates.
partial: (coordinate, order), the coordinate may be the time "t".  at: coordinates, sorted; arguments: term, one value each.
integral: coordinates, sorted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops import base, linear, pointwise
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, Type

TIME = "t"


def make_partial(t: Term, coordinate: str, order: int = 1) -> Term:
    """The derivative of that order along a coordinate. Derivatives of derivatives are joined and sorted by coordinate."""
    if order < 0 or t.kind == Kind.BOOL:
        raise TermError(f"derivative of order {order} of {t.type}")
    result = Type(max(t.kind, Kind.REAL), t.axes)
    if order == 0:
        return build.conform(t, result)
    if coordinate != TIME and coordinate not in t.axes:
        return build.zero(result)
    c, core = linear.primitive(pointwise.unexpanded(t))
    if core.op == "const" or (coordinate != TIME and coordinate not in core.axes):
        return build.zero(result)
    if c != 1:
        return build.conform(linear.make_linear([(c, make_partial(core, coordinate, order))]), result)
    orders = {coordinate: order}
    while core.op == "partial":
        name, n = core.attrs
        orders[name] = orders.get(name, 0) + n
        core = core.args[0]
    for name in sorted(orders):
        core = base.node("partial", (core,), (name, orders[name]))
    return build.expand(core, t.axes)


def make_at(t: Term, point: Mapping[str, Term]) -> Term:
    """t at given values of coordinates; axes of the coordinates go, axes of the values come."""
    if not point:
        return t
    names = tuple(sorted(point))
    return base.node("at", (t, *[point[name] for name in names]), names)


def make_integral(t: Term, coordinates: Iterable[str]) -> Term:
    """Integral of t over the whole range of the coordinates."""
    names = tuple(sorted(set(coordinates)))
    if not set(names) <= t.axes.keys():
        raise TermError(f"integral over {names} of {t.type}")
    if not names:
        return t
    c, core = linear.primitive(pointwise.unexpanded(t))
    if c != 1:
        inner = make_integral(build.expand(core, t.axes), names)
        return build.conform(linear.make_linear([(c, inner)]), Type(max(t.kind, Kind.REAL), inner.axes))
    return base.node("integral", (t,), names)


def _infer_partial(args: tuple[Term, ...], attrs: Any) -> Type:
    return Type(max(args[0].kind, Kind.REAL), args[0].axes)


def _infer_at(args: tuple[Term, ...], attrs: Any) -> Type:
    axes = {name: size for name, size in args[0].axes.items() if name not in attrs}
    for value in args[1:]:
        for name, size in pointwise.union([value]).items():
            if axes.setdefault(name, size) is not size:
                raise TermError(f"axis {name} has two sizes, {axes[name]} and {size}")
    return Type(args[0].kind, axes)


def _infer_integral(args: tuple[Term, ...], attrs: Any) -> Type:
    if args[0].kind == Kind.BOOL:
        raise TermError("integral of truth values")
    return Type(max(args[0].kind, Kind.REAL), {n: size for n, size in args[0].axes.items() if n not in attrs})


def _meaning(term: Term, args: Sequence[Any], environment: base.Environment) -> Any:
    raise TermError(f"{term.op} has no value before discretization")


def _at_tangent(term: Term, tangents: Sequence[Term | None]) -> Term | None:
    if any(t is not None for t in tangents[1:]):
        raise TermError("the tangent of a value at a moving point")
    return None if tangents[0] is None else make_at(tangents[0], dict(zip(term.attrs, term.args[1:], strict=True)))


def _no_cotangent(term: Term, g: Term) -> Sequence[Term | None]:
    raise TermError(f"{term.op} has no transpose before discretization")


PARTIAL = base.define(
    base.Operator(
        name="partial",
        infer=_infer_partial,
        meaning=_meaning,
        rebuild=lambda term, args: make_partial(args[0], *term.attrs),
        tangent=lambda term, tangents: None if tangents[0] is None else make_partial(tangents[0], *term.attrs),
        cotangent=_no_cotangent,
        facts=frozenset({"linear"}),
    )
)

AT = base.define(
    base.Operator(
        name="at",
        infer=_infer_at,
        meaning=_meaning,
        rebuild=lambda term, args: make_at(args[0], dict(zip(term.attrs, args[1:], strict=True))),
        tangent=_at_tangent,
        cotangent=_no_cotangent,
    )
)

INTEGRAL = base.define(
    base.Operator(
        name="integral",
        infer=_infer_integral,
        meaning=_meaning,
        rebuild=lambda term, args: make_integral(args[0], term.attrs),
        tangent=lambda term, tangents: None if tangents[0] is None else make_integral(tangents[0], term.attrs),
        cotangent=_no_cotangent,
        facts=frozenset({"linear"}),
    )
)
