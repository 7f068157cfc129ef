"""Contractions before scheduling: sums of many factors in pairs, and matrix products that a BLAS computes.

A contraction of several factors in one set of loops costs the product of all sizes; factors are joined in pairs, cheapest
first, where that is less. A pair that is a matrix product (summed labels in both factors, a free label in each) becomes a
`product` term outside of loops: an operator of the scheduler alone, computed between compiled parts by numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops import OPERATORS, contract
from ricci.dsl.term import Term, intern, walk
from ricci.dsl.types import Kind, Size, TupleType

NOMINAL = 64  # extent of an axis whose size is symbolic, when costs are compared
LEAST_MATRIX = 4096  # multiplications per matrix product below which loops are as fast
Label = str | int
Factor = tuple[Term, dict[str, Label]]


def nominal(size: Size) -> int:
    """A size as a number, dims at their nominal extent."""
    return max(1, size.evaluate({dim.name: NOMINAL for dim in size.dims}))


def with_products(roots: Sequence[Term], inside_loop: bool) -> list[Term]:
    """Roots with contractions in pairs, and matrix products as `product` terms unless the block is the body of a loop."""
    done: dict[Term, Term] = {}
    for term in walk(roots):
        args = tuple(done[a] for a in term.args)
        new = term if args == term.args else rebuilt(term, args)
        if new.op == "contract" and contract.contraction_of(new).bound:
            new = _in_pairs(new, inside_loop)
        done[term] = new
    return [done[r] for r in roots]


def rebuilt(term: Term, args: tuple[Term, ...]) -> Term:
    """The operator of a term on other arguments of the same types."""
    if term.op == "product":
        return intern("product", args, term.attrs, term.type)
    return OPERATORS[term.op].rebuild(term, args)


def _in_pairs(term: Term, inside_loop: bool) -> Term:
    factors: list[Factor] = [(t, dict(access)) for t, access in contract.factors_of(term)]
    sizes = contract.bound_of(term)
    every = {label: nominal(t.axes[axis]) for t, access in factors for axis, label in access.items()}
    arrays = [f for f in factors if f[1]]
    if len(arrays) > 2:
        order = _pairing(arrays, set(sizes), every)
        if order is not None:
            return _joined(term, factors, order, inside_loop)
    elif len(arrays) == 2 and not inside_loop and _is_matrix_product(term, arrays, set(sizes), every):
        return _product(term, factors)
    return term


def _labels(factor: Factor) -> set[Label]:
    return set(factor[1].values())


def _pairing(factors: Sequence[Factor], bound: set[Label], sizes: Mapping[Label, int]) -> list[tuple[int, int]] | None:
    """Pairs of positions to join one after the other (the result takes the first position); None if one set of loops is as cheap."""
    sets = {k: _labels(f) for k, f in enumerate(factors)}
    whole = prod(sizes[label] for label in set().union(*sets.values()))
    cost = 0
    order: list[tuple[int, int]] = []
    while len(sets) > 1:
        best: tuple[float, int, int, int] | None = None
        for i in sets:
            for j in sets:
                if i < j:
                    kept = _kept(sets, i, j, bound)
                    growth = _size(kept, sizes) - _size(sets[i], sizes) - _size(sets[j], sizes)
                    apart = 0 if sets[i] & sets[j] else 1
                    candidate = (apart * 1e30 + growth, _size(sets[i] | sets[j], sizes), i, j)
                    best = candidate if best is None or candidate < best else best
        assert best is not None
        _, flops, i, j = best
        cost += flops
        kept = _kept(sets, i, j, bound)
        del sets[j]
        sets[i] = kept
        order.append((i, j))
    return order if 2 * cost < whole else None


def _kept(sets: Mapping[int, set[Label]], i: int, j: int, bound: set[Label]) -> set[Label]:
    """Labels of the join of two factors that others or the result still need."""
    others: set[Label] = set().union(*(s for k, s in sets.items() if k not in (i, j)))
    return {label for label in sets[i] | sets[j] if label not in bound or label in others}


def _size(labels: set[Label], sizes: Mapping[Label, int]) -> int:
    return prod(sizes[label] for label in labels)


def _joined(term: Term, factors: Sequence[Factor], order: Sequence[tuple[int, int]], inside_loop: bool) -> Term:
    """The contraction as nested pairs; kept bound labels are axes `~0`, `~1`, .. of the inner results."""
    sizes = contract.bound_of(term)
    arrays = dict(enumerate(f for f in factors if f[1]))
    scalars = [f for f in factors if not f[1]]
    for i, j in order:
        sets = {k: _labels(f) for k, f in arrays.items()}
        kept = _kept(sets, i, j, set(sizes))
        summed = (sets[i] | sets[j]) & set(sizes) - kept
        last = len(arrays) == 2
        pair = [*scalars, arrays[i], arrays[j]] if last else [arrays[i], arrays[j]]
        named = [(t, {axis: label if label in summed else _axis(label) for axis, label in access.items()}) for t, access in pair]
        joined = build.contract(named, {label: sizes[label] for label in summed})
        if not last or joined.op == "contract":
            inner = _in_pairs(joined, inside_loop) if joined.op == "contract" and contract.contraction_of(joined).bound else joined
            joined = inner
        del arrays[j]
        arrays[i] = (joined, {axis: _label(axis) for axis in joined.axes})
    ((result, _),) = arrays.values()
    return build.cast(build.expand(result, term.axes), term.kind)


def _axis(label: Label) -> str:
    return label if isinstance(label, str) else f"~{label}"


def _label(axis: str) -> Label:
    return int(axis[1:]) if axis.startswith("~") else axis


def _is_matrix_product(term: Term, factors: Sequence[Factor], bound: set[Label], sizes: Mapping[Label, int]) -> bool:
    left, right = (_labels(f) for f in factors)
    distinct = all(len(_labels(f)) == len(f[1]) for f in factors)
    if term.kind < Kind.REAL or not distinct or any(isinstance(f[0].type, TupleType) or f[0].kind < Kind.REAL for f in factors):
        return False
    summed, rows, columns = bound & left & right, left - right, right - left
    if not summed or not rows or not columns or (rows | columns) & bound:
        return False
    return prod(sizes[label] for label in summed | rows | columns) >= LEAST_MATRIX


def _product(term: Term, factors: Sequence[Factor]) -> Term:
    """The contraction with its scalar factors outside and the rest as a `product`."""
    scalars = [t for t, access in factors if not access]
    arrays = [(t, access) for t, access in factors if access]
    inner = build.contract(arrays, contract.bound_of(term))
    matrix = intern("product", inner.args, inner.attrs, inner.type)
    return build.cast(build.mul(*scalars, matrix), term.kind) if scalars else matrix


def evaluate(term: Term, values: Sequence[Any]) -> Any:
    """A `product` by numpy's matrix multiplication: batch labels, rows, summed, columns; axes of the result in canonical order."""
    import numpy as np

    attrs = term.attrs
    accesses = [[label for _, label in access] for access in attrs.accesses]
    (left, own), (right, other) = zip(values, accesses, strict=True)
    free = list(term.axes)
    batch = [label for label in own if label in other and label in free]
    summed = [label for label in own if label in other and label not in free]
    rows = [label for label in own if label not in other]
    columns = [label for label in other if label not in own]
    a = _matrix(left, own, (batch, rows, summed))
    b = _matrix(right, other, (batch, summed, columns))
    extents = {label: n for value, labels in ((left, own), (right, other)) for label, n in zip(labels, value.shape, strict=True)}
    whole = np.matmul(a, b).reshape([extents[label] for label in (*batch, *rows, *columns)])
    labels = [*batch, *rows, *columns]
    return whole.transpose([labels.index(axis) for axis in free])


def _matrix(value: Any, labels: Sequence[Label], groups: Sequence[Sequence[Label]]) -> Any:
    """The array with its labels in three groups: (batch..., first, second)."""
    batch, first, second = groups
    ordered = value.transpose([labels.index(label) for label in (*batch, *first, *second)])
    shape = ordered.shape
    k, m = len(batch), len(batch) + len(first)
    return ordered.reshape([*shape[:k], prod(shape[k:m]), prod(shape[m:])])
