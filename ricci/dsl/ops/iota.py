"""iota: the index value along one axis, an int from 0 to size - 1. Attributes: (axis, size)."""

from __future__ import annotations

from typing import Any

from ricci.dsl.ops import base
from ricci.dsl.term import Term
from ricci.dsl.types import Dim, Kind, Size, Type


def make_iota(axis: str, size: int | Size | Dim) -> Term:
    """out[axis] = axis."""
    return base.node("iota", (), (axis, Size.of(size)))


def axis_of(term: Term) -> str:
    """The axis whose index an iota is."""
    axis: str = term.attrs[0]
    return axis


def _infer(args: tuple[Term, ...], attrs: Any) -> Type:
    axis, size = attrs
    return Type(Kind.INT, {axis: size})


def _meaning(term: Term, args: Any, environment: base.Environment) -> Any:
    import numpy as np

    (size,) = term.axes.values()
    return np.arange(size.evaluate(environment.dims), dtype=np.int64)


OPERATOR = base.define(
    base.Operator(
        name="iota",
        infer=_infer,
        meaning=_meaning,
        rebuild=lambda term, args: term,
        tangent=lambda term, tangents: None,
        cotangent=lambda term, g: (),
    )
)
