"""reduce: maximum, minimum, product, any, all, or place of an extreme, over axes of the argument. Attributes: (op, axes).

The bound axes are named by the argument. Over no lane: max -inf, min inf (for an int its least and greatest machine value),
prod 1, any false, all true; argmax and argmin need one lane and take the first of equal extremes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops import base, const, contract, pointwise, scalar
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, Size, TupleType, Type, at_most

OPS = ("max", "min", "prod", "any", "all", "argmax", "argmin")


def make_reduce(op: str, t: Term, axes: Iterable[str]) -> Term:
    """op over the axes. A rename under it is absorbed, nested ones are joined, axes of pure repetition drop out."""
    bound = frozenset(axes)
    _check(op, t, bound)
    if not bound:
        return t
    t, repeated = _without_repetition(op, t, bound)
    bound -= repeated.keys()
    if op in ("argmax", "argmin"):
        return build.expand(const.make_const(0), t.axes) if not bound else _node(op, t, bound)
    if not bound:
        return t
    kept = {axis: size for axis, size in t.axes.items() if axis not in bound}
    inner = pointwise.unexpanded(t)
    if all(axis in inner.axes for axis in bound):
        t = inner
    while t.op == "reduce" and t.attrs[0] == op and bound.isdisjoint(t.args[0].axes.keys() - t.axes.keys()):
        bound |= frozenset(t.attrs[1])
        t = t.args[0]
    return build.expand(_node(op, t, bound), kept)


def _check(op: str, t: Term, bound: frozenset[str]) -> None:
    if op not in OPS:
        raise TermError(f"no reduction {op}")
    if isinstance(t.type, TupleType):
        raise TermError(f"{op} of a tuple")
    if not bound <= t.axes.keys():
        raise TermError(f"{op} over {sorted(bound - t.axes.keys())}, not axes of {t.type}")
    truth = op in ("any", "all")
    if truth != (t.kind == Kind.BOOL) or (t.kind == Kind.COMPLEX and op != "prod"):
        raise TermError(f"{op} of elements of kind {t.kind}")
    if op in ("argmax", "argmin") and len(bound) != 1:
        raise TermError(f"{op} is over one axis")


def _without_repetition(op: str, t: Term, bound: frozenset[str]) -> tuple[Term, dict[str, Size]]:
    """(t', axes) where t only repeats along `axes` of the bound ones and the reduction over them is already done in t'."""
    core = pointwise.unexpanded(t)
    repeated = {axis: size for axis, size in t.axes.items() if axis in bound and axis not in core.axes}
    if op == "prod":
        repeated = {axis: size for axis, size in repeated.items() if size.constant is not None}
    else:
        repeated = {axis: size for axis, size in repeated.items() if at_most(1, size)}
    if not repeated:
        return t, {}
    kept = {axis: size for axis, size in t.axes.items() if axis not in repeated}
    if op == "prod":
        count = 1
        for size in repeated.values():
            count *= size.constant or 0
        core = build.cast(build.power(core, count), t.kind) if count <= scalar.LARGEST_EXPONENT else core
        if count > scalar.LARGEST_EXPONENT:
            return t, {}
    return build.expand(core, kept), repeated


def _node(op: str, t: Term, bound: frozenset[str]) -> Term:
    """The reduction with a rename at the root of t absorbed."""
    names = pointwise.rename_of(t)
    if names is None:
        return base.node("reduce", (t,), (op, tuple(sorted(bound))))
    inner = base.node("reduce", (t.args[0],), (op, tuple(sorted(old for old, new in names.items() if new in bound))))
    return pointwise.renamed(inner, names)


def _infer(args: tuple[Term, ...], attrs: Any) -> Type:
    op, bound = attrs
    (t,) = args
    kept = {axis: size for axis, size in t.axes.items() if axis not in bound}
    return Type(Kind.INT if op in ("argmax", "argmin") else t.kind, kept)


def identity(op: str, kind: Kind) -> Any:
    """The value over no lane."""
    if op in ("any", "all", "prod"):
        return {"any": False, "all": True, "prod": 1}[op]
    if kind == Kind.INT:
        return -(2**63) if op == "max" else 2**63 - 1
    return -float("inf") if op == "max" else float("inf")


def _meaning(term: Term, args: Sequence[Any], environment: base.Environment) -> Any:
    import numpy as np

    op, bound = term.attrs
    (t,) = term.args
    places = tuple(i for i, axis in enumerate(t.axes) if axis in bound)
    if op in ("argmax", "argmin"):
        if args[0].shape[places[0]] == 0:
            raise TermError(f"{op} over the empty axis {bound[0]}")
        return np.asarray(getattr(np, op)(args[0], axis=places[0]), np.int64)
    ufunc = {"max": np.maximum, "min": np.minimum, "prod": np.multiply, "any": np.logical_or, "all": np.logical_and}[op]
    value = ufunc.reduce(args[0], axis=places, initial=identity(op, term.kind))
    return np.asarray(value, const.DTYPES[term.kind])


def _hit_share(term: Term) -> Term:
    """[t == extreme] / number of lanes where it is reached: extremes that are reached together share a derivative."""
    (t,) = term.args
    hit = build.cast(build.apply("eq", t, term), Kind.INT)
    return build.divide(hit, build.sum_over(hit, term.attrs[1]))


def _other_factors(term: Term) -> Term:
    """Product over all lanes but one, per lane; quadratic, and right where a factor is zero."""
    (t,) = term.args
    bound = term.attrs[1]
    fresh = build.fresh_names(bound, t.axes)
    other = build.rename(t, fresh)
    same = build.const(True)
    for axis in bound:
        size = t.axes[axis]
        same = build.apply("and", same, build.apply("eq", build.iota(axis, size), build.iota(fresh[axis], size)))
    return make_reduce("prod", build.where(same, build.const(1), other), fresh.values())


def _partial(term: Term) -> Term | None:
    op = term.attrs[0]
    if op in ("max", "min"):
        return _hit_share(term)
    return _other_factors(term) if op == "prod" else None


def _tangent(term: Term, tangents: Sequence[Term | None]) -> Term | None:
    (dt,) = tangents
    partial = None if dt is None else _partial(term)
    if dt is None or partial is None:
        return None
    return build.conform(build.sum_over(contract.multiply([partial, dt]), term.attrs[1]), term.type)


def _cotangent(term: Term, g: Term) -> Sequence[Term | None]:
    (t,) = term.args
    partial = _partial(term) if t.kind >= Kind.REAL else None
    return [None if partial is None else build.fit_cotangent(contract.multiply([scalar.conjugate(partial), g]), t)]


OPERATOR = base.define(
    base.Operator(
        name="reduce",
        infer=_infer,
        meaning=_meaning,
        rebuild=lambda term, args: make_reduce(term.attrs[0], args[0], term.attrs[1]),
        tangent=_tangent,
        cotangent=_cotangent,
    )
)
