"""scan: a recurrence over one axis. Attributes: (body, axis, size, number of carries, number of sequences, reverse).

c_s = body(c_{s-1}, x_s, constants) for s = 0..size-1 (from the end if `reverse`), starting from the given carries. The value
is the tuple of the carries of every step, stacked on the axis. Arguments: first carries, sequences, constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops import base, const, subprogram
from ricci.dsl.ops.proj import make_proj, make_tuple
from ricci.dsl.term import Function, Term, TermError
from ricci.dsl.types import Dim, Kind, Size, TupleType, Type


def make_scan(
    body: Function,
    axis: str,
    size: int | Size | Dim,
    inits: Sequence[Term],
    xs: Sequence[Term],
    consts: Sequence[Term] = (),
    reverse: bool = False,
) -> Term:
    """The carries of every step. Params of the body: carries, slices of the sequences without the axis, constants."""
    count = len(inits)
    if len(body.params) != count + len(xs) + len(consts):
        raise TermError(f"a scan body of {len(body.params)} params for {count + len(xs) + len(consts)} arguments")
    size = Size.of(size)
    carries = [p.type for p in body.params[:count]]
    if any(axis in c.axes for c in carries):
        raise TermError(f"a carry has the scanned axis {axis}")
    function = subprogram.positional(body, carries)
    args = [build.conform(t, type_) for t, type_ in zip(inits, carries, strict=True)]
    for t, p in zip(xs, body.params[count : count + len(xs)], strict=True):
        if axis in p.axes:
            raise TermError(f"the slice of a sequence has no axis {axis}")
        args.append(build.conform(t, Type(p.kind, {**p.axes, axis: size})))
    args += [build.conform(t, p.type) for t, p in zip(consts, body.params[count + len(xs) :], strict=True)]
    return base.node("scan", tuple(args), (function, axis, size, count, len(xs), reverse))


def _infer(args: tuple[Term, ...], attrs: Any) -> TupleType:
    body, axis, size, count, _, _ = attrs
    return TupleType(tuple(Type(p.kind, {**p.axes, axis: size}) for p in body.params[:count]))


def _meaning(term: Term, args: Sequence[Any], environment: base.Environment) -> Any:
    import numpy as np

    from ricci.dsl.reference import call

    body, axis, size, count, sequences, reverse = term.attrs
    steps = size.evaluate(environment.dims)
    out = []
    for type_ in term.type:
        shape = [n.evaluate(environment.dims) for n in type_.axes.values()]
        out.append(np.empty(shape, const.DTYPES[type_.kind]))
    stacked = [np.moveaxis(array, list(type_.axes).index(axis), 0) for array, type_ in zip(out, term.type, strict=True)]
    xs = [np.moveaxis(args[k], list(term.args[k].axes).index(axis), 0) for k in range(count, count + sequences)]
    carries = list(args[:count])
    for s in reversed(range(steps)) if reverse else range(steps):
        carries = call(body, [*carries, *[x[s] for x in xs], *args[count + sequences :]], environment.dims, environment.apply)
        for target, value in zip(stacked, carries, strict=True):
            target[s] = value
    return tuple(out)


def _groups(term: Term) -> tuple[int, int, int]:
    _, _, _, count, sequences, _ = term.attrs
    return count, sequences, len(term.args) - count - sequences


def _tangent(term: Term, tangents: Sequence[Term | None]) -> Term | None:
    body, axis, size, count, _, reverse = term.attrs
    moving = [t is not None and t.kind >= Kind.REAL for t in tangents]
    active = subprogram.active_carries(body, count, moving) + moving[count:]
    if not any(active[:count]):
        return None
    function, places = subprogram.dual(body, active, _groups(term))
    groups: list[list[Term]] = []
    start = 0
    for size_of_group, moved in zip(_groups(term), places, strict=True):
        args = list(term.args[start : start + size_of_group])
        for k in moved:
            t = tangents[start + k]
            args.append(build.zero(args[k].type) if t is None else t)
        groups.append(args)
        start += size_of_group
    inits, xs, consts = groups
    whole = make_scan(function, axis, size, inits, xs, consts, reverse)
    rank = {k: count + place for place, k in enumerate(places[0])}
    return make_tuple([make_proj(whole, rank[k]) if k in rank else build.zero(type_) for k, type_ in enumerate(term.type)])


def _cotangent(term: Term, g: Term) -> Sequence[Term | None]:
    """Reverse scan: carries (c_bar, sequence cotangents of the step, const_bar); sequences (previous carries, xs, g)."""
    from ricci.dsl.derivative import gradient

    body, axis, size, count, sequences, reverse = term.attrs
    real = [k for k, p in enumerate(body.params) if p.kind >= Kind.REAL]
    carried = [k for k in real if k < count]
    bars = {k: build.symbol(f"%{k}~", body.params[k].type) for k in real}
    seeds = {k: build.symbol(f"%{k}^", body.params[k].type) for k in carried}
    pairs = [(body.roots[k], build.add(bars[k], seeds[k])) for k in carried]
    grads = dict(zip(real, gradient(pairs, [body.params[k] for k in real]), strict=True))
    new = {k: build.add(bars[k], grads[k]) if k >= count + sequences else grads[k] for k in real}
    function = Function(
        "",
        (*[bars[k] for k in real], *body.params[: count + sequences], *[seeds[k] for k in carried], *body.params[count + sequences :]),
        tuple((str(k), build.conform(new[k], body.params[k].type)) for k in real),
    )
    previous = [_previous(term, k) for k in range(count)]
    xs = [*previous, *term.args[count : count + sequences], *[make_proj(g, k) for k in carried]]
    inits = [build.zero(body.params[k].type) for k in real]
    whole = make_scan(function, axis, size, inits, xs, term.args[count + sequences :], not reverse)
    out: list[Term | None] = [None] * len(term.args)
    for place, k in enumerate(real):
        stacked = make_proj(whole, place)
        out[k] = stacked if count <= k < count + sequences else build.slice_at(stacked, axis, size - 1 if reverse else 0)
    return out


def _previous(term: Term, k: int) -> Term:
    """Carry k before each step, stacked."""
    _, axis, size, _, _, reverse = term.attrs
    first = build.apply("eq", build.iota(axis, size), build.size_term(size - 1) if reverse else build.const(0))
    return build.where(first, term.args[k], build.shift(make_proj(term, k), axis, 1 if reverse else -1, 0))


def _rebuild(term: Term, args: tuple[Term, ...]) -> Term:
    body, axis, size, count, sequences, reverse = term.attrs
    rest = count + sequences
    return make_scan(body, axis, size, args[:count], args[count:rest], args[rest:], reverse)


OPERATOR = base.define(base.Operator(name="scan", infer=_infer, meaning=_meaning, rebuild=_rebuild, tangent=_tangent, cotangent=_cotangent))
