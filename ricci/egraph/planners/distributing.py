"""Contractions of sums with structured members, member by member: (D + U V^T) x = D x + U (V^T x), (1 - v v^T) X = X - v (v^T X).

Structured is what a contraction need not see as a whole: products of factors that each lack an axis of it (outer products, low
rank), values under an indicator of two axes (diagonals, bands) or at merged ones (Kronecker products), and what is known to be diagonal
or banded. The other members stay one sum.
"""

from __future__ import annotations

from ricci.dsl.ops.contract import Contraction, Label
from ricci.dsl.ops.reindex import Pull
from ricci.dsl.types import Size
from ricci.egraph.planners.rebinding import reads_parts
from ricci.egraph.planners.sharing import sums_of
from ricci.egraph.rational import Rational
from ricci.egraph.space import Node, Space
from ricci.egraph.structure import Structure
from ricci.egraph.terms import Loader, contraction

MEMBERS = 6  # of a sum that is looked at


def distribute(loader: Loader, structure: Structure, limit: int) -> int:
    """Propose distributed contractions; returns how many."""
    space = loader.space
    sums = sums_of(space)
    made = 0
    for c in space.classes():
        for node in [n for n in space.nodes[c] if n.op == "contract"]:
            for k, r in enumerate(node.children):
                forms = sums.get(space.find(r) >> 1)
                if made >= limit or forms is None or len(forms[0]) > MEMBERS:
                    continue
                own = [d for d in forms[0] if _structured(space, structure, d)]
                if own:
                    made += 1
                    _state(loader, c, node, k, dict(forms[0]), own)
    return made


def _structured(space: Space, structure: Structure, c: int) -> bool:
    """See the head of the file."""
    axes = space.axes[c]
    if len(axes) < 2:
        return False
    if any(lo is not None and hi is not None and (hi - lo).constant is not None for lo, hi in structure.of(c).bands.values()):
        return True
    for node in space.nodes[c]:
        below = [space.find(r) >> 1 for r in node.children]
        if node.op == "contract" and len(below) > 1:
            return True
        if node.op in ("product", "contract") and all(len(space.axes[d]) < len(axes) for d in below):
            return True
        if any(_selected(space, n) for n in (node, *(n for d in below if node.op == "product" for n in space.nodes[d]))):
            return True
    return False


def _selected(space: Space, node: Node) -> bool:
    """Whether a node is zero but under a condition on two axes, or reads merged axes."""
    if node.op == "where":
        return space.constant(node.children[2]) == 0
    return isinstance(node.payload, Pull) and (any(len(g.axes) > 1 for g in node.payload.guards) or reads_parts(node.payload))


def _state(loader: Loader, c: int, node: Node, k: int, form: dict[int, Rational], own: list[int]) -> None:
    """State that class c is the sum of the contractions of the members in `own`, and of that of the others."""
    space = loader.space
    payload = node.payload
    assert isinstance(payload, Contraction)
    ref = space.find(node.children[k])
    whole = dict(payload.accesses[k])
    bound: dict[Label, Size] = dict(enumerate(payload.bound))
    others = [(space.find(r), dict(a)) for i, (r, a) in enumerate(zip(node.children, payload.accesses, strict=True)) if i != k]
    sign = -1 if (ref & 1) ^ space.nodes[c][node] else 1
    members = [[(form.pop(d), 2 * d)] for d in own]
    if form:
        members.append([(q, 2 * d) for d, q in form.items()])
    parts = []
    for member in members:
        factor = space.sum(member)
        access = {axis: whole[axis] for axis, _ in space.axes[space.find(factor) >> 1]}
        parts.append((sign, contraction(loader, [*others, (factor, access)], bound)))
    out = space.sum(parts)
    space.union(space.expand(out, space.axes[space.find(2 * c) >> 1]), 2 * c)
