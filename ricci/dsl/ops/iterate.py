"""iterate: c := body(c, constants) while cond(c, constants). Attributes: (body, cond, number of carries).

The value is the tuple of the last carries and the number of steps (int). Arguments: first carries, constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops import base, subprogram
from ricci.dsl.ops.proj import make_proj, make_tuple
from ricci.dsl.term import Function, Term, TermError
from ricci.dsl.types import Kind, TupleType, Type
from ricci.errors import CannotLower


def make_iterate(body: Function, cond: Function, inits: Sequence[Term], consts: Sequence[Term] = ()) -> Term:
    """The last carries and the count. Params of body and of cond: carries, constants; cond has one bool result."""
    count = len(inits)
    if len(body.params) != count + len(consts) or [p.type for p in cond.params] != [p.type for p in body.params]:
        raise TermError("body and condition of an iteration take the carries and the constants")
    carries = [p.type for p in body.params[:count]]
    function = subprogram.positional(body, carries)
    test = subprogram.positional(cond, [Type(Kind.BOOL)])
    args = [build.conform(t, p.type) for t, p in zip([*inits, *consts], body.params, strict=True)]
    return base.node("iterate", tuple(args), (function, test, count))


def _infer(args: tuple[Term, ...], attrs: Any) -> TupleType:
    body, _, count = attrs
    return TupleType((*[p.type for p in body.params[:count]], Type(Kind.INT)))


def _meaning(term: Term, args: Sequence[Any], environment: base.Environment) -> Any:
    import numpy as np

    from ricci.dsl.reference import call

    body, cond, count = term.attrs
    carries, consts = list(args[:count]), list(args[count:])
    steps = 0
    while call(cond, [*carries, *consts], environment.dims)[0]:
        carries = call(body, [*carries, *consts], environment.dims)
        steps += 1
    return (*carries, np.asarray(steps, np.int64))


def _tangent(term: Term, tangents: Sequence[Term | None]) -> Term | None:
    """The iteration on dual numbers, stopped by the condition on the values."""
    body, cond, count = term.attrs
    moving = [t is not None and t.kind >= Kind.REAL for t in tangents]
    active = subprogram.active_carries(body, count, moving) + moving[count:]
    if not any(active[:count]):
        return None
    function, places = subprogram.dual(body, active, (count, len(term.args) - count))
    own = dict(zip(body.params, cond.params, strict=True))
    test = Function("", tuple(own.get(p, p) for p in function.params), cond.results)
    groups: list[list[Term]] = []
    for start, end, moved in ((0, count, places[0]), (count, len(term.args), places[1])):
        args = list(term.args[start:end])
        for k in moved:
            t = tangents[start + k]
            args.append(build.zero(args[k].type) if t is None else t)
        groups.append(args)
    inits, consts = groups
    whole = make_iterate(function, test, inits, consts)
    rank = {k: count + place for place, k in enumerate(places[0])}
    return make_tuple([make_proj(whole, rank[k]) if k in rank else build.zero(type_) for k, type_ in enumerate(term.type)])


def _cotangent(term: Term, g: Term) -> Sequence[Term | None]:
    raise CannotLower(
        "E0601",
        "the reverse derivative of a loop with a run-time number of steps is not available",
        notes=("a forward derivative is, and a recurrence over an axis of known size has both",),
    )


def _rebuild(term: Term, args: tuple[Term, ...]) -> Term:
    body, cond, count = term.attrs
    return make_iterate(body, cond, args[:count], args[count:])


OPERATOR = base.define(
    base.Operator(name="iterate", infer=_infer, meaning=_meaning, rebuild=_rebuild, tangent=_tangent, cotangent=_cotangent)
)
