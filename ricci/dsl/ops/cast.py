"""cast: change of kind. Attributes: (kind,).

To a larger kind the value is kept (false, true = 0, 1). To bool: not zero. Real to int: toward zero. Complex to real: real part.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import trunc
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops import base, const, reindex
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, TupleType, Type


def make_cast(t: Term, kind: Kind) -> Term:
    """t with elements of `kind`; casts of casts, constants and index maps in normal form."""
    if isinstance(t.type, TupleType):
        raise TermError("a tuple has no kind")
    pulls: list[tuple[Term, reindex.Pull]] = []
    inner = t
    while inner.kind != kind and inner.op == "reindex":
        pull = reindex.pull_of(inner)
        if pull.fill is not None and isinstance(pull.fill, float) and kind < Kind.REAL:
            break
        pulls.append((inner, pull))
        inner = inner.args[0]
    inner = _cast_inner(inner, kind)
    for outer, pull in reversed(pulls):
        fill = None if pull.fill is None else _convert(pull.fill, kind)
        inner = reindex.assemble(inner, outer.axes, dict(pull.index), pull.guards, fill)
    return inner


def _cast_inner(t: Term, kind: Kind) -> Term:
    while t.op == "cast" and t.args[0].kind < t.kind and t.kind != kind:
        t = t.args[0]  # the inner cast only embeds
    if t.kind == kind:
        return t
    value = const.value_of(t)
    if value is not None and (kind >= Kind.REAL or isinstance(value, Fraction)):
        return const.make_const(_convert(value, kind), kind)
    return base.node("cast", (t,), (kind,))


def _convert(value: const.Number, kind: Kind) -> const.Number:
    if kind == Kind.BOOL:
        return Fraction(value != 0)
    return Fraction(trunc(value)) if kind == Kind.INT else value


def _infer(args: tuple[Term, ...], attrs: Any) -> Type:
    return Type(attrs[0], args[0].axes)


def _meaning(term: Term, args: Sequence[Any], environment: base.Environment) -> Any:
    (kind,) = term.attrs
    return convert_array(args[0], kind)


def convert_array(value: Any, kind: Kind) -> Any:
    """An array of another kind, by the rules of this operator."""
    import numpy as np

    if kind == Kind.BOOL:
        return value != 0
    if kind < Kind.COMPLEX and np.iscomplexobj(value):
        value = value.real
    with np.errstate(invalid="ignore"):
        return value.astype(const.DTYPES[kind])


def _tangent(term: Term, tangents: Sequence[Term | None]) -> Term | None:
    (t,) = tangents
    return None if t is None or term.kind <= Kind.INT else make_cast(t, term.kind)


def _cotangent(term: Term, g: Term) -> Sequence[Term | None]:
    return [None if term.kind <= Kind.INT else build.fit_cotangent(g, term.args[0])]


OPERATOR = base.define(
    base.Operator(
        name="cast",
        infer=_infer,
        meaning=_meaning,
        rebuild=lambda term, args: make_cast(args[0], term.attrs[0]),
        tangent=_tangent,
        cotangent=_cotangent,
    )
)
