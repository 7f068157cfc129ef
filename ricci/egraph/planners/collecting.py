"""Sums over array values with coefficients from outer loops: sum_k a_k (sum_j ..) collected by what varies most.

`D*hx*(u1 - 2 u + u2) + D*hy*(u3 - 2 u + u4) - F*(u - 1)` becomes `A*(u1 + u2) + B*(u3 + u4) + C*u + F` with A, B, C computed once:
every summand is split into a coefficient that lacks some axis of the sum and the rest; equal rests are added in the
coefficients, equal coefficients are factored. Only one sum at a time is multiplied out, so nothing cancels that did not
cancel before.
"""

from __future__ import annotations

from collections.abc import Sequence

from ricci.egraph.planners.sharing import Multiples, multiples_of, products_of, state_sum, sums_of
from ricci.egraph.rational import Rational
from ricci.egraph.space import Axes, Form, Powers, Space

LARGEST = 400  # members of a collected sum
Parts = dict[int, dict[int, Rational]]  # rest (class) -> coefficient (class) -> number


def collect(space: Space, classes: Sequence[int], limit: int) -> int:
    """Propose the collected form of every sum; returns how many were proposed."""
    sums, products, multiples = sums_of(space), products_of(space), multiples_of(space)
    made = 0
    for c in classes:
        form = sums.get(c, [None])[0]
        if form is None or not space.axes[c] or made >= limit:
            continue
        parts = _expand(space, form, space.axes[c], sums, products)
        if parts is None:
            continue
        made += 1
        _propose(space, c, parts, multiples)
    return made


def _expand(space: Space, form: Form, axes: Axes, sums: dict[int, list[Form]], products: dict[int, Powers]) -> Parts | None:
    """The sum by rests, sums under outer coefficients multiplied out; None if no sum was."""
    parts: Parts = {}
    stack = [(q, d, space.one) for d, q in reversed(form.items())]
    opened = False
    count = 0
    while stack:
        q, d, outer = stack.pop()
        count += 1
        if count > LARGEST:
            return None
        factors = products.get(d) or {d: 1}
        coefficient = [(2 * v, k) for v, k in factors.items() if space.axes[v] < axes and space.axes[v] != axes]
        rest = [(2 * v, k) for v, k in factors.items() if not space.axes[v] < axes]
        s, base = space.split(space.product([(outer, 1), *coefficient]))
        q *= s
        if len(rest) == 1 and rest[0][1] == 1 and (base != space.one or d != rest[0][0] >> 1):
            inner = sums.get(rest[0][0] >> 1)
            if inner is not None:
                opened = True
                stack.extend((q * p, e, base) for e, p in reversed(inner[0].items()))
                continue
        p, value = space.split(space.product(rest) if rest else space.one)
        own = parts.setdefault(value >> 1, {})
        own[base >> 1] = own.get(base >> 1, 0) + q * p
    return parts if opened else None


def _propose(space: Space, c: int, parts: Parts, multiples: Multiples) -> None:
    """Nodes sum_rest coefficient * rest, and the same with equal coefficients factored."""
    grouped: dict[int, list[tuple[Rational, int]]] = {}
    flat: list[tuple[Rational, int]] = []
    for rest, coefficients in parts.items():
        q, base = space.split(space.sum([(q, 2 * k) for k, q in coefficients.items()]))
        if q == 0 or base == space.find(space.zero):
            continue
        grouped.setdefault(base, []).append((q, 2 * rest))
        flat.append((q, space.product([(base, 1), (2 * rest, 1)])))
    members = []
    for base, group in grouped.items():
        by_number: dict[Rational, list[tuple[Rational, int]]] = {}
        for q, rest in group:
            by_number.setdefault(-q if q < 0 else q, []).append((1 if q > 0 else -1, rest))
        if base == space.find(space.one) or len(by_number) == 1:
            members += [(q, space.product([(base, 1), (space.sum(g), 1)])) for q, g in by_number.items()]
        else:
            inner = space.sum([(q, space.sum(g)) for q, g in by_number.items()])
            members.append((1, space.product([(base, 1), (inner, 1)])))
    for proposal in (members, flat):
        state_sum(space, c, proposal, multiples)
