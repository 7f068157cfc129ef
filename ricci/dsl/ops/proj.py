"""proj: one component of a tuple. tuple: components side by side, which only projections and derivatives see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops import base
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import TupleType, Type


def make_proj(t: Term, k: int) -> Term:
    """Component k of a tuple; of a `tuple` term, the component itself."""
    if not isinstance(t.type, TupleType):
        raise TermError(f"{t.op} is not a tuple")
    if not 0 <= k < len(t.type):
        raise TermError(f"a tuple of {len(t.type)} has no component {k}")
    return t.args[k] if t.op == "tuple" else base.node("proj", (t,), (k,))


def make_tuple(components: Sequence[Term]) -> Term:
    """The tuple of the components; of all projections of one tuple in order, that tuple itself."""
    first = components[0] if components else None
    if first is not None and first.op == "proj":
        whole = first.args[0]
        if len(whole.type.components) == len(components) and all(
            c.op == "proj" and c.args[0] is whole and c.attrs == (k,) for k, c in enumerate(components)
        ):
            return whole
    return base.node("tuple", tuple(components))


def _infer_proj(args: tuple[Term, ...], attrs: Any) -> Type:
    components: tuple[Type, ...] = args[0].type.components
    k: int = attrs[0]
    return components[k]


def _infer_tuple(args: tuple[Term, ...], attrs: Any) -> TupleType:
    if any(isinstance(a.type, TupleType) for a in args):
        raise TermError("a tuple has no tuple inside")
    return TupleType(tuple(a.type for a in args))


def _proj_tangent(term: Term, tangents: Sequence[Term | None]) -> Term | None:
    (t,) = tangents
    return None if t is None else make_proj(t, term.attrs[0])


def _proj_cotangent(term: Term, g: Term) -> Sequence[Term | None]:
    (k,) = term.attrs
    return [make_tuple([g if i == k else build.zero(c) for i, c in enumerate(term.args[0].type)])]


def _tuple_tangent(term: Term, tangents: Sequence[Term | None]) -> Term | None:
    if all(t is None for t in tangents):
        return None
    return make_tuple([build.zero(a.type) if t is None else t for a, t in zip(term.args, tangents, strict=True)])


OPERATOR = base.define(
    base.Operator(
        name="proj",
        infer=_infer_proj,
        meaning=lambda term, args, environment: args[0][term.attrs[0]],
        rebuild=lambda term, args: make_proj(args[0], term.attrs[0]),
        tangent=_proj_tangent,
        cotangent=_proj_cotangent,
    )
)

TUPLE = base.define(
    base.Operator(
        name="tuple",
        infer=_infer_tuple,
        meaning=lambda term, args, environment: tuple(args),
        rebuild=lambda term, args: make_tuple(args),
        tangent=_tuple_tangent,
        cotangent=lambda term, g: [make_proj(g, k) for k in range(len(term.args))],
    )
)


def add_tuples(left: Term, right: Term) -> Term:
    """Sum of two tuples of one type, component by component (bool and int components: those of the left)."""
    return make_tuple(
        [
            build.add(make_proj(left, k), make_proj(right, k)) if component.kind > component.kind.INT else make_proj(left, k)
            for k, component in enumerate(left.type)
        ]
    )
