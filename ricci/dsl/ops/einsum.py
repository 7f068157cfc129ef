"""How numpy evaluates a contract: pairwise, smallest intermediate first, with any number of labels.

A product of integers alone stays an integer; as part of a real one they are real from the start, since their own product (n^6 of a
number of points) may be larger than an integer can be. A product without sums is a broadcast multiplication.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import combinations
from typing import Any

Labelled = tuple[Any, list[Hashable]]  # array and one label per axis


def contract_arrays(factors: Sequence[tuple[Any, Sequence[Hashable]]], out: Sequence[str], dtype: str) -> Any:
    """Sum over the labels that are not in `out` of the product of the arrays; axes of the result in the order of `out`."""
    import numpy as np

    free: set[Hashable] = set(out)
    operands: list[Labelled] = [_diagonal(np.asarray(value).astype(dtype, copy=False), list(labels)) for value, labels in factors]
    counts: dict[Hashable, int] = {}
    sizes: dict[Hashable, int] = {}
    for value, labels in operands:
        for label, n in zip(labels, value.shape, strict=True):
            counts[label] = counts.get(label, 0) + 1
            sizes[label] = n
    operands = [_sum(op, {label for label in op[1] if counts[label] == 1 and label not in free}) for op in operands]
    while len(operands) > 1:
        i, j = _cheapest(operands, free, sizes)
        right = operands.pop(j)
        left = operands.pop(i)
        used = free.union(*(labels for _, labels in operands))
        operands.append(_multiply(left, right, used, dtype))
    value, labels = operands[0]
    value = value.transpose([labels.index(label) for label in out])
    return value.astype(dtype, copy=False)


def _diagonal(value: Any, labels: list[Hashable]) -> Labelled:
    """Read axes with one label on their common diagonal."""
    import numpy as np

    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            value = np.diagonal(value, axis1=i, axis2=j)  # the diagonal becomes the last axis
            labels = [other for k, other in enumerate(labels) if k not in (i, j)] + [label]
    return value, labels


def _sum(operand: Labelled, over: set[Hashable]) -> Labelled:
    value, labels = operand
    if not over:
        return operand
    axes = tuple(i for i, label in enumerate(labels) if label in over)
    return value.sum(axis=axes), [label for label in labels if label not in over]


def _cheapest(operands: Sequence[Labelled], free: set[Hashable], sizes: dict[Hashable, int]) -> tuple[int, int]:
    """The pair with a common label whose product, after summing what no other operand has, grows least.

    Without common labels: the two smallest operands.
    """
    holders: dict[Hashable, list[int]] = {}
    for i, (_, labels) in enumerate(operands):
        for label in labels:
            holders.setdefault(label, []).append(i)
    pairs = {pair for held in holders.values() for pair in combinations(held, 2)}
    if len(operands) == 2 or not pairs:
        i, j = sorted(sorted(range(len(operands)), key=lambda k: operands[k][0].size)[:2])
        return i, j

    def growth(pair: tuple[int, int]) -> tuple[int, int, int]:
        i, j = pair
        size = 1
        for label in {*operands[i][1], *operands[j][1]}:
            inside = (i in holders[label]) + (j in holders[label])
            if label in free or len(holders[label]) > inside:
                size *= sizes[label]
        return size - operands[i][0].size - operands[j][0].size, i, j

    return min(pairs, key=growth)


def _multiply(left: Labelled, right: Labelled, used: set[Hashable], dtype: str) -> Labelled:
    import numpy as np

    labels = list(dict.fromkeys([*left[1], *right[1]]))
    kept = [label for label in labels if label in used]
    if len(kept) == len(labels):
        return _spread(left, labels) * _spread(right, labels), labels
    number = {label: i for i, label in enumerate(labels)}
    value = np.einsum(
        left[0].astype(dtype, copy=False),
        [number[label] for label in left[1]],
        right[0].astype(dtype, copy=False),
        [number[label] for label in right[1]],
        [number[label] for label in kept],
        optimize="greedy",
    )
    return value, kept


def _spread(operand: Labelled, labels: Sequence[Hashable]) -> Any:
    """View with one axis per label, of length one where the operand lacks it."""
    value, own = operand
    present = [label for label in labels if label in own]
    value = value.transpose([own.index(label) for label in present])
    shape = iter(value.shape)
    return value.reshape([next(shape) if label in own else 1 for label in labels])
