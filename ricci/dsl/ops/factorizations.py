"""cholesky and eigh of the Hermitian part of a matrix A[i, j], further axes being independent cases.

Derivatives: M. B. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation", 2008.
Attributes after the name: (i, j) for cholesky, (i, j, k) for eigh.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops import base
from ricci.dsl.term import Function, Term, TermError
from ricci.dsl.types import Kind, TupleType, Type
from ricci.errors import CannotRun

Tangents = Sequence[Term | None]
Axes = dict[str, str]


def prepare(args: Sequence[Term], attrs: tuple[Any, ...]) -> tuple[list[Term], tuple[Any, ...]]:
    if len(args) != 1 or args[0].kind == Kind.BOOL or len(attrs) not in (2, 3) or len(set(attrs)) != len(attrs):
        raise TermError("a factorization takes one matrix and distinct axes")
    (t,) = args
    if attrs[0] not in t.axes or t.axes[attrs[0]] is not t.axes.get(attrs[1]) or any(k in t.axes for k in attrs[2:]):
        raise TermError(f"a factorization over axes {attrs} of {t.type}")
    return [build.cast(t, max(t.kind, Kind.REAL))], attrs


def infer_cholesky(args: Sequence[Term], attrs: tuple[Any, ...]) -> TupleType:
    return TupleType((args[0].type,))


def infer_eigh(args: Sequence[Term], attrs: tuple[Any, ...]) -> TupleType:
    (t,) = args
    i, j, k = attrs
    batch = {name: size for name, size in t.axes.items() if name not in (i, j)}
    values = Type(Kind.REAL, {**batch, k: t.axes[i]})
    return TupleType((values, Type(t.kind, {**batch, i: t.axes[i], k: t.axes[i]})))


def _hermitian(value: Any, axes: Sequence[str], i: str, j: str) -> Any:
    """The Hermitian part with i and j as the last two axes."""
    import numpy as np

    matrix = np.moveaxis(value, [axes.index(i), axes.index(j)], [-2, -1])
    return 0.5 * (matrix + np.conj(np.swapaxes(matrix, -1, -2)))


def _in_order(value: Any, names: Sequence[str], axes: Sequence[str]) -> Any:
    return value.transpose([names.index(name) for name in axes])


def cholesky(term: Term, args: Sequence[Any], environment: base.Environment) -> tuple[Any, ...]:
    import numpy as np

    i, j = term.attrs[1:]
    axes = list(term.args[0].axes)
    try:
        factor = np.linalg.cholesky(_hermitian(args[0], axes, i, j))
    except np.linalg.LinAlgError:
        raise CannotRun("E0702", "a Cholesky factor of a matrix that is not positive definite") from None
    names = [name for name in axes if name not in (i, j)] + [i, j]
    return (_in_order(factor, names, axes),)


def eigh(term: Term, args: Sequence[Any], environment: base.Environment) -> tuple[Any, ...]:
    import numpy as np

    i, j, k = term.attrs[1:]
    axes = list(term.args[0].axes)
    try:
        values, vectors = np.linalg.eigh(_hermitian(args[0], axes, i, j))
    except np.linalg.LinAlgError:
        raise CannotRun("E0702", "the eigenvalues of a matrix do not converge") from None
    batch = [name for name in axes if name not in (i, j)]
    first, second = term.type.components
    return _in_order(values, [*batch, k], list(first.axes)), _in_order(vectors, [*batch, i, k], list(second.axes))


# small matrix algebra on terms: a matrix is a term with a row and a column axis


def _product(a: Term, b: Term, inner: tuple[str, str], to: Axes | None = None) -> Term:
    """sum over a's axis inner[0] = b's axis inner[1]; axes of b renamed by `to`."""
    shared = build.fresh_names(["m"], {**a.axes, **b.axes})["m"]
    names = dict(to or {})
    factors = [(a, {inner[0]: shared}), (b, {inner[1]: shared, **names})]
    return build.contract(factors, {shared: a.axes[inner[0]]})


def _adjoint(a: Term, i: str, j: str) -> Term:
    """a[i, j] -> conj(a[j, i])"""
    return build.apply("conj", build.rename(a, {i: j, j: i}))


def _hermitian_part(a: Term, i: str, j: str) -> Term:
    return build.scale(build.HALF, build.add(a, _adjoint(a, i, j)))


def _solve(matrix: Term, i: str, j: str, right: Term) -> Term:
    """x with sum_j matrix[i, j] x[j, ..] = right[i, ..]; other axes of right stay."""
    axes = {(j if name == i else name): size for name, size in right.axes.items()}
    unknown = build.symbol("x", Type(max(right.kind, matrix.kind), axes))
    given = build.symbol("a", matrix.type)
    apply = Function("", (unknown, given), (("b", build.contract([(given, {}), (unknown, {})], {j: matrix.axes[j]})),))
    return build.proj(build.library("solve", (right, matrix), (apply,)), 0)


def _lower(a: Term, i: str, j: str) -> Term:
    """Lower triangle with half the diagonal."""
    rows, columns = build.iota(i, a.axes[i]), build.iota(j, a.axes[j])
    half = build.where(build.apply("eq", rows, columns), build.scale(build.HALF, a), build.const(0))
    return build.where(build.apply("lt", columns, rows), a, half)


def cholesky_tangent(term: Term, results: Sequence[Term], tangents: Tangents) -> Tangents:
    """L' = L Phi(L^-1 A' L^-H)"""
    i, j = term.attrs[1:]
    (da,) = tangents
    if da is None:
        return [None]
    (factor,) = results
    left = build.rename(_solve(factor, i, j, build.rename(_hermitian_part(da, i, j), {j: "c"})), {j: i, "c": j})
    both = build.rename(_solve(factor, i, j, build.rename(_adjoint(left, i, j), {j: "c"})), {j: i, "c": j})
    return [_product(factor, _lower(_adjoint(both, i, j), i, j), (j, i))]


def cholesky_cotangent(term: Term, results: Sequence[Term], seeds: Sequence[Term]) -> Tangents:
    """A_bar = herm(L^-H Phi(L^H L_bar) L^-1)"""
    i, j = term.attrs[1:]
    (factor,) = results
    upper = _adjoint(factor, i, j)
    inner = _lower(_product(upper, seeds[0], (j, i)), i, j)
    left = build.rename(_solve(upper, i, j, build.rename(inner, {j: "c"})), {j: i, "c": j})
    both = build.rename(_solve(upper, i, j, build.rename(_adjoint(left, i, j), {j: "c"})), {j: i, "c": j})
    return [_hermitian_part(_adjoint(both, i, j), i, j)]


def _gaps(values: Term, k: str, other: str) -> Term:
    """1 / (w[other] - w[k]), and 0 for equal eigenvalues"""
    gap = build.sub(build.rename(values, {k: other}), values)
    equal = build.apply("eq", gap, build.const(0))
    return build.where(equal, build.const(0), build.divide(build.const(1), build.where(equal, build.const(1), gap)))


def eigh_tangent(term: Term, results: Sequence[Term], tangents: Tangents) -> Tangents:
    """w' = diag(V^H A' V), V' = V (F o (V^H A' V)), F[k, l] = 1/(w[l] - w[k])"""
    i, j, k = term.attrs[1:]
    (da,) = tangents
    if da is None:
        return [None, None]
    values, vectors = results
    other = build.fresh_names([k], {**da.axes, **vectors.axes})[k]
    size = da.axes[i]
    conj = build.apply("conj", vectors)
    inner = build.contract([(conj, {}), (_hermitian_part(da, i, j), {}), (vectors, {i: j, k: other})], {i: size, j: size})
    moved = build.apply("re", build.contract([(conj, {}), (_hermitian_part(da, i, j), {}), (vectors, {i: j})], {i: size, j: size}))
    turned = build.contract([(vectors, {}), (inner, {}), (_gaps(values, k, other), {})], {k: size})
    return [moved, build.rename(turned, {other: k})]


def eigh_cotangent(term: Term, results: Sequence[Term], seeds: Sequence[Term]) -> Tangents:
    """A_bar = herm(V (diag(w_bar) + F o (V^H V_bar)) V^H)"""
    i, j, k = term.attrs[1:]
    values, vectors = results
    value_seed, vector_seed = seeds
    other = build.fresh_names([k], {**vectors.axes, **term.args[0].axes})[k]
    size = term.args[0].axes[i]
    conj = build.apply("conj", vectors)
    straight = build.contract([(vectors, {}), (value_seed, {}), (conj, {i: j})], {k: size})
    inner = build.contract([(conj, {}), (vector_seed, {k: other})], {i: size})
    turned = build.contract([(vectors, {}), (inner, {}), (_gaps(values, k, other), {}), (conj, {i: j, k: other})], {k: size, other: size})
    return [_hermitian_part(build.add(straight, turned), i, j)]
