"""solve: linear systems given by a function. Attributes after the name: (apply,)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops import base, const, subprogram
from ricci.dsl.term import Function, Term, TermError
from ricci.dsl.types import Kind, TupleType, Type
from ricci.errors import CannotLower, CannotRun

Tangents = Sequence[Term | None]


def prepare(args: Sequence[Term], attrs: tuple[Any, ...]) -> tuple[list[Term], tuple[Any, ...]]:
    """Right-hand sides conform to the results of apply, constants to its last params."""
    if len(attrs) != 1 or not isinstance(attrs[0], Function):
        raise TermError("solve has one attribute, the function that is inverted")
    apply = attrs[0]
    count = len(apply.results)
    if len(apply.params) != len(args) or len(args) < count or not count:
        raise TermError("solve has one right-hand side per result of its function, then its constants")
    body = subprogram.positional(apply, [root.type for root in apply.roots])
    types = [root.type for root in body.roots] + [p.type for p in body.params[count:]]
    return [build.conform(a, type_) for a, type_ in zip(args, types, strict=True)], (body,)


def infer(args: Sequence[Term], attrs: tuple[Any, ...]) -> TupleType:
    (apply,) = attrs
    kind = max(r.kind for r in apply.roots)
    return TupleType(tuple(Type(max(p.kind, min(kind, Kind.REAL)), p.axes) for p in apply.params[: len(apply.results)]))


def meaning(term: Term, args: Sequence[Any], environment: base.Environment) -> tuple[Any, ...]:
    """Assemble the matrix column by column from unit vectors, over the reals (re and im apart), and solve it densely."""
    import numpy as np

    from ricci.dsl.reference import call

    apply = term.attrs[1]
    count = len(apply.results)
    consts = list(args[count:])
    shapes = [tuple(size.evaluate(environment.dims) for size in c.axes.values()) for c in term.type]
    dtypes = [const.DTYPES[c.kind] for c in term.type]
    right = _flatten(args[:count])
    zeros = [np.zeros(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
    unknowns = _flatten(zeros).size
    if unknowns != right.size:
        raise CannotRun("E0702", f"a linear system has {right.size} equations and {unknowns} unknowns")
    origin = _flatten(call(apply, [*zeros, *consts], environment.dims))
    matrix = np.zeros((right.size, unknowns))
    for column in range(unknowns):
        unit = np.zeros(unknowns)
        unit[column] = 1.0
        matrix[:, column] = _flatten(call(apply, [*_unflatten(unit, shapes, dtypes), *consts], environment.dims)) - origin
    if np.any(origin[np.isfinite(origin)]):  # a constant that is not finite makes 0 * inf of a linear function, and the solution NaN
        raise TermError("the function of a linear system is linear, without a constant part")
    try:
        solution = np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        raise CannotRun("E0702", "a linear system is singular") from None
    return tuple(_unflatten(solution, shapes, dtypes))


def _flatten(arrays: Sequence[Any]) -> Any:
    """Real coordinates of arrays, one after the other; a complex number is two."""
    import numpy as np

    parts = [np.zeros(0)]
    for array in arrays:
        parts.append(np.real(array).astype(float).ravel())
        if np.iscomplexobj(array):
            parts.append(np.imag(array).ravel())
    return np.concatenate(parts)


def _unflatten(values: Any, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[str]) -> list[Any]:
    import numpy as np

    out = []
    start = 0
    for shape, dtype in zip(shapes, dtypes, strict=True):
        count = int(np.prod(shape))
        array = values[start : start + count].astype(dtype)
        start += count
        if dtype == "complex128":
            array = array + 1j * values[start : start + count]
            start += count
        out.append(array.reshape(shape))
    return out


def tangent(term: Term, results: Sequence[Term], tangents: Tangents) -> Tangents:
    """apply(x', k) = b' - d apply(x, k)[k']"""
    from ricci.dsl import derivative

    apply = term.attrs[1]
    count = len(apply.results)
    moving = {p: t for p, t in zip(apply.params[count:], tangents[count:], strict=True) if t is not None and t.kind >= Kind.REAL}
    own = dict(zip(apply.params, [*results, *term.args[count:]], strict=True))
    right = [build.zero(root.type) if t is None else t for root, t in zip(apply.roots, tangents[:count], strict=True)]
    if moving:
        directions = {p: build.symbol(f"{p.attrs[0]}'", p.type) for p in moving}
        changes = derivative.tangent(list(apply.roots), directions)
        outer = build.substitute(changes, {**own, **{directions[p]: build.conform(t, p.type) for p, t in moving.items()}})
        right = [build.sub(r, change) for r, change in zip(right, outer, strict=True)]
    whole = build.library("solve", (*right, *term.args[count:]), (apply,))
    return [build.proj(whole, k) for k in range(count)]


def transposed(apply: Function) -> Function:
    """The adjoint: params are one dual per result, then the constants; results one per unknown."""
    from ricci.dsl import derivative

    count = len(apply.results)
    duals = [build.symbol(f"{k}^", root.type) for k, root in enumerate(apply.roots)]
    unknowns = list(apply.params[:count])
    roots = derivative.gradient(list(zip(apply.roots, duals, strict=True)), unknowns)
    if any(subprogram.reached(roots, unknowns)):
        raise CannotLower("E0601", "the adjoint of a linear system needs a function that is plainly linear in the unknowns")
    named = tuple((str(k), build.conform(root, p.type)) for k, (root, p) in enumerate(zip(roots, unknowns, strict=True)))
    return Function("", (*duals, *apply.params[count:]), named)


def cotangent(term: Term, results: Sequence[Term], seeds: Sequence[Term]) -> Tangents:
    """apply^H(lambda, k) = g; b_bar = lambda, k_bar = -(d apply / d k)^H lambda"""
    from ricci.dsl import derivative

    apply = term.attrs[1]
    count = len(apply.results)
    consts = term.args[count:]
    whole = build.library("solve", (*seeds, *consts), (transposed(apply),))
    duals = [build.conform(build.proj(whole, k), root.type) for k, root in enumerate(apply.roots)]
    out: list[Term | None] = list(duals)
    real = [p for p in apply.params[count:] if p.kind >= Kind.REAL]
    seeds_inside = [build.symbol(f"{k}^", d.type) for k, d in enumerate(duals)]
    grads = derivative.gradient(list(zip(apply.roots, seeds_inside, strict=True)), real)
    own = {**dict(zip(apply.params, [*results, *consts], strict=True)), **dict(zip(seeds_inside, duals, strict=True))}
    found = dict(zip(real, build.substitute(grads, own), strict=True))
    out += [build.neg(found[p]) if p in found else None for p in apply.params[count:]]
    return out
