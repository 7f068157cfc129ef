"""How numpy evaluates a contract: pairwise, smallest intermediate first, with any number of labels.

Values of kind int stay integers. A product without sums is a broadcast multiplication.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import prod
from typing import Any

Labelled = tuple[Any, list[Hashable]]  # array and one label per axis


def contract_arrays(factors: Sequence[tuple[Any, Sequence[Hashable]]], out: Sequence[str], dtype: str) -> Any:
    """Sum over the labels that are not in `out` of the product of the arrays; axes of the result in the order of `out`."""
    import numpy as np

    free = set(out)
    operands: list[Labelled] = [_diagonal(np.asarray(value), list(labels)) for value, labels in factors]
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
        used = free.union(*(labels for _, labels in operands)) if operands else free
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


def _cheapest(operands: Sequence[Labelled], free: set[str], sizes: dict[Hashable, int]) -> tuple[int, int]:
    """The pair whose product, after summing what no other operand has, grows least; pairs without a common label last."""
    if len(operands) == 2:
        return 0, 1
    sets = [set(labels) for _, labels in operands]
    counts: dict[Hashable, int] = {}
    for labels in sets:
        for label in labels:
            counts[label] = counts.get(label, 0) + 1
    best: tuple[Any, ...] | None = None
    for i, left in enumerate(sets):
        for j in range(i + 1, len(sets)):
            right = sets[j]
            kept = [label for label in left | right if label in free or counts[label] > (label in left) + (label in right)]
            size = prod(sizes[label] for label in kept)
            growth = size - operands[i][0].size - operands[j][0].size
            cost = (not left & right, growth, i, j)
            if best is None or cost < best:
                best = cost
    assert best is not None
    return best[2], best[3]


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
