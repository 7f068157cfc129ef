"""Factoring of sums: common factors and coefficients pulled out of the members that have them; Horner's scheme."""

from __future__ import annotations

from collections.abc import Sequence

from ricci.egraph.planners.sharing import Multiples, multiples_of, products_of, state_sum, sums_of
from ricci.egraph.rational import Rational
from ricci.egraph.space import Form, Powers, Space


def factor_sums(space: Space, classes: Sequence[int], factors: int, limit: int, variants: int = 3) -> int:
    """S = v * (members with v) / v + rest for the most frequent factors v of every sum. Returns how many were pulled."""
    sums, products, multiples = sums_of(space, variants), products_of(space), multiples_of(space)
    made = 0
    for c in classes:
        for form in sums.get(c, ()):
            for group in _candidates(form, products, factors):
                if made >= limit:
                    return made
                made += 1
                _pull(space, c, form, products, group, multiples)
    return made


def powers_of(c: int, products: dict[int, Powers]) -> Powers:
    return products.get(c) or {c: 1}


def _candidates(form: Form, products: dict[int, Powers], variables: int) -> list[tuple[int, ...]]:
    """Members that share a factor, most first; one entry a factor."""
    members: dict[int, list[int]] = {}
    for d in form:
        for v in powers_of(d, products):
            members.setdefault(v, []).append(d)
    ranked = sorted(((v, ds) for v, ds in members.items() if len(ds) > 1), key=lambda item: (-len(item[1]), item[0]))
    return list(dict.fromkeys(tuple(ds) for _, ds in ranked[:variables]))


def _pull(space: Space, c: int, form: Form, products: dict[int, Powers], group: Sequence[int], multiples: Multiples) -> None:
    """Node common * (group / common) + rest in the class of the sum."""
    powers = [powers_of(d, products) for d in group]
    common = {v: min(p.get(v, 0) for p in powers) for v in powers[0]}
    common = {v: k for v, k in common.items() if k}
    parts = []
    for d, p in zip(group, powers, strict=True):
        left = [(2 * v, k - common.get(v, 0)) for v, k in p.items() if k > common.get(v, 0)]
        parts.append((form[d], space.product(left) if left else space.one))
    quotient = space.sum(parts)
    pulled = space.product([(2 * v, k) for v, k in common.items()] + [(quotient, 1)])
    rest = [(q, 2 * d) for d, q in form.items() if d not in set(group)]
    state_sum(space, c, [(1, pulled), *rest], multiples)


def group_coefficients(space: Space, classes: Sequence[int]) -> int:
    """S = sum_q q * (members with coefficient +-q): one multiplication a distinct coefficient, for S and its multiples."""
    sums, multiples = sums_of(space), multiples_of(space)
    made = 0
    for c in classes:
        if c not in sums:
            continue
        (form,) = sums[c]
        groups: dict[Rational, list[tuple[Rational, int]]] = {}
        for d, q in form.items():
            groups.setdefault(-q if q < 0 else q, []).append((1 if q > 0 else -1, 2 * d))
        if len(groups) == 1:
            continue
        parts = [(q, space.sum(g)) for q, g in groups.items()]
        state_sum(space, c, parts, multiples)
        made += 1
    return made
