"""Common sub-sums and sub-products: parts that two sums (or products) have in common become classes of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ricci.egraph.rational import Rational, over, tidy
from ricci.egraph.space import Form, Powers, Space

WORK = 2_000_000  # pairs of uses that one round looks at
SUMMANDS = 100_000  # of all sums that one round writes with a part taken out, those that save most first


def form_of(space: Space, members: Sequence[tuple[Rational, int]]) -> Form:
    """Canonical class -> coefficient of a sum of q * reference."""
    merged: Form = {}
    for q, ref in members:
        p, base = space.split(ref)
        merged[base >> 1] = merged.get(base >> 1, 0) + q * p
    return {d: q for d, q in merged.items() if q}


def sums_of(space: Space, variants: int = 1) -> dict[int, list[Form]]:
    """Class -> its sums of two members and more: the flattened one first, then the shortest others."""
    out: dict[int, list[Form]] = {}
    for c in space.classes():
        forms: list[Form] = []
        if c in space.forms:
            forms.append(form_of(space, [(q, 2 * d) for d, q in space.forms[c].items()]))
        if variants > 1:
            nodes = [(node, sign) for node, sign in space.nodes[c].items() if node.op == "sum"]
            for node, sign in sorted(nodes, key=lambda item: len(item[0].children)):
                forms.append(form_of(space, [(1 - 2 * sign, r) for r in node.children]))
        kept = list({tuple(sorted(f.items())): f for f in forms if len(f) > 1 and c not in f}.values())[:variants]
        if kept:
            out[c] = kept
    return out


Multiples = dict[int, list[Rational]]


def multiples_of(space: Space) -> Multiples:
    """Class -> the numbers q for which q * class is a class too."""
    out: Multiples = {}
    for c, (q, base) in space.scales.items():
        if space.up[c] >> 1 == c:
            ref = space.find(base)
            out.setdefault(ref >> 1, []).append(-q if ref & 1 else q)
    return {c: list(dict.fromkeys(numbers)) for c, numbers in out.items()}


def state_sum(space: Space, c: int, parts: Sequence[tuple[Rational, int]], multiples: Multiples) -> None:
    """State that class c is the sum; its multiples get the sum with the numbers multiplied in, which saves one multiplication."""
    out = space.sum(parts)
    space.union(space.expand(out, space.axes[space.find(2 * c) >> 1]), 2 * c)
    for q in multiples.get(c, ()):
        space.sum([(tidy(q * p), ref) for p, ref in parts])


def products_of(space: Space) -> dict[int, Powers]:
    """Class -> flattened product, canonical; only products of two factors and more."""
    out: dict[int, Powers] = {}
    for c, powers in list(space.powers.items()):
        if space.up[c] >> 1 != c:
            continue
        merged: Powers = {}
        for d, k in powers.items():
            ref = space.find(2 * d)
            if ref & 1:
                break
            merged[ref >> 1] = merged.get(ref >> 1, 0) + k
        else:
            if sum(merged.values()) > 1 and c not in merged:
                out[c] = merged
    return out


def share_sums(space: Space, classes: Sequence[int], limit: int, variants: int = 4) -> int:
    """For pairs of sums: S = q (common) + rest for both. Returns how many classes were proposed (at most `limit`)."""
    sums, multiples = sums_of(space, variants), multiples_of(space)
    chosen = [(c, form) for c in classes for form in sums.get(c, ())]
    where: dict[int, list[int]] = {}
    for i, (_, form) in enumerate(chosen):
        for d in form:
            where.setdefault(d, []).append(i)
    proposed: dict[tuple[tuple[int, Rational], ...], dict[int, None]] = {}
    for i, j in _pairs([list(form) for _, form in chosen], where):
        if chosen[i][0] != chosen[j][0]:
            for part in _proportional(chosen[i][1], chosen[j][1]):
                proposed.setdefault(part, {}).update({i: None, j: None})
    made = written = 0
    for part, users in sorted(proposed.items(), key=lambda item: -(len(item[0]) - 1) * (len(item[1]) - 1)):
        if made >= limit or written > SUMMANDS:
            break
        made += 1
        written += sum(len(chosen[i][1]) for i in users)
        common = space.sum([(q, 2 * d) for d, q in part])
        taken = {d for d, _ in part}
        for i in users:
            c, form = chosen[i]
            rest = [(q, 2 * d) for d, q in form.items() if d not in taken]
            if rest:
                state_sum(space, c, [(over(form[part[0][0]], part[0][1]), common), *rest], multiples)
    return made


def _pairs(members: Sequence[Sequence[int]], where: dict[int, list[int]]) -> Iterator[tuple[int, int]]:
    """Pairs (i, j), j < i, of lists with two common members, as far as WORK goes."""
    work = 0
    for i, own in enumerate(members):
        counts: dict[int, int] = {}
        for d in own:
            for j in where[d]:
                if j >= i:
                    break
                counts[j] = counts.get(j, 0) + 1
            work += len(where[d])
        if work > WORK:
            return
        yield from ((i, j) for j, count in counts.items() if count >= 2)


def _proportional(a: Form, b: Form) -> list[tuple[tuple[int, Rational], ...]]:
    """Largest parts of two sums that are multiples of each other, scaled so that the first coefficient is 1."""
    by_ratio: dict[Rational, list[int]] = {}
    for d in sorted(a):
        if d in b:
            by_ratio.setdefault(over(a[d], b[d]), []).append(d)
    return [tuple((d, over(a[d], a[part[0]])) for d in part) for part in by_ratio.values() if len(part) > 1]


def share_products(space: Space, classes: Sequence[int], limit: int) -> int:
    """For pairs of products: P = common * rest for both."""
    products = products_of(space)
    chosen = [(c, products[c]) for c in classes if c in products]
    where: dict[int, list[int]] = {}
    for i, (_, powers) in enumerate(chosen):
        for d in powers:
            where.setdefault(d, []).append(i)
    proposed: dict[tuple[tuple[int, int], ...], dict[int, None]] = {}
    lists = [[d for d, k in powers.items() for _ in range(min(k, 2))] for _, powers in chosen]  # x^2 has two members
    for i, j in _pairs(lists, where):
        powers, other = chosen[i][1], chosen[j][1]
        part = tuple((d, min(k, other[d])) for d, k in sorted(powers.items()) if d in other)
        if sum(k for _, k in part) >= 2:
            proposed.setdefault(part, {}).update({i: None, j: None})
    made = 0
    for part, users in sorted(proposed.items(), key=lambda item: -sum(k for _, k in item[0]) * len(item[1])):
        if made >= limit:
            break
        made += 1
        common = space.product([(2 * d, k) for d, k in part])
        taken = dict(part)
        for i in users:
            rest = [(2 * d, k - taken.get(d, 0)) for d, k in chosen[i][1].items() if k > taken.get(d, 0)]
            if rest:
                space.product([(common, 1), *rest])
    return made


def split_powers(space: Space) -> int:
    """x^k as products of smaller powers that exist, and as the square of a half."""
    exponents: dict[int, list[int]] = {}
    for c in space.classes():
        for node in list(space.nodes[c]):
            if node.op == "power":
                exponents.setdefault(space.find(node.children[0]) >> 1, []).append(node.exponent)
    made = 0
    for base, powers in exponents.items():
        known = sorted({1, *powers})
        for k in sorted(set(powers)):
            for a in known:
                if k - a > 0 and a >= k - a and (k - a in known or a in known):
                    space.product([(_atom(space, base, a), 1), (_atom(space, base, k - a), 1)])
                    made += 1
            if k % 2 == 0 and k > 2:
                space.product([(_atom(space, base, k // 2), 2)])
                made += 1
    return made


def _atom(space: Space, base: int, k: int) -> int:
    return space.product([(2 * base, k)])
