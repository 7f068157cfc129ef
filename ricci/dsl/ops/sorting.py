"""sort: values in rising order along an axis and the places they came from. Attributes after the name: (axis,)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops import base
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, TupleType, Type

Tangents = Sequence[Term | None]


def prepare(args: Sequence[Term], attrs: tuple[Any, ...]) -> tuple[list[Term], tuple[Any, ...]]:
    if len(args) != 1 or len(attrs) != 1 or attrs[0] not in args[0].axes or args[0].kind not in (Kind.INT, Kind.REAL):
        raise TermError("sort takes an int or real array and one of its axes")
    return list(args), attrs


def infer(args: Sequence[Term], attrs: tuple[Any, ...]) -> TupleType:
    (t,) = args
    return TupleType((t.type, Type(Kind.INT, t.axes)))


def meaning(term: Term, args: Sequence[Any], environment: base.Environment) -> tuple[Any, ...]:
    import numpy as np

    place = list(term.args[0].axes).index(term.attrs[1])
    order = np.argsort(args[0], axis=place, kind="stable")
    return np.take_along_axis(args[0], order, axis=place), order.astype(np.int64)


def tangent(term: Term, results: Sequence[Term], tangents: Tangents) -> Tangents:
    (dt,) = tangents
    axis = term.attrs[1]
    if dt is None or term.args[0].kind < Kind.REAL:
        return [None, None]
    fresh = build.fresh_names([axis], dt.axes)
    return [build.gather(build.rename(dt, fresh), fresh[axis], results[1]), None]


def cotangent(term: Term, results: Sequence[Term], seeds: Sequence[Term]) -> Tangents:
    (t,) = term.args
    axis = term.attrs[1]
    return [build.scatter(seeds[0], results[1], axis, t.axes[axis], [axis]) if t.kind >= Kind.REAL else None]
