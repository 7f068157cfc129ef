"""gather: t[axis := i] for an int term i. Attributes: (axis,). scatter: out[axis] = sum over X of [i == axis] t; (axis, size, X).

An index outside the axis reads 0 and adds nothing, as the sum with an indicator says that defines both. The arguments may
share axes (then they go together). They are each other's transpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ricci.dsl import build
from ricci.dsl.index import Index
from ricci.dsl.ops import base, const, contract, linear, pointwise, reindex
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Dim, Kind, Size, Type


def make_gather(t: Term, axis: str, i: Term) -> Term:
    """t[axis := i], axes (those of t without `axis`) and those of i.  An affine i is a reindex; scales and broadcasts float out."""
    if axis not in t.axes:
        raise TermError(f"no axis {axis} in {t.type}")
    if i.kind != Kind.INT or axis in i.axes:
        raise TermError(f"the index into axis {axis} is an int without that axis, not {i.type}")
    if t.kind == Kind.BOOL:
        return build.cast(make_gather(build.cast(t, Kind.INT), axis, i), Kind.BOOL)
    axes = pointwise.union([t, i])
    size = axes.pop(axis)
    index = as_index(i, {dim.name: dim for n in (size, *axes.values()) for dim in n.dims})
    if index is not None:
        return reindex.make_reindex(t, axes, {axis: index}, (), 0)
    narrow = pointwise.unexpanded(t)
    if axis not in narrow.axes:
        narrow = build.expand(narrow, {axis: size})
    c, core = linear.primitive(narrow)
    if c != 1 and core.op != "const":
        return build.conform(linear.make_linear([(c, make_gather(core, axis, i))]), Type(t.kind, axes))
    return build.expand(base.node("gather", (narrow, pointwise.unexpanded(i)), (axis,)), axes)


def make_scatter(t: Term, i: Term, axis: str, size: int | Size | Dim, over: Iterable[str]) -> Term:
    """out[axis] = sum over X of [i == axis] t, X axes of t or i; the other axes of both stay."""
    bound = frozenset(over)
    axes = pointwise.union([t, i])
    if t.kind == Kind.BOOL or i.kind != Kind.INT:
        raise TermError(f"scatter of {t.type} at {i.type}")
    if not bound <= axes.keys() or axis in axes.keys() - bound:
        raise TermError(f"scatter to {axis} over {sorted(bound)} of axes {sorted(axes)}")
    whole = {**{name: n for name, n in axes.items() if name not in bound}, axis: Size.of(size)}
    if const.value_of(pointwise.unexpanded(t)) == 0:
        return build.zero(Type(t.kind, whole))
    c, core = linear.primitive(pointwise.unexpanded(t))
    if c != 1:
        inner = make_scatter(build.expand(core, t.axes), i, axis, size, bound)
        return build.conform(linear.make_linear([(c, inner)]), Type(t.kind, whole))
    return base.node("scatter", (t, i), (axis, Size.of(size), tuple(sorted(bound))))


def as_index(i: Term, dims: Mapping[str, Dim]) -> Index | None:
    """The affine index that an int term of iotas and sizes is, else None; `dims` are the dims known by name."""
    total = Index.of(0)
    for c, t in linear.terms_of(pointwise.unexpanded(i)):
        part = _index_factor(pointwise.unexpanded(t), dims)
        if part is None or c.denominator != 1:
            return None
        total = total + part * int(c)
    return total


def _index_factor(t: Term, dims: Mapping[str, Dim]) -> Index | None:
    """As an index: a number, an iota, a size, a product of sizes and at most one iota."""
    value = const.value_of(t)
    if isinstance(value, Fraction):
        return Index.of(int(value))
    factors = [t]
    if t.op == "contract":
        pairs = contract.factors_of(t)
        if contract.bound_of(t) or any(axis != label for _, access in pairs for axis, label in access.items()):
            return None
        factors = [f for f, _ in pairs]
    index = Index.of(1)
    for f in factors:
        if f.op == "iota" and not index.axes:
            index = Index.axis(f.attrs[0]) * index.constant
        elif f.op == "symbol" and name_of(f)[1:] in dims and name_of(f).startswith("#"):
            index = index * Size.of(dims[name_of(f)[1:]])
        else:
            return None
    return index


def _infer_gather(args: tuple[Term, ...], attrs: Any) -> Type:
    t, _ = args
    axes = pointwise.union(args)
    del axes[attrs[0]]
    return Type(t.kind, axes)


def _infer_scatter(args: tuple[Term, ...], attrs: Any) -> Type:
    axis, size, bound = attrs
    axes = {name: n for name, n in pointwise.union(args).items() if name not in bound}
    return Type(args[0].kind, {**axes, axis: size})


def _lanes(shape: Mapping[str, int], axes: Iterable[str], axis: str, places: Any) -> tuple[Any, ...]:
    """Index tuple into an array with `axes`: every axis its own lane of `shape`, `axis` the given places."""
    import numpy as np

    grid = {name: np.arange(n).reshape([-1 if other == name else 1 for other in shape]) for name, n in shape.items()}
    return tuple(places if name == axis else grid[name] for name in axes)


def _meaning_gather(term: Term, args: Sequence[Any], environment: base.Environment) -> Any:
    import numpy as np

    (axis,) = term.attrs
    t, i = term.args
    value, positions = args
    shape = {name: size.evaluate(environment.dims) for name, size in term.axes.items()}
    places = linear.aligned(positions, i, term)
    n = value.shape[list(t.axes).index(axis)]
    inside = (places >= 0) & (places < n)
    if n == 0:
        return np.zeros(tuple(shape.values()), const.DTYPES[term.kind])
    index = _lanes(shape, t.axes, axis, np.where(inside, places, 0))
    return np.broadcast_to(np.where(inside, value[index], np.zeros((), value.dtype)), tuple(shape.values()))


def _meaning_scatter(term: Term, args: Sequence[Any], environment: base.Environment) -> Any:
    import numpy as np

    axis, size, _ = term.attrs
    whole = dict(sorted(pointwise.union(term.args).items()))
    shape = {name: n.evaluate(environment.dims) for name, n in whole.items()}
    lanes = tuple(shape.values())
    views = []
    for value, t in zip(args, term.args, strict=True):
        own = iter(value.shape)
        views.append(np.broadcast_to(value.reshape([next(own) if name in t.axes else 1 for name in whole]), lanes))
    n = size.evaluate(environment.dims)
    out = np.zeros([n if name == axis else shape[name] for name in term.axes], const.DTYPES[term.kind])
    inside = (views[1] >= 0) & (views[1] < n)
    index = _lanes(shape, term.axes, axis, np.where(inside, views[1], 0))
    if n and inside.size:
        np.add.at(out, index, np.where(inside, views[0], np.zeros((), views[0].dtype)))
    return out


def _gather_tangent(term: Term, tangents: Sequence[Term | None]) -> Term | None:
    return None if tangents[0] is None else make_gather(tangents[0], term.attrs[0], term.args[1])


def _gather_cotangent(term: Term, g: Term) -> Sequence[Term | None]:
    (axis,) = term.attrs
    t, i = term.args
    over = i.axes.keys() - t.axes.keys()
    return [make_scatter(g, i, axis, t.axes[axis], over), None]


def _scatter_tangent(term: Term, tangents: Sequence[Term | None]) -> Term | None:
    axis, size, bound = term.attrs
    dt = tangents[0]
    return None if dt is None else make_scatter(dt, term.args[1], axis, size, bound)


def _scatter_cotangent(term: Term, g: Term) -> Sequence[Term | None]:
    axis = term.attrs[0]
    t, i = term.args
    fresh = build.fresh_names([axis], {**g.axes, **t.axes, **i.axes})
    value = make_gather(build.rename(g, fresh), fresh[axis], i)
    return [build.fit_cotangent(value, t), None]


GATHER = base.define(
    base.Operator(
        name="gather",
        infer=_infer_gather,
        meaning=_meaning_gather,
        rebuild=lambda term, args: make_gather(args[0], term.attrs[0], args[1]),
        tangent=_gather_tangent,
        cotangent=_gather_cotangent,
    )
)

SCATTER = base.define(
    base.Operator(
        name="scatter",
        infer=_infer_scatter,
        meaning=_meaning_scatter,
        rebuild=lambda term, args: make_scatter(args[0], args[1], *term.attrs),
        tangent=_scatter_tangent,
        cotangent=_scatter_cotangent,
    )
)
