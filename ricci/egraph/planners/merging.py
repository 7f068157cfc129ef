"""Sums of contractions that differ in one factor: A x + B x = (A + B) x, whatever the other factors and the indices."""

from __future__ import annotations

from collections.abc import Mapping

from ricci.dsl.ops.canonical import canonical_labels
from ricci.dsl.ops.contract import Access, Contraction, Label
from ricci.dsl.types import Size
from ricci.egraph.planners.sharing import sums_of
from ricci.egraph.rational import Rational
from ricci.egraph.space import Node, Space
from ricci.egraph.terms import Loader, contraction

GAP = (1 << 62).to_bytes(8, "big")  # stands for the factor that differs
Bound = dict[Label, Size]
Key = tuple[tuple[tuple[int, Access], ...], Access, tuple[Size, ...], tuple[tuple[str, str], ...]]


def merge_contractions(loader: Loader, limit: int) -> int:
    """For every sum: members whose contractions share all factors but one as one contraction of the summed factors."""
    space = loader.space
    made = 0
    for c, (form, *_) in sums_of(space).items():
        groups: dict[Key, list[tuple[Rational, int, int]]] = {}  # key -> (number, member, factor)
        parts: dict[Key, tuple[list[tuple[int, Access]], Access, Bound]] = {}
        for d, q in form.items():
            for node, sign in space.nodes[d].items():
                if node.op != "contract":
                    continue
                for p in range(len(node.children)):
                    key, rest, own, bound = _without(space, node, p)
                    parts.setdefault(key, (rest, own, bound))
                    entry = (-q if sign else q, d, space.find(node.children[p]))
                    if all(entry[1] != other[1] for other in groups.setdefault(key, [])):
                        groups[key].append(entry)
        for key, members in groups.items():
            if len(members) > 1 and made < limit:
                made += 1
                _merge(loader, c, dict(form), members, *parts[key])
    return made


def _without(space: Space, node: Node, p: int) -> tuple[Key, list[tuple[int, Access]], Access, Bound]:
    """(key, other factors, access of factor p, bound sizes) with labels numbered without looking at factor p."""
    payload = node.payload
    assert isinstance(payload, Contraction)
    factors = [(space.find(r), a) for r, a in zip(node.children, payload.accesses, strict=True)]
    digests = [(GAP if k == p else ref.to_bytes(8, "big"), access) for k, (ref, access) in enumerate(factors)]
    texts: Mapping[Label, str] = {i: size.canonical_text() for i, size in enumerate(payload.bound)}
    order = canonical_labels(digests, texts)
    number: dict[Label, Label] = {label: i for i, label in enumerate(order)}
    named = [(ref, tuple((axis, number.get(label, label)) for axis, label in access)) for ref, access in factors]
    own = named.pop(p)[1]
    named.sort(key=lambda item: (item[0], repr(item[1])))
    bound: Bound = {i: payload.bound[label] for i, label in enumerate(order) if isinstance(label, int)}
    axes = space.axes[factors[p][0] >> 1]
    return (tuple(named), own, tuple(bound.values()), tuple(sorted((n, s.canonical_text()) for n, s in axes))), named, own, bound


def _merge(
    loader: Loader,
    c: int,
    form: dict[int, Rational],
    members: list[tuple[Rational, int, int]],
    rest: list[tuple[int, Access]],
    own: Access,
    bound: Bound,
) -> None:
    space = loader.space
    for _, d, _ in members:
        form.pop(d)
    factor = space.sum([(q, ref) for q, _, ref in members])
    merged = contraction(loader, [*((ref, dict(access)) for ref, access in rest), (factor, dict(own))], bound)
    whole = space.sum([(1, merged), *((q, 2 * d) for d, q in form.items())])
    space.union(space.expand(whole, space.axes[space.find(2 * c) >> 1]), 2 * c)
